"""Bytes of TXT, Markdown, HTML, DOCX and PDF to the original text, with what the format says of it.

TXT and Markdown keep every character. HTML and DOCX become one line a paragraph, table rows with
tabs between cells. PDF keeps the lines of its pages; running heads and page numbers are left out.
Not read: comments, footnotes, text boxes and headers of DOCX, and text inside pictures.
"""

from __future__ import annotations

import io
import logging
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import docx
import docx.table
import pypdf
import pypdf.errors
from docx.opc.exceptions import OpcError
from docx.text.paragraph import Paragraph

from corpus.decode import decode
from corpus.webpage import extract_html
from errors import UnreadableDocumentError
from schema import BlockKind, Span

_MAX_UNPACKED_BYTES = 300 * 1024 * 1024  # a DOCX of 50 MB with pictures stays far below
_MAX_TEXT_CHARS = 20_000_000
_MAX_PAGES = 5_000
_OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PAGE_NUMBER = re.compile(r"[\s\-—–·第页共/ofOF]*\d{1,4}(?:[\s\-—–·第页共/ofOF]+\d{0,4})*")
_BROKEN_DOCX = (OpcError, zipfile.BadZipFile, zlib.error, KeyError, ValueError, SyntaxError)
_BROKEN_PDF = (
    pypdf.errors.PyPdfError,
    zlib.error,
    OSError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
# pypdf logs what it tolerates in damaged files; what matters reaches the operator as an error.
logging.getLogger("pypdf").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Extracted:
    """The original text of a document and what its format says about it."""

    text: str
    lines_are_paragraphs: bool = False
    marks: tuple[tuple[Span, BlockKind], ...] = ()  # lines of `text` whose role the format names
    title: str | None = None
    author: str | None = None
    date: str | None = None  # as the document writes it
    warnings: tuple[str, ...] = ()  # Chinese, for the operator


def extract(data: bytes, suffix: str) -> Extracted:
    """Extract a document.

    Args:
        data: the file's bytes.
        suffix: lower case, with its dot; one of SUFFIXES.

    Raises:
        UnreadableDocumentError: empty, binary, encrypted, without text, or broken.
    """
    extracted = _EXTRACTORS[suffix](data)
    if not extracted.text.strip():
        raise UnreadableDocumentError("no text", "文件中没有文字")
    if len(extracted.text) > _MAX_TEXT_CHARS:
        raise UnreadableDocumentError("too much text", "文字过多（超过 2000 万字），请拆分后再试")
    return extracted


def _extract_text(data: bytes) -> Extracted:
    decoded = decode(data)
    return Extracted(decoded.text, warnings=decoded.warnings)


def _extract_html(data: bytes) -> Extracted:
    page = extract_html(data)
    return Extracted(page.text, True, page.marks, page.title, page.author, page.date, page.warnings)


# --- DOCX ---------------------------------------------------------------------------------------


def _extract_docx(data: bytes) -> Extracted:
    if data.startswith(_OLE_MAGIC):
        raise UnreadableDocumentError(
            "encrypted DOCX or old DOC", "文件已加密或是旧版 DOC 格式，请解密并另存为 DOCX"
        )
    try:
        _refuse_zip_bomb(data)
        document = docx.Document(io.BytesIO(data))
        lines = list(_docx_lines(document))
        properties = document.core_properties
        title, author = properties.title.strip(), properties.author.strip()
    except _BROKEN_DOCX as error:
        raise UnreadableDocumentError(f"broken DOCX: {error}", "DOCX 文件已损坏") from error
    text, marks = _joined(lines)
    author_is_person = bool(re.fullmatch(r"[\u4e00-\u9fff·]{2,6}", author))
    return Extracted(text, True, marks, title or None, author if author_is_person else None)


def _refuse_zip_bomb(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(item.file_size for item in archive.infolist()) > _MAX_UNPACKED_BYTES:
            raise UnreadableDocumentError("unpacks to too many bytes", "文件解压后过大")


def _docx_lines(container: docx.document.Document) -> Iterator[tuple[str, BlockKind | None]]:
    """Paragraphs and table rows in the order of the document."""
    for item in container.iter_inner_content():
        if isinstance(item, Paragraph):
            yield from ((line, _docx_role(item)) for line in item.text.splitlines())
        else:
            yield from ((row, None) for row in _table_rows(item))


def _docx_role(paragraph: Paragraph) -> BlockKind | None:
    style = paragraph.style.name if paragraph.style else None
    if not style:
        return None
    if style == "Title":
        return "title"
    if style == "Subtitle":
        return "subtitle"
    if style == "Caption":
        return "caption"
    return "heading" if style.startswith("Heading") else None


def _table_rows(table: docx.table.Table) -> Iterator[str]:
    """Each row once; a merged cell stands in its first row and column only."""
    seen: set[object] = set()
    for row in table.rows:
        cells = []
        for cell in row.cells:
            if cell._tc not in seen:  # python-docx repeats merged cells and gives no public key
                seen.add(cell._tc)
                cells.append(" ".join(cell.text.split()))
        if any(cells):
            yield "\t".join(cells)


def _joined(
    lines: list[tuple[str, BlockKind | None]],
) -> tuple[str, tuple[tuple[Span, BlockKind], ...]]:
    """One text, and where the lines with a role stand in it."""
    marks: list[tuple[Span, BlockKind]] = []
    position = 0
    for text, role in lines:
        if role and text.strip():
            marks.append((Span(position, position + len(text)), role))
        position += len(text) + 1
    return "\n".join(text for text, _ in lines), tuple(marks)


# --- PDF ----------------------------------------------------------------------------------------


def _extract_pdf(data: bytes) -> Extracted:
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        _refuse_encrypted(reader)
        if len(reader.pages) > _MAX_PAGES:
            raise UnreadableDocumentError("too many pages", f"页数过多（超过 {_MAX_PAGES} 页）")
        pages = [page.extract_text().splitlines() for page in reader.pages]
        title = reader.metadata.title if reader.metadata else None
    except _BROKEN_PDF as error:
        raise UnreadableDocumentError(f"broken PDF: {error}", "PDF 文件已损坏") from error
    text = "\n".join("\n".join(lines) for lines in _without_running_heads(pages))
    _refuse_textless(text)
    return Extracted(text, title=_meant_title(title))


def _refuse_encrypted(reader: pypdf.PdfReader) -> None:
    """Many PDFs are encrypted with an empty password, which anyone may open."""
    try:
        locked = reader.is_encrypted and not reader.decrypt("")
    except pypdf.errors.DependencyError:
        locked = True
    if locked:
        raise UnreadableDocumentError("encrypted PDF", "PDF 已加密，请先解除密码")


def _refuse_textless(text: str) -> None:
    visible = "".join(text.split())
    if not visible:
        raise UnreadableDocumentError(
            "no text layer", "PDF 只有图片、没有文字，请先做文字识别（OCR）"
        )
    foreign = sum(
        char < " " or "\ue000" <= char <= "\uf8ff" or char == "\ufffd" for char in visible
    )
    if foreign > 0.1 * len(visible):
        raise UnreadableDocumentError(
            "fonts without a map to characters", "PDF 的字体无法还原成文字"
        )


def _without_running_heads(pages: list[list[str]]) -> Iterator[list[str]]:
    """Drop page numbers, and first or last lines that most pages share."""
    pages = [[line for line in lines if line.strip()] for lines in pages]
    edges = Counter(line.strip() for lines in pages for line in {*lines[:1], *lines[-1:]})
    repeated = {line for line, count in edges.items() if count >= max(3, 0.5 * len(pages))}
    for lines in pages:
        while lines and _is_page_furniture(lines[0], repeated):
            lines = lines[1:]
        while lines and _is_page_furniture(lines[-1], repeated):
            lines = lines[:-1]
        yield lines


def _is_page_furniture(line: str, repeated: set[str]) -> bool:
    return line.strip() in repeated or bool(_PAGE_NUMBER.fullmatch(line.strip()))


def _meant_title(title: str | None) -> str | None:
    """The title in a PDF's properties, unless it is the name of a program or a file."""
    is_meant = title and re.search(r"[\u4e00-\u9fff]{4}", title)
    return title.strip() if title and is_meant and "Microsoft" not in title else None


_EXTRACTORS: dict[str, Callable[[bytes], Extracted]] = {
    ".txt": _extract_text,
    ".md": _extract_text,
    ".markdown": _extract_text,
    ".html": _extract_html,
    ".htm": _extract_html,
    ".xhtml": _extract_html,
    ".docx": _extract_docx,
    ".pdf": _extract_pdf,
}
SUFFIXES = frozenset(_EXTRACTORS)
