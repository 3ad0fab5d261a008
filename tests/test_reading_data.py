"""Reading-comprehension files to training windows: offsets, folds, and what does not answer."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest

from schema import Span
from train.reading_data import (
    LONGEST,
    WrittenQuestion,
    WrittenWindows,
    fold_of,
    load_written,
    similar_paragraphs,
    window_around,
)

BRIDGE = "長江大橋於1957年通車。" + "橋長1670公尺，有兩層。" * 3 + "设计师是李大明。"
RIVER = "黄河大桥于1966年通车。" + "桥长980米，只有一层。" * 3 + "设计师是王小林。"
LAKE = "青松湖在城西。" * 12 + "湖里有鱼。"


def entry(title: str, context: str, *pairs: tuple[str, str]) -> dict[str, object]:
    questions = [
        {
            "id": f"{title}-{i}",
            "question": question,
            "answers": [{"text": answer, "answer_start": context.index(answer)}],
        }
        for i, (question, answer) in enumerate(pairs)
    ]
    return {"title": title, "paragraphs": [{"context": context, "qas": questions}]}


@pytest.fixture
def questions(tmp_path: Path) -> list[WrittenQuestion]:
    data = [
        entry("長江大橋", BRIDGE, ("長江大橋1957年有幾層？", "兩層"), ("設計師是誰？", "李大明")),
        entry("黄河大桥", RIVER, ("黄河大桥的设计师是谁？", "王小林")),
        entry("青松湖", LAKE, ("湖里有什么？", "鱼")),
    ]
    path = tmp_path / "small_dev.json.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        json.dump({"data": data}, file, ensure_ascii=False)
    return load_written(path)


def test_traditional_text_becomes_simplified_and_answers_keep_their_place(
    questions: list[WrittenQuestion],
) -> None:
    first = questions[0]
    assert first.question == "长江大桥1957年有几层？"
    assert [answer.cut(first.context) for answer in first.answers] == ["两层"]


def test_a_fold_belongs_to_an_article_and_most_articles_train() -> None:
    folds = [fold_of(f"set {i}") for i in range(800)]
    assert folds == [fold_of(f"set {i}") for i in range(800)]
    assert 500 < folds.count("train") < 700
    assert folds.count("fit") > 60
    assert folds.count("report") > 60


def test_a_window_holds_its_answer_and_whole_sentences() -> None:
    text = "天气很好。" * 80 + "大桥今天通车。" + "市民很高兴。" * 80
    start = text.index("今天")
    for seed in range(20):
        around = window_around(text, Span(start, start + 2), random.Random(seed))
        cut = around.cut(text)
        assert "大桥今天通车。" in cut
        assert cut.endswith("。")
        assert len(cut) <= LONGEST


def test_a_positive_window_answers_and_a_negative_one_does_not(
    questions: list[WrittenQuestion],
) -> None:
    dealer = WrittenWindows(questions, random.Random(0))
    for item in questions * 10:
        positive = dealer.positive(item)
        assert positive.answer is not None
        answer = item.answers[0].cut(item.context)
        assert positive.answer.cut(positive.text) == answer
        negative = dealer.negative(item)
        if negative is not None and negative.question == item.question:
            assert answer not in negative.text
        if negative is not None:
            assert negative.answer is None


def test_a_changed_question_asks_about_what_its_paragraph_does_not_name(
    questions: list[WrittenQuestion],
) -> None:
    dealer = WrittenWindows(questions, random.Random(0))
    changed = dealer.changed_question(questions[0])
    assert changed is not None
    assert "1957" not in changed
    subject = dealer.changed_question(questions[2])
    assert subject == "长江大桥的设计师是谁？"
    assert dealer.changed_question(questions[3]) is None


def test_a_similar_paragraph_is_another_article_without_the_answer(
    questions: list[WrittenQuestion],
) -> None:
    similar = similar_paragraphs(questions)
    for item in questions:
        answers = [answer.cut(item.context) for answer in item.answers]
        for other in similar[item.id]:
            assert other.title != item.title
            assert not any(answer in other.context for answer in answers)
    assert similar["黄河大桥-0"][0].title == "长江大桥"
