"""How good the reader is: F1, EM and no-answer scores on paragraphs kept out of its training.

    python -m train.judge_reader MRC.json.gz […] [--news NEWS.txt.gz] [--model models/reader-zh]
                                 [--fold report]

Each paragraph is read as the product reads: windows of whole sentences, the best-scored span of all
windows is the answer. The area under the curve asks whether the best span of the right paragraph
scores higher than the best span of a paragraph of another article with the same words. With --news
also questions of train/news_questions.py, read over their whole article; there the area asks
whether those that it answers score higher than those that it does not.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from corpus.split import split_sentences
from eval.metrics import area_under_curve, exact_match, overlap_f1
from qa.reader import OnnxReader, PassageText, Reader
from schema import Span
from train.export_reader import DEFAULT_OUT
from train.news_questions import load_news_questions
from train.reading_data import LONGEST, WrittenQuestion, load_written, similar_paragraphs


@dataclass(frozen=True)
class Judgement:
    """Figures of one data set."""

    questions: int
    f1: float
    exact: float
    area_under_curve: float  # right paragraph against a similar one; answered against not


def windows_of(text: str, longest: int = LONGEST) -> list[str]:
    """Windows of at most `longest` characters where sentences allow, overlapping by a sentence."""
    sentences = split_sentences(text)
    windows: list[Span] = []
    first = 0
    while first < len(sentences):
        last = first
        while last + 1 < len(sentences) and (
            sentences[last + 1].end - sentences[first].start <= longest
        ):
            last += 1
        windows.append(Span(sentences[first].start, sentences[last].end))
        if last + 1 == len(sentences):
            break
        first = max(last, first + 1)
    return [window.cut(text) for window in windows]


def best_answer(reader: Reader, question: str, context: str) -> tuple[str, float]:
    """The best span of all windows and its score; ("", -inf) if there is none."""
    windows = windows_of(context)
    found = [
        (span.score, span.span.cut(window))
        for window, reading in zip(
            windows, reader.read(question, [PassageText(w) for w in windows]), strict=True
        )
        for part in reading
        for span in part
    ]
    score, text = max(found, default=(float("-inf"), ""))
    return text, score


def judge(reader: Reader, questions: Sequence[WrittenQuestion], name: str) -> Judgement:
    """Read every question over its own paragraph and over a similar one."""
    rivals = similar_paragraphs(questions)
    f1, exact, right, wrong = [], [], [], []
    for item in tqdm(questions, desc=name, unit="question", mininterval=10):
        golds = [answer.cut(item.context) for answer in item.answers]
        answer, score = best_answer(reader, item.question, item.context)
        f1.append(overlap_f1(answer, golds))
        exact.append(exact_match(answer, golds))
        right.append(score)
        if rivals[item.id]:
            wrong.append(best_answer(reader, item.question, rivals[item.id][0].context)[1])
    labels = [True] * len(right) + [False] * len(wrong)
    return Judgement(
        questions=len(questions),
        f1=float(np.mean(f1)),
        exact=float(np.mean(exact)),
        area_under_curve=area_under_curve([*right, *wrong], labels),
    )


def judge_everyday(reader: Reader, questions: Sequence[WrittenQuestion], name: str) -> Judgement:
    """Read every question over its article, whether it answers or not."""
    f1, exact, scores = [], [], []
    for item in tqdm(questions, desc=name, unit="question", mininterval=10):
        answer, score = best_answer(reader, item.question, item.context)
        scores.append(score)
        if item.answers:
            golds = [span.cut(item.context) for span in item.answers]
            f1.append(overlap_f1(answer, golds))
            exact.append(exact_match(answer, golds))
    return Judgement(
        questions=len(questions),
        f1=float(np.mean(f1)),
        exact=float(np.mean(exact)),
        area_under_curve=area_under_curve(scores, [bool(item.answers) for item in questions]),
    )


def main() -> None:
    """Print one line for each file."""
    parser = argparse.ArgumentParser(prog="python -m train.judge_reader")
    parser.add_argument("data", nargs="*", type=Path, help="SQuAD-style .json.gz files")
    parser.add_argument("--news", type=Path, help="one article a line")
    parser.add_argument("--model", type=Path, default=DEFAULT_OUT)
    parser.add_argument("--fold", choices=["fit", "report"], default="report")
    parser.add_argument("--most", type=int, default=10_000, help="questions of a file")
    options = parser.parse_args()
    reader = OnnxReader(options.model, spans=1)
    for path in options.data:
        questions = [item for item in load_written(path) if item.fold == options.fold]
        _print(path.name, judge(reader, questions[: options.most], path.name))
    if options.news:
        questions = [q for q in load_news_questions(options.news) if q.fold == options.fold]
        _print("news", judge_everyday(reader, questions[: options.most], "news"))


def _print(name: str, found: Judgement) -> None:
    print(
        f"{name} ({found.questions}): F1 {found.f1:.3f}, EM {found.exact:.3f}, "
        f"area under curve {found.area_under_curve:.3f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
