"""Paths to source files, a source file to its documents. Skips what it cannot read and says why.

Mostly a file is a document; one of the kinds in collection.py holds a document a line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path, PurePosixPath

from corpus.collection import (
    count_lines,
    extract_line,
    is_collection,
    is_json,
    line_name,
    lines,
)
from corpus.formats import SUFFIXES, Extracted, extract
from corpus.repair import repair, unrepaired
from corpus.structure import structure
from errors import UnreadableDocumentError, reason
from schema import Article

MAX_FILE_BYTES = 50 * 1024 * 1024  # a book of a million characters has 3 MB
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to index."""

    path: Path
    doc: str  # its path below `root`, with "/"
    root: Path  # the folder that was given, or the parent of the file that was given

    @property
    def is_collection(self) -> bool:
        """Whether its documents are the lines of the file."""
        return is_collection(self.path.name)


@dataclass(frozen=True, slots=True)
class RawDocument:
    """The bytes of a document that has not been read yet."""

    source: SourceFile
    doc: str  # of a line: that of its file, then "/" and its number or id
    data: bytes

    @property
    def path(self) -> Path:
        """Where it lies, for people."""
        return self.source.path / self.doc.removeprefix(self.source.doc).lstrip("/")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A path that cannot become a document."""

    path: Path
    reason: str  # Chinese, one clause
    unseen: bool = False  # it may be a folder, whose documents may be there as before


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
        for found in _found(path):
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
    try:
        # Resolved, so that a folder has one name however it is written.
        path = path.resolve()
        is_folder = path.is_dir()
    except RuntimeError:  # links that lead to each other
        yield Skipped(path, "链接的目标不存在")
        return
    except OSError as error:
        yield Skipped(path, f"无法读取：{reason(error)}", unseen=True)
        return
    if is_folder:
        yield from _walked(path, path, path)
    elif not path.exists():
        yield Skipped(path, "路径不存在，请检查是否写错")
    else:
        yield _file(path, path.parent)


def _walked(folder: Path, root: Path, real_root: Path) -> Iterator[SourceFile | Skipped]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        yield Skipped(folder, "没有权限打开这个文件夹", unseen=True)
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            problem = _link_problem(entry, real_root) if entry.is_symlink() else None
            is_folder = entry.is_dir()
        except OSError as error:
            yield Skipped(entry, f"无法读取：{reason(error)}", unseen=True)
            continue
        if problem:
            yield Skipped(entry, problem)
        elif is_folder:
            yield from _walked(entry, root, real_root)
        else:
            yield _file(entry, root)


def _link_problem(entry: Path, real_root: Path) -> str | None:
    """Why a link inside a folder is not followed, or None if it may be."""
    if not entry.exists():
        return "链接的目标不存在"
    target = entry.resolve()
    if not target.is_relative_to(real_root):
        return "链接指向所给文件夹之外，没有跟随"
    # A folder inside the root is walked at its own place; a link to one above it never ends.
    return "链接指向所给文件夹之内的文件夹，已在原处收录" if target.is_dir() else None


def _file(path: Path, root: Path) -> SourceFile | Skipped:
    if path.suffix.lower() not in SUFFIXES and not is_collection(path.name):
        return Skipped(
            path,
            "不支持这种文件（支持 TXT、Markdown、HTML、DOCX、文字版 PDF，"
            "和一行一篇的 .jsonl、.lines、.txt.gz）",
        )
    if not path.is_file():
        return Skipped(path, "不是普通文件")
    doc = path.relative_to(root).as_posix()
    if _CONTROL.search(doc):  # no address leads to it, and it would break the lines of every list
        shown = Path(_CONTROL.sub("�", str(path)))
        return Skipped(shown, "文件名里有换行之类的控制字符，请改名")
    return SourceFile(path, doc, root)


def source_of(root: Path, doc: str) -> SourceFile:
    """The file that a document of the index came from."""
    path = PurePosixPath(doc)
    file = path.parent if is_collection(path.parent.name) else path
    return SourceFile(root / file, file.as_posix(), root)


def count_documents(source: SourceFile) -> int:
    """How many documents a file holds, about: to tell how far reading is."""
    return count_lines(source.path) if source.is_collection else 1


def raw_documents(source: SourceFile) -> Iterator[RawDocument | Skipped]:
    """The documents of a file, unread; one in memory at a time."""
    try:
        if source.is_collection:
            yield from _raw_lines(source)
        else:
            yield RawDocument(source, source.doc, _file_bytes(source.path))
    except UnreadableDocumentError as error:
        yield Skipped(source.path, error.user_message)


def article_of(raw: RawDocument, *, mend: bool = True) -> Article:
    """Make an article of a raw document.

    Args:
        raw: the document.
        mend: undo what page layout did to lines and spaces; without, lines stay as extracted.

    Raises:
        UnreadableDocumentError: empty, binary, encrypted, without text, or broken.
    """
    this_year = date.today().year
    if not raw.source.is_collection:
        return article_from_bytes(raw.doc, raw.data, this_year, mend=mend)
    extracted = extract_line(raw.data, json_lines=is_json(raw.source.path.name))
    if not extracted.text.strip():
        raise UnreadableDocumentError("no text", "这一行没有文字")
    return _article(raw.doc, raw.data, extracted, this_year, mend=mend)


def read_article(source: SourceFile, *, mend: bool = True) -> Article:
    """Read a file that is one document.

    Args:
        source: the file.
        mend: as for article_of.

    Raises:
        UnreadableDocumentError: too large, or as for article_of.
    """
    return article_of(RawDocument(source, source.doc, _file_bytes(source.path)), mend=mend)


def _raw_lines(source: SourceFile) -> Iterator[RawDocument | Skipped]:
    json_lines = is_json(source.path.name)
    seen: set[str] = set()
    for line in lines(source.path):
        name = line_name(line, json_lines=json_lines)
        if name in seen:
            place = source.path / f"{line.number:06d}"
            yield Skipped(place, f"编号 {name} 在这个文件里已经用过")
            continue
        seen.add(name)
        yield RawDocument(source, f"{source.doc}/{name}", line.data)


def _file_bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            limit = MAX_FILE_BYTES // 1024 // 1024
            raise UnreadableDocumentError(f"{size} bytes", f"文件超过 {limit} MB，请拆分后再试")
        return path.read_bytes()
    except OSError as error:
        raise UnreadableDocumentError(
            f"cannot be read: {error}", f"无法读取：{reason(error)}"
        ) from error


def article_from_bytes(doc: str, data: bytes, this_year: int, *, mend: bool = True) -> Article:
    """Make an article; the suffix of `doc` tells its format.

    Where the text names no title, a file name with at least four Chinese characters is the title.

    Raises:
        UnreadableDocumentError: as for article_of.
    """
    if not data.strip():
        raise UnreadableDocumentError("empty file", "文件是空的")
    name = PurePosixPath(doc)
    extracted = extract(data, name.suffix.lower())
    found = _article(doc, data, extracted, this_year, mend=mend)
    return found if found.title else replace(found, title=_title_from_name(name.stem))


def _article(doc: str, data: bytes, extracted: Extracted, this_year: int, *, mend: bool) -> Article:
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
        title=found.title,
        subtitle=found.subtitle,
        byline=found.byline,
        date=found.date,
        date_inferred=found.date_inferred,
        warnings=extracted.warnings,
    )


def _title_from_name(stem: str) -> str | None:
    return stem.strip() if len(re.findall(r"[\u4e00-\u9fff]", stem)) >= 4 else None
