"""Repaired paragraphs to blocks with a role, and title, by-line and date of the article.

Extraction may leave a headline, by-line or caption anywhere, so a role is judged by form and by
neighbours, not by place alone. A caption and its credit on two lines become one block: the line
feed between them becomes a space. Nothing is made up: what is not found stays None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from corpus.chars import (
    BULLET,
    CIRCLED,
    HAN,
    MARKDOWN_HEADING,
    NUMBERED,
    PICTURE_MARK,
    SUBTITLE_MARK,
    WORD,
    ends_sentence,
    is_credited,
    width,
)
from corpus.formats import Extracted
from corpus.metadata import (
    LEAD,
    authors,
    dateline,
    inline_authors,
    is_byline,
    is_date_line,
    is_names,
    latest_year,
    parse_date,
)
from corpus.repair import Repaired
from schema import Block, BlockKind, Span

_MAX_HEADING = 40  # full-width characters
_MAX_CAPTION = 120
_MAX_BARE_CAPTION = 40  # a caption without a credit
_MAX_CREDIT = 30
_MIN_TITLE_SCORE = 4
_BEFORE_TITLE = ("byline", "date", "caption")
_MAX_LINES_OF_HEADINGS = 8  # more short lines in a row are a list or a table

_CREDIT_LINE = re.compile(rf"[（(]?[{HAN}{WORD}·\s、/／]{{1,28}}(?:供图|摄影|摄|制图|图)[)）]?")
_QUOTED = re.compile(r"[“「][^“”「」]{4,60}[”」]")
_TWO_HALVES = re.compile(rf"[{HAN}”》]{{2,}} [{HAN}“《]{{2,}}")
_TABLE_ROW = re.compile(r"[|>]|.*\|.*\||https?://|www\.|```")
_NO_HEADING_END = "，,：:；;、"
_ORIGINAL_TITLE = re.compile(r"(?:原标题|标题)\s*[:：]\s*(?=\S)")
_HAS_WORDS = re.compile(rf".*[{HAN}]{{2}}|\d*\W*[A-Z]\w+")


@dataclass(frozen=True, slots=True)
class Structured:
    """What schema.Article needs beyond text offsets."""

    text: str  # as repaired, but for line feeds that became spaces inside a block
    blocks: tuple[Block, ...]
    title: str | None
    subtitle: str | None
    byline: str | None
    date: str | None
    date_inferred: bool


@dataclass(slots=True)
class _Part:
    """A paragraph on its way to a block."""

    span: Span
    text: str
    set_off: bool
    kind: BlockKind | None = None


def structure(repaired: Repaired, extracted: Extracted, this_year: int) -> Structured:
    """Give each paragraph its role.

    Args:
        repaired: text and paragraphs.
        extracted: what the file's format says (headings, title, author, date).
        this_year: no article speaks of a later year as past.
    """
    parts = [_Part(p.span, p.span.cut(repaired.text), p.set_off) for p in repaired.paragraphs]
    _take_marks(parts, repaired, extracted)
    for part in parts:
        part.kind = part.kind or _kind_by_form(part.text)
    parts = _join_credits(parts)
    _mark_bare_captions(parts)
    _mark_headings(parts)
    _mark_subtitle(parts)
    title = _mark_title(parts, extracted)
    _mark_names(parts)
    _mark_pull_quotes(parts)
    date, inferred = _date(parts, extracted, this_year)
    return Structured(
        text=_with_spaces(repaired.text, parts),
        blocks=tuple(Block(part.kind or "body", part.span) for part in parts),
        title=title,
        subtitle=_first(parts, "subtitle"),
        byline=_byline(parts, extracted),
        date=date,
        date_inferred=inferred,
    )


def _with_spaces(text: str, parts: Sequence[_Part]) -> str:
    """Line feeds inside a block become spaces."""
    if not any("\n" in part.span.cut(text) for part in parts):
        return text
    return "\n".join(part.span.cut(text).replace("\n", " ") for part in parts)


# --- roles by form ------------------------------------------------------------------------------


def _take_marks(parts: Sequence[_Part], repaired: Repaired, extracted: Extracted) -> None:
    """Roles that the format names; a list of them and the parts are both in document order."""
    marks = iter(extracted.marks)
    mark = next(marks, None)
    for part in parts:
        start = repaired.offsets[part.span.start]
        while mark and mark[0].end <= start:
            mark = next(marks, None)
        if mark and mark[0].start <= start:
            part.kind = mark[1]


def _kind_by_form(text: str) -> BlockKind | None:
    """The role of a paragraph that needs no look at its neighbours."""
    if len(text) > _MAX_CAPTION:
        return None
    if MARKDOWN_HEADING.match(text):
        return "heading"
    if is_date_line(text.lstrip(">*- ")):
        return "date"
    if is_byline(text):
        return "byline"
    if _is_caption(text):
        return "caption"
    return None


def _is_caption(text: str) -> bool:
    if is_credited(text) and not text.endswith(("完）", "完)")):
        return len(re.findall("[。！？]", text)) <= 3
    return text.startswith(("图为", "▲", "△")) and width(text) <= _MAX_CAPTION


def _join_credits(parts: Sequence[_Part]) -> list[_Part]:
    """A caption and the credit on the line below become one part."""
    joined: list[_Part] = []
    for part in parts:
        above = joined[-1] if joined else None
        if above and _is_credit_line(part) and _may_be_captioned(above):
            span = Span(above.span.start, part.span.end)
            text = f"{above.text} {part.text}"
            joined[-1] = _Part(span, text, above.set_off, "caption")
        else:
            joined.append(part)
    return joined


def _is_credit_line(part: _Part) -> bool:
    return (
        part.kind in (None, "caption")
        and width(part.text) <= _MAX_CREDIT
        and not re.match(f"[{CIRCLED}]", part.text)
        and bool(_CREDIT_LINE.fullmatch(part.text))
        and is_credited(part.text)
    )


def _may_be_captioned(part: _Part) -> bool:
    if part.kind is not None or is_credited(part.text):
        return False
    limit = _MAX_CAPTION if PICTURE_MARK.match(part.text) else _MAX_BARE_CAPTION
    return width(part.text) <= limit and len(re.findall("[。！？]", part.text)) <= 2


def _mark_bare_captions(parts: Sequence[_Part]) -> None:
    """Short lines set off like the article's credited pictures are captions without a credit."""
    if not any(part.kind == "caption" and part.set_off for part in parts):
        return
    for part in parts:
        is_short = width(part.text) <= _MAX_BARE_CAPTION and part.text.endswith("。")
        if part.kind is None and part.set_off and is_short and part.text.count("。") == 1:
            part.kind = "caption"


# --- headings and title -------------------------------------------------------------------------


def _mark_headings(parts: Sequence[_Part]) -> None:
    """Short lines without a full stop, unless so many stand together that they are a list."""
    short = [part.kind is None and _is_heading_like(part.text) for part in parts]
    if sum(short) > sum(part.kind is None and ends_sentence(part.text) for part in parts) + 1:
        return  # a table, a list or a form: lines without sentences head nothing
    start = 0
    while start < len(parts):
        stop = start
        while stop < len(parts) and short[stop]:
            stop += 1
        if not _is_list(stop - start, len(parts)):
            for part in parts[start:stop]:
                part.kind = "heading"
        start = stop + 1


def _is_heading_like(text: str) -> bool:
    if width(text) > _MAX_HEADING or text[-1] in _NO_HEADING_END or ends_sentence(text):
        return False
    if BULLET.match(text) or _TABLE_ROW.match(text) or LEAD.match(text):
        return False
    return bool(_HAS_WORDS.match(text))


def _is_list(count: int, total: int) -> bool:
    return count > _MAX_LINES_OF_HEADINGS or (count >= 4 and 2 * count > total)


def _mark_subtitle(parts: Sequence[_Part]) -> None:
    """The first line of the form `——…综述`; a shorter one names the source of a quotation."""
    dashed = [part for part in parts if part.kind == "heading" and SUBTITLE_MARK.match(part.text)]
    chosen = next((part for part in dashed if width(part.text) >= 8), None)
    for part in dashed:
        part.kind = "subtitle" if part is chosen else None


def _mark_title(parts: Sequence[_Part], extracted: Extracted) -> str | None:
    """Find the headline, mark its block, and return it without markup."""
    for part in parts:
        if part.kind == "heading" and _ORIGINAL_TITLE.match(part.text):
            part.kind = "title"
        if part.kind == "title":
            return _ORIGINAL_TITLE.sub("", part.text)
    chosen = _named_title(parts, extracted) or _markdown_title(parts) or _best_title(parts)
    if chosen is None:
        return extracted.title
    chosen.kind = "title"
    return MARKDOWN_HEADING.sub("", chosen.text)


def _named_title(parts: Sequence[_Part], extracted: Extracted) -> _Part | None:
    """The line that repeats the title which the format names."""
    if not extracted.title:
        return None
    wanted = "".join(extracted.title.split())
    for part in parts:
        if part.kind in (None, "heading") and "".join(part.text.split()) == wanted:
            return part
    return None


def _markdown_title(parts: Sequence[_Part]) -> _Part | None:
    return next((part for part in parts if re.match(r"#\s", part.text)), None)


def _best_title(parts: Sequence[_Part]) -> _Part | None:
    """The heading with the most signs of a headline; the first of equals."""
    candidates = [
        i
        for i, part in enumerate(parts)
        if part.kind == "heading"
        and not NUMBERED.match(part.text)
        and not SUBTITLE_MARK.match(part.text)
        and not MARKDOWN_HEADING.match(part.text)
    ]
    body = [i for i, part in enumerate(parts) if part.kind is None]
    if not candidates or not body:
        return None
    setting = _Setting(
        opening=next(i for i, part in enumerate(parts) if part.kind not in _BEFORE_TITLE),
        last_body=body[-1],
        has_subtitle=any(part.kind == "subtitle" for part in parts),
        usual_width=median(width(parts[i].text) for i in candidates),
    )
    scores = {i: _title_score(parts, i, setting) for i in candidates}
    best = max(scores, key=scores.__getitem__)
    return parts[best] if scores[best] >= _MIN_TITLE_SCORE else None


@dataclass(frozen=True, slots=True)
class _Setting:
    """What a heading is compared with when the headline is sought."""

    opening: int  # first part that may be a headline
    last_body: int
    has_subtitle: bool
    usual_width: float  # of the article's headings


def _title_score(parts: Sequence[_Part], i: int, setting: _Setting) -> int:
    """Signs that a heading is the headline.

    Being first or above the sub-headline decides. In an article whose parts extraction has
    scattered, a sub-headline elsewhere, two halves set apart, no comma, and another length than
    the section headings count together.
    """
    text = parts[i].text
    is_first = i == setting.opening and not is_names(text)
    is_above_subtitle = i + 1 < len(parts) and parts[i + 1].kind == "subtitle"
    differs = abs(width(text) - setting.usual_width) > 0.3 * setting.usual_width
    score = 6 * is_above_subtitle + 5 * is_first + 2 * setting.has_subtitle + differs
    return score + bool(_TWO_HALVES.search(text)) + ("，" not in text) + (i > setting.last_body)


def _mark_names(parts: Sequence[_Part]) -> None:
    """Lines of bare names are by-lines beside the head of the article or at its very end."""
    for i, part in enumerate(parts):
        if part.kind not in (None, "heading") or not is_names(part.text):
            continue
        above = parts[i - 1].kind if i else None
        below = parts[i + 1].kind if i + 1 < len(parts) else None
        beside_head = above in ("title", "subtitle", "date") or below in ("title", "date")
        is_last = i == len(parts) - 1 and above is None
        if i == 0 or beside_head or is_last or part.text[0] in "（(":
            part.kind = "byline"


def _mark_pull_quotes(parts: Sequence[_Part]) -> None:
    """One or two quotations that stand alone; more of them are a dialogue."""
    quotes = [part for part in parts if part.kind is None and _QUOTED.fullmatch(part.text)]
    if len(quotes) <= 2 and len(parts) > 3:
        for part in quotes:
            part.kind = "pull_quote"


# --- fields -------------------------------------------------------------------------------------


def _first(parts: Sequence[_Part], kind: BlockKind) -> str | None:
    return next((part.text for part in parts if part.kind == kind), None)


def _first_found(
    parts: Sequence[_Part], kind: BlockKind | None, read: Callable[[str], str | None]
) -> str | None:
    """What `read` finds in the first part of this kind that holds something."""
    found = (read(part.text) for part in parts if part.kind == kind)
    return next((value for value in found if value), None)


def _byline(parts: Sequence[_Part], extracted: Extracted) -> str | None:
    printed = _first_found(parts, "byline", authors)
    opening = "".join(part.text for part in parts if part.kind is None)[:200]
    return printed or extracted.author or inline_authors(opening)


def _date(parts: Sequence[_Part], extracted: Extracted, this_year: int) -> tuple[str | None, bool]:
    """The date of the article and whether it was inferred from its body."""
    opening = next((part.text for part in parts if part.kind is None), "")
    lead = LEAD.match(opening)
    stated = (
        (parse_date(extracted.date) if extracted.date else None)
        or (parse_date(lead.group()) if lead else None)
        or _first_found(parts, "date", parse_date)
    )
    if stated:
        return stated, False
    body = "\n".join(part.text for part in parts if part.kind in (None, "caption"))
    year = latest_year(body, this_year)
    inferred = dateline(opening, year) or year
    return inferred, inferred is not None
