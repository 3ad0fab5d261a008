"""Original text to readable text with offsets: undoes what page layout did to lines and spaces.

Joins words, numbers and sentences that a column or page end cut; drops spaces that justification
put between characters; finds where paragraphs end. Only white space is dropped and nothing visible
is changed, so text and original are equal once white space is removed. White space that stays
becomes one space inside a paragraph and one line feed between paragraphs; both map to a white-space
character of the original. What a paragraph *is* (title, caption, ...) is structure.py's business.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from corpus.chars import (
    BULLET,
    CLOSERS,
    FINAL,
    HAN,
    MARKDOWN_HEADING,
    NUMBERED,
    OPENERS,
    PICTURE_MARK,
    SUBTITLE_MARK,
    WORD,
    ends_sentence,
    is_credited,
    width,
)
from schema import Span

_LONG = 40  # full-width characters; no heading is that long, so such a line without a stop was cut
_FULL = 0.8  # of the column; justification never leaves more than a fifth of a line empty
_NEARLY_FULL = 0.65  # enough for a line with a comma inside: few headings have one
_REACH = 8  # lines; quotations that run longer are not what holds a paragraph together
_MIN_WRAPPED_LINES = 5  # fewer lines show no column

_BREAK = re.compile(r"\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_UNBROKEN = re.compile(r"[^\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+")
# Web text on one line: ideographic spaces after a full stop open the next paragraph.
_INLINE_BREAK = re.compile(
    rf"(?<=[{FINAL}{re.escape(CLOSERS)}])(?:[\u3000\u2003]{{2,}}|[ \t\xa0\u3000]{{4,}})(?=\S)"
)
_SPACES = re.compile(r"\s+")
_HAN_GAP = re.compile(rf"(?<=[{HAN}])\s+(?=[{HAN}])")
_HAN_PAIR = re.compile(rf"(?<=[{HAN}])(?=[{HAN}])")
_IS_HAN = re.compile(rf"[{HAN}]")
_IS_WORD = re.compile(rf"[{WORD}]")
_STOPS = "，。、；：！？…"
_NUMBER_END = "0123456789%％‰"
_INNER_STOP = re.compile(r"[，。；！？、](?=.)")
_INNER_FINAL = re.compile(rf"[。！？][{re.escape(CLOSERS)}]?(?=[^{re.escape(CLOSERS)}])")
_STARTS = (BULLET, MARKDOWN_HEADING, NUMBERED, PICTURE_MARK, SUBTITLE_MARK, re.compile(r"[|>]|```"))


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A run of the repaired text that the page set as one."""

    span: Span  # in Repaired.text
    set_off: bool  # more blank lines stand above it than the document usually has


@dataclass(frozen=True, slots=True)
class Repaired:
    """Readable text; paragraphs are separated by one line feed each."""

    text: str
    offsets: array[int]  # typecode "I": place in the original of each character, strictly rising
    paragraphs: tuple[Paragraph, ...]


@dataclass(frozen=True, slots=True)
class _Line:
    start: int  # in the original, white space trimmed
    end: int
    text: str
    indent: int  # in half-width columns
    gap: int  # blank lines above
    width: float  # in full-width characters
    end_kind: Literal["final", "open", "none"]  # open: the sentence goes on for certain
    anew: bool  # begins like a list item, heading or caption


@dataclass(frozen=True, slots=True)
class _Layout:
    wrapped: bool  # lines end where the column ends
    gap: int  # blank lines between most lines
    indent: int  # of most lines


def repair(original: str, *, lines_are_paragraphs: bool = False) -> Repaired:
    """Make a text readable.

    Args:
        original: decoded or extracted text.
        lines_are_paragraphs: the extraction knows its paragraphs (HTML, DOCX); never join lines.
    """
    lines = list(_lines(original))
    if lines_are_paragraphs:
        groups, usual_gap = [[line] for line in lines], 0
    else:
        layout = _layout(lines)
        groups, usual_gap = _paragraphs(lines, layout), layout.gap
    return _emit(groups, usual_gap)


def unrepaired(original: str) -> Repaired:
    """The text as extracted: each line that holds something visible is a paragraph of its own.

    Only what stands between lines and at their ends is dropped. For measuring what repair is worth.
    """
    text: list[str] = []
    offsets: array[int] = array("I")
    paragraphs: list[Paragraph] = []
    for match in _UNBROKEN.finditer(original):
        line = match.group().strip()
        if not line:
            continue
        start = original.index(line[0], match.start())
        if paragraphs:
            text.append("\n")
            offsets.append(start - 1)  # a line break or an indent
        begin = len(offsets)
        text.append(line)
        offsets.extend(range(start, start + len(line)))
        paragraphs.append(Paragraph(Span(begin, len(offsets)), set_off=False))
    return Repaired("".join(text), offsets, tuple(paragraphs))


def _lines(original: str) -> Iterator[_Line]:
    """Lines that hold something visible."""
    gap = start = 0
    for match in [*_BREAK.finditer(original), None]:
        stop = match.start() if match else len(original)
        if original[start:stop].strip():
            for first, last in _segments(original, start, stop):
                yield _line(original, first, last, gap)
                gap = 0
        else:
            gap += 1
        start = match.end() if match else stop


def _segments(original: str, start: int, stop: int) -> list[tuple[int, int]]:
    cuts = [match.start() for match in _INLINE_BREAK.finditer(original, start, stop)]
    return list(pairwise([start, *cuts, stop]))


def _line(original: str, start: int, stop: int, gap: int) -> _Line:
    raw = original[start:stop]
    text = raw.strip()
    lead = raw[: len(raw) - len(raw.lstrip())]
    begin = start + len(lead)
    return _Line(
        start=begin,
        end=begin + len(text),
        text=text,
        indent=sum({"\t": 4, "\u3000": 2, "\u2003": 2}.get(char, 1) for char in lead),
        gap=gap,
        width=width(text),
        end_kind=_end_kind(text),
        anew=any(mark.match(text) for mark in _STARTS),
    )


def _end_kind(text: str) -> Literal["final", "open", "none"]:
    if ends_sentence(text):
        return "final"
    return "open" if text[-1] in "，、," + OPENERS else "none"


def _layout(lines: Sequence[_Line]) -> _Layout:
    """What blank lines, indents and line ends mean in this document."""
    gaps = Counter(line.gap for line in lines[1:])
    indents = Counter(line.indent for line in lines)
    return _Layout(
        wrapped=_is_wrapped(lines),
        gap=gaps.most_common(1)[0][0] if gaps else 0,
        indent=indents.most_common(1)[0][0] if indents else 0,
    )


def _is_wrapped(lines: Sequence[_Line]) -> bool:
    """Whether most lines stop inside a sentence and fill the column that their neighbours form."""
    if len(lines) < _MIN_WRAPPED_LINES:
        return False
    cut = [i for i, line in enumerate(lines[:-1]) if line.end_kind != "final" and not line.anew]
    full = sum(lines[i].width >= 0.75 * _widest(lines[max(0, i - 3) : i + 4]) for i in cut)
    running = sum(bool(_INNER_STOP.search(line.text)) or _is_latin(line.text) for line in lines)
    return len(cut) >= 0.4 * len(lines) and full >= 0.6 * len(cut) and running >= len(lines) / 4


def _is_latin(text: str) -> bool:
    """Running text of a script with spaces: at least five words and hardly a Chinese character."""
    return text.count(" ") >= 4 and len(_IS_HAN.findall(text)) * 10 < len(text)


def _widest(lines: Sequence[_Line]) -> float:
    return max((line.width for line in lines), default=0.0)


# --- paragraphs ---------------------------------------------------------------------------------


def _paragraphs(lines: Sequence[_Line], layout: _Layout) -> list[list[_Line]]:
    """Group lines: first runs up to a sure end, then the lines of a run that belong together."""
    paragraphs: list[list[_Line]] = []
    start = 0
    for stop in range(1, len(lines) + 1):
        if stop < len(lines) and not _apart(lines[stop - 1], lines[stop], layout):
            continue
        column = _column(lines, start, stop)
        for group in _join_run(lines[start:stop], column, layout):
            if paragraphs and layout.wrapped and _same_column(paragraphs[-1], group, layout):
                paragraphs[-1].extend(group)
            else:
                paragraphs.append(group)
        start = stop
    return paragraphs


def _apart(a: _Line, b: _Line, layout: _Layout) -> bool:
    """Whether b surely begins something new, whatever the column."""
    if a.end_kind == "final" or b.anew or b.indent >= layout.indent + 2:
        return True
    if b.gap <= layout.gap or a.end_kind == "open":
        return False
    # A page or a picture may stand inside a sentence where every line has blank lines around it.
    return layout.gap == 0 or a.width < _LONG


def _column(lines: Sequence[_Line], start: int, stop: int) -> float:
    """Width of the column that a run of lines was set in."""
    own = _widest(lines[start:stop])
    if stop - start > 2 or is_credited(lines[stop - 1].text):
        return own
    neighbours = (lines[max(0, start - 3) : start], lines[stop : stop + 3])
    return max(own, min((_widest(side) for side in neighbours if side), default=own))


def _join_run(run: Sequence[_Line], column: float, layout: _Layout) -> list[list[_Line]]:
    """Lines up to a sure end, as paragraphs; headings above a paragraph come out on their own."""
    flows = run[-1].end_kind == "final" or _is_running(run)
    groups = [[run[0]]]
    for position, (a, b) in enumerate(pairwise(run), start=1):
        inside = _is_inside_pair(groups[-1][-_REACH:], run[position : position + _REACH])
        if inside or _goes_on(a) or (layout.wrapped and flows and _is_full(a, column)):
            groups[-1].append(b)
        else:
            groups.append([b])
    return groups


def _goes_on(a: _Line) -> bool:
    """Whether a line's sentence goes on below, judged by the line alone."""
    if a.end_kind == "open":
        return True
    if a.text[-1] in "：:；;":
        return False
    # A sentence closed and another begun, or a line too long for a heading: cut by a page end.
    return a.width >= _LONG or (a.width >= 15 and bool(_INNER_FINAL.search(a.text)))


def _is_inside_pair(above: Sequence[_Line], below: Sequence[_Line]) -> bool:
    """Whether a quotation or bracket is open that one of the next lines closes."""
    before = "".join(line.text for line in above)
    after = ""
    for opener, closer in ("“”", "《》", "（）", "「」", "『』"):
        if before.rfind(opener) > before.rfind(closer):
            after = after or "".join(line.text for line in below)
            end = after.find(closer)
            if end >= 0 and opener not in after[:end]:
                return True
    return False


def _is_full(a: _Line, column: float) -> bool:
    """Whether a line reaches the end of its column, which may flow around a picture."""
    share = _NEARLY_FULL if _INNER_STOP.search(a.text) else _FULL
    return a.width >= share * column or _is_letter_spaced(a.text)


def _is_running(run: Sequence[_Line]) -> bool:
    """Whether lines that end nowhere are text all the same, and not a list of headings or cells."""
    inner = sum(bool(_INNER_STOP.search(line.text)) or _is_latin(line.text) for line in run)
    return len(run) > 2 and 3 * inner >= len(run)


def _same_column(above: Sequence[_Line], below: Sequence[_Line], layout: _Layout) -> bool:
    """Whether a sentence merely happened to end where its line did.

    Extraction loses indents, so a first line that is two characters narrower opens a paragraph.
    """
    if len(above) < 2 or len(below) < 2:
        return False
    last, first = above[-1], below[0]
    if first.anew or first.gap > layout.gap or is_credited(last.text):
        return False
    if first.indent > layout.indent:
        return False
    widest_above, widest_below = _widest(above[-_REACH:]), _widest(below[:_REACH])
    column = max(widest_above, widest_below)
    return (
        abs(widest_above - widest_below) <= 1.5
        and last.width >= column - 0.75
        and first.width >= column - 0.75
    )


# --- spaces -------------------------------------------------------------------------------------


def _emit(groups: Sequence[Sequence[_Line]], usual_gap: int) -> Repaired:
    pieces: list[str] = []
    offsets: array[int] = array("I")
    paragraphs: list[Paragraph] = []
    for group in groups:
        if paragraphs:
            pieces.append("\n")
            offsets.append(group[0].start - 1)
        start = len(offsets)
        for position, line in enumerate(group):
            if position and _needs_space(group[position - 1].text, line.text):
                pieces.append(" ")
                offsets.append(line.start - 1)
            _emit_line(line, pieces, offsets)
        set_off = bool(paragraphs) and group[0].gap >= usual_gap + 2
        paragraphs.append(Paragraph(Span(start, len(offsets)), set_off))
    return Repaired("".join(pieces), offsets, tuple(paragraphs))


def _emit_line(line: _Line, pieces: list[str], offsets: array[int]) -> None:
    """Append a line without the spaces that are not the author's."""
    spaced = None
    done = 0
    for match in _SPACES.finditer(line.text):
        if spaced is None:
            spaced = _is_letter_spaced(line.text)
        pieces.append(line.text[done : match.start()])
        offsets.extend(range(line.start + done, line.start + match.start()))
        if _keeps_space(line.text, match, spaced):
            pieces.append(" ")
            offsets.append(line.start + match.start())
        done = match.end()
    pieces.append(line.text[done:])
    offsets.extend(range(line.start + done, line.end))


def _is_letter_spaced(text: str) -> bool:
    """Whether justification set spaces between the characters of a line."""
    gaps = len(_HAN_GAP.findall(text))
    return gaps >= 2 and gaps >= 2 * len(_HAN_PAIR.findall(text))


def _keeps_space(text: str, match: re.Match[str], letter_spaced: bool) -> bool:
    """Whether a space inside a line separates something."""
    a, b = text[match.start() - 1], text[match.end()]
    if _IS_WORD.match(a) and _IS_WORD.match(b):
        return True
    if letter_spaced or a in _STOPS or b in _STOPS or a in OPENERS[:-1] or b in CLOSERS[:-1]:
        # An ASCII bracket beside a Latin word is English typesetting.
        return not letter_spaced and a < "\x7f" and b < "\x7f"
    if _IS_HAN.match(a) and _IS_HAN.match(b):
        return not _between_single_characters(text, match)
    is_wide = len(match.group()) > 1 or match.group() == "\t"  # a table cell
    is_number = (a in _NUMBER_END and _IS_HAN.match(b)) or (b in "0123456789" and _IS_HAN.match(a))
    return is_wide or not is_number


def _between_single_characters(text: str, match: re.Match[str]) -> bool:
    """`张 笛` is one name; `熊远帆 黄姿` are two."""
    before = text[match.start() - 2 : match.start() - 1] if match.start() > 1 else ""
    after = text[match.end() + 1 : match.end() + 2]
    return not (_IS_HAN.match(before) or _IS_HAN.match(after)) and len(match.group()) <= 2


def _needs_space(above: str, below: str) -> bool:
    """Whether two joined lines need a space: only between words of a script that has them."""
    a, b = above[-1], below[0]
    if a.isdigit() and b.isdigit():
        return not _IS_HAN.search(above)  # in Chinese text, one number cut in two
    if _IS_WORD.match(a):
        return bool(_IS_WORD.match(b)) or b in "(\"'&"
    return a in ",.;:!?)\"'&" and bool(_IS_WORD.match(b))
