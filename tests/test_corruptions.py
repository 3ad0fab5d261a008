"""The benchmark of the check makes statements that are right, and then wrong in one way."""

from __future__ import annotations

import random

import pytest

from benchmarks.corruptions import CORRUPTIONS, Case, corruptions, right_statement, sentences_of

QUOTE = "2023年，上海蓝湖公司与北京青禾公司签下12个项目，投资超30亿元，新增岗位8个。"
CASE = Case("whole", QUOTE.rstrip("。"), (QUOTE,), ("2023-07-20",))
ARTICLE = f"2023-07-20 10:00，正文：{QUOTE}今年以来，双方共开展三次合作，效果良好。"


def test_an_article_is_its_date_and_its_sentences() -> None:
    assert sentences_of(ARTICLE) == (
        "2023-07-20",
        [QUOTE, "今年以来，双方共开展三次合作，效果良好。"],
    )


@pytest.mark.parametrize("seed", range(20))
def test_right_statements_pass(seed: int) -> None:
    case = right_statement(ARTICLE, random.Random(seed))
    assert case is not None
    assert case.passes()


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_every_kind_of_corruption_changes_the_statement_and_is_caught(kind: str) -> None:
    wrong = [
        case
        for case in corruptions([CASE], ["深圳"] * 20, len(CORRUPTIONS), random.Random(1))
        if case.kind == kind
    ]
    assert len(wrong) == 1
    assert wrong[0].statement != CASE.statement
    assert not wrong[0].passes()
