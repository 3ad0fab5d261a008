"""Is a statement borne out by the quotations it cites? A statement in, its faults out; pure.

Both sides are read as symbols: a number (value, unit, hedge), a date (resolved with the article's
own date) and a Latin word are one symbol each, a Han character is one. So 一百零九项 and 109项 are
the same, and 109 is never found inside 1096. Three questions are then asked of each clause:

1. Does every symbol stand in a quotation, the Han ones in runs, apart from a few template words?
2. Does something else stand in a quotation where the statement has this piece? Then a name or a
   number was exchanged, even if it occurs elsewhere in the quotation.
3. Do clauses that are taken over unchanged come in the order of the quotation?

Dropping whole clauses, brackets or words is no fault (dropping a negation or a hedge is). What
this cannot see: whether two statements together mislead, or what a dropped clause would qualify.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from index.words import normalize
from qa.expressions import Number, find_dates, find_numbers, value_of
from qa.gazetteer import places_in

_Dated = tuple[str, "str | None"]  # a quotation and the date of its article


class Fault(StrEnum):
    """What kind of piece is not borne out."""

    NUMBER = "number"
    UNIT = "unit"
    HEDGE = "hedge"
    DATE = "date"
    NAME = "name"
    WORDING = "wording"
    NEGATION = "negation"
    ORDER = "order"
    COMPUTED = "computed"


@dataclass(frozen=True, slots=True)
class Failure:
    """A piece of a statement that no quotation bears out."""

    fault: Fault
    text: str  # in the form in which texts are compared: half-width, simplified, lower case


def check_statement(
    statement: str, quotes: Sequence[str], *, article_dates: Sequence[str | None]
) -> list[Failure]:
    """What of a statement its quotations do not bear out; empty if they bear out all of it.

    Args:
        statement: as shown; markers such as [1] are ignored. A difference or sum is verified from
            the quotations where it is marked: 相差3项（由[1]和[2]计算）.
        quotes: the sentences cited, as shown.
        article_dates: for each quote the date of its article, ISO 8601, as precise as known.

    Raises:
        ValueError: `quotes` and `article_dates` differ in length.
    """
    rest, computed = _split_computed(statement)
    dated = list(zip(quotes, article_dates, strict=True))
    failures = [failure for one in computed if (failure := _recompute(one, rest, dated))]
    alphabet = _Alphabet()
    sources = [
        source
        for n, (quote, date) in enumerate(dated)
        for source in _sources(alphabet.text(_scan(quote, date)), n)
    ]
    readings = _readings(rest, dated)
    found = [_failures(alphabet.text(reading), sources, alphabet) for reading in readings]
    fewest = min(found, key=len)
    failures += fewest
    failures += _unknown_names(rest, dated, sources, alphabet)
    return list(dict.fromkeys(failures))


def _readings(statement: str, dated: Sequence[_Dated]) -> list[tuple[_Piece, ...]]:
    """The statement with its 今年 and 同年 as each of the quotations may mean them."""
    dates: list[str | None] = [None]
    years: list[str | None] = [None]
    if _FROM_NOW.search(statement):
        dates = list(dict.fromkeys(date for _, date in dated)) or dates
    if _SAME_YEAR.search(statement):
        years += dict.fromkeys(
            hard.year
            for quote, date in dated
            for _, hard in _scan(quote, date)
            if isinstance(hard, _Day)
        )
    return [_scan(statement, date, year) for date in dates for year in years]


_FROM_NOW = re.compile(r"[今去前明]年|本月|当月|上个?月")
_SAME_YEAR = re.compile(r"[同当]年")


# --- symbols ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Amount:
    """A number as compared; `hedges` are classes such as "over", not words."""

    value: Decimal
    unit: str
    hedges: frozenset[str]
    ordinal: bool


@dataclass(frozen=True, slots=True)
class _Day:
    """A date as compared, as precise as written; `year` is a word where nothing resolves it."""

    year: str | None
    month: int | None
    day: int | None
    part: str  # 上旬, 上半年, 下午

    def bears(self, other: _Day) -> bool:
        """Whether `other` says the same, perhaps less precisely."""
        return all(
            theirs in (None, "", ours)
            for ours, theirs in (
                (self.year, other.year),
                (self.month, other.month),
                (self.day, other.day),
                (self.part, other.part),
            )
        )


_Hard = _Amount | _Day | str  # a string is a Latin word or a code with leading zeros
_Piece = tuple[str, "_Hard | None"]  # as written; None for a character that stands for itself


@dataclass(frozen=True, slots=True)
class _Text:
    """A text as a string of symbols, hard ones as private-use characters."""

    symbols: str
    pieces: tuple[str, ...]  # what each symbol was written as

    def written(self, start: int, end: int) -> str:
        return "".join(self.pieces[start:end])


class _Alphabet:
    """Gives each number, date and Latin word of one check a character of its own."""

    def __init__(self) -> None:
        self._symbols: dict[_Hard, str] = {}
        self.meanings: dict[str, _Hard] = {}

    def text(self, pieces: Sequence[_Piece]) -> _Text:
        symbols = "".join(
            written if hard is None else self._symbol(hard) for written, hard in pieces
        )
        return _Text(symbols, tuple(written for written, _ in pieces))

    def _symbol(self, hard: _Hard) -> str:
        if hard not in self._symbols:
            symbol = chr(_PRIVATE + len(self._symbols))
            self._symbols[hard] = symbol
            self.meanings[symbol] = hard
        return self._symbols[hard]


_PRIVATE = 0xF0000  # a plane without characters, so no text can collide
_MARKER = re.compile(r"\[\d+\]")
_LATIN = re.compile(r"[a-z]+(?:[-.&+_]?[a-z0-9]+)*")
_LATE = re.compile(r"(?P<word>本月|当月|上个?月)(?:(?P<day>[12]\d|3[01]|0?[1-9])日)?")
_EDGES = frozenset("，,;:。!?…\n")  # after NFKC; a clause lies between two of them
_EDGE = "，"
_SILENT = frozenset("\"'“”‘’「」『』《》〈〉<>*#`")
_MORE_UNITS = re.compile(
    "公顷|公斤|千克|毫克|克|千米|厘米|毫米|立方米|升|毫升|千瓦时?|兆瓦|瓦|伏|度|摄氏度|周|季度|世纪|"
    "英镑|卢布|韩元|人民币|点|分|手|股|张|口|道|副|匹|例|起|趟|站|袋|瓶|盒|箱|桶|盘|碗|顿|滴|卷|册|页|"
    "字|句|行|列|排|圈|代|辈|剂|针|粒|根|束|朵|株|扇|面|堂|课|门|桩|项目"
)


@functools.lru_cache(maxsize=256)  # a quotation is often cited by several statements
def _scan(text: str, article_date: str | None, year: str | None = None) -> tuple[_Piece, ...]:
    """The text as pieces, without white space and quotation marks, every clause mark as ，.

    `year` is what 同年 means before the text names a year.
    """
    plain = _in_figures(normalize(_MARKER.sub("", text)))
    pieces: list[_Piece] = []
    position = 0
    for start, end, hard in _hard_pieces(plain, article_date, year):
        if end <= position:
            continue
        pieces += _soft(plain[position : max(position, start)])
        pieces.append((plain[max(position, start) : end], hard))
        position = end
    return (*pieces, *_soft(plain[position:]))


def _soft(text: str) -> Iterator[_Piece]:
    for character in text:
        if character in _EDGES:
            yield _EDGE, None
        elif not character.isspace() and character not in _SILENT:
            yield character, None


_EXPLAINED_YEAR = re.compile(r"[今去前明同当]年\((?:即)?((?:19|20)\d\d年)\)")
_PERCENT = re.compile(r"([百千])分之([零一二两三四五六七八九十百点]+|\d+(?:\.\d+)?)")
_HAN_SUM = re.compile(
    r"[一二两三四五六七八九十百千]+[万亿]零?[一二两三四五六七八九][一二三四五六七八九十百千零]+"
)
_TWO_SCALES = re.compile(r"(\d+(?:\.\d+)?)亿(\d+(?:\.\d+)?)万")


def _in_figures(plain: str) -> str:
    """百分之六十五 -> 65%, 三万五千家 -> 35000家, 1亿3000万元 -> 13000万元.

    A year that explains 去年 in brackets stands for it: the quotation's own 去年 will tell.
    """
    plain = _EXPLAINED_YEAR.sub(r"\1", plain)
    if "分之" in plain:
        plain = _PERCENT.sub(lambda m: f"{value_of(m[2]):f}{'%' if m[1] == '百' else '‰'}", plain)
    plain = _HAN_SUM.sub(lambda m: f"{value_of(m[0]):f}", plain)
    return _TWO_SCALES.sub(lambda m: f"{Decimal(m[1]) * 10_000 + Decimal(m[2]):f}万", plain)


def _hard_pieces(
    plain: str, article_date: str | None, mentioned: str | None
) -> list[tuple[int, int, _Hard]]:
    """Numbers, dates and Latin words with their places, the first of overlapping ones first."""
    found: list[tuple[int, int, _Hard]] = [
        (match.start(), match.end(), match[0]) for match in _LATIN.finditer(plain)
    ]
    for match in _LATE.finditer(plain):
        found.append((match.start(), match.end(), _late(match, article_date)))
    for span, written in find_dates(plain):
        part = _PART.match(plain, span.end) if written in _YEARS_FROM_NOW else None
        end = part.end() if part else span.end
        day, mentioned = _day(plain[span.start : end], article_date, mentioned)
        found.append((span.start, end, day))
    for number in find_numbers(plain):
        found.append(_amount(number, plain))
    return sorted(found, key=lambda one: (one[0], -one[1]))


_DAY = re.compile(
    r"(?:(?P<year>\d{4})年|(?P<word>[今去前明同当]年))?(?:(?P<month>\d+)月)?(?:(?P<day>\d+)日)?"
    r"(?P<part>.*?)起?"
)
_PART = re.compile("初|底|末|上半年|下半年|[一二三四]季度")  # 今年下半年 is 2025年下半年
_YEARS_FROM_NOW = {"今年": 0, "去年": -1, "前年": -2, "明年": 1}


def _day(written: str, article_date: str | None, mentioned: str | None) -> tuple[_Day, str | None]:
    """A date, and the year that 同年 means after it."""
    match = _DAY.fullmatch(written)
    if match is None:
        return _Day(written, None, None, ""), mentioned
    year = match["year"]
    if word := match["word"]:
        if word in _YEARS_FROM_NOW:
            year = str(int(article_date[:4]) + _YEARS_FROM_NOW[word]) if article_date else word
        else:
            year = mentioned or word
    known = year if year and year.isdecimal() else mentioned
    return _Day(year, _int(match["month"]), _int(match["day"]), match["part"]), known


def _late(match: re.Match[str], article_date: str | None) -> _Day:
    """本月27日 with the article's date."""
    day = _int(match["day"])
    if article_date is None or len(article_date) < len("2025-01"):
        return _Day(match["word"], None, day, "")
    year, month = int(article_date[:4]), int(article_date[5:7])
    if match["word"].startswith("上"):
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    return _Day(str(year), month, day, "")


def _int(digits: str | None) -> int | None:
    return None if digits is None else int(digits)


_HEDGES = {
    "over": ("超过", "超", "逾", "突破", "多", "余"),
    "at least": ("不少于", "不低于", "至少", "以上", "上"),
    "under": ("不足", "以下"),
    "at most": ("不超过", "至多", "以内"),
    "near": ("近",),
    "about": ("约", "左右"),
}
_HEDGE_OF = {word: name for name, words in _HEDGES.items() for word in words}
_HEDGE = re.compile("|".join(sorted(_HEDGE_OF, key=len, reverse=True)))


# The end of another word: 签约12个, 附近3家, 线上5场; 上 is a bound in 上万 and 上百 only.
_NO_HEDGE = re.compile(r"[签预节条合]约|[附最临靠邻]近|[中英西德意法]超|.上(?=\d)")


def _amount(number: Number, plain: str) -> tuple[int, int, _Hard]:
    """A number with its place, which takes in a sign, 数 or 几 before it and a rarer unit."""
    start, end, written = number.span.start, number.span.end, number.text
    if _NO_HEDGE.match(plain, max(0, start - 1)):
        start, written = start + 1, written[1:]
    value = value_of(written)
    digits = re.search(r"\d+", written)
    if value is None or (digits and re.match(r"0\d", digits[0])):
        return start, end, written
    unit = number.unit.removeprefix("个") or number.unit  # 个百分点
    if not unit and (more := _MORE_UNITS.match(plain, end)):
        unit, end = more[0], more.end()
    hedges = {_HEDGE_OF[word] for word in _HEDGE.findall(written.removesuffix(number.unit))}
    before = plain[max(0, start - 1) : start]
    if digits is None and before and before in "数几":
        start, hedges = start - 1, hedges | {"several"}
    elif before == "-" and not re.match(r"[\da-z年月日%)]", plain[max(0, start - 2) : start - 1]):
        start, value = start - 1, -value
    return start, end, _Amount(value, unit, frozenset(hedges), number.ordinal)


# --- sources ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Source:
    """A quotation, or the quotation without what stands in brackets."""

    quote: int
    text: _Text
    places: Sequence[int]  # of each symbol, in the whole quotation


_BRACKETED = re.compile(r"\([^()]*\)")


def _sources(text: _Text, quote: int) -> list[_Source]:
    whole = _Source(quote, text, range(len(text.symbols)))
    if not _BRACKETED.search(text.symbols):
        return [whole]
    dropped = {n for m in _BRACKETED.finditer(text.symbols) for n in range(*m.span())}
    kept = [n for n in range(len(text.symbols)) if n not in dropped]
    short = _Text("".join(text.symbols[n] for n in kept), tuple(text.pieces[n] for n in kept))
    return [whole, _Source(quote, short, kept)]


def _occurrences(symbols: str, sources: Sequence[_Source]) -> Iterator[tuple[_Source, int]]:
    for source in sources:
        at = source.text.symbols.find(symbols)
        while at >= 0:
            yield source, at
            at = source.text.symbols.find(symbols, at + 1)


# --- the clauses of a statement -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Clause:
    """A clause, or a piece of one, of the statement's symbols."""

    text: _Text
    start: int
    end: int

    @property
    def symbols(self) -> str:
        return self.text.symbols[self.start : self.end]

    def failure(self, fault: Fault) -> Failure:
        return Failure(fault, self.text.written(self.start, self.end))


_Place = tuple[_Source, int]


def _failures(text: _Text, sources: Sequence[_Source], alphabet: _Alphabet) -> list[Failure]:
    """The three questions of the module, clause by clause."""
    clauses = [_Clause(text, *match.span()) for match in re.finditer(f"[^{_EDGE}]+", text.symbols)]
    clauses = [clause for clause in clauses if not _TEMPLATE.fullmatch(clause.symbols)]
    places = [list(_occurrences(clause.symbols, sources)) for clause in clauses]
    failures: list[Failure] = []
    for n, clause in enumerate(clauses):
        if not places[n]:
            failures += _put_together(clause, sources, alphabet)
            continue
        before = places[n - 1] if n else []
        after = places[n + 1] if n + 1 < len(clauses) else []
        if all(_negated(source.text.symbols, at) for source, at in places[n]):
            failures.append(clause.failure(Fault.NEGATION))
        elif before and not _in_order(before, places[n]):
            failures.append(clause.failure(Fault.ORDER))
        elif _has_twin(
            clause.symbols,
            list(_neighbours(before, len(clauses[n - 1].symbols) if n else 0, after)),
        ):
            failures.append(clause.failure(_fault_of(clause.symbols, alphabet)))
    return failures


def _in_order(before: Sequence[_Place], places: Sequence[_Place]) -> bool:
    """Whether a clause can come after the one before it: in another quotation, or later in one."""
    return any(
        source.quote != earlier.quote or source.places[at] > earlier.places[earlier_at]
        for source, at in places
        for earlier, earlier_at in before
    )


def _has_twin(symbols: str, neighbours: Sequence[str]) -> bool:
    """Whether a quotation has, where the clause should stand, one with another number or date.

    Args:
        symbols: the clause, which stands in a quotation as it is.
        neighbours: the clauses that stand in a quotation next to the statement's next clauses.

    Example: 甲区增长，占比5%，乙区增长，占比7% does not bear out 甲区增长，占比7%.
    """
    if symbols in neighbours:
        return False
    return any(_differ_in_one(symbols, other) for other in neighbours)


def _differ_in_one(symbols: str, other: str) -> bool:
    """Whether one hard symbol stands for another, and all else is the same."""
    if len(symbols) != len(other):
        return False
    differing = [pair for pair in zip(symbols, other, strict=True) if pair[0] != pair[1]]
    return len(differing) == 1 and all(ord(symbol) >= _PRIVATE for symbol in differing[0])


def _neighbours(before: Sequence[_Place], length: int, after: Sequence[_Place]) -> Iterator[str]:
    """Clauses of the quotations behind the clause before (of that length), and before the next."""
    for source, at in before:
        yield source.text.symbols[at + length :].lstrip(_EDGE).partition(_EDGE)[0]
    for source, at in after:
        yield source.text.symbols[:at].rstrip(_EDGE).rpartition(_EDGE)[2]


_NEGATION = re.compile(r"(?:[不未没无非勿]|没有|[尚并从]未|禁止|拒绝)$")


def _negated(symbols: str, at: int) -> bool:
    """Whether a negation ends just before a place."""
    return bool(_NEGATION.search(symbols[max(0, at - 2) : at]))


# What a statement may say beyond its quotations. A word here must not change what is said: 不, 从
# and 到 have to be quoted.
_TEMPLATE_WORDS = """
作者 记者 标题 副标题 题目 图片说明 图片 图注 来源 时间 日期 地点 计算 其中 分别 分别是 分别为
共有 相差 共计 合计 一共 总共 以及 文中 原文 文章 报道 另一处 一处 同时 此外 另外 前者 后者 两者
包括 这是 即 共 由 的 了 是 为 有 在 和 与 及 也 则 而 等 于 其 并 比 、 ( )
"""
_TEMPLATE = re.compile(
    "|".join(map(re.escape, sorted(_TEMPLATE_WORDS.split(), key=len, reverse=True)))
)


def _put_together(
    clause: _Clause, sources: Sequence[_Source], alphabet: _Alphabet
) -> list[Failure]:
    """Faults of a clause that stands nowhere as it is."""
    pieces = list(_runs(clause, sources))
    unknown = [
        failure
        for piece, known in pieces
        if not known and (failure := _unknown(piece, sources, alphabet))
    ]
    if unknown:
        return unknown
    exchanged = [
        piece.failure(_fault_of(piece.symbols, alphabet))
        for piece in _joined_templates([piece for piece, _ in pieces])
        if not _TEMPLATE.fullmatch(piece.symbols) and _has_rival(piece, clause, sources, alphabet)
    ]
    return exchanged or list(_loose_numbers(clause, sources, alphabet))


def _joined_templates(pieces: Sequence[_Clause]) -> Iterator[_Clause]:
    """The pieces, neighbouring template words as one: 共 and 和 may be the name 共和."""
    for template, group in itertools.groupby(
        pieces, lambda piece: bool(_TEMPLATE.fullmatch(piece.symbols))
    ):
        run = list(group)
        yield from [replace(run[0], end=run[-1].end)] if template else run


def _runs(clause: _Clause, sources: Sequence[_Source]) -> Iterator[tuple[_Clause, bool]]:
    """The clause cut into the longest runs that stand in a quotation or a template, and the rest.

    One Han character alone is a run only as a template or where words were dropped before or
    behind it; neighbouring rests are joined.
    """
    symbols = clause.text.symbols
    at, rest = clause.start, clause.start
    while at < clause.end:
        end = _longest(symbols, at, clause.end, sources)
        template = _TEMPLATE.match(symbols, at, clause.end)
        if template and template.end() >= end:
            end = template.end()
        elif end == at or (end == at + 1 and not _stands_alone(clause, at, sources)):
            at += 1
            continue
        if rest < at:
            yield replace(clause, start=rest, end=at), False
        yield replace(clause, start=at, end=end), True
        at = rest = end
    if rest < at:
        yield replace(clause, start=rest, end=at), False


def _stands_alone(clause: _Clause, at: int, sources: Sequence[_Source]) -> bool:
    """Whether one symbol is a piece: a hard one, or near its neighbour in a quotation too."""
    symbols = clause.text.symbols
    if ord(symbols[at]) >= _PRIVATE:
        return True
    for source, place in _occurrences(symbols[at], sources):
        quote = source.text.symbols
        before = quote[max(0, place - _MAX_DROPPED) : place].rpartition(_EDGE)[2]
        behind = quote[place + 1 : place + 1 + _MAX_DROPPED].partition(_EDGE)[0]
        if at > clause.start and symbols[at - 1] in before:
            return True
        if at + 1 < clause.end and symbols[at + 1] in behind:
            return True
    return False


def _longest(symbols: str, start: int, limit: int, sources: Sequence[_Source]) -> int:
    """Where the longest run from `start` that some source holds ends."""
    end = start
    for source in sources:
        while end < limit and symbols[start : end + 1] in source.text.symbols:
            end += 1
    return end


def _unknown(piece: _Clause, sources: Sequence[_Source], alphabet: _Alphabet) -> Failure | None:
    """Why a piece that stands nowhere is a fault; None for a date that is only less precise."""
    known = [
        alphabet.meanings[symbol]
        for source in sources
        for symbol in source.text.symbols
        if symbol in alphabet.meanings
    ]
    for n, symbol in enumerate(piece.symbols, piece.start):
        one = replace(piece, start=n, end=n + 1)
        meaning = alphabet.meanings.get(symbol)
        if isinstance(meaning, _Day):
            if not any(isinstance(day, _Day) and day.bears(meaning) for day in known):
                return one.failure(Fault.DATE)
        elif isinstance(meaning, _Amount):
            return one.failure(_fault_of_amount(meaning, known))
        elif meaning is not None:
            return one.failure(Fault.NAME)
        elif (
            not any(symbol in source.text.symbols for source in sources)
            or len(piece.symbols) == 1
            or symbol.isalnum()
        ):
            return piece.failure(_fault_of(piece.symbols, alphabet))
    return None


def _fault_of_amount(amount: _Amount, known: Sequence[_Hard]) -> Fault:
    """Whether value, unit or hedge is what differs from the number that comes nearest."""
    same = [
        other
        for other in known
        if isinstance(other, _Amount)
        and (other.value, other.ordinal) == (amount.value, amount.ordinal)
    ]
    if not same:
        return Fault.NUMBER
    return Fault.HEDGE if any(other.unit == amount.unit for other in same) else Fault.UNIT


def _fault_of(symbols: str, alphabet: _Alphabet) -> Fault:
    """What a piece is called that is not borne out."""
    meanings = [alphabet.meanings[symbol] for symbol in symbols if symbol in alphabet.meanings]
    if any(isinstance(meaning, _Amount) for meaning in meanings):
        return Fault.NUMBER
    if any(isinstance(meaning, _Day) for meaning in meanings):
        return Fault.DATE
    named = meanings or places_in(symbols) or _ORGANISATION.search(symbols)
    return Fault.NAME if named else Fault.WORDING


_ORGANISATION = re.compile("公司|集团|银行|研究[院所]|协会|大学|委员会|[厅局部]$")


# --- exchanged pieces ---------------------------------------------------------------------------

_MAX_RIVAL = 16  # symbols; longer than any name
_MAX_DROPPED = 8  # symbols left out at one place inside a clause
_MIN_CONTEXT = 3  # symbols and clause edges that statement and quotation share around the piece


def _has_rival(
    piece: _Clause, clause: _Clause, sources: Sequence[_Source], alphabet: _Alphabet
) -> bool:
    """Whether a quotation has something else where the statement has `piece`.

    Something else is one that both neighbours of the piece surround in a quotation, with more of
    the statement's clause around it than the piece has at any of its own places, where words may
    be dropped on both sides of it. Where it holds the piece, words were only dropped.
    """
    own = max(
        (
            _dropped_before(piece, at, clause, source.text.symbols)
            + _dropped_after(piece, at + len(piece.symbols), clause, source.text.symbols)
            for source, at in _occurrences(piece.symbols, sources)
        ),
        default=0,
    )
    for source in sources:
        quote = source.text.symbols
        for start, end in _gaps(piece, clause, quote):
            shared = _shared_before(piece.start, start, clause, quote)
            shared += _shared_after(piece.end, end, clause, quote)
            if shared <= own or shared < _MIN_CONTEXT:
                continue
            if not _only_dropped(quote[start:end], piece.symbols, alphabet):
                return True
    return False


def _dropped_before(piece: _Clause, at: int, clause: _Clause, quote: str) -> int:
    """What lies before the piece and before one of its places or a few symbols further on."""
    places = range(at, max(-1, at - 1 - _MAX_DROPPED), -1)
    return max(
        _shared_before(piece.start, place, clause, quote)
        for place in itertools.takewhile(
            lambda place: place == at or not _stops(quote[place], piece.symbols[0]), places
        )
    )


def _dropped_after(piece: _Clause, at: int, clause: _Clause, quote: str) -> int:
    """What lies behind the piece and behind one of its places or a few symbols further on."""
    places = range(at, min(len(quote), at + _MAX_DROPPED) + 1)
    return max(
        _shared_after(piece.end, place, clause, quote)
        for place in itertools.takewhile(
            lambda place: place == at or not _stops(quote[place - 1], piece.symbols[-1]), places
        )
    )


def _stops(symbol: str, side: str) -> bool:
    """Whether a symbol cannot be dropped beside one: a clause mark; a number beside a number."""
    return symbol == _EDGE or (ord(symbol) >= _PRIVATE and ord(side) >= _PRIVATE)


def _only_dropped(gap: str, symbols: str, alphabet: _Alphabet) -> bool:
    """Whether a place of a quotation holds the piece, and no number beside it was passed over."""
    at = gap.find(symbols)
    if at >= 0:
        before, behind = gap[:at], gap[at + len(symbols) :]
        return not any(
            _stops(symbol, side)
            for part, side in ((before, symbols[0]), (behind, symbols[-1]))
            for symbol in part
        )
    day = alphabet.meanings.get(symbols)
    others = [alphabet.meanings.get(symbol) for symbol in gap]
    return isinstance(day, _Day) and any(isinstance(o, _Day) and o.bears(day) for o in others)


def _gaps(piece: _Clause, clause: _Clause, quote: str) -> Iterator[tuple[int, int]]:
    """Places of a quotation, inside one of its clauses, between the neighbours of the piece."""
    symbols = piece.text.symbols
    first, last = piece.start == clause.start, piece.end == clause.end
    for end in range(1, len(quote) + 1):
        at_edge = end == len(quote) or quote[end] == _EDGE
        if not (at_edge if last else not at_edge and quote[end] == symbols[piece.end]):
            continue
        for start in range(end - 1, max(-1, end - 1 - _MAX_RIVAL), -1):
            if quote[start] == _EDGE:
                break
            if first:
                if start == 0 or quote[start - 1] == _EDGE:
                    yield start, end
            elif start and quote[start - 1] == symbols[piece.start - 1]:
                yield start, end


def _shared_before(start: int, at: int, clause: _Clause, quote: str) -> int:
    """Symbols, and the edge of the clause, that lie before both places."""
    symbols, shared = clause.text.symbols, 0
    while start > clause.start and at > 0 and symbols[start - 1] == quote[at - 1]:
        start, at, shared = start - 1, at - 1, shared + 1
    return shared + (start == clause.start and (at == 0 or quote[at - 1] == _EDGE))


def _shared_after(end: int, at: int, clause: _Clause, quote: str) -> int:
    """Symbols, and the edge of the clause, that lie behind both places."""
    symbols, shared = clause.text.symbols, 0
    while end < clause.end and at < len(quote) and symbols[end] == quote[at]:
        end, at, shared = end + 1, at + 1, shared + 1
    return shared + (end == clause.end and (at == len(quote) or quote[at] == _EDGE))


_WINDOW = 10  # symbols on each side of a number that tell what it counts
_CLEARLY = 2  # pairs of characters


def _loose_numbers(
    clause: _Clause, sources: Sequence[_Source], alphabet: _Alphabet
) -> Iterator[Failure]:
    """Numbers of a freely worded clause whose words stand round another number of the unit."""
    for n in range(clause.start, clause.end):
        amount = alphabet.meanings.get(clause.text.symbols[n])
        if not isinstance(amount, _Amount):
            continue
        words = _pairs_around(clause.text.symbols, n)
        best = {True: -1, False: -1}
        for source in sources:
            for at, symbol in enumerate(source.text.symbols):
                other = alphabet.meanings.get(symbol)
                if isinstance(other, _Amount) and other.unit == amount.unit:
                    shared = len(words & _pairs_around(source.text.symbols, at))
                    best[other == amount] = max(best[other == amount], shared)
        if best[False] >= best[True] + _CLEARLY:
            yield replace(clause, start=n, end=n + 1).failure(Fault.NUMBER)


def _pairs_around(symbols: str, at: int) -> set[str]:
    """Character pairs of the clause around a place."""
    before = symbols[max(0, at - _WINDOW) : at].rpartition(_EDGE)[2]
    after = symbols[at + 1 : at + 1 + _WINDOW].partition(_EDGE)[0]
    return {part[n : n + 2] for part in (before, after) for n in range(len(part) - 1)}


# --- names --------------------------------------------------------------------------------------

_NAMED = re.compile(r"《([^《》]+)》|[“「『]([^“”「」『』]+)[”」』]")


def _unknown_names(
    statement: str, dated: Sequence[_Dated], sources: Sequence[_Source], alphabet: _Alphabet
) -> Iterator[Failure]:
    """Names in 《》 and “” and places that do not stand whole in a quotation.

    Speech of several clauses in “” is no name; its clauses are looked at like any other.
    """
    plain = normalize(statement)
    for match in _NAMED.finditer(plain):
        readings = [alphabet.text(r).symbols for r in _readings(match[1] or match[2], dated)]
        speech = match[2] and _EDGE in readings[0]
        if not speech and not any(
            name in source.text.symbols for name in readings for source in sources
        ):
            yield Failure(Fault.NAME, match[0])
    quotes = [normalize(quote) for quote, _ in dated]
    for place in places_in(plain):
        if not any(place in quote for quote in quotes):
            yield Failure(Fault.NAME, place)


# --- what was computed --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Computed:
    """An expression that a statement marks as computed from its quotations."""

    operation: str  # 相差, 多, 少, 共, 共计 or 合计
    result: str  # a number with its unit


_COMPUTED = re.compile(
    r"(?P<operation>相差|多|少|共计|合计|共)(?P<result>[^，。；：、（()）多少共计]{1,20}?)"
    r"[（(](?:由[\[\]\d、，和与]*)?计算(?:得出)?[）)]"
)


def _split_computed(statement: str) -> tuple[str, list[Computed]]:
    """The statement without the expressions it marks as computed, and these."""
    found = [Computed(m["operation"], m["result"]) for m in _COMPUTED.finditer(statement)]
    return _COMPUTED.sub("", statement), found


def _recompute(computed: Computed, rest: str, dated: Sequence[_Dated]) -> Failure | None:
    """The fault of a computed expression, if numbers of the quotations do not give it.

    The first two numbers of the unit in the rest of the statement are what was computed with; if
    it has fewer, any two of the quotations. 多 and 少 say which is larger, so they need the former.
    """
    wrong = Failure(Fault.COMPUTED, computed.operation + computed.result)
    results = _amounts(computed.result, None)
    if len(results) != 1:
        return wrong
    result = results[0]
    stated = [a.value for a in _amounts(rest, None) if a.unit == result.unit]
    quoted = [
        a
        for quote, date in dated
        for a in _amounts(quote, date)
        if a.unit == result.unit and not a.hedges and not a.ordinal
    ]
    pairs = [(one.value, other.value) for n, one in enumerate(quoted) for other in quoted[n + 1 :]]
    if len(stated) > 1:
        pairs = [(stated[0], stated[1])] if set(stated[:2]) <= {a.value for a in quoted} else []
    elif computed.operation in "多少":
        return wrong
    good = any(_result(computed.operation, *pair) == result.value for pair in pairs)
    return None if good and not result.hedges else wrong


def _amounts(text: str, article_date: str | None) -> list[_Amount]:
    return [hard for _, hard in _scan(text, article_date) if isinstance(hard, _Amount)]


def _result(operation: str, first: Decimal, second: Decimal) -> Decimal:
    if operation == "相差":
        return abs(first - second)
    if operation == "多":
        return first - second
    return second - first if operation == "少" else first + second
