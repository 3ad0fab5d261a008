"""Questions that were written for this project over news articles, in everyday words.

train/data/news_questions.jsonl holds one question a line: `article` (fingerprint of its text),
`question`, `type`, `answer` (verbatim, empty where the article does not answer) and `evidence`
(the verbatim sentence that answers, or that tempts to); `fold` where it is kept for figures
only, or for training only.
The articles themselves are not part of the project; they are found in the news file by their
fingerprint.

Reading-comprehension sets borrow the words of their paragraph and always have an answer; these do
neither, as the people who ask a portal.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from index.words import simplified
from schema import Span
from train.made_questions import read_articles
from train.reading_data import Fold, WrittenQuestion

NEWS_QUESTIONS = Path(__file__).with_name("data") / "news_questions.jsonl"
# More than of the public sets goes to the fit of the confidence: these are like what is asked.
_EIGHTHS: dict[int, Fold] = {0: "report", 1: "fit", 2: "fit"}


def fingerprint(article: str) -> str:
    """Names an article by its text."""
    return hashlib.sha256(article.encode()).hexdigest()[:16]


def load_news_questions(news: Path, path: Path = NEWS_QUESTIONS) -> list[WrittenQuestion]:
    """The questions whose article is in the news file, in the order of the questions.

    Raises:
        ValueError: an answer or its evidence is not in its article.
    """
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    wanted = {row["article"] for row in rows}
    found = ((fingerprint(article), article) for article in read_articles(news))
    articles = {key: simplified(article) for key, article in found if key in wanted}
    return [
        _question(f"news-{number}", row, articles[row["article"]])
        for number, row in enumerate(rows, start=1)
        if row["article"] in articles
    ]


def fold_of_article(article: str) -> Fold:
    """The fold of an article's questions, by its fingerprint."""
    return _EIGHTHS.get(int(article[:8], 16) % 8, "train")


def _fold(row: dict[str, str]) -> Fold:
    """As the row says, else by its article."""
    given: dict[str, Fold] = {"train": "train", "report": "report"}
    return given.get(row.get("fold", ""), fold_of_article(row["article"]))


def _question(row_id: str, row: dict[str, str], context: str) -> WrittenQuestion:
    start = context.find(evidence := simplified(row["evidence"]))
    inside = evidence.find(answer := simplified(row["answer"]))
    if start < 0 or inside < 0:
        raise ValueError(f"{row_id}: not in its article: {evidence!r}, {answer!r}")
    place = Span(start + inside, start + inside + len(answer))
    return WrittenQuestion(
        id=row_id,
        question=simplified(row["question"]),
        title=row["article"],
        context=context,
        answers=(place,) if answer else (),
        fold=_fold(row),
        everyday=True,
        tempting=None if answer else Span(start, start + len(evidence)),
    )
