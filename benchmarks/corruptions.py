"""Does the check stop wrong statements, and only these? Corrupt right ones by script and see.

    python -m benchmarks.corruptions NEWS.txt.gz [--count 1000] [--seed 0] [--show 0]

The file holds one article a line, with its date before 正文：. Right statements are made from
random sentences (whole, a run of clauses, with clauses dropped, labelled, over two sentences,
with dates resolved or numbers written differently), each with the one or two sentences it cites.
They must pass. Then one thing of a statement is made wrong: a digit, a unit, a year, a hedge, a
name or number replaced by another one (also by one of the same quotation), or two numbers
exchanged. Names are found by jieba's tagger, which the check does not use. Prints how many were
caught, by kind; exits 1 below 99 % caught or above 2 % wrongly stopped.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from benchmarks.quotations import sample_articles
from qa.check import check_statement
from qa.expressions import Number, find_dates, find_numbers, value_of
from schema import Span

with warnings.catch_warnings():
    # jieba imports pkg_resources where it exists, and that announces its own removal.
    warnings.simplefilter("ignore")
    import jieba.posseg  # type: ignore[import-untyped]

MIN_CAUGHT, MAX_STOPPED = 0.99, 0.02


@dataclass(frozen=True)
class Case:
    """A statement, what it cites, and how it was made."""

    kind: str
    statement: str
    quotes: tuple[str, ...]
    article_dates: tuple[str | None, ...]

    def passes(self) -> bool:
        """Whether the check lets the statement through."""
        return not check_statement(self.statement, self.quotes, article_dates=self.article_dates)


# --- right statements ---------------------------------------------------------------------------

_HEAD = re.compile(r"^(?P<date>\d{4}-\d\d-\d\d)?[^，]{0,12}，正文：")
_CLAUSE = re.compile(r"[^，；：]+[，；：]?")


def sentences_of(article: str) -> tuple[str | None, list[str]]:
    """The article's date and its sentences of 12 to 160 characters."""
    head = _HEAD.match(article)
    body = article[head.end() :] if head else article
    sentences = [sentence.strip() for sentence in re.split(r"(?<=[。！？])", body)]
    return (head["date"] if head else None), [s for s in sentences if 12 <= len(s) <= 160]


def right_statement(article: str, generator: random.Random) -> Case | None:
    """A statement that its quotations bear out; None where the article has too few sentences."""
    date, sentences = sentences_of(article)
    if len(sentences) < 2:
        return None
    first, second = generator.sample(sentences, 2)
    kind = generator.choice(list(_MAKERS))
    statement = _MAKERS[kind](first, date, generator)
    if kind == "two sentences":
        statement = f"{statement}；{_stem(second)}[2]"
    quotes = (first, second) if kind == "two sentences" or generator.random() < 0.3 else (first,)
    return Case(kind, statement, quotes, (date,) * len(quotes))


def _stem(sentence: str) -> str:
    return sentence.rstrip("。！？")


def _whole(sentence: str, date: str | None, generator: random.Random) -> str:
    return _stem(sentence) + "[1]"


def _run(sentence: str, date: str | None, generator: random.Random) -> str:
    clauses = _CLAUSE.findall(_stem(sentence))
    first = generator.randrange(len(clauses))
    last = generator.randrange(first, len(clauses))
    return "".join(clauses[first : last + 1]).rstrip("，；：")


def _shortened(sentence: str, date: str | None, generator: random.Random) -> str:
    without = re.sub(r"（[^（）]*）|\([^()]*\)", "", _stem(sentence))
    clauses = _CLAUSE.findall(without)
    if len(clauses) > 2:
        del clauses[generator.randrange(1, len(clauses) - 1)]
    return "".join(clauses)


def _words_dropped(sentence: str, date: str | None, generator: random.Random) -> str:
    """Up to three adverbs, adjectives and the like left out, as a free wording does."""
    kept: list[str] = []
    loose: list[int] = []
    for pair in jieba.posseg.cut(_stem(sentence)):
        if pair.flag[0] in "adz" and _LOOSE.fullmatch(pair.word) and not _inside_marks(kept):
            loose.append(len(kept))
        kept.append(pair.word)
    for n in generator.sample(loose, min(3, len(loose))):
        kept[n] = ""
    return "".join(kept)


# Without it the sentence stays true.
_LOOSE = re.compile(r"[^不未没无非勿近约超仅多少\d一二三四五六七八九十]{2,}")


def _inside_marks(words: Sequence[str]) -> bool:
    """Whether a name or a quotation has begun and not ended."""
    text = "".join(words)
    return any(text.count(start) > text.count(end) for start, end in ("“”", "《》"))


def _labelled(sentence: str, date: str | None, generator: random.Random) -> str:
    label = generator.choice(["标题：", "作者：", "图片说明：", "其中，", "此外，"])
    return label + _run(sentence, date, generator)


def _dated(sentence: str, date: str | None, generator: random.Random) -> str:
    if date is None:
        return _stem(sentence)
    year = int(date[:4])
    for word, back in (("今年", 0), ("去年", 1), ("前年", 2)):
        sentence = sentence.replace(word, generator.choice([f"{year - back}年", word]))
    return _stem(sentence).replace("本月", f"{year}年{int(date[5:7])}月")


def _otherwise_written(sentence: str, date: str | None, generator: random.Random) -> str:
    """A number with thousands separators, full-width digits or in figures instead of words."""
    numbers = [
        number
        for number in find_numbers(sentence)
        if number.unit not in ("", "年", "月", "日")
        and sentence[number.span.start - 1 : number.span.start] not in ("数", "几")
    ]
    if not numbers:
        return _stem(sentence)
    number = generator.choice(numbers)
    return _stem(_with(sentence, number.span, _rewritten(number, generator)))


def _rewritten(number: Number, generator: random.Random) -> str:
    digits = re.search(r"\d+(?:\.\d+)?", number.text)
    if digits is None:
        han = re.compile("[零〇一二两三四五六七八九十百千]+")
        return han.sub(lambda match: _in_figures(match[0]), number.text)
    written = digits[0]
    if generator.random() < 0.5 and "." not in written:
        written = f"{int(written):,}" if not written.startswith("0") else written
    else:
        written = written.translate({ord(d): chr(ord(d) + 0xFEE0) for d in "0123456789"})
    return number.text.replace(digits[0], written, 1)


def _in_figures(numeral: str) -> str:
    value = value_of(numeral)
    return numeral if value is None else f"{value:f}"


_MAKERS: dict[str, Callable[[str, str | None, random.Random], str]] = {
    "whole": _whole,
    "run of clauses": _run,
    "shortened": _shortened,
    "words dropped": _words_dropped,
    "labelled": _labelled,
    "two sentences": _whole,
    "dated": _dated,
    "otherwise written": _otherwise_written,
}


# --- corruptions --------------------------------------------------------------------------------


def _with(text: str, span: Span, new: str) -> str:
    return text[: span.start] + new + text[span.end :]


_FIGURES = ("0123456789", "二三四五六七八九")


def wrong_digit(case: Case, names: Sequence[str], generator: random.Random) -> str | None:
    """One digit of a number or date changed."""
    spans = [number.span for number in find_numbers(case.statement)]
    spans += [span for span, _ in find_dates(case.statement)]
    spans = [s for s in spans if case.statement[s.start - 1 : s.start] != "["]  # no marker
    places = [
        (at, figures)
        for span in spans
        for at in range(span.start, span.end)
        for figures in _FIGURES
        if case.statement[at] in figures
    ]
    if not places:
        return None
    at, figures = generator.choice(places)
    new = generator.choice([f for f in figures.lstrip("0") if f != case.statement[at]])
    return _with(case.statement, Span(at, at + 1), new)


_UNITS = ["家", "项", "个", "人", "元", "美元", "吨", "%", "倍", "公里", "天", "个月", "年"]


def wrong_unit(case: Case, names: Sequence[str], generator: random.Random) -> str | None:
    """Another unit, or 万 and 亿 changed for each other."""
    numbers = [n for n in find_numbers(case.statement) if n.unit and not n.ordinal]
    if not numbers:
        return None
    number = generator.choice(numbers)
    if number.scaled and generator.random() < 0.5:
        new = number.text.translate(str.maketrans("万亿", "亿万"))
        if value_of(new) == value_of(number.text):
            return None
    else:
        head, _, tail = number.text.rpartition(number.unit)
        new = head + generator.choice([u for u in _UNITS if u != number.unit]) + tail
    return _with(case.statement, number.span, new)


_YEAR = re.compile(r"(?:19|20)\d\d(?=年)|[今去]年")


def wrong_year(case: Case, names: Sequence[str], generator: random.Random) -> str | None:
    """Another year."""
    years = list(_YEAR.finditer(case.statement))
    if not years:
        return None
    match = generator.choice(years)
    new = {"今年": "去年", "去年": "今年"}.get(match[0])
    if new is None:
        new = str(int(match[0]) + generator.choice([-3, -2, -1, 1, 2, 3, 10]))
    return _with(case.statement, Span(*match.span()), new)


_HEDGED = re.compile(r"不少于|不低于|不超过|不足|超过|超|近|约|逾|突破|余|多|以上|以下|左右")
_OTHER_HEDGES = ["超", "近", "约", "不足", "至少"]


def wrong_hedge(case: Case, names: Sequence[str], generator: random.Random) -> str | None:
    """A hedge dropped, exchanged for another bound or added."""
    numbers = [n for n in find_numbers(case.statement) if n.unit and not n.ordinal]
    if not numbers:
        return None
    number = generator.choice([n for n in numbers if _HEDGED.search(n.text)] or numbers)
    bare = _HEDGED.sub("", number.text)
    choices = [bare, *(hedge + bare for hedge in _OTHER_HEDGES)]
    others = [choice for choice in choices if _bound(choice) != _bound(number.text)]
    return _with(case.statement, number.span, generator.choice(others))


_BOUNDS = {
    "below": "不足|以下",
    "at least": "不少于|不低于|至少|以上",
    "at most": "不超过|至多|以内",
    "above": "超|逾|突破|余|多",
    "near": "近",
    "about": "约|左右",
}


def _bound(number: str) -> str:
    """What the hedge of a number says, the same for 不足 and 以下."""
    return next((kind for kind, words in _BOUNDS.items() if re.search(words, number)), "none")


_TAGS = {"nr": "person", "ns": "place", "nt": "organisation", "nz": "other", "eng": "latin"}


def names_in(text: str) -> Iterator[tuple[Span, str, str]]:
    """Place, name and class of what jieba tags as a name, and of titles in 《》."""
    start = 0
    for word, flag in jieba.posseg.cut(text):
        span = Span(start, start + len(word))
        start = span.end
        sort = _TAGS.get(flag) or _TAGS.get(flag[:2])  # nrt and nrfg are persons too
        if sort and len(word) > 1:
            yield span, word, sort
    for match in re.finditer(r"(?<=《)[^《》]{2,20}(?=》)", text):
        yield Span(*match.span()), match[0], "title"


def wrong_name(case: Case, names: Sequence[str], generator: random.Random) -> str | None:
    """A name replaced by one of another article."""
    found = list(names_in(case.statement))
    if not found:
        return None
    span, name, _ = generator.choice(found)
    others = [other for other in generator.sample(names, 20) if other not in name]
    return _with(case.statement, span, others[0])


def name_of_quote(case: Case, names: Sequence[str], generator: random.Random) -> str | None:
    """A name replaced by another of its class in the quotations."""
    pairs = [
        (span, other)
        for span, name, sort in names_in(case.statement)
        for quote in case.quotes
        for _, other, other_sort in names_in(quote)
        if sort == other_sort and other not in name and name not in other
    ]
    if not pairs:
        return None
    span, other = generator.choice(pairs)
    return _with(case.statement, span, other)


def number_of_quote(case: Case, names: Sequence[str], generator: random.Random) -> str | None:
    """A number replaced by another one with its unit in the quotations."""
    pairs = [
        (number.span, other.text)
        for number in find_numbers(case.statement)
        for quote in case.quotes
        for other in find_numbers(quote)
        if _exchangeable(number, other)
    ]
    if not pairs:
        return None
    span, other = generator.choice(pairs)
    return _with(case.statement, span, other)


def _exchangeable(one: Number, other: Number) -> bool:
    return (
        (one.unit, one.ordinal) == (other.unit, other.ordinal)
        and one.unit != ""
        and value_of(one.text) != value_of(other.text)
    )


def exchanged(case: Case, names: Sequence[str], generator: random.Random) -> str | None:
    """Two numbers of the statement in each other's place."""
    numbers = find_numbers(case.statement)
    pairs = [
        (one, other)
        for n, one in enumerate(numbers)
        for other in numbers[n + 1 :]
        if _exchangeable(one, other) and _bound(one.text) == _bound(other.text)
    ]
    if not pairs:
        return None
    one, other = generator.choice(pairs)
    return _with(_with(case.statement, other.span, one.text), one.span, other.text)


CORRUPTIONS: dict[str, Callable[[Case, Sequence[str], random.Random], str | None]] = {
    "digit": wrong_digit,
    "unit": wrong_unit,
    "year": wrong_year,
    "hedge": wrong_hedge,
    "name": wrong_name,
    "name of the same quotation": name_of_quote,
    "number of the same quotation": number_of_quote,
    "two numbers exchanged": exchanged,
}


def corruptions(
    cases: Sequence[Case], names: Sequence[str], count: int, generator: random.Random
) -> Iterator[Case]:
    """Wrong statements, as many of each kind, each from another random right one.

    A kind ends early when no case is left to which it applies.
    """
    for n, (kind, corrupt) in enumerate(CORRUPTIONS.items()):
        wanted = count * (n + 1) // len(CORRUPTIONS) - count * n // len(CORRUPTIONS)
        for case in generator.sample(cases, len(cases)):
            if wanted == 0:
                break
            statement = corrupt(case, names, generator)
            if statement is not None and statement != case.statement:
                wanted -= 1
                yield replace(case, kind=kind, statement=statement)


def main() -> int:
    """Run the measurement; the exit code says whether the goals hold."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("news", type=Path)
    parser.add_argument("--count", type=int, default=1000, help="corruptions")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=0, help="mistakes to print of each kind")
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    articles = sample_articles(arguments.news, 4 * arguments.count, generator)
    made = (right_statement(article, generator) for article in articles)
    cases = [case for case in made if case is not None]
    started = time.perf_counter()
    right = [case for case in tqdm(cases, desc="right statements") if case.passes()]
    took = (time.perf_counter() - started) / len(cases)
    names = sorted({name for case in right for _, name, _ in names_in(case.statement)})
    wrong = list(corruptions(right, names, arguments.count, generator))
    missed = [case for case in tqdm(wrong, desc="corruptions") if case.passes()]
    stopped = [case for case in cases if case not in set(right)]
    print(
        f"{len(cases)} right statements, wrongly stopped {_share(stopped, cases)}; "
        f"{took * 1000:.2f} ms each"
    )
    _by_kind(cases, stopped, "stopped", arguments.show)
    print(f"{len(wrong)} corruptions, missed {_share(missed, wrong)}")
    _by_kind(wrong, missed, "missed", arguments.show)
    holds = len(stopped) <= MAX_STOPPED * len(cases)
    return 0 if holds and len(missed) <= (1 - MIN_CAUGHT) * len(wrong) else 1


def _share(part: Sequence[Case], whole: Sequence[Case]) -> str:
    return f"{len(part)}/{len(whole)} ({len(part) / max(1, len(whole)):.2%})"


def _by_kind(cases: Sequence[Case], mistakes: Sequence[Case], verb: str, show: int) -> None:
    counts, wrong = Counter(c.kind for c in cases), Counter(c.kind for c in mistakes)
    for kind, count in counts.items():
        print(f"  {kind}: {verb} {wrong[kind]} of {count}")
        for case in [case for case in mistakes if case.kind == kind][:show]:
            faults = check_statement(case.statement, case.quotes, article_dates=case.article_dates)
            print(f"    {case.statement}\n    {case.quotes}\n    {faults}")


if __name__ == "__main__":
    sys.exit(main())
