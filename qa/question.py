"""A question as typed, and its history, into what is searched and what would answer it.

Normalises nothing that a person reads; matching forms are made by the index's own `normalize`.
Knows no document: whether the documents meet the question is refuse.py's business.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from enum import StrEnum

from errors import BadQuestionError, LongQuestionError
from index.words import normalize
from qa.comparison import compared
from qa.gazetteer import PLACE, place_level
from schema import BlockKind, History

_FOLLOW_UP_TURNS = 8  # questions looked back on; a subject older than that is forgotten
_SHORT = 12  # characters; a question this short in a conversation leans on what came before
_PARTS_MAX = 3


class Kind(StrEnum):
    """What sort of answer is asked for."""

    NUMBER = "number"
    DATE = "date"
    PERSON = "person"
    ORGANISATION = "organisation"
    PLACE = "place"
    LIST = "list"
    DEFINITION = "definition"
    REASON = "reason"
    MANNER = "manner"
    COMPARISON = "comparison"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Question:
    """A question understood."""

    text: str  # cleaned; what is shown
    standalone: str  # with what a follow-up leaves out; what is searched
    focus: str  # the part that is new in a follow-up, otherwise all of `standalone`
    kind: Kind
    unit: str | None  # measure word after 多少 or 几: 家, 项, 亿元
    counted: str | None  # what stands behind it: 企业 in 多少家企业
    years: tuple[str, ...]  # four-digit years that the answer must be about
    target: BlockKind | None  # byline, caption or title, where one of these is asked for
    yes_no: bool = False  # yes or no would do: 是不是, 是否, 有没有, 吗

    @property
    def is_follow_up(self) -> bool:
        """Whether the history was needed to understand it."""
        return self.standalone != self.focus


def clean(text: str) -> str:
    """The question without control characters, markup tags and surplus white space."""
    kept = "".join(
        " " if unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp", "Co", "Cn", "Cs"} else c
        for c in text
    )
    return re.sub(r"\s+", " ", re.sub(r"</?[A-Za-z][^<>]{0,200}>", " ", kept)).strip()


def has_words(text: str) -> bool:
    """Whether there is a letter, Han character or digit at all."""
    return any(unicodedata.category(c)[0] in "LN" for c in text)


def understand(raw: str, history: History, max_chars: int) -> Question:
    """What is asked.

    Args:
        raw: as typed.
        history: earlier turns, oldest first.
        max_chars: longest question accepted, in code points.

    Raises:
        BadQuestionError: nothing typed.
        LongQuestionError: more than `max_chars`.
    """
    if len(raw) > max_chars:
        raise LongQuestionError(len(raw), max_chars)
    text = clean(raw)
    if not text:
        raise BadQuestionError("empty question", "请先输入一个问题。")
    earlier = [clean(turn.content)[:max_chars] for turn in history if turn.role == "user"]
    earlier = [question for question in earlier if has_words(question) and not small_talk(question)]
    if not earlier:
        return _describe(text, standalone=text, focus=text)
    if not leans_on_history(text):
        plain = _OPENING.sub("", text)
        return _describe(text, standalone=plain, focus=plain)
    if name := _answered_name(text, earlier[-1], history):
        return _describe(text, standalone=_PRONOUN.sub(name, text, count=1), focus=text)
    return _follow_up(text, earlier[-_FOLLOW_UP_TURNS:])


def reread(question: Question, standalone: str, focus: str) -> Question:
    """The same question with its spelling mended; what it asks for is looked up again.

    Args:
        question: as understood from what was typed.
        standalone: its `standalone`, mended.
        focus: its `focus`, mended.
    """
    if (standalone, focus) == (question.standalone, question.focus):
        return question
    own = _describe(question.text, standalone=standalone, focus=focus)
    if own.kind is Kind.OTHER:
        return replace(question, standalone=standalone, focus=focus)
    return replace(own, years=own.years or question.years)


# What makes a follow-up.
_OPENING = re.compile(r"^(?:那么?(?![曲坡里儿些])|还有|另外|然后|此外)[，,、\s]*")
_POINTING = re.compile(
    r"^(那(?![曲坡])|它|其|这|该|还有|另外|然后|此外|又|再(?!制造|生|就业|保险|融资)|折[合算成]|换算)|"
    r"(它|(?<!其)[他她]|这个|那个|这家|这项|这些|该项|该公司|该企业|此人|此事|上述|刚才)"
)
_ELLIPTIC = re.compile(r"呢[?？。!！\s]*$")
_QUOTED = re.compile(r"[“《「『][^”》」』]{2,}[”》」』]")
_HAN = "\u4e00-\u9fff"
# What a thing is, as its name ends; names of one row can stand for each other in a question.
_SORTS = {
    "area": "自贸试验区|自由贸易试验区|自贸区|试验区|片区|区块|板块|经开区|高新区|开发区|示范区|"
    "新区",
    "site": "科学城|产业园|科技园|工业园|园区|基地|机场|车站|码头|口岸|工厂|港区?(?!口)",
    "body": "公司|集团|银行|大学|学院|研究院|研究所|协会|法院|海关|医院|委员会|事务所",
    "event": "博览会|论坛|大会|年会|峰会|展会",
    "fund": "基金",
    "platform": "平台|系统|中心",
}
_IN_A_NAME = f"(?:(?![了的多几哪谁什么怎是有在由和与及等这那该此其它他各年月])[{_HAN}A-Za-z0-9+·-])"
_NAMED = {sort: re.compile(f"{_IN_A_NAME}{{2,14}}?(?:{suffix})") for sort, suffix in _SORTS.items()}
_NO_NAME = re.compile(r"^(?:首批|全部|所有|其他|其余|多个|每个|整个|一个|本|国际|国内|已经?.{0,4})")
# 总投资, 面积, 签约项目: asked of something else, so no subject of its own.
_ATTRIBUTE = re.compile(
    "(?:投资|面积|产值|时间|日期|地点|位置|作者|标题|人口|金额|数量|比例|占比|增速|增幅|名称|原因|"
    "目的|作用|成效|效果|意义|影响|内容|特点|措施|方面|部分|阶段|项目|企业|公司|家|单位|人员|人数|"
    "成果|仪式|活动|会议|收入|利润|成本|费用|价格|规模|进度|情况|[额量率数价费]|"
    "GDP|CPI|片区|园区|平台|政策|案例)$"
)
_SUBJECT = re.compile(
    r"^(?P<subject>[^，。；？?\s]{2,18}?)(?=的|是|有(?![色限机])|(?<!自)由|在|共(?![建同享和])|于|被|"
    r"将|已|多少|几|哪|谁|什么|啥|怎|咋|如何|为何|何时|总投资|投资|面积|占地|成立|获批|挂牌|建成|打造|引进)"
)


def leans_on_history(text: str) -> bool:
    """Whether a question in a conversation cannot stand alone: 那…呢, 其中, a dropped subject."""
    if _ELLIPTIC.search(text):
        return True
    rest = _OPENING.sub("", text)
    pointing = _POINTING.search(rest)
    if pointing:  # 甲公司的这个项目 points at nothing outside the question
        return not _names_something(rest[: pointing.start()])
    if small_talk(text):
        return False
    if rest != text:
        return not _names_something(rest) or _kind(rest) is Kind.OTHER
    return len(text) <= _SHORT and not _names_something(text)


# 平均每年涨, 比上年同期多, 一共换: when and how, of whatever was spoken of.
_NO_SUBJECT = re.compile(
    "(?:[比较跟和与]?(?:去年|上年|前年|今年|明年|同期|以前|之前|往年|过去|平均|每[年月天次家个]|一共|总共|"
    "总计|合计|最后|最终|后来|目前|现在|当时|大概|大约|具体|到底|究竟|又|还|也|再|都|整个|全部))+.{0,3}$"
)


def _names_something(text: str) -> bool:
    """Whether a question has a subject of its own: a quoted or proper name, or a long one."""
    if _QUOTED.search(text):
        return True
    if any(_name(pattern, text) for pattern in _NAMED.values()):
        return True
    subject = _subject(text)
    if subject is None or _is_general(subject) or _NO_SUBJECT.match(subject):
        return False
    return len(subject) >= 4 or PLACE.fullmatch(subject) is not None


def _name(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """The first proper name that the pattern finds; 首批园区 is none."""
    return next((m for m in pattern.finditer(text) if not _NO_NAME.match(m[0])), None)


def _subject(text: str) -> str | None:
    """What stands before the first verb or asking word, if that is clear."""
    match = _SUBJECT.match(_OPENING.sub("", text))
    return match["subject"] if match and not _ASKING.search(match["subject"]) else None


_OWNER = re.compile(
    r"^(?P<subject>[^，。；？?\s]{4,24}?)的[^的，。？?]{2,12}?"
    r"(?:是|有|达|为|多少|几|哪|谁|什么|何)"
)


def subject_of(question: Question) -> str | None:
    """Whose number, date or name is asked for, as far as the form tells: 甲 of 甲的面积是多少."""
    match = _OWNER.match(_OPENING.sub("", question.focus))
    return match["subject"] if match else _subject(question.focus)


def _is_general(subject: str) -> bool:
    """首批, 总投资, 签约项目: one of many things that could be meant."""
    named = any(_name(pattern, subject) for pattern in _NAMED.values())
    return bool(_NO_NAME.match(subject)) or (bool(_ATTRIBUTE.search(subject)) and not named)


def _follow_up(text: str, earlier: list[str]) -> Question:
    """A question read with those before it (oldest first, at least one)."""
    root, added = earlier[0], ""
    for question in earlier[1:]:
        if leans_on_history(question):
            root, added = _continued(root, added, question)
        else:
            root, added = _OPENING.sub("", question), ""
    asked = next((q for q in (text, added, root) if q and _kind(q) is not Kind.OTHER), text)
    root, added = _continued(root, added, text)
    described = _describe(text, standalone=f"{root} {added}".strip(), focus=text, asked=asked)
    kind = _attribute_kind(text) if asked != text else None
    if kind:  # 总投资呢 after 多少个项目 asks for a number, but not of 个
        described = replace(described, kind=kind, unit=None, counted=None)
    return replace(described, years=_years(text) or described.years)


_ATTRIBUTE_KINDS = (
    (Kind.DATE, re.compile(r"(?:时间|日期)$")),
    (Kind.PLACE, re.compile(r"(?:地点|位置)$")),
    (
        Kind.NUMBER,
        re.compile(r"(?:投资|面积|产值|人口|人数|增速|增幅|收入|利润|成本|费用|[额量率价费])$"),
    ),
)


def _attribute_kind(text: str) -> Kind | None:
    """What 总投资呢 asks for; None for 那乙呢."""
    core = _constraint(text) or ""
    return next((kind for kind, pattern in _ATTRIBUTE_KINDS if pattern.search(core)), None)


def _continued(root: str, added: str, text: str) -> tuple[str, str]:
    """The question that stands alone, and what is asked on top of it, after one more follow-up.

    那2023年呢 and 那乙片区呢 take the place of the year and the area in what was asked; 总投资呢
    comes on top.
    """
    core = _constraint(text)
    if core is not None:
        exchanged = exchange(root, core), exchange(added, core)
        if any(exchanged):
            return exchanged[0] or root, exchanged[1] or added
        if _TIME.fullmatch(core):
            return (root, core + added) if added else (core + root, "")
    owner = re.match(r"(?P<name>[^的]{2,16})的.", _OPENING.sub("", text))
    if owner and (_ASKING.search(owner["name"]) or _POINTING.search(owner["name"])):
        owner = None  # 它是谁设计的 names nobody
    if owner and (changed := exchange(root, owner["name"])):
        root = changed
    pointing = added and _POINTING.search(_OPENING.sub("", text))
    return root, f"{added} {text}" if pointing and " " not in added else text


_CLOSING = re.compile(r"(?:的话|的)?(?:呢|又?(?:怎么样|怎样|如何|咋样))?[?？。!！\s]*$")
_INSTEAD = re.compile(r"^(?:那么?|还有|要是|如果是?|换成|换作|改成|至于)[，,]?(?:换成|换作|在|是)?")


def _constraint(text: str) -> str | None:
    """乙 of 那乙呢, of 换成乙呢 and 乙呢; None where a follow-up asks something itself."""
    if not (_ELLIPTIC.search(text) or _INSTEAD.match(text)):
        return None
    core = _CLOSING.sub("", _INSTEAD.sub("", text)).strip()
    return core if len(core) >= 2 and _kind(core) is Kind.OTHER else None


_YEAR = r"(?:(?:19|20)\d\d年|今年|去年|前年|明年)"
_MONTH = r"(?:1[0-2]|0?[1-9])月份?"
_HALF = r"(?:[上下]半年|[前一二三四]+季度)"
_TIME = re.compile(rf"{_YEAR}(?:{_HALF}|{_MONTH})?|{_HALF}|{_MONTH}")
_TIMES = tuple(
    re.compile(sort)
    for sort in (rf"{_YEAR}(?:{_HALF}|{_MONTH})", _YEAR, _HALF, rf"(?<!\d){_MONTH}")
)


_ORDINAL = re.compile(r"首[批期届次]|第[一二三四五六七八九十\d]+[批期届次]")


def exchange(question: str, other: str) -> str | None:
    """The question with `other` in the place of its part of the same sort; None if it has none.

    Sorts are times, places of one level, names that end alike (片区, 公司, 基金) and, for anything
    else, the subject. With two parts of that sort nothing tells which one is meant.

    Example: 甲公司2024年的产值是多少？ and 2023年 -> 甲公司2023年的产值是多少？
    """
    if _TIME.fullmatch(other):
        for pattern in _TIMES:
            if pattern.fullmatch(other):
                return _put(question, pattern.findall(question), other)
    if _ORDINAL.fullmatch(other):
        return _put(question, _ORDINAL.findall(question), other)
    if place := re.fullmatch(rf"({PLACE.pattern})[省市县]?", other):
        level = place_level(place[1])
        same = [p for p in PLACE.findall(question) if place_level(p) == level]
        found = [f"{p}{s}" for p in same for s in "省市" if f"{p}{s}" in question] or same
        return _put(question, found, other)
    for pattern in _NAMED.values():
        if pattern.fullmatch(other):
            return _put(question, _names(pattern, question), other)
    return _with_subject(question, other)


def _names(pattern: re.Pattern[str], question: str) -> list[str]:
    """Names of one sort; of 甲省自贸试验区乙片区 the smaller one, 乙片区."""
    found = [match[0] for match in pattern.finditer(question) if not _NO_NAME.match(match[0])]
    return found[-1:] if len(found) > 1 and "".join(found) in question else found


def _put(question: str, found: list[str], other: str) -> str | None:
    if len(set(found)) != 1 or found[0] == other:
        return None
    return question.replace(found[0], other)


def _with_subject(question: str, other: str) -> str | None:
    """One product or person for another; not where one of them is a place, body or attribute."""
    subject = _subject(question)
    if subject is None or len(subject) < 3 or _is_of_a_sort(subject) or _is_of_a_sort(other):
        return None
    return other + _OPENING.sub("", question)[len(subject) :]


def _is_of_a_sort(name: str) -> bool:
    return bool(
        _ATTRIBUTE.search(name)
        or PLACE.search(name)
        or any(pattern.search(name) for pattern in _NAMED.values())
        or _TIME.search(name)
        or "的" in name
    )


_PRONOUN = re.compile(
    r"它|(?<!其)[他她](?!们)|此人|这位|这家(?:公司|企业|单位|机构)?|该(?:公司|企业|单位|机构|集团|市|地)"
)
_NAMED_KINDS = {
    Kind.PERSON: re.compile("[他她人位]"),
    Kind.ORGANISATION: re.compile("它|公司|企业|单位|机构|集团|家"),
    Kind.PLACE: re.compile("它|[市地]"),
}
_NAME_CHARS = 20  # an answer longer than this is a sentence, not a name


def _answered_name(text: str, question: str, history: History) -> str | None:
    """The name that a pronoun means, if the last question asked for it and names none itself.

    Example: after 谁做的？ 甲集团。 the pronoun of 它在哪里？ means 甲集团.
    """
    pronoun = _PRONOUN.search(text)
    fits = _NAMED_KINDS.get(_kind(question))
    answers = [clean(turn.content) for turn in history if turn.role == "assistant"]
    if not (pronoun and fits and answers and fits.search(pronoun[0])):
        return None
    if _names_something(question) and not (fits.search(pronoun[0]) and pronoun[0] not in "它"):
        return None
    answer = re.sub(r"\[\d+\]", "", answers[-1])
    if named := _QUOTED.search(answer) or _name(_NAMED["body"], answer):
        return named[0]
    name = re.split(r"[，。；、（(\s]", answer)[0]
    return name if 2 <= len(name) <= _NAME_CHARS else None


def parts(question: Question) -> list[Question]:
    """The questions inside one question; most are one.

    Example: 甲有多少？乙又是多少？ -> two; 甲的面积和乙的人口分别是多少？ -> 甲的面积是多少？ and
    乙的人口是多少？; of 甲在哪一年成立，投资多少？ the second is 甲投资多少？. A later part that
    names nothing of its own is read with the first, or with its subject where that is clear. Of
    甲的面积比乙大多少？ the parts are the areas of both.
    """
    if question.is_follow_up:
        return [question]
    pieces = [piece.strip() for piece in re.split(r"(?<=[？?])", question.standalone)]
    pieces = [piece for piece in pieces if has_words(piece)]
    if len(pieces) == 1 and question.kind in {Kind.COMPARISON, Kind.NUMBER}:
        pieces = compared(pieces[0])
    if len(pieces) == 1:
        pieces = _respectively(pieces[0])
    if len(pieces) == 1:
        pieces = _asked_in_a_row(pieces[0])
    if len(pieces) < 2:
        return [question]
    return [
        _later_part(piece, pieces[0])
        if number > 0 and leans_on_history(piece)
        else _describe(piece, standalone=piece, focus=piece)
        for number, piece in enumerate(pieces[:_PARTS_MAX])
    ]


def _later_part(piece: str, first: str) -> Question:
    """A part without a subject of its own, with that of the first part."""
    subject = _subject(first)
    if subject is None or _NO_NAME.match(subject) or _POINTING.search(piece):
        return _follow_up(piece, [first])
    return _describe(piece, standalone=subject + piece, focus=piece)


_ASKING = re.compile(
    r"多少|几[^乎何]|哪|谁|什么|啥|怎|咋|如何|为何|何[时地处]|多[久大高长远快]|是否|是不是|有没有"
)
_BETWEEN = re.compile(r"[，,；;]\s*(?:以及|还有|同时|并且?|而|又)?|以及|还有|(?<=[多少])和")


def _asked_in_a_row(text: str) -> list[str]:
    """甲在哪一年成立，投资多少 -> two questions; a clause that asks nothing stays with the next."""
    pieces, start = [], 0
    for between in _BETWEEN.finditer(text):
        asks = _ASKING.search(text[start : between.start()])
        if asks and _ASKING.search(text[between.end() :]):
            pieces.append(text[start : between.start()] + "？")
            start = between.end()
    return [*pieces, text[start:]]


_RESPECTIVELY = re.compile(
    r"^(?P<first>.{2,}?)(?:[和与跟]|以及)(?P<second>.{2,}?)(?:分别|各自?)(?P<asked>.+)$"
)


_PARTED = re.compile(r"^(?P<owner>[^，,]{2,})[，,](?P<what>[^，,的]{0,8})$")


def _respectively(text: str) -> list[str]:
    """甲和乙的丙分别是多少 -> 甲的丙是多少, 乙的丙是多少; anything else stays one question."""
    match = _RESPECTIVELY.match(text)
    if match is None:
        return [text]
    second, asked = match["second"], match["asked"]
    if parted := _PARTED.match(second):  # 甲和乙，面积各是多少; 甲图和乙图，分别是谁拍的
        owner, what = parted["owner"].removeprefix("其中"), parted["what"]
        link = "的" if what else ""
        return [f"{name}{link}{what}{asked}" for name in (*match["first"].split("、"), owner)]
    head = re.search(r"(?:这[两二三]\S{0,4})?(的[^的]+)$", second)
    if head is None:
        return [text]
    named = [*match["first"].split("、"), second] if "的" not in match["first"] else None
    if named is None:
        return [match["first"] + asked, second + asked]
    return [name + ("" if name is second else head[1]) + asked for name in named]


_SMALL_TALK = re.compile(
    r"^(你好|您好|hi|hello|嗨|哈[喽啰]|在吗|在么|早上好|早安|上午好|中午好|下午好|晚上好|晚安|"
    r"谢谢|多谢|感谢|辛苦了|再见|拜拜|你是谁|你叫什么|你叫什么名字|你能做什么|你会什么|你会做什么|"
    r"怎么用|如何使用|帮助|help|好的|ok|嗯+|哦+|哈+)(你|您|了|啊|呀|吗|呢|的|~)*$"
)


def small_talk(text: str) -> bool:
    """Whether this is a greeting, thanks or a question about the assistant itself."""
    return bool(_SMALL_TALK.match(re.sub(r"[\W_]+", "", normalize(text))))


def _any(*alternatives: str) -> re.Pattern[str]:
    """A pattern for any of the blank-separated alternatives."""
    return re.compile("|".join(" ".join(alternatives).split()))


# Tried in order: the first that matches decides.
_KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    (
        Kind.COMPARISON,
        _any(
            "谁更 哪[个家一座条项][^，。？?]{0,8}(更|比较)[多大高低小长短快慢早晚少]",
            "相差 差多少 差了?几 差[别异距] 区别 异同 有(何|什么|啥)(不同|不一样|两样)",
            # 同比, 占比 and 比去年 belong to one figure that the text gives as it is.
            "(?<![同环占对相])比(?![例重较如值率亚去前上同以过原往此])[^，。？?]{1,20}"
            "[多少高低大小长短快慢早晚](了|出)?(多少|几|吗|么)",
            "[和与跟同](?!去年|上年|前年|同期|以往|过去|之前|原来|\\d)[^，。？?]{1,20}相比"
            "[^。？?]{0,12}(谁|哪|如何|怎|什么|啥)",
        ),
    ),
    (
        Kind.LIST,
        _any(
            "哪些 分别 哪[两二三四五六七八九十几\\d]+[^年月日天号]",
            "包[括含](什么|啥) 都有(什么|啥|谁)",
        ),
    ),
    (
        Kind.REASON,
        _any("为什么 为何 为啥 原因 缘故 缘何 怎么会 咋会 咋就 凭什么 凭啥 图啥 因为(什么|啥)"),
    ),
    (
        Kind.DATE,
        _any(
            "哪一?年 哪一?[天日] 哪个?月 几月 几号 几日 几几年 何[时年] 日期 年份",
            "什么时[候间侯] 啥时[候间侯]? 多早 [哪多]会儿 哪个?时候 几点(钟|开|结束|到|[?？]|$)",
        ),
    ),
    (
        Kind.NUMBER,
        _any(
            "多少 (?<![那这好头前后十上下近])几[^乎何] 第几 占比 比例 金额 数量 增[长幅]了?多",
            r"多[久大高长快重远宽深] [=＝]\s*[?？] 啥价 什么价 价[钱格]",
        ),
    ),
    (
        Kind.ORGANISATION,
        _any(
            "哪一?[家个][^市省县国地]{0,4}(企业|公司|单位|机构|部门|银行|集团|厂)",
            "(什么|啥)(企业|公司|单位|机构|部门|银行|集团) 谁家 哪家 哪个片区",
        ),
    ),
    (
        Kind.PLACE,
        _any(
            "哪[里儿] 哪块 在哪 何[处地] 哪个?[国省市县区地州镇] 哪个(城市|地方)",
            "(什么|啥)(地方|位置) 在那[里儿][?？]",
        ),
    ),
    (Kind.PERSON, _any("谁 哪位 哪个人 何人 什么人 啥人 作者 署名")),
    (
        Kind.DEFINITION,
        _any(
            "什么是 何谓 啥叫 啥是 是个?(什么|啥) 指(什么|啥) (什么|啥)意思 是怎么回事 指的是 定义",
            "[干做](什么|啥|嘛|吗)的",
        ),
    ),
    (
        Kind.MANNER,
        _any(
            "怎么 怎样 如何 咋 什么(办法|方式|方法|手段|措施|作用|影响|意义) 靠(什么|啥)",
            "啥(办法|法子|招|用) 什么(法子|招) 有(什么|啥)用 能干(什么|啥|嘛) 用啥",
        ),
    ),
)
_COUNTING = {Kind.NUMBER, Kind.COMPARISON}
_YES_NO = _any(
    "是不是 是否 有没有 有无 能不能 会不会 可不可以 能否 可否 对不对 (?<!干)[吗嘛][?？。!！\\s]*$"
)
# A measure word, unless it begins a longer word: 多少项 but not 多少项目, 多少年 but not 多少年度.
_UNIT = re.compile(
    r"(?:多少|第?几)\s*(?P<unit>(?:千万|百万|[十百千万亿]+)?(?:平方公里|平方米|公里|人次|标箱|欧元|"
    r"美元|个?百分点|个月|小时|分钟|项(?!目)|年(?![度均产底初龄轻])|天(?!然)|单(?!位)|"
    r"人(?![才员口数民])|件(?!事)|日(?!元)|期(?!间)|号(?!码)|部分|倍|秒|笔|款(?!项)|场(?![所地景馆])|"
    r"[个家条元次名位座台辆吨米亩月份种类批只支所届岁宗艘架户篇连]))"
    r"(?P<counted>[\u4e00-\u9fff]{2})?"
)
_TARGETS: tuple[tuple[BlockKind, re.Pattern[str]], ...] = (
    (
        "caption",
        _any(
            "(照片|图片|图|相片|摄影).{0,12}(谁|拍|摄|供) [拍摄]的.{0,4}(什么|啥|哪)",
            "(谁|哪位).{0,6}(拍|照的|摄) 图片说明",
        ),
    ),
    ("byline", _any("作者 记者 署名 撰稿 通讯员 谁撰?写 执笔")),
    ("title", _any("标题 题目 文章名 篇名")),
)


def _kind(text: str) -> Kind:
    plain = normalize(text)
    return next((kind for kind, pattern in _KINDS if pattern.search(plain)), Kind.OTHER)


def _describe(text: str, *, standalone: str, focus: str, asked: str = "") -> Question:
    """Kind, unit and constraints of one question, looked up in `asked` or else in `focus`."""
    plain = normalize(asked or focus)
    kind = _kind(plain)
    unit = _UNIT.search(plain)
    return Question(
        text=text,
        standalone=standalone,
        focus=focus,
        kind=kind,
        unit=unit["unit"] if unit and kind in _COUNTING else None,
        counted=unit["counted"] if unit and kind in _COUNTING else None,
        years=_years(standalone),
        target=next((block for block, pattern in _TARGETS if pattern.search(plain)), None),
        yes_no=bool(_YES_NO.search(plain)),
    )


def _years(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"(?<!\d)((?:19|20)\d\d)\s*年", normalize(text)))
