"""Chinese numerals: what they are worth, and a text with them in digits."""

from __future__ import annotations

import re
import unicodedata

_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_SCALES = {"十": 10, "百": 100, "千": 1000}
_NUMERAL = "[零〇一二两三四五六七八九十百千万亿]"
_MEASURE = (
    "亿元|万元|[美欧港日]元|元|家|项|条|个|名|人次|人|座|台|辆|吨|公里|平方公里|平方米|亩|年|月|日|天|小时|"
    "分钟|次|倍|届|期|件|份|种|类|支|只|所|单|户|亿|万|余|多"
)
COUNT = re.compile(
    rf"百分之{_NUMERAL}+(?:点[零〇一二三四五六七八九]+)?"
    rf"|(?<![第零〇一二两三四五六七八九十百千万亿]){_NUMERAL}+(?:点[零〇一二三四五六七八九]+)?(?:{_MEASURE})"
    r"|(?:[一二]九|二[〇零])[〇零一二三四五六七八九]{2}年"
    r"|[０-９]+(?:．[０-９]+)?％?"
)

ONE_NUMERAL = re.compile(f"{_NUMERAL}(?:{_MEASURE})")  # 五月天, 三元桥: as often names as counts


def spelled_numbers(text: str) -> str:
    """The text with Chinese numerals that count something in digits: a form for searching.

    Example: 一百零九项 -> 109项, 百分之六十五 -> 65%, 三点五亿元 -> 3.5亿元, 二〇二四年 -> 2024年
    and 五万四千家 -> 5.4万家. An article (一个, 一家) is no count; names such as 三一集团, plans
    such as 十四五 and ordinals such as 第二批 stay.
    """
    return COUNT.sub(lambda match: _spelled(match[0]), text)


def _spelled(numeral: str) -> str:
    if numeral[0] in "０１２３４５６７８９":
        return unicodedata.normalize("NFKC", numeral)
    if numeral.startswith("百分之"):
        value = _digits(numeral[3:])
        return numeral if value is None else f"{value}%"
    if re.fullmatch("[一二][九〇零][〇零一二三四五六七八九]{2}年", numeral):
        return "".join(str(_DIGITS[c]) for c in numeral[:-1]) + "年"
    match = re.match(rf"{_NUMERAL}+(?:点[零〇一二三四五六七八九]+)?", numeral)
    if match is None or match[0] == "一":
        return numeral
    value = _digits(match[0])
    return numeral if value is None else value + numeral[match.end() :]


def _digits(numeral: str) -> str | None:
    """In digits, with 万 or 亿 as newspapers write it; None for what is no numeral."""
    whole, _, decimals = numeral.partition("点")
    tail = re.search("[万亿]+$", whole)
    scale = tail[0] if tail else ""
    value = han_value(whole.removesuffix(scale))
    if value is None or (decimals and scale):
        return None
    if decimals:
        return f"{value}." + "".join(str(_DIGITS[c]) for c in decimals)
    for name, size in (("亿", 10**8), ("万", 10**4)):
        if not scale and value >= size:
            return f"{value / size:.10f}".rstrip("0").rstrip(".") + name
    return f"{value}{scale}"


def han_value(numeral: str) -> int | None:
    """一百零九 -> 109; None where digits and scales do not follow each other as in a number."""
    for name, size in (("亿", 10**8), ("万", 10**4)):
        if name in numeral:
            high, _, low = numeral.partition(name)
            above, below = han_value(high), han_value(low.lstrip("零〇")) if low else 0
            if not above or below is None or below >= size:
                return None
            return above * size + below
    return _below_ten_thousand(numeral)


_GROUP = re.compile(
    "(?:(?P<千>[一二两三四五六七八九])千)?[零〇]?(?:(?P<百>[一二两三四五六七八九])百)?[零〇]?"
    "(?:(?P<十>[一二两三四五六七八九]?)十)?[零〇]?(?P<个>[一二两三四五六七八九])?"
)


def _below_ten_thousand(numeral: str) -> int | None:
    match = _GROUP.fullmatch(numeral)
    if not numeral or match is None:
        return None
    value = sum(
        _DIGITS.get(match[name], 1) * size
        for name, size in _SCALES.items()
        if match[name] is not None
    )
    ones = match["个"]
    if ones is None:
        return value
    before = numeral[-2:-1]
    # 一百五 is 150: without 零 the last digit counts the next lower scale.
    return value + _DIGITS[ones] * (_SCALES[before] // 10 if before in {"百", "千"} else 1)
