"""A question as typed, and its history, into what is searched and what would answer it.

Normalises nothing that a person reads; matching forms are made by the index's own `normalize`.
Knows no document: whether the documents meet the question is refuse.py's business.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from errors import BadQuestionError
from index.words import normalize
from schema import BlockKind, History

_FOLLOW_UP_TURNS = 2  # a subject is rarely carried over more than two questions
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
        BadQuestionError: nothing typed, or more than `max_chars`.
    """
    if len(raw) > max_chars:
        raise BadQuestionError(
            f"question of {len(raw)} characters", f"问题太长了，请控制在 {max_chars} 个字以内。"
        )
    text = clean(raw)
    if not text:
        raise BadQuestionError("empty question", "请先输入一个问题。")
    earlier = [clean(turn.content)[:max_chars] for turn in history if turn.role == "user"]
    earlier = [question for question in earlier if has_words(question) and not small_talk(question)]
    if earlier and leans_on_history(text):
        return _follow_up(text, earlier)
    return _describe(text, standalone=text, focus=text)


_POINTING = re.compile(
    r"^(那|它|其|这|该|还有|另外|然后|此外|又|再)|(它|这个|那个|该项|他们|此事|上述)"
)
_ELLIPTIC = re.compile(r"呢[?？。!！\s]*$")
_NAMES = re.compile(r"[“《「『][^”》」』]{2,}[”》」』]")


def leans_on_history(text: str) -> bool:
    """Whether a question in a conversation cannot stand alone: 那…呢, 其中, a dropped subject."""
    if _POINTING.search(text) or _ELLIPTIC.search(text):
        return True
    return len(text) <= _SHORT and not _NAMES.search(text) and not small_talk(text)


def _follow_up(text: str, earlier: list[str]) -> Question:
    """Put the questions that this one leans on before it."""
    chain = [earlier[-1]]
    for question in reversed(earlier[:-1]):
        if len(chain) == _FOLLOW_UP_TURNS or not leans_on_history(chain[0]):
            break
        chain.insert(0, question)
    own = _describe(text, standalone=text, focus=text)
    described = own
    if own.kind is Kind.OTHER:  # 那…呢 asks again what was asked before
        described = _describe(chain[-1], standalone=text, focus=text)
    return Question(
        text=text,
        standalone=" ".join([*chain, text]),
        focus=text,
        kind=described.kind,
        unit=described.unit,
        counted=described.counted,
        years=own.years or tuple(year for part in chain for year in _years(part)),
        target=described.target,
    )


def parts(question: Question) -> list[Question]:
    """The questions inside one question; most are one.

    Example: 甲有多少？乙又是多少？ -> two; 甲的面积和乙的人口分别是多少？ -> 甲的面积是多少？ and
    乙的人口是多少？. A later part that names nothing of its own is read with the first before it.
    """
    if question.is_follow_up:
        return [question]
    pieces = [piece.strip() for piece in re.split(r"(?<=[？?])", question.text)]
    pieces = [piece for piece in pieces if has_words(piece)]
    if len(pieces) == 1:
        pieces = _respectively(pieces[0])
    if len(pieces) < 2:
        return [question]
    return [
        _follow_up(piece, pieces[:1])
        if number > 0 and leans_on_history(piece)
        else _describe(piece, standalone=piece, focus=piece)
        for number, piece in enumerate(pieces[:_PARTS_MAX])
    ]


_RESPECTIVELY = re.compile(
    r"^(?P<first>.{2,}?)[和与跟](?P<second>.{2,}?)(?:分别|各自?)(?P<asked>.+)$"
)


def _respectively(text: str) -> list[str]:
    """甲和乙的丙分别是多少 -> 甲的丙是多少, 乙的丙是多少; anything else stays one question."""
    match = _RESPECTIVELY.match(text)
    if match is None:
        return [text]
    first, second, asked = match["first"], match["second"], match["asked"]
    head = re.search(r"(?:这[两二]\S{0,4})?(的[^的]+)$", second)
    if head is None:
        return [text]
    if "的" not in first:
        first += head[1]
    return [first + asked, second + asked]


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
    (Kind.LIST, _any(r"哪些 分别 哪[两二三四五六七八九十几\d]+[^年月日天号] 包[括含]什么")),
    (
        Kind.DATE,
        _any(
            "哪一?年 哪一?[天日] 哪个?月 几月 几号 几日 何[时年] 日期 年份",
            "什么时[候间侯] 啥时候? 多早 哪个?时候",
        ),
    ),
    (Kind.REASON, _any("为什么 为何 为啥 原因 缘何 怎么会 凭什么")),
    (
        Kind.NUMBER,
        _any(
            "多少 几[^乎何] 第几 占比 比例 金额 数量 增[长幅]了?多",
            r"多[久大高长快重远] [=＝]\s*[?？]",
        ),
    ),
    (
        Kind.ORGANISATION,
        _any(
            "哪一?[家个][^市省县国地]{0,4}(企业|公司|单位|机构|部门|银行|集团)",
            "谁家 哪家 哪个片区",
        ),
    ),
    (Kind.PLACE, _any("哪[里儿] 在哪 何[处地] 哪个?[国省市县区地州镇] 哪个(城市|地方)")),
    (Kind.PERSON, _any("谁 哪位 何人 什么人 作者 署名")),
    (
        Kind.DEFINITION,
        _any("什么是 何谓 是什么 指什么 什么意思 是怎么回事 是啥 指的是 定义"),
    ),
    (
        Kind.MANNER,
        _any("怎么 怎样 如何 咋 什么(办法|方式|方法|手段|措施|作用|影响|意义) 靠什么"),
    ),
)
# A measure word, unless it begins a longer word: 多少项 but not 多少项目, 多少年 but not 多少年度.
_UNIT = re.compile(
    r"(?:多少|第?几)\s*(?P<unit>(?:千万|百万|[十百千万亿]+)?(?:平方公里|公里|人次|标箱|欧元|美元|"
    r"项(?!目)|年(?![度均产底初龄轻])|天(?!然)|单(?!位)|人(?![才员口数民])|件(?!事)|日(?!元)|"
    r"期(?!间)|号(?!码)|部分|[个家条元次名位座台辆吨米亩月份种类批只支所届倍岁宗艘架户篇连]))"
    r"(?P<counted>[\u4e00-\u9fff]{2})?"
)
_TARGETS: tuple[tuple[BlockKind, re.Pattern[str]], ...] = (
    (
        "caption",
        _any(
            "(照片|图片|图|相片|摄影).{0,12}(谁|拍|摄|供)",
            "(谁|哪位).{0,6}(拍|照的|摄) 图片说明",
        ),
    ),
    ("byline", _any("作者 记者 署名 撰稿 通讯员 谁撰?写 执笔")),
    ("title", _any("标题 题目 文章名 篇名")),
)


def _describe(text: str, *, standalone: str, focus: str) -> Question:
    """Kind, unit and constraints of one question."""
    plain = normalize(text)
    kind = next((kind for kind, pattern in _KINDS if pattern.search(plain)), Kind.OTHER)
    unit = _UNIT.search(plain)
    return Question(
        text=text,
        standalone=standalone,
        focus=focus,
        kind=kind,
        unit=unit["unit"] if unit and kind is Kind.NUMBER else None,
        counted=unit["counted"] if unit and kind is Kind.NUMBER else None,
        years=_years(text),
        target=next((block for block, pattern in _TARGETS if pattern.search(plain)), None),
    )


def _years(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"(?<!\d)((?:19|20)\d\d)\s*年", normalize(text)))
