"""Draft test sets: documents in, questions made by rule out, for a person to correct.

A number, date or name of a body sentence is replaced by the question word that asks for it, which
Chinese allows where it stands, so that what comes out is well formed. A near miss exchanges a year
or place of such a question for one that no document names; it should have no answer. Every row
says that it is a draft. Whether a question is worth asking is left to the person.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eval.case import TYPES_ZH
from eval.sets import DRAFT_MARK
from index.words import WordTokenizer, normalize
from qa.demands import Demand, DemandKind, names_in
from qa.expressions import Number, find_dates, find_numbers, value_of
from qa.gazetteer import PLACE, place_level
from schema import Article, Sentence, Span

Document = tuple[Article, Sequence[Sentence]]  # an article with its sentences, as split
_CHARS = (10, 60)  # of a question
_TITLE_CHARS = 30
_UNANSWERABLE_SHARE = 4  # at most one row in so many

# Words that lean on another sentence or on the day of printing; the question would not stand alone.
_LEANS = re.compile(
    r"[该此其他她它我你您咱]|[这那](?!曲)|上述|以上|以下|前者|后者|[今去前明同当昨][年天日晚]|"
    r"本[报刊月周次市省县区院校]|记者|日前|近日|近年|目前|[几多]年来|[？?！!…：:“”‘’「」『』]"
)
# A clause that is part of another one, or that a cut-off end would leave hanging.
_OPENS_CLAUSE = re.compile(r"^(?:当|随着|通过|由于|如果|若|虽|尽管|为了|除了?|根据|按照|不仅|只有)")
_CONNECTIVE = re.compile(
    r"^(?:而且|而|但是?|并且?|同时|因此|所以|另外|还|也|又|再|则|即|如|不过|然而|于是|例如|比如|随后|"
    r"之后|后来|最终|最后|首先|然后|接着)"
)
_HANGS = re.compile(
    r"(?:[中时后前下的来]|之际|以来|期间|过程|表示|显示|称|说|介绍|指出|认为|透露|报道|基础上|情况下|以及|和|与|等|为|是|以|在)$"
)
_QUESTION_WORD = re.compile(r"[谁哪几吗呢]|什么|多少|如何|怎么|何[时地处人]")
_RANGE = re.compile(r"[A-Za-z\d.:/×xX*第—–\-~～至到、每隔最（(]$")
_RANGE_AFTER = re.compile(r"^(?:[A-Za-z\d.:/×*—–\-~～至到、的]|多[年月天])")
_NO_COUNT = {
    "",
    "年",
    "月",
    "日",
    "号",
    "次",
    "届",
    "期",
    "批",
    "名次",
    "章",
    "节",
    "版",
    "步",
    "大",
}
_HEDGE = re.compile(
    r"^(?:不少于|不低于|不超过|不足|超过|超|近|约|逾|达到?|突破|至少|至多|上)|(?:以上|以下|以内|左右)$"
)
_REACHES = re.compile(r"^(?:达到?|突破|上)")  # the verb that is taken for a hedge
_SMALL = 10  # below it one asks 几, from here on 多少
_AMOUNT_IS = re.compile(r"(?P<what>[额量率数积值价资入本])(?:已|共)?(?:达到?|为|是|突破|超过?)$")
# A verb or preposition behind a name shows that the name is what the clause is about.
_VERBS = (
    "成立|建成|实现|完成|累计|新增|引进|获得|获批|获评|荣获|拥有|位于|发布|推出|启动|投产|举办|举行|承办|生产|出口|进口|"
    "签约|签署|达到|率先|首次|开通|投资|研发|开发|建设|承担|收购|出版|创办|担任|出任|当选|发明|设有|设立|加入|成为|"
    "共有|已有|已|将|计划|入选|打造|吸引|帮助|宣布|召开|印发|坚持|聚焦|围绕|依托|积极|受到|毕业|曾|正在|是|有"
)
_SAYS = re.compile(r"^(?:表示|介绍|指出|认为|透露|说|称)，")
_BEHIND_NAME = re.compile(rf"^(?:{_VERBS}|在|对|向|以|从|与)")
_OPENS_WITH_VERB = re.compile(rf"^(?:{_VERBS})")
# What may stand before a name at the head.
_OPENING = re.compile(r"|[^，]{0,12}[年月日][^，]{0,6}，|据[^，]{1,15}，")
_PLACE_SORTS = ("省", "座城市", "国家")  # by level of the gazetteer
_HOUSES = {"公司", "集团", "银行", "企业", "医院", "股份", "出版社", "研究院", "研究所", "博物馆"}
_OWN_WORDS = 4  # characters of a statement besides the names in it
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?=年)")
_NO_PROVINCES = re.compile("北京|天津|上海|重庆|内蒙古|广西|西藏|宁夏|新疆|香港|澳门|台湾")
_YEAR_STEPS = (-1, 1, -2, 2, -3, 3)


@dataclass(frozen=True)
class _Candidate:
    """A question with its gold."""

    kind: str  # number, date, entity or unanswerable
    question: str
    answers: tuple[str, ...]
    doc: str
    sentence: str
    note: str


def draft_cases(documents: Sequence[Document], most: int, seed: int) -> list[dict[str, Any]]:
    """Draft rows in the form of a JSON-lines test set.

    Args:
        documents: articles with their sentences in Article.text; only body sentences are used.
        most: rows at most; fewer where the rules find no more.
        seed: the same documents and seed give the same rows.

    Returns:
        Rows spread over the documents and over numbers, dates, names and near misses as evenly as
        these allow, one from a sentence; at most every fourth is a near miss.
    """
    rng = random.Random(seed)
    anywhere = _named(article.text for article, _ in documents)
    tokenizer = WordTokenizer()
    pools: dict[int, list[_Candidate]] = {}
    order = rng.sample(range(len(documents)), len(documents))
    chosen: list[_Candidate] = []
    counts: Counter[str] = Counter()
    while order and len(chosen) < most:
        for at in list(order):
            if at not in pools:  # only as many documents are looked into as are needed
                pools[at] = _shuffled(_candidates(documents[at], anywhere, tokenizer), rng)
            one = _rarest(pools[at], counts, most)
            if one is None:
                order.remove(at)
                continue
            chosen.append(one)
            counts[one.kind] += 1
            pools[at] = [other for other in pools[at] if other.sentence != one.sentence]
            if len(chosen) == most:
                break
    return [_row(number, one) for number, one in enumerate(chosen, start=1)]


def _shuffled(found: Iterable[_Candidate], rng: random.Random) -> list[_Candidate]:
    """Every candidate once, and of each question only the first."""
    listed = list({one.question: one for one in found}.values())
    rng.shuffle(listed)
    return listed


def _rarest(pool: Sequence[_Candidate], counts: Mapping[str, int], most: int) -> _Candidate | None:
    """The first candidate of the kind chosen least often so far."""
    full = counts["unanswerable"] >= most // _UNANSWERABLE_SHARE
    open_ones = [one for one in pool if not (full and one.kind == "unanswerable")]
    return min(open_ones, key=lambda one: counts[one.kind], default=None)


def _row(number: int, one: _Candidate) -> dict[str, Any]:
    answerable = one.kind != "unanswerable"
    row: dict[str, Any] = {
        "id": f"draft-{number:03d}",
        "question": one.question,
        "type": one.kind,
        "answerable": answerable,
        "answers": list(one.answers),
        "evidence": [{"doc": one.doc, "text": one.sentence}] if answerable else [],
    }
    if not answerable:
        row["difficulty"] = "hard"
    return row | {"draft": True, "note": f"{DRAFT_MARK}：{one.note}，请人工核对"}


# ---------------------------------------------------------------- questions


def _candidates(
    document: Document, anywhere: frozenset[str], tokenizer: WordTokenizer
) -> Iterator[_Candidate]:
    article, sentences = document
    named = _Named(_named([article.text]), anywhere)
    makers: tuple[Callable[[str, WordTokenizer], Iterator[_Asked]], ...] = (
        _numbers,
        _dates,
        _names,
    )
    for sentence in sentences:
        if sentence.kind != "body":
            continue
        text = sentence.span.cut(article.text)
        quoted = _quoted(article, sentence.span, text)
        for maker in makers:
            for asked in maker(text, tokenizer):
                question = _placed(asked, article.title, tokenizer)
                if question is None or any(answer in question for answer in asked.answers):
                    continue
                note = f"由程序按句中的{TYPES_ZH[asked.kind]}生成"
                yield _Candidate(asked.kind, question, asked.answers, article.doc, quoted, note)
                words = frozenset(tokenizer.words(question))
                for near in _near_misses(question, named, words):
                    yield _Candidate(
                        "unanswerable", near.question, (), article.doc, quoted, near.note
                    )


@dataclass(frozen=True)
class _Asked:
    """A question that may still need the document's title to stand alone."""

    kind: str
    question: str
    answers: tuple[str, ...]


def _quoted(article: Article, span: Span, text: str) -> str:
    """The sentence as repaired if the original has it so, else as the original has it."""
    original = article.original_span(span).cut(article.original)
    packed = "".join(text.split())
    return " ".join((text if packed == "".join(original.split()) else original).split())


def _placed(asked: _Asked, title: str | None, tokenizer: WordTokenizer) -> str | None:
    """The question if it names what it is about, else with the title; None if neither will do.

    What asks for a name is told by a number as well.
    """
    question, most = asked.question, _CHARS[1]
    names = (name.kind for name in names_in(normalize(question), tokenizer))
    told = asked.kind == "entity" and re.search(r"\d", question)
    if not told and all(kind is DemandKind.NAME for kind in names):
        if not title or len(title) > _TITLE_CHARS or _QUESTION_WORD.search(title):
            return None
        question = f"《{title.strip('《》')}》一文中，{question}"
        most += len(title)
    return question if _CHARS[0] <= len(question) <= most and question[0] not in "=+-@'" else None


def _clause(text: str, place: Span) -> Span | None:
    """From the start of the sentence to the end of the clause with `place`; None if it leans."""
    end = _MARK.search(text, place.end)
    stop = end.start() if end else len(text)
    return None if _leans(text[:stop]) else Span(0, stop)


_MARK = re.compile(r"[，。；！？,;!?\n]")
_HAN_SPACE = re.compile(r"[\u4e00-\u9fff]\s|\n")  # a line break or a gap: two statements, or a list


def _leans(text: str) -> bool:
    """Whether the beginning of a sentence cannot stand alone."""
    clauses = re.split("[，；,;]", text)
    patterns = (_HAN_SPACE, _LEANS, _QUESTION_WORD, _CONNECTIVE)
    return (
        len(clauses) > 3
        or any(pattern.search(text) for pattern in patterns)
        or bool(_OPENS_CLAUSE.search(clauses[-1]) or _HANGS.search(clauses[-1]))
        or any(text.count(left) != text.count(right) for left, right in ("（）", "()", "《》"))
    )


def _numbers(text: str, _: WordTokenizer) -> Iterator[_Asked]:
    """Quantities: "…引进企业392家" -> "…引进企业多少家？"; "…额达21亿元" -> "…额是多少亿元？"."""
    for number in find_numbers(text):
        before, after = text[: number.span.start], text[number.span.end :]
        clause = _clause(text, number.span)
        if clause is None or not _countable(number) or _is_odd(before, after):
            continue
        bare = _HEDGE.sub("", number.text)
        tail = text[number.span.end : clause.end]
        amount = _AMOUNT_IS.search(before + _hedge_before(number.text)) if not tail else None
        head = before[: amount.end("what")] + "是" if amount else before
        yield _Asked(
            "number",
            f"{head}{_how_many(number, bare)}{tail}？",
            tuple(dict.fromkeys((bare, _REACHES.sub("", number.text)))),
        )


def _countable(number: Number) -> bool:
    return not number.ordinal and number.unit not in _NO_COUNT and "连" not in number.unit


def _is_odd(before: str, after: str) -> bool:
    """One end of a range, part of a code, or beside another number."""
    return bool(_RANGE.search(before) or _RANGE_AFTER.search(after))


def _hedge_before(written: str) -> str:
    found = _HEDGE.match(written)
    return found.group() if found else ""


def _how_many(number: Number, bare: str) -> str:
    """多少 or 几 with the unit; the scale stays with money, where one reads amounts by it."""
    if number.unit in {"%", "‰"}:
        return "百分之多少" if number.unit == "%" else "千分之多少"
    value = value_of(bare)
    if not number.scaled and value is not None and value < _SMALL and value == int(value):
        return f"几{number.unit}"
    scale = re.search(r"[万亿]+", bare) if number.unit.endswith("元") else None
    return f"多少{scale.group() if scale else ''}{number.unit}"


_FULL_DATE = re.compile(r"(?:19|20)\d\d年(?P<month>\d{1,2}月)?(?P<day>\d{1,2}日)?")
_NOT_DATED = re.compile(r"(?:截至|截止|自|从|到|至|由|—|-|～)$")
_ON_AFTER = re.compile(r"^(?:\d|以来|起|至|到|—|-|～|、|和|与|间|前|后|之)")


def _dates(text: str, tokenizer: WordTokenizer) -> Iterator[_Asked]:
    """Years and days: "2019年，甲厂投产" -> "甲厂投产是在哪一年？", "甲厂于哪一年投产？"."""
    for span, written in find_dates(text):
        full, clause = _FULL_DATE.fullmatch(written), _clause(text, span)
        before, after = text[: span.start], text[span.end :]
        if full is None or clause is None or _NOT_DATED.search(before) or _ON_AFTER.search(after):
            continue
        when = "哪一天" if full["day"] else "哪一年的哪个月" if full["month"] else "哪一年"
        tail = text[span.end : clause.end]
        if not before:
            told = _first_clause(after, tokenizer)
            pause = "，" if told and told.endswith("了") else ""
            question = f"{told}{pause}是在{when}？" if told else None
        else:
            closed = len(tail) > 1 or before[-1] in "于在是为"
            question = f"{before}{when}{tail}？" if closed else None
        if question:
            yield _Asked("date", question, (written,))


def _first_clause(after: str, tokenizer: WordTokenizer) -> str | None:
    """What a date at the head of the sentence says when of, up to the next mark.

    None where it tells nothing of its own: names alone, or a verb without a subject.
    """
    match = re.match("[，,]?([^，。；！？,;!?]+)", after)
    told = match[1] if match else ""
    rest = told
    for name in names_in(normalize(told), tokenizer):
        rest = rest.replace(name.text, "")
    bare = len(rest) < _OWN_WORDS or _OPENS_WITH_VERB.search(told)
    return None if bare or _leans(told) else told


def _names(text: str, tokenizer: WordTokenizer) -> Iterator[_Asked]:
    """Names at the head, before a verb: "岳阳片区引进企业392家" -> "哪个片区引进企业392家？"."""
    for name in names_in(normalize(text), tokenizer):
        start, wh = text.find(name.text), _which(name)
        end = start + len(name.text)
        if start < 0 or wh is None or not _OPENING.fullmatch(text[:start]):
            continue
        says = _SAYS.search(text[end:]) if name.kind is DemandKind.PERSON else None
        clause = _clause(text, Span(start, end + (says.end() if says else 0)))
        defines = name.kind is DemandKind.PERSON and text[end : end + 1] in {"是", "有"}
        if clause is None or defines or not (says or _BEHIND_NAME.search(text[end:])):
            continue
        told = text[end : clause.end]
        if len(told) >= _OWN_WORDS:
            yield _Asked("entity", f"{text[:start]}{wh}{told}？", (name.text,))


def _which(name: Demand) -> str | None:
    if name.kind is DemandKind.PERSON:
        return "谁"
    level = place_level(name.text)
    if level is not None and _may_change(name.text):
        return f"哪{'' if level == 1 else '个'}{_PLACE_SORTS[level]}"
    if name.kind not in {DemandKind.PLACE, DemandKind.ORGANISATION} or not name.suffix:
        return None
    if name.kind is DemandKind.PLACE:
        return f"哪个{name.text.removeprefix(name.core) or name.suffix}"  # 经开区, as written
    houses = name.suffix in _HOUSES or name.suffix.endswith("公司")
    return f"哪{'家' if houses else '个'}{name.suffix}"


# ---------------------------------------------------------------- near misses


def _named(texts: Iterable[str]) -> frozenset[str]:
    """Years and listed places of all documents."""
    found: set[str] = set()
    for text in texts:
        found.update(_YEAR.findall(text), PLACE.findall(text))
    return frozenset(found)


@dataclass(frozen=True)
class _Named:
    """Years and places that a near miss must not use."""

    here: frozenset[str]  # in the document: never
    anywhere: frozenset[str]  # in any document: only where nothing else is left

    def unused(self, others: Iterable[str]) -> list[str]:
        """Those named nowhere, or else those not named here."""
        absent = [one for one in others if one not in self.here]
        return [one for one in absent if one not in self.anywhere] or absent


def _near_misses(question: str, named: _Named, words: frozenset[str]) -> Iterator[_Exchange]:
    """The question with another year, and with another place."""
    year = _YEAR.search(question)
    if year:
        own = year.group()
        others = named.unused(str(int(own) + step) for step in _YEAR_STEPS)
        yield from _exchanged(question, own, others[:1], "年", named)
    place = next(
        (one for one in PLACE.findall(question) if one in words and _may_change(one)), None
    )
    if place:
        others = named.unused(other for other in _peers(place) if place not in other)
        # One that the question decides, so that the same sentence gives the same draft.
        at = sum(map(ord, question)) % max(1, len(others))
        yield from _exchanged(question, place, others[at : at + 1], "", named)


@dataclass(frozen=True)
class _Exchange:
    question: str
    note: str


def _exchanged(
    question: str, own: str, others: Sequence[str], unit: str, named: _Named
) -> Iterator[_Exchange]:
    for other in others:
        known = f"（别的文档提到过“{other}{unit}”）" if other in named.anywhere else ""
        yield _Exchange(
            question.replace(own, other),
            f"由程序生成，把“{own}{unit}”换成了“{other}{unit}”，文中应当没有答案{known}",
        )


def _may_change(place: str) -> bool:
    """Not what is called by another word than its peers: 上海市 and 广西壮族自治区 are no 省."""
    return _NO_PROVINCES.fullmatch(place) is None


def _peers(place: str) -> list[str]:
    """Listed places of the same level, in a fixed order."""
    level = place_level(place)
    listed = sorted(PLACE.pattern.split("|"))
    return [one for one in listed if place_level(one) == level and _may_change(one)]
