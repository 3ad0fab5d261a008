"""The shortest complete answer in a sentence: what the reader found, completed to what one says.

The reader's spans come from tokens and from texts of another kind, so a span is a hint: a number is
taken whole with its unit and hedge, a title with its 《》, a list with all its items. Without a
reader's hint the words of the question decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from index.words import normalize
from qa.expressions import FITS, find_dates, find_numbers, number_fit
from qa.numerals import han_value
from qa.question import Kind, Question
from qa.ranker import Evidence, Terms
from qa.reader import ReadSpan
from schema import Span

CLAUSE = re.compile(r"[^，；：,;:。！？]+[，；：,;:。！？]?[”’」』）)]*")
_UNHEARD = -4.0  # log odds; below it the reader's span is no better than a guess
_LONGEST_NAME = 40  # characters; a longer span is a statement, which the answer itself gives
_NO_SHORT_FORM = frozenset({Kind.REASON, Kind.MANNER, Kind.COMPARISON})


def short_answer(question: Question, evidence: Evidence, terms: Terms) -> str | None:
    """The number, date, name or items asked for, as written; None if not certain of one."""
    if question.target == "byline" and evidence.sentence.kind == "byline":
        return "、".join(name for name in _BETWEEN_NAMES.split(evidence.text) if name)
    if question.target == "title" and evidence.sentence.kind in {"title", "subtitle"}:
        return " ".join(evidence.text.split())
    if question.target == "caption" and (credit := _CREDIT.search(evidence.text)):
        return credit["before"] or credit["after"]
    if asks_for_items(question) and (counted := counted_off(question, evidence.text)):
        return "、".join(item.cut(evidence.text) for item in counted)
    span = answer_span(question, evidence, terms)
    if span is None:
        return None
    if asks_for_items(question):
        return "、".join(items_of(span.cut(evidence.text)))
    return span.cut(evidence.text)


_BETWEEN_NAMES = re.compile(
    r"[\s、：:/]+|(?:本报|本刊|见习|实习|特约)*(?:记者|通讯员)|作者|撰稿人?|实习生|^文(?=\W)"
)
# Whose picture it is: 某某 摄, 某单位供图, 图：某某.
_CREDIT = re.compile(
    r"(?P<before>[^\s，。：:；、]{2,20})\s*(?:摄影?|供图)\W*$"
    r"|(?:摄影|供图|图|摄)\s*[：:]\s*(?P<after>[^\s，。；]{2,20})\W*$"
)


_COUNTED_OFF = re.compile(r"：(?P<items>[^：。？！]+；[^：。？！]+；[^：。？！]+)")
_MOST_ITEMS = 10


def counted_off(question: Question, text: str) -> list[Span]:
    """The items that a sentence counts off behind a colon, each by its first clause.

    Example: 形成四种模式：甲改乙，不再跑；丙改丁，不再等；戊改己。 -> 甲改乙, 丙改丁, 戊改己. Empty
    where there are fewer than three, or another number than the question says.
    """
    match = _COUNTED_OFF.search(text)
    if match is None:
        return []
    items = []
    for part in re.finditer(r"[^；]+", match["items"]):
        first = re.match(r"[^，,]+", part.group())
        if first is not None and first.group().strip("，。； "):
            start = match.start("items") + part.start()
            items.append(Span(start, start + first.end()))
    asked = _HOW_MANY_ITEMS.search(question.focus)
    wanted = han_value(asked["count"].replace("两", "二")) if asked else None
    fits = wanted is None or wanted == len(items)
    return items if fits and 3 <= len(items) <= _MOST_ITEMS else []


_HOW_MANY_ITEMS = re.compile(r"哪(?P<count>[两二三四五六七八九十])")


def answer_span(question: Question, evidence: Evidence, terms: Terms) -> Span | None:
    """Where the short answer stands in the sentence, if the question has one and it is clear."""
    text = evidence.text
    if question.kind is Kind.NUMBER:
        fits = [(number_fit(question, n, text), n.span) for n in find_numbers(text) if n.unit]
        return _expression(fits, evidence.spans, text, terms)
    if question.kind is Kind.DATE:
        fits = [(1.0, _without_from(text, span)) for span, _ in find_dates(text)]
        return _expression(fits, evidence.spans, text, terms)
    if question.kind in _NO_SHORT_FORM or question.yes_no:
        return None
    least = 0.0 if asks_for_items(question) else _UNHEARD
    if not evidence.spans or evidence.spans[0].score < least:
        return None
    span = completed(text, joined(evidence.spans))
    if asks_for_items(question):
        return whole_list(text, span)
    span = Span(span.start, span.start + len(_TOGETHER.sub("", span.cut(text))))
    if question.kind is Kind.PLACE and (more := _REST_OF_A_PLACE.match(text, span.end)):
        span = Span(span.start, more.end())
    return span if len(span) <= _LONGEST_NAME else None


# 会展区块 behind 长沙: the place is named by both.
_REST_OF_A_PLACE = re.compile(
    r"(?:(?!举办|召开|举行|建设|[的了在和与及])[\u4e00-\u9fff]){0,4}?"
    r"(?:区块|片区|园区|开发区|经开区|高新区|新区|试验区|产业园|科技园|中心|港区|码头|机场|车站|"
    r"口岸|大厦|广场|展馆)"
)
_TOGETHER = re.compile("(?:联合|共同|携手)$")  # 甲与乙联合 of 甲与乙联合打造


def joined(read: Sequence[ReadSpan]) -> Span:
    """The best span with the good ones that adjoin it: 粤港澳 and 大湾区 are one name."""
    whole = read[0].span
    for one in read[1:]:
        if one.score > 0 and one.span.start == whole.end:
            whole = Span(whole.start, one.span.end)
        elif one.score > 0 and one.span.end == whole.start:
            whole = Span(one.span.start, whole.end)
    return whole


def _without_from(text: str, date: Span) -> Span:
    """1月1日 of 1月1日起: the day, not its being a beginning."""
    return Span(date.start, date.end - 1) if date.cut(text).endswith("起") else date


def asks_for_items(question: Question) -> bool:
    """Whether several things are asked for: 哪些, 哪几个, 哪两方."""
    return question.kind is Kind.LIST


def _expression(
    fits: Iterable[tuple[float, Span]], read: Sequence[ReadSpan], text: str, terms: Terms
) -> Span | None:
    """The fitting expression that the reader points at; else the one beside the question's words.

    Of several in one span of the reader the longest, which says most: 2021年3月31日 of 2021年.
    """
    fitting = [(fit, span) for fit, span in fits if fit >= FITS]
    if not fitting:
        return None
    exact = [span for fit, span in fitting if fit == max(fit for fit, _ in fitting)]
    for candidates in (exact, [span for _, span in fitting]):
        for one in read:
            inside = [s for s in candidates if s.start < one.span.end and s.end > one.span.start]
            if inside and one.score >= _UNHEARD:
                return max(inside, key=len)
    return max(fitting, key=lambda one: (one[0], _nearness(text, one[1], terms), -one[1].start))[1]


def _nearness(text: str, span: Span, terms: Terms) -> float:
    """How much of the question stands in the clause around an expression, and just before it."""
    clause = clause_around(text, span)
    lead = Span(max(0, clause.start - 20), clause.start)
    return terms.coverage(normalize(clause.cut(text))) + 0.5 * terms.coverage(
        normalize(lead.cut(text))
    )


def clause_around(text: str, span: Span) -> Span:
    """The clause in which a span begins."""
    return next(
        (
            Span(*match.span())
            for match in CLAUSE.finditer(text)
            if match.start() <= span.start < match.end()
        ),
        span,
    )


_PAIRED = {"《": "》", "“": "”", "「": "」", "『": "』", "（": "）", "(": ")"}
_RUN = re.compile(r"[A-Za-z0-9.+%·-]+")


def completed(text: str, span: Span) -> Span:
    """The span with the marks around it and the words and numbers that its edges cut.

    Examples: 红楼梦 of 《红楼梦》 -> 《红楼梦》; 5G+工业 -> stays; RP of “ERP” -> “ERP”.
    """
    start, end = span.start, span.end
    for match in _RUN.finditer(text):
        if match.start() < start < match.end():
            start = match.start()
        if match.start() < end < match.end():
            end = match.end()
    for number in find_numbers(text):
        if number.span.start < start < number.span.end:
            start = number.span.start
        if number.span.start < end < number.span.end:
            end = number.span.end
    for _ in _PAIRED:  # marks inside marks: 《十条（试行）》
        span = _with_marks(text, Span(start, end))
        start, end = span.start, span.end
    return Span(start, end)


def _with_marks(text: str, span: Span) -> Span:
    """The span with the quotation or title marks that enclose exactly it, or that it opens."""
    before, after = text[span.start - 1 : span.start], text[span.end : span.end + 1]
    if before and _PAIRED.get(before) == after:
        return Span(span.start - 1, span.end + 1)
    inside = span.cut(text)
    for opening, closing in _PAIRED.items():
        surplus = inside.count(opening) - inside.count(closing)
        if surplus > 0 and (end := text.find(closing, span.end)) >= 0:
            return Span(span.start, end + 1)
        if surplus < 0 and (start := text.rfind(opening, 0, span.start)) >= 0:
            return Span(start, span.end)
    return span


_JOINT = re.compile(r"、|；|(?<=》)(?=《)|以及|和(?!谐|平|田)|与(?!会|众)|及(?!时|其)")
_CLAUSE_END = "，。；：！？,;:!?"
_LIST_END = re.compile(
    r"等(?![待级候])|共同|联合|组成|构成|三者|两者|(?:两|三|四|五|六|七|八)[大个项方家]"
)
_BEFORE_LIST = re.compile(
    r"包括|包含|涵盖|涉及|分别是|分别为|即|分为|由|以|了|为|是|有|在|对|将|把|从|向|给|覆盖|聚焦|"
    r"形成|建设|打造"
)


def whole_list(text: str, span: Span) -> Span:
    """The span with all items of the list that it stands in, up to the end of its clause."""
    start, end = span.start, span.end
    while joint := _JOINT.match(text, end):
        following = _item_end(text, joint.end())
        if following == joint.end():
            break
        end = following
    while start > 0 and text[start - 1] in "、；":
        start = _item_start(text, start - 1)
    return Span(start, end)


def _item_end(text: str, start: int) -> int:
    """Where an item that begins at `start` ends: before the next joint, stop or end of the list."""
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] in _PAIRED) - (text[i] in _PAIRED.values())
        if depth <= 0 and i > start and text[i] not in _PAIRED.values():
            ends = text[i] in _CLAUSE_END or _JOINT.match(text, i) or _LIST_END.match(text, i)
            if ends:
                return i
    return len(text)


def _item_start(text: str, end: int) -> int:
    """Where the item that ends at `end` begins: behind the last joint, stop or introducing word."""
    head = text[:end]
    edges = [m.end() for m in _JOINT.finditer(head)] + [
        i + 1 for i, character in enumerate(head) if character in _CLAUSE_END
    ]
    edge = max(edges, default=0)
    introduced = [m.end() for m in _BEFORE_LIST.finditer(head, edge)]
    return (
        introduced[0]
        if introduced
        and edge == max(edges, default=0)
        and (edge == 0 or text[edge - 1] in _CLAUSE_END)
        else edge
    )


def items_of(text: str) -> list[str]:
    """The items of a list as written, marks and joints between them left out."""
    items, start = [], 0
    position = 0
    while position < len(text):
        if text[position] == "《" and text[start:position].endswith("》"):  # 《甲》《乙》
            items.append(text[start:position])
            start = position
        if text[position] in _PAIRED:
            closing = text.find(_PAIRED[text[position]], position)
            position = closing + 1 if closing > 0 else position + 1
        elif joint := _JOINT.match(text, position):
            items.append(text[start:position])
            start = position = joint.end()
        else:
            position += 1
    items.append(text[start:])
    return [item for item in (one.strip("，。；：,;: ") for one in items) if item]
