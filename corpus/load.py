"""Paths to source files, a source file to an Article. Skips what it cannot read and says why."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath

from corpus.formats import SUFFIXES, extract
from corpus.repair import repair, unrepaired
from corpus.structure import structure
from errors import UnreadableDocumentError
from schema import Article

MAX_FILE_BYTES = 50 * 1024 * 1024  # a book of a million characters has 3 MB
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to index."""

    path: Path
    doc: str  # its path below `root`, with "/"
    root: Path  # the folder that was given, or the parent of the file that was given


@dataclass(frozen=True, slots=True)
class Skipped:
    """A path that cannot become a document."""

    path: Path
    reason: str  # Chinese, one clause


def discover(paths: Sequence[Path]) -> tuple[list[SourceFile], list[Skipped]]:
    """Find the documents in files and folders.

    Folders are walked recursively in sorted order; hidden files and folders are passed over. A link
    that leads out of the given folder is not followed.

    Returns:
        Sources with different `doc` names, and everything that was passed over with a reason.
    """
    sources: dict[str, SourceFile] = {}
    skipped: list[Skipped] = []
    for path in paths:
        # Resolved, so that a folder has one name however it is written.
        for found in _found(path.resolve()):
            if isinstance(found, Skipped):
                skipped.append(found)
            elif found.doc in sources:
                if sources[found.doc].path.resolve() != found.path.resolve():
                    skipped.append(_same_name(found, sources[found.doc]))
            else:
                sources[found.doc] = found
    return list(sources.values()), skipped


def _same_name(second: SourceFile, first: SourceFile) -> Skipped:
    reason = f"与 {first.path} 的文档名相同，请改名，或把两者放进同一个上级文件夹后给出该文件夹"
    return Skipped(second.path, reason)


def _found(path: Path) -> Iterator[SourceFile | Skipped]:
    if path.is_dir():
        yield from _walked(path, path, path)
    elif not path.exists():
        yield Skipped(path, "路径不存在，请检查是否写错")
    else:
        yield _file(path, path.parent)


def _walked(folder: Path, root: Path, real_root: Path) -> Iterator[SourceFile | Skipped]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        yield Skipped(folder, "没有权限打开这个文件夹")
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_symlink() and (problem := _link_problem(entry, real_root)):
            yield Skipped(entry, problem)
        elif entry.is_dir():
            yield from _walked(entry, root, real_root)
        else:
            yield _file(entry, root)


def _link_problem(entry: Path, real_root: Path) -> str | None:
    """Why a link inside a folder is not followed, or None if it may be."""
    target = entry.resolve()
    if not entry.exists():
        return "链接的目标不存在"
    if not target.is_relative_to(real_root):
        return "链接指向所给文件夹之外，没有跟随"
    # A folder inside the root is walked at its own place; a link to one above it never ends.
    return "链接指向所给文件夹之内的文件夹，已在原处收录" if target.is_dir() else None


def _file(path: Path, root: Path) -> SourceFile | Skipped:
    if path.suffix.lower() not in SUFFIXES:
        return Skipped(path, "不支持这种文件（支持 TXT、Markdown、HTML、DOCX 和文字版 PDF）")
    if not path.is_file():
        return Skipped(path, "不是普通文件")
    doc = path.relative_to(root).as_posix()
    if _CONTROL.search(doc):  # no address leads to it, and it would break the lines of every list
        shown = Path(_CONTROL.sub("�", str(path)))
        return Skipped(shown, "文件名里有换行之类的控制字符，请改名")
    return SourceFile(path, doc, root)


def read_article(source: SourceFile, *, mend: bool = True) -> Article:
    """Read a file.

    Args:
        source: the file.
        mend: undo what page layout did to lines and spaces; without, lines stay as extracted.

    Raises:
        UnreadableDocumentError: empty, too large, binary, encrypted, without text, or broken.
    """
    try:
        size = source.path.stat().st_size
        if size > MAX_FILE_BYTES:
            limit = MAX_FILE_BYTES // 1024 // 1024
            raise UnreadableDocumentError(f"{size} bytes", f"文件超过 {limit} MB，请拆分后再试")
        data = source.path.read_bytes()
    except OSError as error:
        raise UnreadableDocumentError(f"cannot be read: {error}", "文件无法打开") from error
    return article_from_bytes(source.doc, data, date.today().year, mend=mend)


def article_from_bytes(doc: str, data: bytes, this_year: int, *, mend: bool = True) -> Article:
    """Make an article; the suffix of `doc` tells its format.

    Where the text names no title, a file name with at least four Chinese characters is the title.

    Raises:
        UnreadableDocumentError: as for read_article.
    """
    if not data.strip():
        raise UnreadableDocumentError("empty file", "文件是空的")
    name = PurePosixPath(doc)
    extracted = extract(data, name.suffix.lower())
    if mend:
        repaired = repair(extracted.text, lines_are_paragraphs=extracted.lines_are_paragraphs)
    else:
        repaired = unrepaired(extracted.text)
    found = structure(repaired, extracted, this_year)
    return Article(
        doc=doc,
        sha256=hashlib.sha256(data).hexdigest(),
        original=extracted.text,
        text=found.text,
        offsets=repaired.offsets,
        blocks=found.blocks,
        title=found.title or _title_from_name(name.stem),
        subtitle=found.subtitle,
        byline=found.byline,
        date=found.date,
        date_inferred=found.date_inferred,
        warnings=extracted.warnings,
    )


def _title_from_name(stem: str) -> str | None:
    return stem.strip() if len(re.findall(r"[\u4e00-\u9fff]", stem)) >= 4 else None
