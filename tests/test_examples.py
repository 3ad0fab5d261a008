"""Example questions: each can be understood by somebody who has not read the documents."""

from __future__ import annotations

import pytest

from qa.examples import example_questions
from qa.expressions import find_numbers
from schema import Answer, Article, AskResult, DocumentSummary
from tests.fakes import article


class Knowing:
    """Answers every question with the number that the article has."""

    def __init__(self, text: str) -> None:
        self._article = article("a.txt", ("body", text))
        self._number = next(iter(find_numbers(text))).text

    def ask(self, question: str) -> AskResult:
        return AskResult(question, Answer("", self._number, 0.9, ()), {}, "v")

    def article(self, doc: str) -> Article | None:
        return self._article

    def documents(self) -> list[DocumentSummary]:
        return [DocumentSummary("a.txt", None, None, 100, 1)]


@pytest.mark.parametrize(
    ("text", "question"),
    [
        pytest.param(
            "云岭产业园累计引进制造业企业392家先进企业。",
            "云岭产业园累计引进制造业企业多少家先进企业？",
            id="in the clause",
        ),
        pytest.param(
            "2024年，云岭产业园聚焦主业，积极扩建，吸引392家维修企业入驻。",
            "云岭产业园吸引多少家维修企业入驻？",
            id="in the sentence",
        ),
        pytest.param(
            "四川省的港口已完成货物吞吐量突破128.6万吨。",
            "四川省的港口已完成货物吞吐量突破多少万吨？",
            id="a measure needs nothing after it",
        ),
    ],
)
def test_a_question_names_its_subject(text: str, question: str) -> None:
    assert example_questions(Knowing(text)) == (question,)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("重点走访了园区120余家制造业企业。", id="nobody named"),
        pytest.param(
            "云岭产业园建成投产。重点走访了园区120余家制造业企业。", id="another sentence"
        ),
        pytest.param("云岭产业园的企业增多，走访了园区120余家制造业企业。", id="about what it has"),
        pytest.param(
            "云岭产业园建成投产，企业纷纷到来，共引进120余家制造业企业。", id="another subject"
        ),
        pytest.param("在云岭产业园的车间里，走访了120余家制造业企业。", id="only a place where"),
    ],
)
def test_a_question_that_does_not_say_of_whom_is_not_offered(text: str) -> None:
    assert example_questions(Knowing(text)) == ()
