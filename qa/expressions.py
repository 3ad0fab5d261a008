"""Numbers, dates and names as they stand in Chinese newspaper text.

Finds them in a sentence; says how well a sentence offers what a question asks for. Offsets are
code points of the string given.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from index.words import normalize
from qa.numerals import han_value
from qa.question import Kind, Question
from schema import Span

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_HAN_DIGITS = r"[零〇一二两三四五六七八九十百千]+|首"  # 首次 is the first time
_SCALE = r"(?:[十百千万亿]+)"
_BEFORE = r"(?:不少于|不低于|不超过|不足|超过|超|近|约|逾|达到?|突破|至少|至多|上)?"
_UNITS = (
    r"(?:平方公里|平方米|公里|亩|吨|人次|标箱|集装箱|欧元|美元|港元|日元|元|个百分点|百分点|%|‰|"
    r"倍|次|届|期|批|连增|连跌|连冠|个月|个|家|项|条|名|人|位|座|台|辆|米|年|月|日|天|小时|分钟|秒|"
    r"号|件|份|种|类|支|只|所|单|宗|艘|架|户|篇|大(?!关)|省|市|岁|"
    r"部分|方面|阶段|环节|步|轮|场|回|套|款|笔|处|间|栋|组|队|名次|层|段|章|节|版|集(?![团聚合中成])|头|棵|幅|枚|把)"
)
# 4700余万元, 超5.4万家, 近30个, 40%以上, 400多亿元, 第二次, 五连增
_NUMBER = re.compile(
    rf"(?P<before>{_BEFORE})(?P<ordinal>第)?(?P<digits>{_DIGITS}|{_HAN_DIGITS})(?P<more>[多余])?"
    rf"(?P<scale>{_SCALE})?(?P<more2>[多余])?(?P<unit>{_UNITS})?(?P<after>以上|以下|以内|左右)?"
)
_YEAR = r"(?<!\d)(?:1\d|20)\d\d年"
_HAN_DAY = (
    r"(?:初[一二三四五六七八九十]|[十廿卅][一二三四五六七八九]?|[一二三四五六七八九十]{1,3}[日号])"
)
_DATE = re.compile(
    rf"(?:{_YEAR}|今年|去年|前年|明年|同年|当年)?(?:1[0-2]|0?[1-9])月(?:上旬|中旬|下旬|初|底|末|"
    r"(?:[12]\d|3[01]|0?[1-9])日)?(?:[上下中]午|晚上?|起)?"
    rf"|{_YEAR}(?:初|底|末|上半年|下半年|[一二三四]季度)?|今年|去年|前年|同年|当年"
    rf"|(?:[正冬腊]|[十廿]?[一二三四五六七八九十])月{_HAN_DAY}"
)


@dataclass(frozen=True, slots=True)
class Number:
    """A number with its unit, as written."""

    span: Span  # with 超, 余, 以上
    text: str
    unit: str  # normalised: 万 and 亿 are scale, not unit; "" where bare
    scaled: bool  # 万, 亿: an amount rather than a count
    ordinal: bool


def find_numbers(text: str) -> list[Number]:
    """All numbers of a text in order; years and dates are not numbers here.

    A bare Han numeral without unit (一 in 一直) does not count.
    """
    taken = [Span(*match.span()) for match in _DATE.finditer(text)]
    found = []
    for match in _NUMBER.finditer(text):
        if any(span.start <= match.start("digits") < span.end for span in taken):
            continue
        digits, unit = match["digits"], match["unit"] or ""
        han = not digits[0].isdigit()
        if han and not (unit and _is_numeral(digits, ordinal=bool(match["ordinal"]))):
            continue
        found.append(
            Number(
                span=Span(*match.span()),
                text=match.group(),
                unit=unit,
                scaled=bool(match["scale"]),
                ordinal=bool(match["ordinal"]) or digits == "首",
            )
        )
    return found


def _is_numeral(digits: str, *, ordinal: bool) -> bool:
    """Whether Han digits make a number: not 一 alone (一个机制), nor a name such as 三一."""
    if len(digits) == 1:
        return ordinal or digits != "一"
    return any(scale in digits for scale in "十百千零〇")


_VALUE = re.compile(
    rf"(?P<digits>{_DIGITS})[多余]?(?P<scale>{_SCALE})?"
    r"|(?P<han>[零〇一二两三四五六七八九十百千万亿]+(?:点[零〇一二三四五六七八九]+)?)|首"
)
_POWERS = {"十": 1, "百": 2, "千": 3, "万": 4, "亿": 8}
_HAN_VALUES = {"〇": 0, "两": 2} | {han: value for value, han in enumerate("零一二三四五六七八九")}


def value_of(written: str) -> Decimal | None:
    """The value of the first number in a piece of text, scale included; None if there is none.

    A hedge and the unit do not count: 4700余万元 is 47000000, 一百零九项 is 109, 第二批 is 2, 首次
    is 1, and both 65% and 百分之六十五 are 65.
    """
    match = _VALUE.search(re.sub("[百千]分之", "", normalize(written)))
    if match is None:
        return None
    if match["digits"]:
        powers = sum(_POWERS[character] for character in match["scale"] or "")
        return Decimal(match["digits"].replace(",", "")).scaleb(powers)
    if match["han"] is None:
        return Decimal(1)
    whole, _, decimals = match["han"].partition("点")
    places = "".join(str(_HAN_VALUES[character]) for character in decimals)
    plain = "".join(str(_HAN_VALUES.get(character, "")) for character in whole)
    value = int(plain) if len(plain) == len(whole) else han_value(whole)  # 二〇二三, 一百零九
    return None if value is None else Decimal(f"{value}.{places or 0}").normalize()


def find_dates(text: str) -> list[tuple[Span, str]]:
    """Dates in order, as written."""
    return [(Span(*match.span()), match.group()) for match in _DATE.finditer(text)]


_SHARES = ("%", "个百分点", "倍")
# Words of the question that ask for a unit without naming it after 多少.
_IMPLIED_UNITS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (
        re.compile(r"钱|投资|金额|税|资金|额|产值|成本|费用|收入|利润|价值"),
        ("元", "欧元", "美元", "港元"),
    ),
    (re.compile(r"比例|率|增长|增幅|压缩|缩短|降低|提高|份额|百分"), _SHARES),
    (re.compile(r"面积"), ("平方公里", "平方米", "亩")),
    (re.compile(r"观看|人次|人来看|多少人"), ("人次", "人", "名", "位")),
    (re.compile(r"时间"), ("分钟", "小时", "天", "日", "个月", "年", "%")),
)
_THAN_BEFORE = re.compile(
    r"(?:同比|环比|比[^，。？?]{0,8}(?:去年|上年|前一?年|同期|上个?月)[^，。？?]{0,4})"
    r"[^，。？?]{0,4}[高多增涨快升少降低减下][^，。？?]{0,3}(?:多少|几成)(?![\u4e00-\u9fff])"
)
_DURATION = re.compile(r"多久|多长时间")
_DURATIONS = ("分钟", "小时", "天", "日", "个月", "年")
_SAME_UNIT = {
    "条": {"条", "项"},
    "个": {"个", "项", "家", "大", "条"},
    "人": {"人", "人次", "名", "位"},
    "连": {"连增", "连跌", "连冠"},
}


def wanted_units(question: Question) -> tuple[str, ...]:
    """Units an answer may carry, best first; empty where any would do."""
    if question.unit:
        unit = question.unit.lstrip("十百千万亿") or question.unit
        return (unit, *sorted(_SAME_UNIT.get(unit, set()) - {unit}))
    if re.search(r"占(?!地)", question.text):  # 保税维修额占全省多少 asks for no amount
        return _SHARES
    if _THAN_BEFORE.search(question.text):  # 比上年同期高出多少 asks for a rate of growth
        return _SHARES
    if _DURATION.search(question.text):  # 保税货物能放多久 asks for no amount either
        return _DURATIONS
    implied = (units for pattern, units in _IMPLIED_UNITS if pattern.search(question.text))
    return tuple(dict.fromkeys(unit for units in implied for unit in units))


FITS = 0.8  # from here on an expression is of the type asked for
_ANOTHER_UNIT = 0.5
_COUNTED_WITHIN = 8  # characters between a number and what it counts: 16个〔产业〕项目


def number_fit(question: Question, number: Number, text: str) -> float:
    """How well one number of `text` is of the sort asked for, 0 to 1; see `offers`."""
    units = wanted_units(question)
    if number.ordinal != ("第几" in question.text) or (units and number.unit not in units):
        return _ANOTHER_UNIT
    if question.counted is None:
        return 1.0
    behind = normalize(text[number.span.end : number.span.end + _COUNTED_WITHIN])
    own = re.split(r"\d", behind)[0]  # what stands behind the next number is counted by that one
    return 1.0 if question.counted in own else FITS


def offers(question: Question, text: str) -> float:
    """How well a sentence offers the type of answer asked for.

    Returns:
        1 for a fitting expression; FITS for a number with the right unit that counts something
        else; 0.5 for a number with another unit; 0 for none. A list is the better the more items
        it may have. Kinds without a form of their own (reason, manner, definition) give 0.5.
    """
    if question.kind is Kind.NUMBER:
        fits = [number_fit(question, number, text) for number in find_numbers(text)]
        # A numeral without a measure word (三地海关) may be what is asked for, if no unit is.
        bare = FITS if not wanted_units(question) and _NUMERAL.search(text) else 0.0
        return max([*fits, bare])
    if question.kind is Kind.DATE:
        clock = _CLOCK_ASKED.search(question.text) and _CLOCK.search(text)
        return 1.0 if clock or find_dates(text) else 0.0
    if question.kind is Kind.LIST:
        return min(1.0, len(_LIST_MARK.findall(text)) / (_items_asked(question) - 1))
    return 0.5


_CLOCK_ASKED = re.compile(r"几[点时]|时[间段]")
_CLOCK = re.compile(r"\d{1,2}(?:[:：]\d{2}|[时点](?!间))")
_NUMERAL = re.compile(r"\d|[两三四五六七八九十百千]")
_LIST_MARK = re.compile(r"、|；|(?<=[^，。])[和与及]")
_ITEMS = re.compile(r"哪([两二三四五六七八九])")
_USUAL_ITEMS = 3  # of a list whose length the question does not tell


def _items_asked(question: Question) -> int:
    """How many items the question asks for, at least two."""
    match = _ITEMS.search(normalize(question.text))
    return "两三四五六七八九".index(match[1].replace("二", "两")) + 2 if match else _USUAL_ITEMS
