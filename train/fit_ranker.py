"""Fit the weights of qa/ranker.json and qa/confidence.json on reading-comprehension data.

    python -m train.fit_ranker SQUAD.json.gz […] [--questions 1500] [--seed 0] [--work DIR]

Every paragraph becomes a document of a throw-away index, built and searched by the very code that
answers. The sentences of the retrieved passages are labelled by whether they hold the answer in
the right paragraph. Two small models are fitted on 70 % of the articles, judged on the rest:

- ranker: softmax over the sentences of a question; the loss is the negative log probability of the
  sentences that hold the answer. Features that reading-comprehension text cannot teach (by-lines,
  captions, follow-ups) keep the value set by hand in FIXED.
- confidence: logistic regression for "the best sentence holds the answer", on every question as it
  is and once more with its own paragraph withheld, which makes it unanswerable. Thresholds
  are noted by the share of answerable questions that they would refuse.

Never give it a test set: the open set of this project is for measuring.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from tqdm import tqdm

from assemble import build_index, open_chatbot
from index.words import normalize
from qa.chatbot import Chatbot
from qa.question import Question, understand
from qa.ranker import (
    FEATURES,
    WEIGHTS_FILE,
    Evidence,
    QuestionTerms,
    Ranker,
    Terms,
    feature_matrix,
)
from qa.refuse import CONFIDENCE_FEATURES, CONFIDENCE_FILE, confidence_features
from qa.retriever import Retrieved
from settings import Settings

# Set by hand: hardly a by-line, heading, follow-up or question in the text of such data.
FIXED = {"focus": 2.0, "asks": -2.0, "target": 6.0, "furniture": -2.0}
REFUSED_ANSWERABLE = (0.01, 0.02, 0.05, 0.1)  # shares for which a threshold is written down
MOST_MISSED = 0.6  # a question that shares fewer words with its answer is rare, even colloquially
_L2 = 1e-3

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Item:
    """One question of the data."""

    question: str
    doc: str
    answers: tuple[str, ...]

    @property
    def article(self) -> str:
        """The folder of its paragraphs."""
        return self.doc.rpartition("/")[0]


def load_squad(
    path: Path, count: int, generator: random.Random
) -> tuple[dict[str, str], list[Item]]:
    """Whole articles at random until they hold `count` questions.

    Returns:
        Paragraphs by document name (data set, article, paragraph), and the questions over them.
    """
    with gzip.open(path, "rt", encoding="utf-8") as file:
        data = json.load(file)["data"]
    paragraphs: dict[str, str] = {}
    items: list[Item] = []
    stem = path.name.split(".")[0]
    for number in generator.sample(range(len(data)), len(data)):
        if len(items) >= count:
            break
        for place, paragraph in enumerate(data[number]["paragraphs"]):
            doc = f"{stem}-{number:04}/{place:03}.txt"
            paragraphs[doc] = paragraph["context"]
            items += [
                Item(qa["question"], doc, tuple(answer["text"] for answer in qa["answers"]))
                for qa in paragraph["qas"]
            ]
    return paragraphs, items


def holds_answer(evidence: Evidence, item: Item) -> bool:
    """Whether a sentence of the right paragraph holds one of the answers."""
    if evidence.passage.chunk.doc != item.doc:
        return False
    text = "".join(normalize(evidence.text).split())
    return any("".join(normalize(answer).split()) in text for answer in item.answers)


def softmax_loss(
    weights: Floats, groups: Sequence[tuple[Floats, NDArray[np.bool_]]]
) -> tuple[float, Floats]:
    """Mean negative log probability of the positive rows of each group, and its gradient."""
    loss, gradient = 0.0, np.zeros_like(weights)
    for rows, positive in groups:
        scores = rows @ weights
        scores -= scores.max()
        probability = np.exp(scores) / np.exp(scores).sum()
        mass = float(probability[positive].sum())
        loss -= np.log(max(mass, 1e-12))
        share = np.where(positive, probability / max(mass, 1e-12), 0.0)
        gradient += rows.T @ (probability - share)
    count = max(1, len(groups))
    return (
        loss / count + _L2 * float(weights @ weights),
        gradient / count + 2 * _L2 * weights,
    )


def logistic_loss(weights: Floats, rows: Floats, labels: Floats) -> tuple[float, Floats]:
    """Mean cross-entropy and its gradient."""
    scores = rows @ weights
    loss = np.logaddexp(0, scores) - labels * scores
    gradient = rows.T @ (1 / (1 + np.exp(-scores)) - labels) / len(rows)
    return (
        float(loss.mean()) + _L2 * float(weights @ weights),
        gradient + 2 * _L2 * weights,
    )


def fit(loss: Callable[..., tuple[float, Floats]], size: int, *data: Any) -> Floats:
    """The weights with the least loss."""
    result = minimize(loss, np.zeros(size), args=data, jac=True, method="L-BFGS-B")
    return np.asarray(result.x, dtype=np.float64)


def fit_ranker(ranked: Sequence[tuple[Item, list[Evidence]]]) -> dict[str, float]:
    """Weights by feature; those of FIXED as given there."""
    learned = [name for name in FEATURES if name not in FIXED]
    columns = [FEATURES.index(name) for name in learned]
    groups = []
    for item, evidence in ranked:
        # Among the sentences of its own article, and of its own paragraph alone: they share
        # their subject, as the documents of one portal do. (The weights come out much as among all
        # candidates: cosine 3.3 instead of 3.5.)
        for candidates in (
            [one for one in evidence if one.passage.chunk.doc.startswith(item.article + "/")],
            [one for one in evidence if one.passage.chunk.doc == item.doc],
        ):
            positive = np.array([holds_answer(one, item) for one in candidates], dtype=bool)
            if positive.any() and not positive.all():
                groups.append((feature_matrix(candidates)[:, columns], positive))
    weights = fit(softmax_loss, len(columns), groups)
    fitted = dict(zip(learned, weights.tolist(), strict=True))
    return {name: round({**FIXED, **fitted}[name], 4) for name in FEATURES}


def confidence_rows(
    ranked: Sequence[tuple[Item, list[Evidence]]],
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Features, labels, and which rows are answerable questions as they were asked."""
    rows, labels, asked = [], [], []
    for item, evidence in ranked:
        others = [one for one in evidence if one.passage.chunk.doc != item.doc]
        for candidates, is_asked in ((evidence, True), (others, False)):
            if candidates:
                features = confidence_features(candidates)
                rows.append([features[name] for name in CONFIDENCE_FEATURES])
                labels.append(is_asked and holds_answer(candidates[0], item))
                asked.append(is_asked)
    return np.array(rows), np.array(labels, dtype=np.float64), np.array(asked)


def area_under_curve(scores: Floats, labels: Floats) -> float:
    """Probability that a positive scores above a negative (Mann-Whitney); ties count half."""
    positive, negative = scores[labels == 1], scores[labels == 0]
    above = (positive[:, None] > negative[None, :]).mean()
    return float(above + 0.5 * (positive[:, None] == negative[None, :]).mean())


def expected_calibration_error(probability: Floats, labels: Floats, bins: int = 10) -> float:
    """Mean distance of confidence and accuracy over equal-width bins, by their share.

    Source: Guo et al. 2017, arXiv 1706.04599.
    """
    places = np.minimum((probability * bins).astype(int), bins - 1)
    return float(
        sum(
            (places == i).mean() * abs(probability[places == i].mean() - labels[places == i].mean())
            for i in range(bins)
            if (places == i).any()
        )
    )


class ParaphrasingRanker(Ranker):
    """A ranker that misses some words of each question, as if it were worded differently.

    Reading-comprehension questions borrow the words of their paragraph; people do so less. Without
    this the fit would lean on shared words more than they deserve.
    """

    def terms(self, question: Question) -> QuestionTerms:
        """The question's terms, of which a random part (none to MOST_MISSED) matches nothing."""
        terms = super().terms(question)
        generator = random.Random(question.text)
        missed = generator.uniform(0, MOST_MISSED)

        def blurred(some: Terms) -> Terms:
            return Terms(
                {
                    ("\0" + term if generator.random() < missed else term): weight
                    for term, weight in some.weights.items()
                }
            )

        return QuestionTerms(
            words=blurred(terms.words), focus=terms.focus, bigrams=blurred(terms.bigrams)
        )


def retrieve_all(chatbot: Chatbot, items: Sequence[Item]) -> list[tuple[Item, Any, Retrieved]]:
    """Each item with its understood question and what the retriever gives for it."""
    found = []
    for item in tqdm(items, desc="retrieve", unit="question", mininterval=5):
        question = understand(item.question, (), chatbot.max_question_chars)
        found.append((item, question, chatbot.retriever.retrieve(question, chatbot.passages)))
    return found


def main() -> None:
    """Fit, judge on articles kept apart, write both files."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--questions", type=int, default=1500, help="per file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="folder that keeps the index for the next run")
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    paragraphs: dict[str, str] = {}
    items: list[Item] = []
    for path in arguments.data:
        texts, questions = load_squad(path, arguments.questions, generator)
        paragraphs |= texts
        items += questions

    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.work or Path(temporary)
        source = Path(folder, "paragraphs")
        source.mkdir(parents=True, exist_ok=True)
        for doc, text in paragraphs.items():
            source.joinpath(doc).parent.mkdir(exist_ok=True)
            source.joinpath(doc).write_text(text, "utf-8")
        settings = replace(Settings(), index_dir=str(Path(folder, "index")))
        build_index(settings, [source], embed_progress=_print_progress)
        chatbot = open_chatbot(settings)
        found = retrieve_all(chatbot, items)
        articles = sorted({item.article for item in items})
        kept_apart = set(generator.sample(articles, round(0.3 * len(articles))))

        def ranked(weights: dict[str, float]) -> list[tuple[Item, list[Evidence]]]:
            rankers = [kind(chatbot.generation, weights) for kind in (Ranker, ParaphrasingRanker)]
            return [
                (item, ranker.rank(question, got))
                for ranker in rankers
                for item, question, got in tqdm(found, desc="rank", unit="question", mininterval=5)
            ]

        before = ranked(chatbot.ranker.weights)
        weights = fit_ranker([pair for pair in before if pair[0].article not in kept_apart])
        after = ranked(weights)
    held = [pair for pair in after if pair[0].article in kept_apart]
    held_before = [pair for pair in before if pair[0].article in kept_apart]
    first, first_before = first_right(held), first_right(held_before)
    print(f"held out: best sentence right {first:.3f} (before {first_before:.3f})")

    rows, labels, _ = confidence_rows([p for p in after if p[0].article not in kept_apart])
    model = fit(logistic_loss, len(CONFIDENCE_FEATURES), rows, labels)
    rows, labels, asked = confidence_rows(held)
    probability = 1 / (1 + np.exp(-(rows @ model)))
    thresholds = {
        str(share): round(float(np.quantile(probability[asked], share)), 4)
        for share in REFUSED_ANSWERABLE
    }
    figures = {
        "questions": len(items),
        "paragraphs": len(paragraphs),
        "held_out_best_sentence_right": round(first, 4),
        "held_out_area_under_curve": round(area_under_curve(probability, labels), 4),
        "held_out_calibration_error": round(expected_calibration_error(probability, labels), 4),
        "held_out_unanswerable_refused": {
            share: round(float((probability[~asked] < threshold).mean()), 4)
            for share, threshold in thresholds.items()
        },
    }
    origin = {
        "fitted_by": "train/fit_ranker.py",
        "data": [path.name for path in arguments.data],
        "seed": arguments.seed,
        **figures,
    }
    print(json.dumps(figures, indent=1))
    _write(WEIGHTS_FILE, {"origin": origin, "by_hand": sorted(FIXED), "weights": weights})
    named = dict(zip(CONFIDENCE_FEATURES, (round(float(w), 4) for w in model), strict=True))
    _write(
        CONFIDENCE_FILE,
        {"origin": origin, "thresholds": thresholds, "weights": named},
    )


def first_right(ranked: Sequence[tuple[Item, list[Evidence]]]) -> float:
    """Share of questions whose best sentence holds the answer."""
    return sum(bool(e) and holds_answer(e[0], item) for item, e in ranked) / max(1, len(ranked))


def _print_progress(done: int, total: int) -> None:
    if done == total or done % 1024 == 0:
        print(f"embedded {done} of {total} chunks", flush=True)


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
