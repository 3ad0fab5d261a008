"""HTML to text: one line a block element, without scripts, navigation and hidden parts."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import NamedTuple

from bs4 import BeautifulSoup, Tag, XMLParsedAsHTMLWarning
from bs4.element import NavigableString, PreformattedString

from corpus.decode import decode
from schema import BlockKind, Span

# <form> stays: some systems wrap the whole page in one.
_DROPPED = re.compile(
    "script|style|noscript|template|nav|footer|aside|button|select|svg|iframe|object|head"
)
_BLOCKS = re.compile(
    "address|article|blockquote|body|caption|center|dd|details|div|dl|dt|fieldset|figcaption|figure"
    "|form|h[1-6r]|header|li|main|ol|p|pre|section|summary|table|tbody|tfoot|thead|tr|ul"
)
_CELLS = frozenset(("td", "th"))
_ROLES: dict[str, BlockKind] = {
    "figcaption": "caption",
    "caption": "caption",
    **dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6"), "heading"),
}
_MIN_MAIN_SHARE = 0.4  # of the page's text; an <article> with less is a teaser
_DECLARED = re.compile(rb"(?:charset|encoding)\s*=\s*[\"']?\s*([A-Za-z0-9_\-]+)")
_SITE_NAME = re.compile(r"\s*(?:[_|｜]|\s[-–—]\s|--).*$", re.DOTALL)
_TITLES = ("og:title", "twitter:title", "ArticleTitle")
_AUTHORS = ("author", "article:author", "Author", "og:article:author")
_DATES = (
    "article:published_time", "og:published_time", "publishdate", "PubDate", "pubdate",
    "datePublished", "publish_time", "dc.date", "date", "firstpublishedtime",
)  # fmt: skip
_CHINESE = r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]"
# A line break of the source between Chinese characters is layout, not a space between words.
_SOURCE_BREAK = re.compile(rf"(?<={_CHINESE})[ \t]*[\r\n]\s*(?={_CHINESE})")


class Webpage(NamedTuple):
    """Text of a page, one line a block, and what its tags say."""

    text: str
    marks: tuple[tuple[Span, BlockKind], ...]
    title: str | None
    author: str | None
    date: str | None  # as written
    warnings: tuple[str, ...]


def extract_html(data: bytes) -> Webpage:
    """Extract a page.

    Raises:
        UnreadableDocumentError: the encoding cannot be told.
    """
    declared = _DECLARED.search(data[:4096])
    decoded = decode(data, declared.group(1).decode("ascii") if declared else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)  # XHTML is read as HTML on purpose
        soup = BeautifulSoup(decoded.text, "lxml")
    title, author, date = _title(soup), _meta(soup, _AUTHORS), _date(soup)
    for tag in soup.find_all(_is_dropped):
        tag.decompose()
    text, marks = _text(_main_part(soup))
    return Webpage(text, marks, title, author, date, decoded.warnings)


def _is_dropped(tag: Tag) -> bool:
    if _DROPPED.fullmatch(tag.name) or tag.has_attr("hidden") or tag.get("aria-hidden") == "true":
        return True
    style = str(tag.get("style", "")).replace(" ", "").lower()
    return "display:none" in style or tag.get("role") in ("navigation", "banner", "contentinfo")


def _main_part(soup: BeautifulSoup) -> Tag:
    """The article of the page, where it marks one; else the whole body."""
    whole = soup.body or soup
    length = len(whole.get_text())
    for tag in sorted(whole.find_all(["article", "main"]), key=lambda tag: -len(tag.get_text())):
        if len(tag.get_text()) >= _MIN_MAIN_SHARE * length:
            return tag
    return whole


def _text(root: Tag) -> tuple[str, tuple[tuple[Span, BlockKind], ...]]:
    lines: list[str] = []
    marks: list[tuple[Span, BlockKind]] = []
    position = 0
    for line, role in _lines(root):
        if role:
            marks.append((Span(position, position + len(line)), role))
        lines.append(line)
        position += len(line) + 1
    return "\n".join(lines), tuple(marks)


def _lines(root: Tag) -> Iterator[tuple[str, BlockKind | None]]:
    """Visible lines with the role of the element that they end in; empty ones are left out."""
    pieces: list[str] = []
    role: BlockKind | None = None
    for event in _events(root):
        if isinstance(event, str):
            pieces.append(event)
            continue
        if line := _collapsed("".join(pieces)):
            yield line, role
        pieces, role = [], event.role
    if line := _collapsed("".join(pieces)):
        yield line, role


class _Boundary(NamedTuple):
    """A line ends; the next one has this role."""

    role: BlockKind | None


def _events(root: Tag) -> Iterator[str | _Boundary]:
    """Text and line ends in document order, without recursion: pages nest deeply."""
    stack: list[Tag | NavigableString | _Boundary | str] = [root]
    roles: list[BlockKind | None] = [None]
    while stack:
        item = stack.pop()
        if isinstance(item, _Boundary):
            roles.pop()
            yield _Boundary(roles[-1])
        elif isinstance(item, NavigableString):
            if not isinstance(item, PreformattedString):  # comments and declarations
                yield from _string_events(item, roles[-1])
        elif isinstance(item, str):
            yield item
        elif item.name == "br":
            yield _Boundary(roles[-1])
        else:
            if _BLOCKS.fullmatch(item.name):
                roles.append(_ROLES.get(item.name, roles[-1]))
                yield _Boundary(roles[-1])
                stack.append(_Boundary(None))
            elif item.name in _CELLS:
                stack.append("\t")
            children = [
                child for child in item.children if isinstance(child, Tag | NavigableString)
            ]
            stack.extend(reversed(children))


def _string_events(item: NavigableString, role: BlockKind | None) -> Iterator[str | _Boundary]:
    if item.find_parent("pre") is None:
        yield _SOURCE_BREAK.sub("", str(item)).replace("\t", " ").replace("\n", " ")
        return
    for line in str(item).split("\n"):
        yield line
        yield _Boundary(role)


def _collapsed(line: str) -> str:
    """White space as a browser shows it, with a tab between table cells."""
    cells = (" ".join(cell.split(" ")).strip() for cell in line.split("\t"))
    return re.sub(r"[ \r\xa0]{2,}", " ", "\t".join(cells)).strip()


def _title(soup: BeautifulSoup) -> str | None:
    """The page's only h1, else its metadata, else <title> without the site's name."""
    headlines = [text for tag in soup.find_all("h1") if (text := " ".join(tag.get_text().split()))]
    if len(headlines) == 1:
        return headlines[0]
    if found := _meta(soup, _TITLES):
        return found
    text = " ".join(soup.title.get_text().split()) if soup.title else ""
    return _SITE_NAME.sub("", text) or text or None


def _meta(soup: BeautifulSoup, names: tuple[str, ...]) -> str | None:
    for name in names:
        for key in ("property", "name", "itemprop"):
            tag = soup.find("meta", attrs={key: name})
            if tag and (content := str(tag.get("content", "")).strip()):
                return content
    return None


def _date(soup: BeautifulSoup) -> str | None:
    if found := _meta(soup, _DATES):
        return found
    tag = soup.find("time")
    return str(tag.get("datetime") or tag.get_text()) if tag else None
