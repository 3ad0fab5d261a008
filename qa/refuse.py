"""When not to answer, and what to say instead.

Plain cases first (no words, small talk, nothing found), then the checks on what the question
demands (a place or an institution that no document names, a year the evidence is not about), last
one calibrated confidence. Declining is a result; it always says why in a clause.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

from errors import SettingsError
from index.generation import Generation
from index.words import normalize
from qa.compose import asks_for_expression, completion
from qa.expressions import FITS, offers
from qa.gazetteer import places_in
from qa.question import Kind, Question, has_words, small_talk
from qa.ranker import Evidence

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
    """What the question demands and the evidence does not meet, if anything."""
    if unknown := unknown_names(question.text, generation):
        names = "、".join(f"“{name}”" for name in unknown)
        return Grounds("unknown_name", f"文中没有提到{names}，无法回答这个问题。")
    if not ranked:
        return None
    if question.is_follow_up and _on_nothing_new(question, ranked[0], generation):
        return Grounds("off_topic", NOTHING_FOUND)
    if question.target == "caption" and not has_credit(ranked[0]):
        return Grounds("no_credit", "文中的这张图片没有署名，看不出是谁拍摄的。")
    if asks_for_expression(question) and not _has_expression(question, ranked):
        wanted = "时间" if question.kind is Kind.DATE else "数字"
        return Grounds("no_expression", f"文中提到了相关内容，但没有给出所问的{wanted}。")
    if missing := sorted(set(question.years) - years_of(ranked[0])):
        return Grounds("other_year", f"文中没有{'、'.join(missing)}年的相应内容。")
    return None


def _on_nothing_new(question: Question, best: Evidence, generation: Generation) -> bool:
    """Whether a follow-up brings words of its own and the best passage has none of them.

    Then it was found by the history alone: 今天天气怎么样 after a question about a project.
    """
    own = generation.tokenizer.words(question.focus)
    passage = normalize(best.passage.chunk.search_text)
    return bool(own) and not any(word in passage for word in own)


def _has_expression(question: Question, ranked: list[Evidence]) -> bool:
    """Whether the number or date asked for stands in the best sentence or completes it."""
    return offers(question, ranked[0].text) >= FITS or completion(question, ranked) is not None


_QUOTED = re.compile(r"[“《「『]([^“”《》「」『』]{3,})[”》」』]")


def unknown_names(text: str, generation: Generation) -> list[str]:
    """Places and quoted names of the question that stand nowhere in the index.

    A quoted name counts as unknown only if none of its character pairs is known, so that a typo
    in it does not.
    """
    plain = normalize(text)
    places = [
        place
        for place in places_in(plain)
        if any(_frequency(pair, generation) == 0 for pair in generation.tokenizer.bigrams(place))
    ]
    names = [
        name
        for name in _QUOTED.findall(plain)
        if all(_frequency(pair, generation) == 0 for pair in generation.tokenizer.bigrams(name))
    ]
    return places + names


def _frequency(pair: str, generation: Generation) -> int:
    return generation.bigrams.document_frequency(pair)


_CREDIT = re.compile(r"摄|供图|图片?[:：]|[)）]?图$")


def has_credit(evidence: Evidence) -> bool:
    """Whether a caption says whose picture it is."""
    return evidence.sentence.kind == "caption" and bool(_CREDIT.search(evidence.text.strip()))


def years_of(evidence: Evidence) -> set[str]:
    """Years that a sentence can be about: written in its passage, or its article's own and 去年."""
    text = normalize(evidence.passage.chunk.search_text)
    years = set(re.findall(r"(?<!\d)(?:19|20)\d\d(?=\s*年)", text))
    if evidence.passage.date:
        own = int(evidence.passage.date[:4])
        years.add(str(own))
        if re.search(r"去年|上年|同年", text):
            years.add(str(own - 1))
    return years


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

    def of(self, ranked: list[Evidence]) -> float:
        """0 to 1; 0 without evidence."""
        if not ranked:
            return 0.0
        features = confidence_features(ranked)
        score = sum(self.weights[name] * value for name, value in features.items())
        return 1 / (1 + math.exp(-score))


def confidence_features(ranked: list[Evidence]) -> dict[str, float]:
    """By name, in the order of CONFIDENCE_FEATURES; `ranked` must not be empty."""
    best = ranked[0]
    second = next((other for other in ranked[1:] if other.text != best.text), None)
    return {
        "bias": 1.0,
        "cosine": best.features["cosine"],
        "words": best.features["focus"],
        "bigrams": best.features["bigrams"],
        "near": best.features["near"],
        "around": best.features["around"],
        "type": best.features["type"],
        "target": best.features["target"],
        "lead": min(3.0, best.score - second.score) if second else 3.0,
    }
