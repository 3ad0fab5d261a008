"""Fit the weights of qa/ranker.json and qa/confidence.json on reading-comprehension data.

    python -m train.fit_ranker SQUAD.json.gz […] --news NEWS.txt.gz [--most 900] [--seed 0]
                               [--work DIR] [--judge]

Every paragraph becomes a document of a throw-away index, built, searched and read by the very code
that answers. Questions come from the fold `fit` of train/reading_data.py, which the reader was not
trained on; figures come from the fold `report`, which nothing is fitted on.

- ranker: softmax over the sentences of a question; the loss is the negative log probability of the
  sentences that hold the answer. Features that reading-comprehension text cannot teach (by-lines,
  captions, follow-ups) keep the value set by hand in FIXED.
- confidence: logistic regression for "the best sentence holds the answer", on every question as it
  is, with its paragraph withheld, with only the passages withheld that hold its answer, and asked
  about another year or another subject; the last three are unanswerable. Thresholds are noted by
  the share of answerable questions that they would refuse.

Two sources: everyday questions over news (train/news_questions.py), near misses among them, and
reading-comprehension data, which borrow the words of their paragraph and therefore also come in
other words (train/paraphrase.py). Both count alike in the fit of the confidence. Scale and bias are
then fitted once more on everyday questions alone, which leaves the order as it was, and thresholds
are theirs too: these are like what is asked.

Never give it a test set: the open set of this project is for measuring.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from tqdm import tqdm

from assemble import build_index, open_chatbot
from eval.metrics import area_under_curve, calibration_error
from index.protocols import Embedder
from index.words import normalize
from qa.chatbot import Chatbot
from qa.demands import DEMAND_FEATURES
from qa.question import Question, understand
from qa.ranker import (
    FEATURES,
    WEIGHTS_FILE,
    Evidence,
    Ranker,
    feature_matrix,
)
from qa.reader import Reading, passage_text
from qa.refuse import (
    CONFIDENCE_FEATURES,
    CONFIDENCE_FILE,
    UNMET,
    confidence_features,
    unmet_demand,
)
from qa.retriever import Retrieved
from schema import Passage
from settings import Settings
from train.news_questions import load_news_questions
from train.paraphrase import Paraphraser, content_words, neighbours
from train.reading_data import Fold, WrittenQuestion, WrittenWindows, load_written

# Set by hand: hardly a by-line, heading, follow-up or question in the text of such data.
FIXED = {"focus": 2.0, "asks": -2.0, "target": 6.0, "furniture": -2.0}
REFUSED_ANSWERABLE = (
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
)  # shares for which a threshold is written down
_L2 = 1e-3
# What is demanded and not met never speaks for an answer. Reading-comprehension questions demand
# too seldom to teach how much it speaks against one, hence a least weight set by hand.
LEAST_OF_A_DEMAND = 0.5
LEAST_OF = dict.fromkeys(DEMAND_FEATURES, LEAST_OF_A_DEMAND) | {"unit": 1.0}
# Nor do shared words, a near meaning or the reader's favour ever speak against one.
LEAST_OF |= dict.fromkeys(set(CONFIDENCE_FEATURES) - {"bias", *DEMAND_FEATURES}, 0.0)
LEAST = [LEAST_OF.get(name) for name in CONFIDENCE_FEATURES]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Item:
    """One question of the data."""

    question: str
    doc: str
    answers: tuple[str, ...]
    fold: Fold
    answerable: bool = True
    reworded: bool = False
    everyday: bool = False  # of train/news_questions.py

    @property
    def article(self) -> str:
        """The folder of its paragraphs."""
        return self.doc.rpartition("/")[0]


@dataclass(frozen=True)
class Found:
    """An item with all that does not depend on the weights."""

    item: Item
    question: Question
    retrieved: Retrieved
    readings: list[Reading]


def document_of(item: WrittenQuestion) -> str:
    """Name of the paragraph's document: the folder is its article."""
    article, paragraph = (
        hashlib.sha256(text.encode()).hexdigest()[:12] for text in (item.title, item.context)
    )
    return f"{article}/{paragraph}.txt"


def choose(
    questions: Sequence[WrittenQuestion], paragraphs: int, generator: random.Random
) -> tuple[dict[str, str], list[Item]]:
    """Documents by name, and the questions asked over them.

    All paragraphs of the folds `fit` and `report`, and of `train` as many as `paragraphs` leaves
    room for: nothing is asked about these.
    """
    documents = {document_of(q): q.context for q in questions if q.fold != "train"}
    others = sorted({document_of(q): q.context for q in questions if q.fold == "train"}.items())
    generator.shuffle(others)
    documents |= dict(others[: max(0, paragraphs - len(documents))])
    asked = [q for q in questions if q.fold != "train" and (q.answers or q.tempting)]
    windows = WrittenWindows(asked, generator)
    items = []
    for question in asked:
        item = Item(
            question.question,
            document_of(question),
            tuple(answer.cut(question.context) for answer in question.answers),
            question.fold,
            answerable=bool(question.answers),
            everyday=question.everyday,
        )
        items.append(item)
        if not question.answers:
            continue
        if changed := windows.changed_question(question):
            items.append(replace(item, question=changed, answerable=False))
    return documents, items


def holds_answer(evidence: Evidence, item: Item) -> bool:
    """Whether a sentence of the right paragraph holds one of the answers."""
    if not item.answerable or evidence.passage.chunk.doc != item.doc:
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


def logistic_loss(
    weights: Floats, rows: Floats, labels: Floats, decay: float = _L2
) -> tuple[float, Floats]:
    """Mean cross-entropy and its gradient."""
    scores = rows @ weights
    loss = np.logaddexp(0, scores) - labels * scores
    gradient = rows.T @ (1 / (1 + np.exp(-scores)) - labels) / len(rows)
    return (
        float(loss.mean()) + decay * float(weights @ weights),
        gradient + 2 * decay * weights,
    )


def fit(
    loss: Callable[..., tuple[float, Floats]], least: Sequence[float | None], *data: Any
) -> Floats:
    """The weights with the least loss, none below its bound in `least`."""
    bounds = [(low, None) for low in least]
    start = np.array([max(0.0, low or 0.0) for low in least])
    result = minimize(loss, start, args=data, jac=True, method="L-BFGS-B", bounds=bounds)
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
    weights = fit(softmax_loss, [None] * len(columns), groups)
    fitted = dict(zip(learned, weights.tolist(), strict=True))
    return {name: round({**FIXED, **fitted}[name], 4) for name in FEATURES}


@dataclass(frozen=True)
class Rows:
    """What the confidence is fitted on, or judged by."""

    features: Floats  # (rows, CONFIDENCE_FEATURES)
    right: Floats  # 1 where the best sentence holds the answer
    sort: NDArray[np.str_]  # asked, withheld or near_miss
    unmet: NDArray[np.bool_]  # refused for what the question demands, whatever the confidence
    reworded: NDArray[np.bool_]  # not as a person asked it
    everyday: NDArray[np.bool_]  # asked as people do who have not read the text

    def of(self, *sorts: str) -> NDArray[np.bool_]:
        """Which rows are of these sorts."""
        return np.isin(self.sort, sorts)

    def as_in_use(self, seed: int) -> Rows:
        """All rows with an answer and half as many without, since most questions have one."""
        asked, rest = np.flatnonzero(self.of("asked")), np.flatnonzero(~self.of("asked"))
        chosen = np.random.default_rng(seed).permutation(rest)[: len(asked) // 2]
        return self.take(np.concatenate([asked, chosen]))

    def only(self, kept: NDArray[np.bool_]) -> Rows:
        """The rows that `kept` (rows,) names."""
        return self.take(np.flatnonzero(kept))

    def take(self, rows: NDArray[np.intp]) -> Rows:
        """These rows, in this order."""
        return Rows(
            self.features[rows],
            self.right[rows],
            self.sort[rows],
            self.unmet[rows],
            self.reworded[rows],
            self.everyday[rows],
        )


def confidence_rows(chatbot: Chatbot, ranked: Sequence[tuple[Found, list[Evidence]]]) -> Rows:
    """A row for each question that has evidence at all."""
    features, right, sorts, refused, reworded, everyday = [], [], [], [], [], []
    for found, evidence in ranked:
        if evidence:
            values = confidence_features(found.question, evidence, chatbot.generation)
            features.append([values[name] for name in CONFIDENCE_FEATURES])
            right.append(float(holds_answer(evidence[0], found.item)))
            at_hand = any(holds_answer(one, found.item) for one in evidence)
            unanswerable = "withheld" if found.item.answerable else "near_miss"
            sorts.append("asked" if at_hand else unanswerable)
            grounds = unmet_demand(found.question, evidence, chatbot.generation)
            refused.append(grounds is not None)
            reworded.append(found.item.reworded)
            everyday.append(found.item.everyday)
    return Rows(
        np.array(features),
        np.array(right),
        np.array(sorts),
        np.array(refused),
        np.array(reworded),
        np.array(everyday),
    )


def balanced(rows: Rows, seed: int) -> Rows:
    """Everyday questions as often as all others together, each group in the mix of use."""
    everyday = np.flatnonzero(rows.everyday)
    others = np.flatnonzero(~rows.everyday)
    times = max(1, round(len(others) / max(1, len(everyday))))
    parts = [rows.take(others).as_in_use(seed), *[rows.take(everyday).as_in_use(seed)] * times]
    return Rows(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.right for part in parts]),
        np.concatenate([part.sort for part in parts]),
        np.concatenate([part.unmet for part in parts]),
        np.concatenate([part.reworded for part in parts]),
        np.concatenate([part.everyday for part in parts]),
    )


def calibrated(model: Floats, rows: Rows) -> Floats:
    """The same model with scale and bias fitted on these rows (Platt 1999); the order stays."""
    scores = np.stack([rows.features @ model, np.ones(len(rows.right))], axis=1)
    scale, offset = fit(logistic_loss, [0.0, None], scores, rows.right, 0.0)
    is_bias = np.array([name == "bias" for name in CONFIDENCE_FEATURES], dtype=np.float64)
    return np.asarray(model * scale + offset * is_bias)


def fit_confidence(rows: Rows, seed: int) -> Floats:
    """Weights in the order of CONFIDENCE_FEATURES, calibrated on everyday questions."""
    fitted = balanced(rows, seed)
    model = fit(logistic_loss, LEAST, fitted.features, fitted.right)
    return calibrated(model, rows.only(rows.everyday).as_in_use(seed))


def reworded(items: Sequence[Item], texts: Sequence[str], embedder: Embedder) -> list[Item]:
    """A copy of each answerable item with a random part of its words exchanged."""
    words = content_words([*texts, *(item.question for item in items)], most=20_000)
    paraphrase = Paraphraser(neighbours(words, embedder))
    copies = []
    for item in items:
        generator = random.Random(item.question)
        question = paraphrase(item.question, generator.uniform(0.3, 1.0), generator)
        if item.answerable and question != item.question:
            copies.append(replace(item, question=question, reworded=True))
    return copies


def find_all(chatbot: Chatbot, items: Sequence[Item]) -> list[Found]:
    """Search and read for every item."""
    found = []
    for item in tqdm(items, desc="read", unit="question", mininterval=10):
        question = understand(item.question, (), chatbot.max_question_chars)
        retrieved = chatbot.retriever.retrieve(question, chatbot.passages + _SPARE)
        texts = [passage_text(p) for p in retrieved.passages[: chatbot.read + _SPARE]]
        found.append(
            Found(item, question, retrieved, chatbot.reader.read(question.standalone, texts))
        )
    return found


_SPARE = 4  # passages beyond those of an answer: a withheld paragraph has about as many


def views(chatbot: Chatbot, found: Found) -> Iterator[Found]:
    """What an answer would see: all passages; and of an answerable question two views without one.

    Without its paragraph other articles are left; without the passages that hold its answer, the
    rest of its paragraph is, which speaks of the subject but does not say.
    """
    pairs = list(enumerate(found.retrieved.passages))
    kept = [pairs]
    if found.item.answerable:
        own = [pair for pair in pairs if pair[1].chunk.doc == found.item.doc]
        kept.append([pair for pair in pairs if pair not in own])
        kept.append([p for p in pairs if p not in own or not _holds(p[1], found.item)])
    for view in kept:
        first = view[: chatbot.passages]
        yield replace(
            found,
            retrieved=replace(
                found.retrieved,
                passages=tuple(p for _, p in first),
                cosines=tuple(found.retrieved.cosines[i] for i, _ in first),
            ),
            readings=[
                found.readings[i] for i, _ in first[: chatbot.read] if i < len(found.readings)
            ],
        )


def _holds(passage: Passage, item: Item) -> bool:
    text = "".join(normalize(passage.chunk.text).split())
    return any("".join(normalize(answer).split()) in text for answer in item.answers)


def rank_all(
    chatbot: Chatbot, found: Sequence[Found], weights: dict[str, float]
) -> list[tuple[Found, list[Evidence]]]:
    """Every view of every item, ranked."""
    ranker = Ranker(chatbot.generation, weights)
    return [
        (view, ranker.rank(view.question, view.retrieved, view.readings))
        for one in tqdm(found, desc="rank", unit="question", mininterval=10)
        for view in views(chatbot, one)
        if view.retrieved.passages
    ]


def figures_of(rows: Rows, model: Floats, thresholds: dict[float, float]) -> dict[str, Any]:
    """Area under the curve, calibration in the mix of use, and refusals at each threshold."""
    mixed = rows.as_in_use(seed=0)
    probability = np.where(rows.unmet, UNMET, probabilities(rows, model))
    in_use = probabilities(mixed, model).tolist()
    asked = rows.of("asked")
    return {
        "answerable": int(asked.sum()),
        "unanswerable": int((~asked).sum()),
        "best_sentence_right": round(float(rows.right[asked].mean()), 4),
        "answerable_or_not_area_under_curve": round(
            area_under_curve(probability.tolist(), asked.tolist()), 4
        ),
        "calibration_error": round(calibration_error(in_use, mixed.right.tolist()), 4),
        "refused": {
            str(share): {
                sort: _share((rows.unmet | (probability < value))[rows.of(sort)])
                for sort in ("asked", "withheld", "near_miss")
            }
            for share, value in thresholds.items()
        },
        "refused_for_a_demand": {
            sort: _share(rows.unmet[rows.of(sort)]) for sort in ("asked", "withheld", "near_miss")
        },
    }


def figures_by_source(rows: Rows, model: Floats, thresholds: dict[float, float]) -> dict[str, Any]:
    """The figures of everyday questions over news, of reading-comprehension data, and of both."""
    return {
        "all": figures_of(rows, model, thresholds),
        "everyday": figures_of(rows.only(rows.everyday), model, thresholds),
        "reading_comprehension": figures_of(rows.only(~rows.everyday), model, thresholds),
    }


def _share(hits: NDArray[np.bool_]) -> float:
    return round(float(hits.mean()), 4)


def probabilities(rows: Rows, model: Floats) -> Floats:
    """What the model says of each row."""
    return np.asarray(1 / (1 + np.exp(-(rows.features @ model))))


def judge(chatbot: Chatbot, judged: Sequence[Found]) -> dict[str, Any]:
    """The figures of the weights that the chatbot was opened with."""
    rows = confidence_rows(chatbot, rank_all(chatbot, judged, chatbot.ranker.weights))
    model = np.array([chatbot.confidence.weights[name] for name in CONFIDENCE_FEATURES])
    stored = json.loads(CONFIDENCE_FILE.read_text("utf-8"))["thresholds"]
    return figures_by_source(rows, model, {float(share): value for share, value in stored.items()})


def main() -> None:
    """Fit on one fold, judge on another, write both files; or judge alone."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--news", type=Path, required=True, help="one article a line")
    parser.add_argument("--paragraphs", type=int, default=1700, help="documents of the index")
    parser.add_argument("--most", type=int, default=900, help="reading-comprehension questions")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="folder that keeps the index for the next run")
    parser.add_argument("--judge", action="store_true", help="only judge the weights as they are")
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    questions = [item for path in arguments.data for item in load_written(path)]
    questions += load_news_questions(arguments.news)
    documents, items = choose(questions, arguments.paragraphs, generator)
    everyday = [item for item in items if item.everyday]
    others = [item for item in items if not item.everyday]
    items = everyday + generator.sample(others, min(arguments.most, len(others)))

    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.work or Path(temporary)
        source = Path(folder, "paragraphs")
        for doc, text in documents.items():
            source.joinpath(doc).parent.mkdir(parents=True, exist_ok=True)
            source.joinpath(doc).write_text(text, "utf-8")
        settings = replace(Settings(), index_dir=str(Path(folder, "index")))
        build_index(settings, [source], embed_progress=_print_progress)
        chatbot = open_chatbot(settings)
        if arguments.judge:
            judged = find_all(chatbot, [item for item in items if item.fold == "report"])
            print(json.dumps(judge(chatbot, judged), indent=1))
            return
        asked = [item for item in items if item.fold == "fit"]
        borrowed = [item for item in asked if not item.everyday]
        asked += reworded(borrowed, list(documents.values()), chatbot.retriever.embedder)
        fitted = find_all(chatbot, asked)
        judged = find_all(chatbot, [item for item in items if item.fold == "report"])

        before = rank_all(chatbot, fitted, chatbot.ranker.weights)
        weights = fit_ranker([(view.item, evidence) for view, evidence in before])
        rows = confidence_rows(chatbot, rank_all(chatbot, fitted, weights))
        model = fit_confidence(rows, arguments.seed)
        report = confidence_rows(chatbot, rank_all(chatbot, judged, weights))

    asked_rows = rows.only(rows.everyday & rows.of("asked"))
    thresholds = {
        share: round(float(np.quantile(probabilities(asked_rows, model), share)), 4)
        for share in REFUSED_ANSWERABLE
    }
    figures = figures_by_source(report, model, thresholds)
    origin = {
        "fitted_by": "train/fit_ranker.py",
        "data": [path.name for path in arguments.data],
        "seed": arguments.seed,
        "documents": len(documents),
        "reader": chatbot.reader.fingerprint,
        "kept_apart": figures,
    }
    print(json.dumps(figures, indent=1))
    _write(WEIGHTS_FILE, {"origin": origin, "by_hand": sorted(FIXED), "weights": weights})
    named = dict(zip(CONFIDENCE_FEATURES, (round(float(w), 4) for w in model), strict=True))
    _write(
        CONFIDENCE_FILE,
        {
            "origin": origin,
            "least": LEAST_OF,
            "thresholds": {str(share): value for share, value in thresholds.items()},
            "weights": named,
        },
    )


def _print_progress(done: int, total: int) -> None:
    if done == total or done % 1024 == 0:
        print(f"embedded {done} of {total} chunks", flush=True)


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
