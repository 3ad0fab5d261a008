"""Ordered evidence to what a person reads: statements, each resting on its own sentences.

Every word of a statement stands in its evidence, apart from a leading label (作者：) and the final
stop. Shortens to whole clauses, never inside one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from index.words import normalize
from qa.expressions import FITS, find_dates, find_numbers, offers, value_of
from qa.question import Kind, Question
from qa.ranker import UNREAD, Evidence, Terms
from qa.short_answer import (
    CLAUSE,
    answer_span,
    asks_for_items,
    counted_off,
    short_answer,
)
from schema import Span

MAX_ANSWER_CHARS = 160  # "concise" in the contract
_SAME_STATEMENT = 0.8  # share of the longer sentence that the shorter must hold to say the same
_SECOND_SENTENCE = 0.75  # score below the best, in units of the ranker, that still earns a place


@dataclass(frozen=True)
class Statement:
    """One statement and the sentences it is quoted from, best first."""

    text: str  # without final stop
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class Draft:
    """An answer before it is checked and cited."""

    statements: tuple[Statement, ...]
    short_answer: str | None


def compose(question: Question, ranked: Sequence[Evidence], terms: Terms, max_chars: int) -> Draft:
    """An answer of at most `max_chars` from the best evidence (`ranked` must not be empty).

    One sentence where that is enough. A second one where it has the number or date that the best
    one lacks, where it goes on about the same thing, or, for what explains (a list, a reason, a
    manner), where it is nearly as good. Steps that several sentences tell (一是…二是…) come
    together, sentences that say the same are merged, and a sentence that gives another number for
    the same thing is shown beside the first.
    """
    best = ranked[0]
    merged = (best, *(other for other in ranked[1:] if same_statement(best.text, other.text)))[:3]
    needed = _needed(question, ranked)
    if question.kind is Kind.LIST and needed and len(best.text) + len(needed.text) >= max_chars:
        needed = None  # no item may give way to what follows the list
    told = needed if needed is not None and asks_for_expression(question) else best
    short = short_answer(question, told, terms)
    if steps := _steps(question, best, ranked) or _marked(question, best, ranked):
        return Draft(tuple(_fitted(question, steps, terms, max_chars)), None)
    room = max_chars if needed is None else max_chars - 1 - len(needed.text)
    room = max(max_chars // 2, room)
    if question.kind in _FACTS and short is not None:
        room = min(room, _FACT_CHARS)
    first = _with_year_told(state(question, best, terms, room), merged, ranked)
    if short is not None and question.kind is Kind.DATE:
        short = _with_year(short, first)
    rest = max_chars - 1 - len(first.text)
    second = needed
    if second is None and question.kind in _EXPLAINING and best.sentence.kind == "body":
        second = _rival(ranked, merged, rest)
    statements = [first]
    if second is not None:
        statements.append(Statement(state(question, second, terms, rest), (second,)))
    elif (other := contradiction(question, ranked, terms)) is not None:
        said = state(question, other, terms, max(_FACT_CHARS, rest) - len(ELSEWHERE))
        statements.append(Statement(ELSEWHERE + said, (other,)))
    return Draft(tuple(statements), short)


_FACTS = {Kind.NUMBER, Kind.DATE, Kind.PERSON, Kind.ORGANISATION, Kind.PLACE}
_FACT_CHARS = 90  # a fact needs its clauses, not all that its sentence tells besides
ELSEWHERE = "另一处写的是："
_ORDINALS = (
    ("一是", "二是", "三是", "四是", "五是", "六是"),
    ("其一", "其二", "其三", "其四", "其五"),
    ("首先", "其次", "再次", "最后"),
    ("第一，", "第二，", "第三，", "第四，", "第五，"),
    ("①", "②", "③", "④", "⑤", "⑥"),
)


def _steps(question: Question, best: Evidence, ranked: Sequence[Evidence]) -> list[Evidence]:
    """The sentences of the best one's passage that count off what it begins: 一是, 二是.

    Empty unless several things or a manner are asked for and at least two sentences count.
    """
    if question.kind not in {Kind.LIST, Kind.MANNER, Kind.REASON}:
        return []
    passage = sorted(
        (other for other in ranked if other.passage.chunk_id == best.passage.chunk_id),
        key=lambda other: other.sentence.span.start,
    )
    for marks in _ORDINALS:
        counted = [other for other in passage if any(mark in other.text for mark in marks)]
        first = next((i for i, other in enumerate(passage) if marks[0] in other.text), None)
        if len(counted) > 1 and first is not None and _near(passage, best, first, len(counted)):
            return counted
    return []


_MARK = re.compile(r"[“「『]([^”」』]{2,12})[”」』](?=的)")
_MARKED = 3  # sentences at most


def _marked(question: Question, best: Evidence, ranked: Sequence[Evidence]) -> list[Evidence]:
    """The sentences with the words that the question quotes, where it asks for several things.

    Example: 明确写“全省首个”的有哪两项？ and two sentences that say 全省首个. Empty unless two
    sentences of the best one's document have them.
    """
    marks = _MARK.findall(question.focus)
    if question.kind is not Kind.LIST or not marks:
        return []
    doc = best.passage.chunk.doc
    found = {
        other.sentence.span: other
        for other in ranked
        if other.passage.chunk.doc == doc
        and other.sentence.kind == "body"
        and all(mark in other.text for mark in marks)
    }
    if len(found) < 2:
        return []
    return [found[span] for span in sorted(found)][:_MARKED]


def _near(passage: Sequence[Evidence], best: Evidence, first: int, count: int) -> bool:
    """Whether the best sentence counts itself or stands right before the first that does."""
    place = passage.index(best)
    return first - 1 <= place < first + count


def _fitted(
    question: Question, evidence: Sequence[Evidence], terms: Terms, max_chars: int
) -> list[Statement]:
    """A statement for each, of equal room."""
    room = max_chars // len(evidence) - 1
    return [Statement(state(question, one, terms, room), (one,)) for one in evidence]


_AS_MUCH = 0.1  # of the question's words, by weight, that a contradicting sentence may lack
_AS_SURE = 0.3  # of the reader's scale, that it may be behind


def contradiction(question: Question, ranked: Sequence[Evidence], terms: Terms) -> Evidence | None:
    """A sentence that gives another number for what the question counts, if one is as good.

    It must count the same thing, hold the question's words as fully and please the reader as much
    as the best sentence; where both tell of different years there is no contradiction.
    """
    best = ranked[0]
    counted = _counted(question, best, terms)
    if question.kind is not Kind.NUMBER or counted is None:
        return None
    for other in ranked[1:]:
        rival = _counted(question, other, terms)
        if (
            rival is not None
            and rival != counted
            and other.features.get("words", 0.0) >= best.features.get("words", 1.0) - _AS_MUCH
            and other.features.get("reader", UNREAD) >= max(0.0, best.features["reader"] - _AS_SURE)
            and _years(other.text) == _years(best.text)
        ):
            return other
    return None


def _counted(question: Question, evidence: Evidence, terms: Terms) -> Decimal | None:
    """The value of the number that the sentence gives for what the question counts."""
    span = answer_span(question, evidence, terms)
    if span is None or evidence.sentence.kind != "body":
        return None
    told = [number for number in find_numbers(evidence.text) if number.span == span]
    behind = evidence.text[span.end : span.end + _COUNTED_WITHIN]
    if not told or not _is_the_same(counted_thing(question), behind):
        return None
    return value_of(told[0].text)


_COUNTED_WITHIN = 12  # characters behind a number in which its noun stands
_COUNTED = re.compile(r"(?:多少|几)[个项家条大名座支批种类只台所]?(?P<thing>[\u4e00-\u9fff]{2,10})")


def counted_thing(question: Question) -> str:
    """What is counted, as far as the question says it behind 多少 or 几; empty if it does not."""
    match = _COUNTED.search(normalize(question.focus))
    return match["thing"] if match else ""


def _is_the_same(thing: str, behind: str) -> bool:
    """Whether half of the character pairs of what is counted stand behind a number."""
    pairs = [thing[i : i + 2] for i in range(len(thing) - 1)]
    return bool(pairs) and sum(pair in normalize(behind) for pair in pairs) >= len(pairs) / 2


def _years(text: str) -> set[str]:
    return set(re.findall(r"(?:19|20)\d\d(?=年)|今年|去年", normalize(text)))


_RELATIVE = re.compile("今年|去年|前年|明年|同年|当年")
_SHIFTS = {"今年": 0, "去年": -1, "前年": -2, "明年": 1}


def year_meant(word: str, date: str | None) -> str | None:
    """The year that 今年 or 去年 means in an article of that date; None without a date."""
    return str(int(date[:4]) + _SHIFTS[word]) if date and word in _SHIFTS else None


def _with_year_told(
    text: str, evidence: tuple[Evidence, ...], ranked: Sequence[Evidence]
) -> Statement:
    """A statement with a note of the year that its first 今年 or 同年 means: （去年即2020年）.

    同年 and 当年 mean the year named last before them: the sentence that names it is cited too.
    """
    match = _RELATIVE.search(text)
    if match is None:
        return Statement(text, evidence)
    best = evidence[0]
    year = year_meant(match[0], best.passage.date)
    if match[0] in ("同年", "当年") and (source := _year_source(best, ranked)) is not None:
        named = _NAMED_YEAR.findall(source.text)[-1]
        year = named if named.isdigit() else year_meant(named, best.passage.date)
        evidence = (*evidence, source)
    return Statement(f"{text}（{match[0]}即{year}年）" if year else text, evidence)


_NAMED_YEAR = re.compile(r"(?:19|20)\d\d(?=年)|今年|去年|前年")


def _year_source(best: Evidence, ranked: Sequence[Evidence]) -> Evidence | None:
    """The last sentence before the best one, in its passage, that names a year."""
    before = [
        other
        for other in ranked
        if other.passage.chunk_id == best.passage.chunk_id
        and other.sentence.span.end <= best.sentence.span.start
        and _NAMED_YEAR.search(other.text)
    ]
    return max(before, key=lambda other: other.sentence.span.start, default=None)


def _with_year(short: str, statement: Statement) -> str:
    """A short answer with the year that the statement tells: 2021年1月1日 for 今年1月1日."""
    match = _TOLD.search(statement.text)
    return match[2] + short[len(match[1]) :] if match and short.startswith(match[1]) else short


_TOLD = re.compile(r"（(今年|去年|前年|明年|同年|当年)即(\d+年)）$")


def as_told(text: str) -> str:
    """A statement with its year note put in: 同年7月获批（同年即2020年） -> 2020年7月获批."""
    match = _TOLD.search(text)
    return text[: match.start()].replace(match[1], match[2], 1) if match else text


def difference(shorts: Sequence[str | None]) -> str | None:
    """What two numbers or years differ by; None unless both are plain and of one unit.

    Examples: 16个 and 13个 -> 3个; 2000年9月 and 2020年 -> 20年.
    """
    if len(shorts) != 2 or not all(shorts):
        return None
    years = [re.match(r"((?:19|20)\d\d)年", short or "") for short in shorts]
    if years[0] and years[1]:
        return f"{abs(int(years[0][1]) - int(years[1][1]))}年"
    found = [find_numbers(short or "") for short in shorts]
    if [len(one) for one in found] != [1, 1]:
        return None
    (first,), (second,) = found
    values = value_of(first.text), value_of(second.text)
    plain = (first.text, second.text) == tuple(shorts) and not _HEDGE.search(
        first.text + second.text
    )
    if first.unit != second.unit or not plain or values[0] is None or values[1] is None:
        return None
    return f"{_written(abs(values[0] - values[1]))}{first.unit}"


_HEDGE = re.compile("[超近约逾余多不至以左]|突破|达到")


def _written(value: Decimal) -> str:
    """5.4万, 3亿, 12.06: the largest scale that the value fills."""
    for scale, power in (("亿", 8), ("万", 4)):
        if value >= 10**power:
            return f"{(value / 10**power).normalize():f}{scale}"
    return f"{value.normalize():f}"


def _needed(question: Question, ranked: Sequence[Evidence]) -> Evidence | None:
    """A second sentence without which the best one does not answer, if there is one."""
    best = ranked[0]
    if best.sentence.kind != "body":
        return None
    if not asks_for_expression(question):
        return _continuation(best, ranked)
    return None if offers(question, best.text) >= FITS else completion(question, ranked)


def supporting(question: Question, ranked: Sequence[Evidence]) -> list[Evidence]:
    """The sentences that an answer would rest on first: the best one and what completes it."""
    needed = _needed(question, ranked)
    return [ranked[0]] if needed is None else [ranked[0], needed]


def asks_for_expression(question: Question) -> bool:
    """Whether only a number or a date can answer."""
    return question.kind in {Kind.NUMBER, Kind.DATE}


def completion(question: Question, ranked: Sequence[Evidence]) -> Evidence | None:
    """The first later sentence of the best one's passage that has the number or date asked for.

    Example: 这是首场直播。观看的网友共计10.2万人次。
    """
    best = ranked[0]
    if question.kind is Kind.DATE and (dated := _same_day(best, ranked)) is not None:
        return dated
    later = [
        other
        for other in ranked
        if other.passage.chunk_id == best.passage.chunk_id
        and other.sentence.span.start >= best.sentence.span.end
        and offers(question, other.text) >= FITS
    ]
    return min(later, key=lambda other: other.sentence.span.start, default=None)


_ON_THE_SAME_DAY = re.compile("同一天|同日|当天|当日|这一天")


def _same_day(best: Evidence, ranked: Sequence[Evidence]) -> Evidence | None:
    """The sentence with the date of 同一天 in the best one, or in the one right before it."""
    before = sorted(
        (
            other
            for other in ranked
            if other.passage.chunk_id == best.passage.chunk_id
            and other.sentence.span.start <= best.sentence.span.start
        ),
        key=lambda other: -other.sentence.span.start,
    )
    pointing = next((i for i, o in enumerate(before[:2]) if _ON_THE_SAME_DAY.search(o.text)), None)
    if pointing is None or find_dates(best.text):
        return None
    return next((other for other in before[pointing:] if find_dates(other.text)), None)


_EXPLAINING = {Kind.LIST, Kind.DEFINITION, Kind.REASON, Kind.MANNER, Kind.OTHER}
_POINTS_BACK = re.compile(r"该|这|此|其|它|上述|由此|从而|通过|最终|在[这此上两三四五六七八九十]")
_INTRODUCES = 30  # characters; a shorter sentence often only names what the next one tells


def _continuation(best: Evidence, ranked: Sequence[Evidence]) -> Evidence | None:
    """The sentence that follows, if it points back or the best one only introduces it."""
    after = next((other for other in ranked if _follows(other, best)), None)
    if after is None or after.sentence.kind != "body" or _asks(after):
        return None
    goes_on = _POINTS_BACK.match(after.text) or len(best.text) < _INTRODUCES
    return after if goes_on else None


def _follows(other: Evidence, best: Evidence) -> bool:
    """Whether nothing but white space stands between the two sentences, best first."""
    gap = other.sentence.span.start - best.sentence.span.end
    return other.passage.chunk.doc == best.passage.chunk.doc and 0 <= gap <= 1


def _rival(
    ranked: Sequence[Evidence], merged: Sequence[Evidence], max_chars: int
) -> Evidence | None:
    """Another sentence, short enough, that the ranker finds nearly as good."""
    return next(
        (
            other
            for other in ranked
            if ranked[0].score - other.score <= _SECOND_SENTENCE
            and other not in merged
            and len(other.text) <= max_chars
            and other.sentence.kind == "body"
            and not _asks(other)
        ),
        None,
    )


def _asks(evidence: Evidence) -> bool:
    """Whether a sentence is itself a question, as newspapers put before their answer."""
    return evidence.text.rstrip("”’\"' ").endswith(("?", "？"))


def same_statement(one: str, other: str) -> bool:
    """Whether two sentences say the same: equal, or one almost all of the other, marks apart.

    Nothing looser: 甲港四期总投资10亿元 and 乙港四期总投资12亿元 share most of their characters.
    """
    shorter, longer = sorted((_words_only(one), _words_only(other)), key=len)
    return shorter in longer and len(shorter) >= _SAME_STATEMENT * len(longer)


def _words_only(text: str) -> str:
    return re.sub(r"\W", "", normalize(text))


def state(question: Question, evidence: Evidence, terms: Terms, max_chars: int) -> str:
    """The sentence as a statement: labelled where it would not read as one, cut to fit."""
    text = " ".join(evidence.text.split()).rstrip("。！!.；;，,")
    label = _LABELS.get(evidence.sentence.kind, "") if question.target else ""
    if len(label) + len(text) <= max_chars:
        return label + text
    if asks_for_items(question) and (counted := counted_off(question, evidence.text)):
        listed = "；".join(item.cut(evidence.text) for item in counted)
        if len(listed) <= max_chars:  # the items whole before the clauses that explain them
            return listed
    told = short_answer(question, evidence, terms)
    return label + best_clauses(text, terms, max_chars - len(label), keep=told or "")


_LABELS = {"byline": "作者：", "title": "标题：", "subtitle": "副标题："}


def best_clauses(text: str, terms: Terms, max_chars: int, keep: str = "") -> str:
    """The run of whole clauses, at most `max_chars`, that holds most of the question's terms.

    A run with `keep` goes before any without it; of equal runs the longest, since its words belong
    to the statement. A single clause that is longer than `max_chars` is cut.
    """
    spans = [Span(*match.span()) for match in CLAUSE.finditer(text)]
    best, best_value = Span(0, max_chars), (False, -1.0, 0)
    for first, start in enumerate(spans):
        for last in spans[first:]:
            run = Span(start.start, last.end)
            cut = run.cut(text)
            if len(cut.rstrip(_CLAUSE_END)) > max_chars:
                break
            value = (keep in cut, terms.coverage(normalize(cut)), len(run))
            if value > best_value:
                best, best_value = run, value
    return best.cut(text).rstrip(_CLAUSE_END)[:max_chars]


_CLAUSE_END = "，；：,;:。"
