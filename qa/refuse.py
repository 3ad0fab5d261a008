"""When not to answer, and what to say instead.

Plain cases first (no words, small talk, nothing found), then what the question demands and the
evidence certainly lacks (demands.py: a place, a name, a year, an action), last one calibrated
confidence. Declining is a result; it always says why in a clause.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

from errors import SettingsError
from index.protocols import Generation
from index.words import normalize
from qa.compose import asks_for_expression, completion, supporting
from qa.demands import (
    DEMAND_FEATURES,
    SURNAMES,
    DemandKind,
    Severity,
    demand_features,
    is_noun,
    names_in,
    unmet,
)
from qa.expressions import FITS, offers
from qa.question import Kind, Question, has_words, small_talk, subject_of
from qa.ranker import UNREAD, Evidence

CONFIDENCE_FILE = Path(__file__).with_name("confidence.json")

NO_WORDS = "请用文字提一个问题，例如文章里的某个数字、时间、人物或做法。"
SMALL_TALK = (
    "您好，我只根据已收录的文章回答问题，可以问我文章里的数字、时间、人物、机构、做法和原因。"
)
NOT_A_QUESTION = "我只根据已收录的文章回答问题，不能代写、翻译或聊天，请问一个文章里的内容。"
NOTHING_FOUND = "文中没有找到能回答这个问题的内容。"


_TASK = re.compile(
    r"(请|麻烦)?(你|您)?(帮我|给我|替我|为我)?"
    r"((写|画|编|唱)(一?[个首篇段点张幅]|出|成)|翻译|(讲|说)一?个.{0,4}(笑话|故事))"
)


_CERTAIN = 0.5  # of the reader's scale: some hundred to one for its answer, in whatever words
_BELIEVED = -0.3  # of the reader's scale: about one to twenty against
UNMET = 0.02  # confidence at most, where a demand is certainly not met


@dataclass(frozen=True)
class Grounds:
    """Why a question is not answered."""

    reason: str
    text: str  # one polite Chinese sentence


def plain_refusal(question: Question) -> Grounds | None:
    """Cases that need no search."""
    if not has_words(question.text):
        return Grounds("no_words", NO_WORDS)
    if small_talk(question.text):
        return Grounds("small_talk", SMALL_TALK)
    if _TASK.match(normalize(question.text)):
        return Grounds("not_a_question", NOT_A_QUESTION)
    return None


def unmet_demand(
    question: Question, ranked: list[Evidence], generation: Generation
) -> Grounds | None:
    """What the question demands and the evidence certainly does not meet, if anything."""
    if not ranked:
        return None
    if _off_topic(question, ranked[0]):
        return Grounds("nothing_found", NOTHING_FOUND)
    if (lacking := _lacks_form(question, ranked, generation)) is not None:
        return lacking
    if question.is_follow_up and _on_nothing_new(question, ranked[0], generation):
        return Grounds("off_topic", NOTHING_FOUND)
    for one in unmet(question, supporting(question, ranked), generation):
        if one.severity is Severity.HARD:
            return Grounds(f"unmet_{one.demand.kind}", f"{one.reason_zh}。")
    if (subject := _passed_over(question, ranked, generation)) is not None:
        return Grounds("other_subject", f"文中没有给出“{subject}”的相应内容。")
    if asks_for_expression(question) and not _has_expression(question, ranked):
        wanted = "时间" if question.kind is Kind.DATE else "数字"
        return Grounds("no_expression", f"文中提到了相关内容，但没有给出所问的{wanted}。")
    return None


_OFFICE = (
    "负责人|主任|局长|书记|董事长|总经理|总裁|创始人|老板|法人代表|法定代表人|会长|院长|校长|市长|"
    "省长|区长|县长|经理|厂长|站长|行长"
)
# 负责人姓什么, 局长是谁, 创始人叫什么名字: only a person's name answers.
_NAME_OF_A_PERSON = re.compile(
    rf"姓什么|姓啥|贵姓|姓甚名谁|(?:{_OFFICE})[^，。？?]{{0,4}}(?:是谁|是哪位|叫什么|叫啥|名字|姓名)"
)
_HOLDER = re.compile(rf"(?:{_OFFICE})[{SURNAMES}][\u4e00-\u9fff]{{1,2}}")
_CURRENCIES = {
    "人民币": r"(?<![欧美日港澳韩])元",
    "美元": "美元",
    "欧元": "欧元",
    "港元": "港元|港币",
    "港币": "港元|港币",
    "日元": "日元",
}
_CONVERTED = re.compile(
    r"(?:折合?|换算?|兑换?|相当于)(?:成|为|算成?)?[^，。？?]{0,6}?(?P<currency>"
    + "|".join(_CURRENCIES)
    + ")"
)


def _lacks_form(
    question: Question, ranked: list[Evidence], generation: Generation
) -> Grounds | None:
    """A person's name or an amount in one currency asked for, and none in what is cited."""
    asked = normalize(question.focus)
    person, converted = _NAME_OF_A_PERSON.search(asked), _CONVERTED.search(asked)
    if person is None and converted is None:
        return None
    told = [normalize(one.text) for one in supporting(question, ranked)]
    if person and not any(_names_a_person(text, generation) for text in told):
        return Grounds("no_person", "文中提到了相关内容，但没有给出所问的人名。")
    if converted and not any(re.search(_CURRENCIES[converted["currency"]], text) for text in told):
        return Grounds("no_currency", f"文中没有以{converted['currency']}给出的金额。")
    return None


def _names_a_person(text: str, generation: Generation) -> bool:
    named = names_in(text, generation.tokenizer)
    return bool(_HOLDER.search(text)) or any(name.kind is DemandKind.PERSON for name in named)


def _off_topic(question: Question, best: Evidence) -> bool:
    """Whether the best sentence can have nothing to do with the question.

    The reader is not certain of its answer, and its passage shares neither a word nor a pair of
    characters with the question, or it is a caption, heading or by-line that nobody asked for and
    the reader finds nothing in.
    """
    if question.target is not None or best.features["reader"] >= _CERTAIN:
        return False
    if best.sentence.kind != "body" and best.features["reader"] <= _BELIEVED:
        return True
    return not any(best.features[name] for name in ("words", "bigrams", "around"))


def _on_nothing_new(question: Question, best: Evidence, generation: Generation) -> bool:
    """Whether a follow-up brings words of its own and the best passage has none of them.

    Then it was found by the history alone: 今天天气怎么样 after a question about a project. Only
    nouns tell of a subject: what one does (搞, 砸) is said in everyday words that a text has not.
    """
    own = generation.tokenizer.words(question.focus)
    passage = normalize(best.passage.chunk.search_text)
    if any(word in passage for word in own):
        return False
    whole = [word for word in own if not any(word in other and word != other for other in own)]
    return any(is_noun(word) for word in whole)


_OWNED = {Kind.NUMBER, Kind.DATE, Kind.PLACE, Kind.PERSON}
_NAME_CHARS = 5  # a shorter subject is as often a common word
_BEFORE = 200  # characters before a sentence in which its subject may have been named


def _passed_over(question: Question, ranked: list[Evidence], generation: Generation) -> str | None:
    """The subject that other passages found name in full and the best one not even in part."""
    subject = normalize(subject_of(question) or "")
    if question.kind not in _OWNED or len(subject) < _NAME_CHARS or question.is_follow_up:
        return None
    passages = {one.passage.chunk_id: one.passage.chunk.search_text for one in ranked}
    if not any(subject in normalize(text) for text in passages.values()):
        return None
    best = ranked[0]
    around = normalize(best.passage.chunk.search_text)
    article = generation.table.article(best.passage.chunk.doc)
    if article is not None:
        start = best.passage.chunk.span.start
        around += normalize(article.text[max(0, start - _BEFORE) : start])
    pairs = [subject[i : i + 2] for i in range(len(subject) - 1)]
    return subject if sum(pair in around for pair in pairs) < len(pairs) / 2 else None


def _has_expression(question: Question, ranked: list[Evidence]) -> bool:
    """Whether a number or date stands in the best sentence or completes it.

    With what the reader believes in, a number of another unit may be meant (人次 for 人), or a
    date in a form that is not known here.
    """
    if ranked[0].features["reader"] > _BELIEVED:
        return True
    return offers(question, ranked[0].text) >= FITS or completion(question, ranked) is not None


CONFIDENCE_FEATURES = (
    "bias",
    "cosine",
    "words",
    "bigrams",
    "near",
    "around",
    "type",
    "target",
    "lead",  # how far the best sentence is ahead of the next
    "reader",
    "reader_lead",  # the same of the reader's scores alone
    *DEMAND_FEATURES,
)


@dataclass(frozen=True)
class Confidence:
    """Probability that the best evidence answers, by logistic regression; its refusal threshold."""

    weights: dict[str, float]
    threshold: float

    @classmethod
    def load(cls, refused_answerable: float, path: Path = CONFIDENCE_FILE) -> Confidence:
        """The fitted model that ships with the project.

        Args:
            refused_answerable: share of answerable questions that the threshold may refuse; one of
                the shares that the model was fitted with.
            path: the model's file.

        Raises:
            SettingsError: there is no threshold for that share.
        """
        stored = json.loads(path.read_text("utf-8"))
        weights: dict[str, float] = stored["weights"]
        if set(weights) != set(CONFIDENCE_FEATURES):
            raise ValueError(f"{path}: weights for {sorted(weights)}")
        thresholds = {float(share): value for share, value in stored["thresholds"].items()}
        if refused_answerable not in thresholds:
            choices = "、".join(str(share) for share in sorted(thresholds))
            raise SettingsError(
                f"no threshold for refused_answerable = {refused_answerable}",
                f"设置项 refused_answerable 只能是 {choices} 之一。",
            )
        return cls(weights, thresholds[refused_answerable])

    def of(self, question: Question, ranked: list[Evidence], generation: Generation) -> float:
        """0 to 1; 0 without evidence."""
        if not ranked:
            return 0.0
        features = confidence_features(question, ranked, generation)
        score = sum(self.weights[name] * value for name, value in features.items())
        return 1 / (1 + math.exp(-score))


def confidence_features(
    question: Question, ranked: list[Evidence], generation: Generation
) -> dict[str, float]:
    """By name, in the order of CONFIDENCE_FEATURES; `ranked` must not be empty."""
    best = ranked[0]
    others = [other for other in ranked[1:] if other.text != best.text]
    read = max((other.features["reader"] for other in others), default=UNREAD)
    return {
        "bias": 1.0,
        "cosine": best.features["cosine"],
        "words": best.features["focus"],
        "bigrams": best.features["bigrams"],
        "near": best.features["near"],
        "around": best.features["around"],
        "type": best.features["type"],
        "target": best.features["target"],
        "lead": min(3.0, best.score - others[0].score) if others else 3.0,
        "reader": best.features["reader"],
        "reader_lead": best.features["reader"] - read,
        **demand_features(question, supporting(question, ranked), generation),
    }
