"""Dates and names as Chinese articles print them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

from corpus.chars import HAN

# The hundred-odd most frequent family names cover some 95 % of people; compound ones come first.
_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏"
    "吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严"
    "覃武戴莫孔向汤舒易涂祝葛乔阮柯凌詹倪鲁耿齐温辛管翟俞章梅盛童聂焦柳邢岳骆娄左庄申牛颜关欧卞卓"
    "鲍殷施穆项甘翁祁房屈邬苗佟晏敖冉卜伍仇裴席巫虞柏窦阎"
    "張劉陳楊黃趙吳馬許韓馮鄧蕭呂盧鐘譚陸賈韋鄒閻龍賀顧龔萬錢嚴湯齊關歐莊駱"
)
NAME = rf"(?:(?:欧阳|上官|诸葛|司马|夏侯|皇甫|令狐)[{HAN}]{{1,2}}|[{_SURNAMES}][{HAN}]{{1,2}})"
_ROLE_WORD = "记者|通讯员|作者|编辑|摄影|报道|摄"
_ANY_NAME = rf"(?!{_ROLE_WORD})[{HAN}]{{2,4}}(?:·[{HAN}]{{1,8}})*"
_ROLE = (
    rf"(?:[{HAN}]{{0,8}}[报网刊台社闻线])?(?:全媒体|融媒体|见习|实习|特约|首席)*"
    r"(?:记者|通讯员|撰文|撰稿|作者|文字)"
)
_SEPARATOR = r"[\s、，,;；和&]+"
_CREDITED = re.compile(
    rf"(?:{_ROLE}|文\s?[/／丨|])\s*[:：丨|/]?\s*(?P<names>{_ANY_NAME}(?:{_SEPARATOR}{_ANY_NAME})*)"
)
_OTHER_CREDITED = re.compile(
    r"(?:图|摄影|(?:责任)?编辑|责编|校对|来源|审核|监制)\s?[/／:：丨|]?"
    rf"\s*[{HAN}A-Za-z]{{2,15}}(?:{_SEPARATOR}[{HAN}]{{2,3}}(?![{HAN}]))*"
)
_BESIDE_CREDITS = re.compile(r"[\s、，,|｜/（()）【】\[\]]|摄影|报道|摄")
_NAMES_ONLY = re.compile(rf"(?P<open>[（(])?{NAME}(?:[\s、]+{NAME}){{0,4}}(?(open)[)）])")
# 中新网杭州8月11日电(鲍梦妮), （记者张辉、通讯员郑轩）, 【环球网报道 记者 徐嘉莅】
_BRACKETED = re.compile(
    r"(?P<dateline>[电讯]\s*)?[（(【](?P<inside>[^（()）【】，。]{2,40})[)）】]"
)
_REPORTERS = re.compile(rf"{_ROLE}\s*[:：]?\s*(?P<names>{NAME}(?:{_SEPARATOR}{NAME})*)(?![{HAN}])")

_YEAR = r"(?P<year>(?:19|20)\d{2})"
_DAY = (
    rf"{_YEAR}\s*(?:年\s*(?P<month>1[0-2]|0?[1-9])\s*月(?:\s*(?P<day>3[01]|[12]\d|0?[1-9])\s*日)?"
    r"|(?P<mark>[-/.])(?P<month2>1[0-2]|0?[1-9])(?P=mark)(?P<day2>3[01]|[12]\d|0?[1-9])(?!\d))"
)
_DATE = re.compile(_DAY)
_CLOCK = r"(?:[T\s]*(?:[上下]午)?\s*\d{1,2}[:：时]\d{2}分?(?:[:：]\d{2})?)?"
_WEEKDAY = r"(?:\s*[（(]?(?:星期|周)[一二三四五六日天][)）]?)?"
_DATE_LINE = re.compile(
    r"(?:(?:发布|更新|发表|出版|成文|印发)?(?:时间|日期)?\s*[:：]?\s*)?[（(\[【]?\s*"
    rf"{_DAY}{_WEEKDAY}{_CLOCK}\s*[)）\]】]?(?:\s*(?:来源|作者)?\s*[:：]?\s*[{HAN}A-Za-z]{{0,12}})?"
)
# What crawlers put before the text: `来源：新华网 | 2023-08-01 15:10，正文：`
LEAD = re.compile(r"[^。！？；“”]{0,60}?正文\s*[:：]\s*")
_DATELINE = re.compile(
    rf"[{HAN}]{{2,14}}\s?(?P<month>1[0-2]|0?[1-9])月(?P<day>3[01]|[12]\d|0?[1-9])日\s?[电讯消]"
)
_BODY_YEAR = re.compile(r"(?<!\d)((?:19|20)\d{2})\s*年")
_AIM_BEFORE = re.compile(
    r"(?:到|至|力争|预计|争取|确保|计划|预期|展望|规划|目标|有望|截止|[-—~～])[^，。；、]{0,3}$"
)
_AIM_AFTER = re.compile(
    r"\s*年?(?:底|末|前|年底)?(?:前|之前|以前|远景|目标|[^，。；]{0,4}(?:将|力争|要建成))"
)


def parse_date(text: str) -> str | None:
    """The first full date in a text as ISO 8601, to the day or the month; None if there is none.

    `2023年8月1日` gives 2023-08-01, `2023年8月` gives 2023-08.
    """
    match = _DATE.search(text)
    return _iso(match) if match else None


def _iso(match: re.Match[str]) -> str | None:
    month = int(match["month"] or match["month2"])
    day = match["day"] or match["day2"]
    if day is None:
        return f"{match['year']}-{month:02d}"
    return _real_day(int(match["year"]), month, int(day))


def _real_day(year: int, month: int, day: int) -> str | None:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None


def is_date_line(text: str) -> bool:
    """Whether a line holds a date and nothing but its time, label and source."""
    return len(text) <= 50 and bool(_DATE_LINE.fullmatch(text.strip()))


def dateline(text: str, year: str | None) -> str | None:
    """`本报长沙3月30日讯` near the beginning of a text, completed with a year known otherwise."""
    match = _DATELINE.search(text[:120])
    if not match or year is None:
        return None
    return _real_day(int(year), int(match["month"]), int(match["day"]))


def latest_year(text: str, not_after: int) -> str | None:
    """The latest year that a text writes about as past or present, 1980 or later.

    Years that the text aims at (到2023年, 力争2030年前) do not count, nor any after `not_after`.
    """
    years = [
        int(match.group(1))
        for match in _BODY_YEAR.finditer(text)
        if not _AIM_BEFORE.search(text, max(0, match.start() - 8), match.start())
        and not _AIM_AFTER.match(text, match.end())
    ]
    return str(max((year for year in years if 1980 <= year <= not_after), default="")) or None


def is_byline(text: str) -> bool:
    """Whether a whole line credits authors, editors or a source by their role."""
    if len(text) > 60:
        return False
    rest = _OTHER_CREDITED.sub("", _CREDITED.sub("", text))
    return rest != text and not _BESIDE_CREDITS.sub("", rest)


def is_names(text: str) -> bool:
    """Whether a line holds one to five Chinese names and nothing else."""
    return len(text) <= 24 and bool(_NAMES_ONLY.fullmatch(text.strip()))


def authors(line: str) -> str | None:
    """Names in a by-line, joined by 、; None if it only credits editors or a source."""
    if is_names(line):
        return _joined([line.strip("（()） ")])
    return _joined([match["names"] for match in _CREDITED.finditer(line)])


def inline_authors(text: str) -> str | None:
    """Names in the brackets of a dateline: `（记者 王曦）` in the first sentence."""
    names: list[str] = []
    for match in _BRACKETED.finditer(text[:150]):
        if match["dateline"] and is_names(match["inside"]):
            names.append(match["inside"])
        names += [found["names"] for found in _REPORTERS.finditer(match["inside"])]
    return _joined(names)


def _joined(names: Sequence[str]) -> str | None:
    return "、".join(name for name in re.split(_SEPARATOR, " ".join(names)) if name) or None
