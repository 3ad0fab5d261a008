"""The questions that nothing was trained or fitted on, as a SQuAD-style file for `wenju eval`.

    python -m train.kept_apart OUT.json.gz SQUAD.json.gz       # the fold `report` of a public set
    python -m train.kept_apart OUT.json.gz --news NEWS.txt.gz  # that of train/news_questions.py

Every paragraph of the set is in the file, so that the right one has to be found among all; only
questions of the fold are. A paragraph without one is there without questions.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from train.news_questions import load_news_questions
from train.reading_data import WrittenQuestion, load_written


def as_squad(questions: Sequence[WrittenQuestion]) -> dict[str, Any]:
    """SQuAD 2.0 form; questions without an answer are marked impossible."""
    articles: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for item in questions:
        asked = articles.setdefault(item.title, {}).setdefault(item.context, [])
        if item.fold == "report":
            asked.append(_entry(item))
    return {
        "data": [
            {
                "title": title,
                "paragraphs": [{"context": text, "qas": qas} for text, qas in paragraphs.items()],
            }
            for title, paragraphs in articles.items()
        ]
    }


def _entry(item: WrittenQuestion) -> dict[str, Any]:
    return {
        "id": item.id,
        "question": item.question,
        "is_impossible": not item.answers,
        "answers": [
            {"text": span.cut(item.context), "answer_start": span.start} for span in item.answers
        ],
    }


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(prog="python -m train.kept_apart")
    parser.add_argument("out", type=Path)
    parser.add_argument("data", nargs="?", type=Path, help="SQuAD-style .json.gz file")
    parser.add_argument("--news", type=Path, help="one article a line")
    options = parser.parse_args()
    if (options.data is None) == (options.news is None):
        parser.error("give a SQuAD-style file or --news")
    questions = load_written(options.data) if options.data else load_news_questions(options.news)
    with gzip.open(options.out, "wt", encoding="utf-8") as file:
        json.dump(as_squad(questions), file, ensure_ascii=False)


if __name__ == "__main__":
    main()
