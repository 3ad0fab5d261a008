"""Questions written over news: found in their articles, dealt to folds by article."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from train.news_questions import NEWS_QUESTIONS, fingerprint, fold_of_article, load_news_questions

ARTICLE = "甲县今年新建小学3所，投资2亿元。乙县没有新建。"


@pytest.fixture
def news(tmp_path: Path) -> Path:
    path = tmp_path / "news.txt"
    path.write_text(f"23-01-02，正文：{ARTICLE}\n23-01-03，正文：另一篇。\n", "utf-8")
    return path


def written(folder: Path, **changes: str) -> Path:
    row = {
        "article": fingerprint(ARTICLE),
        "type": "number",
        "question": "甲县盖了几所新学校？",
        "answer": "3所",
        "evidence": "甲县今年新建小学3所，投资2亿元。",
    }
    path = folder / "questions.jsonl"
    path.write_text(json.dumps(row | changes, ensure_ascii=False) + "\n", "utf-8")
    return path


def test_an_answer_is_found_in_its_article(news: Path, tmp_path: Path) -> None:
    (question,) = load_news_questions(news, written(tmp_path))
    assert [answer.cut(question.context) for answer in question.answers] == ["3所"]
    assert question.tempting is None


def test_a_question_without_an_answer_knows_what_tempts(news: Path, tmp_path: Path) -> None:
    path = written(tmp_path, question="乙县盖了几所新学校？", answer="")
    (question,) = load_news_questions(news, path)
    assert question.answers == ()
    assert question.tempting is not None
    assert question.tempting.cut(question.context) == "甲县今年新建小学3所，投资2亿元。"


def test_a_question_whose_article_is_not_there_is_left_out(news: Path, tmp_path: Path) -> None:
    assert load_news_questions(news, written(tmp_path, article="0" * 16)) == []


def test_an_answer_that_its_evidence_lacks_is_an_error(news: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="9所"):
        load_news_questions(news, written(tmp_path, answer="9所"))


def test_a_question_kept_for_figures_is_never_trained_on(news: Path, tmp_path: Path) -> None:
    (question,) = load_news_questions(news, written(tmp_path, fold="report"))
    assert question.fold == "report"


def test_the_shipped_questions_are_whole_and_no_article_is_in_two_folds() -> None:
    rows = [json.loads(line) for line in NEWS_QUESTIONS.read_text("utf-8").splitlines()]
    assert len(rows) > 3000
    assert len({(row["article"], row["question"]) for row in rows}) == len(rows)
    assert all(row["answer"] in row["evidence"] for row in rows)
    kept = {row["article"] for row in rows if row.get("fold") == "report"}
    assert all(row.get("fold") == "report" for row in rows if row["article"] in kept)
    unanswered = sum(not row["answer"] for row in rows)
    assert 0.35 < unanswered / len(rows) < 0.5
    assert {fold_of_article(row["article"]) for row in rows} == {"train", "fit", "report"}
