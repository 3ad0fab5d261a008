"""Text to sentences, article to chunks: consecutive sentences of one kind with their heading.

A sentence is what gets quoted, so it is kept whole: closing quotes and brackets stay with it, and
stops inside a short quotation do not end it. A quotation mark without its partner swallows nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from corpus.metadata import LEAD
from schema import Article, Block, BlockKind, Chunk, Sentence, Span

_LONG_SENTENCE = 120  # characters; only beyond do ； and …… end a sentence
_ENDLESS_SENTENCE = 600  # characters; text without any stop is cut here, so that it can be quoted
_MAX_QUOTATION = 150  # characters; a stop inside a longer quotation ends a sentence
_MIN_FILL = 0.4  # a chunk this full ends with its paragraph: half a paragraph reads badly alone

_PAIRS = {"“": "”", "‘": "’", "「": "」", "『": "』", "（": "）", "(": ")", "《": "》", "【": "】"}
_OPENERS = "".join(_PAIRS)
_CLOSERS = "".join(_PAIRS.values())
_TAIL = rf"[{re.escape(_CLOSERS)}]*"
_STOP = re.compile(
    rf"[。！？!?]+…*{_TAIL}|[{re.escape(_OPENERS)}]|(?<=[a-z\d)”\"])\.(?=\s+[A-Z“\"])"
)
_SOFT_STOP = re.compile(rf"(?:；|;(?=\s)|…+){_TAIL}|[{re.escape(_OPENERS)}]")
_SPEAKS = re.compile(
    r"[^，。！？；：“”]{0,20}?(?:说|道|表示|介绍|认为|指出|坦言|感慨|透露|强调|回忆|答|喊|告诉\w{1,5})[。！]"
)
_NO_WORD = re.compile(r"[\W_]*")
# A Latin word before the stop that is no sentence's end: "Mr. Smith", "No. 1", "J. Smith".
_ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|No|Vol|Fig|St|vs|Inc|Ltd|Co|etc)|\b[A-Z])$")

_ROLE_WORDS: dict[BlockKind, str] = {
    "title": "标题",
    "subtitle": "副标题",
    "byline": "作者 记者 署名",
    "date": "日期 发布时间",
    "heading": "小标题",
    "pull_quote": "摘录",
    "caption": "图片说明 照片 摄影 供图",
}


@dataclass(frozen=True, slots=True)
class _Run:
    """Consecutive blocks that may share a chunk."""

    kind: BlockKind
    heading: str | None
    blocks: list[Block]


def split_sentences(text: str) -> list[Span]:
    """Sentences of one paragraph, in order, without the spaces between them.

    Every visible character is in exactly one sentence. `他说：“走吧。”` is one sentence; a decimal
    point, `No.1` and a web address end none.
    """
    spans: list[Span] = []
    start = 0
    for end in [*_ends(text), len(text)]:
        if end > start:
            spans.extend(_shortened(text, start, end))
            start = end
    return _with_words(text, [_trimmed(text, span) for span in spans])


def _ends(text: str) -> Iterator[int]:
    """Where a sentence ends, quotations and brackets skipped."""
    position = start = 0
    while match := _STOP.search(text, position):
        mark = match.group()
        if mark in _PAIRS:
            position = _after_pair(text, match.start())
            if position > match.end() and _closes_statement(text, start, position):
                start = position
                yield position
            continue
        position = match.end()
        if _is_stop(text, match):
            start = position
            yield position


def _is_stop(text: str, match: re.Match[str]) -> bool:
    mark = match.group()
    if mark == ".":
        return not _ABBREVIATION.search(text, max(0, match.start() - 6), match.start())
    if mark[0] in "!?":  # ASCII: part of a web address when more text follows at once
        following = text[match.end() : match.end() + 1]
        return not (following.isascii() and following.isalnum())
    return True


def _after_pair(text: str, opening: int) -> int:
    """Position after the partner of an opening mark, or after the mark if it has none near."""
    opener, closer = text[opening], _PAIRS[text[opening]]
    limit = min(len(text), opening + _MAX_QUOTATION)
    end = text.find(closer, opening, limit)
    while end >= 0:
        if text.count(opener, opening, end) == text.count(closer, opening, end) + 1:
            return end + 1
        end = text.find(closer, end + 1, limit)
    return opening + 1


def _closes_statement(text: str, start: int, position: int) -> bool:
    """Whether a closed quotation that ends with a stop ends its sentence too.

    Not when its speaker follows (“走吧。”他说。), nor inside a clause, nor for a title (《》).
    """
    inside = text[start:position].rstrip(_CLOSERS)
    if not inside or inside[-1] not in "。！？" or text[position - 1] not in "”」』’":
        return False
    following = text[position : position + 1]
    if following and following in "，。、；：！？…" + _CLOSERS:
        return False
    return not _SPEAKS.match(text, position)


def _shortened(text: str, start: int, end: int) -> Iterator[Span]:
    """A sentence, or the parts of a very long one, cut at ； and …… and as long as allowed."""
    if end - start <= _LONG_SENTENCE:
        yield Span(start, end)
        return
    cuts = [*_soft_ends(text, start, end), end]
    while start < end:
        reach = bisect_right(cuts, start + _LONG_SENTENCE)
        cut = cuts[max(0, reach - 1)]
        if cut <= start:
            cut = next(other for other in cuts if other > start)
        for piece in range(start, cut, _ENDLESS_SENTENCE):
            yield Span(piece, min(cut, piece + _ENDLESS_SENTENCE))
        start = cut


def _soft_ends(text: str, start: int, end: int) -> Iterator[int]:
    position = start
    while match := _SOFT_STOP.search(text, position, end):
        if match.group() in _PAIRS:
            position = min(end, _after_pair(text, match.start()))
        else:
            position = match.end()
            yield position


def _trimmed(text: str, span: Span) -> Span:
    """The span without white space at its ends; empty where there is nothing else."""
    cut = span.cut(text)
    start = span.start + len(cut) - len(cut.lstrip())
    return Span(start, start + len(cut.strip()))


def _with_words(text: str, spans: Sequence[Span]) -> list[Span]:
    """Marks without a word (a stray ” or ……) go to the sentence before, or to the next."""
    merged: list[Span] = []
    start: int | None = None
    for span in spans:
        if not span:
            continue
        begin = span.start if start is None else start
        if not _NO_WORD.fullmatch(span.cut(text)):
            merged.append(Span(begin, span.end))
            start = None
        elif merged:
            merged[-1] = Span(merged[-1].start, span.end)
        else:
            start = begin
    if start is not None:
        merged.append(Span(start, spans[-1].end))
    return merged


# --- chunks -------------------------------------------------------------------------------------


def split_article(article: Article, max_chars: int) -> list[Chunk]:
    """Chunks in the order of the text; each sentence of the article is in exactly one.

    Body sentences share a chunk up to `max_chars` characters of text; a longer sentence is a chunk
    of its own. Title and sub-headline share one; every other caption, by-line or heading is one. A
    date before 正文： is in no chunk: it is the article's date, not a statement.
    """
    chunks: list[Chunk] = []
    for run in _runs(article):
        context = _context(article, run)
        for sentences in _packed(_sentences(article.text, run.blocks), max_chars, run.kind):
            span = Span(sentences[0].span.start, sentences[-1].span.end)
            text = span.cut(article.text)
            chunks.append(Chunk(article.doc, len(chunks), span, text, context, tuple(sentences)))
    return chunks


def _runs(article: Article) -> list[_Run]:
    """Group blocks: body with body under the same heading, sub-headline with title."""
    runs: list[_Run] = []
    headings = _section_headings(article)
    for block, heading in zip(article.blocks, headings, strict=True):
        last = runs[-1] if runs else None
        if last and last.heading == heading and _may_share(last.blocks[-1].kind, block.kind):
            last.blocks.append(block)
        else:
            runs.append(_Run(block.kind, heading, [block]))
    return runs


def _may_share(above: BlockKind, below: BlockKind) -> bool:
    return (above, below) in (("body", "body"), ("title", "subtitle"))


def _section_headings(article: Article) -> list[str | None]:
    """For each block the nearest heading above; headings with no body below them head nothing."""
    last_body = max((i for i, b in enumerate(article.blocks) if b.kind == "body"), default=-1)
    current: str | None = None
    headings: list[str | None] = []
    for i, block in enumerate(article.blocks):
        if block.kind == "heading" and i < last_body:
            current = block.span.cut(article.text).lstrip("#").strip()
            headings.append(None)
        else:
            headings.append(current if block.kind == "body" else None)
    return headings


def _context(article: Article, run: _Run) -> str:
    """What search should know of a chunk beside its text.

    A by-line, title or sub-headline is asked for by the name of its article, so it carries both
    parts of the headline.
    """
    names: dict[BlockKind, str | None] = {"title": article.title}
    if run.kind in ("title", "subtitle", "byline"):
        names["subtitle"] = article.subtitle
    for block in run.blocks:
        names.pop(block.kind, None)
    words = _ROLE_WORDS.get(run.kind)
    return "｜".join(part for part in (*names.values(), run.heading, words) if part)


def _sentences(text: str, blocks: Sequence[Block]) -> list[list[Sentence]]:
    """Sentences of each block; only body is divided."""
    return [[Sentence(span, block.kind) for span in _block_spans(text, block)] for block in blocks]


def _block_spans(text: str, block: Block) -> list[Span]:
    if block.kind != "body":
        return [block.span]
    lead = LEAD.match(text, block.span.start, block.span.end)
    start = lead.end() if lead and lead.end() < block.span.end else block.span.start
    spans = split_sentences(text[start : block.span.end])
    return [Span(start + span.start, start + span.end) for span in spans]


def _packed(
    paragraphs: Sequence[Sequence[Sentence]], max_chars: int, kind: BlockKind
) -> Iterator[list[Sentence]]:
    """Fill chunks with sentences; end them with a paragraph where that leaves them full enough."""
    if kind != "body":
        yield [sentence for paragraph in paragraphs for sentence in paragraph]
        return
    chunk: list[Sentence] = []
    for paragraph in paragraphs:
        if chunk and _ends_well(chunk, paragraph, max_chars):
            yield chunk
            chunk = []
        for sentence in paragraph:
            if chunk and sentence.span.end - chunk[0].span.start > max_chars:
                yield chunk
                chunk = []
            chunk.append(sentence)
    if chunk:
        yield chunk


def _ends_well(chunk: Sequence[Sentence], below: Sequence[Sentence], max_chars: int) -> bool:
    """Whether a chunk should stop here because the next paragraph does not fit whole."""
    if not below:
        return False
    filled = chunk[-1].span.end - chunk[0].span.start
    return filled >= _MIN_FILL * max_chars and below[-1].span.end - chunk[0].span.start > max_chars
