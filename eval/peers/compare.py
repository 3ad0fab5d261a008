"""A test set and its documents in, one row a system out: how well and how fast it finds passages.

The other systems have no answers to compare, so passages are: one is relevant where it lies on the
evidence by the rule of eval/outcome.py. Each system runs in a process of its own, so that it can
have an environment of its own and its memory is its own.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from errors import TestSetError, reason
from eval.case import Case, CaseSet
from eval.intervals import mean_interval, paired_difference, percentile
from eval.metrics import contains, locate, overlaps_evidence
from eval.peers.run_one import OURS, SYSTEMS
from eval.peers.system import Findings, Found, Job, Place
from eval.ranking import ndcg_at, recall_at, reciprocal_rank, relevant_passages
from qa.question import understand
from schema import Span

ROOT = Path(__file__).resolve().parent.parent.parent
DEPTHS = (1, 3, 5, 10)
DEPTH = max(DEPTHS)
QUALITIES = (*(f"recall_at_{k}" for k in DEPTHS), "mrr", f"ndcg_at_{DEPTH}", "first_holds_gold")


@dataclass(frozen=True)
class Asked:
    """A question that can be scored by its passages."""

    case: Case
    text: str  # what every system is asked
    evidence: tuple[Place, ...]  # at least one


@dataclass(frozen=True)
class Quality:
    """A mean over the questions with its 95 % interval; all in 0..1."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """One system's figures; where it did not run, only why."""

    name: str
    label: str  # Chinese
    problem: str | None = None  # Chinese
    scores: Mapping[str, Sequence[float]] | None = None  # of each question, in order, by QUALITIES
    qualities: Mapping[str, Quality] | None = None  # their means
    mrr_change: Quality | None = None  # this system's MRR less ours, over the same questions
    passage_chars: float = 0.0  # of the first passage, white space apart: mean
    build_seconds: float = 0.0
    milliseconds_p50: float = 0.0  # of one question
    milliseconds_p95: float = 0.0
    peak_megabytes: float = 0.0
    versions: Mapping[str, str] | None = None


Run = Callable[[str, Job], dict[str, Any]]  # (name of the system, job) -> what run_one writes


def text_documents(folder: Path) -> dict[str, str]:
    """The documents of a folder, (path below it, text), in the order of their paths.

    Raises:
        TestSetError: there is none, or one is no UTF-8 text file, which is all that the other
            systems are given here.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    shown = [
        path for path in files if not any(p.startswith(".") for p in path.relative_to(folder).parts)
    ]
    if not shown:
        raise TestSetError(f"no document in {folder}", f"{folder} 中没有文档。")
    return {path.relative_to(folder).as_posix(): _text(path) for path in shown}


def _text(path: Path) -> str:
    try:
        if path.suffix.lower() != ".txt":
            raise UnicodeError("not a text file")
        return path.read_bytes().decode("utf-8")
    except UnicodeError as error:
        raise TestSetError(
            f"{path}: {error}", f"并列比较只用 UTF-8 编码的 TXT 文档，{path} 不是。"
        ) from error
    except OSError as error:
        raise TestSetError(f"{path}: {error}", f"无法读取 {path}：{reason(error)}。") from error


def write_documents(cases: CaseSet, folder: Path) -> None:
    """Put the documents that a set brings with it into a folder."""
    for doc, text in cases.documents:
        (folder / doc).write_bytes(text.encode("utf-8"))


def askable(cases: Iterable[Case], texts: Mapping[str, str]) -> list[Asked]:
    """The answerable questions whose evidence stands in the documents.

    The other systems do not know what was said before: a question of a conversation is given to
    all of them in the form that our rules make of it.
    """
    asked = []
    for case in cases:
        evidence = tuple(
            Place(doc, span.start, span.end)
            for doc, text in case.evidence
            if doc in texts and (span := locate(texts[doc], text)) is not None
        )
        if case.answerable and evidence:
            text = case.question
            if case.history:
                text = understand(case.question, case.history, len(case.question)).standalone
            asked.append(Asked(case, text, evidence))
    return asked


def compare(
    asked: Sequence[Asked], folder: Path, names: Sequence[str], model: Path, run: Run
) -> list[Row]:
    """Every system on the same questions and documents, in the order given.

    Raises:
        TestSetError: there is no question, or `folder` is not as text_documents wants it.
    """
    if not asked:
        raise TestSetError("no question to compare", "没有可比较的题：证据都不在给出的文档里。")
    texts = text_documents(folder)
    job = Job(
        folder=str(folder.resolve()),
        docs=tuple(texts),
        questions=tuple((one.case.id, one.text) for one in asked),
        depth=DEPTH,
        model=str(model.resolve()),
    )
    return beside_ours([row_of(name, run(name, job), asked, texts) for name in names])


def beside_ours(rows: Sequence[Row]) -> list[Row]:
    """The rows with their differences from ours, where both ran."""
    ours = next((row.scores for row in rows if row.name == OURS), None)
    return [
        row
        if ours is None or row.scores is None or row.name == OURS
        else replace(row, mrr_change=_change(ours["mrr"], row.scores["mrr"]))
        for row in rows
    ]


def _change(ours: Sequence[float], theirs: Sequence[float]) -> Quality:
    low, high = paired_difference(ours, theirs)
    return Quality(fmean(theirs) - fmean(ours), low, high)


def row_of(
    name: str, result: Mapping[str, Any], asked: Sequence[Asked], texts: Mapping[str, str]
) -> Row:
    """The figures of what a system's process wrote."""
    label = SYSTEMS[name].label
    if "missing" in result:
        return Row(name, label, f"未安装：{result['missing']}")
    if "failed" in result:
        return Row(name, label, f"未能运行：{result['failed']}")
    findings = Findings.of(result)
    found = [findings.found[one.case.id] for one in asked]
    each_scored = [scored(one, each, texts) for one, each in zip(asked, found, strict=True)]
    scores = {quality: [one[quality] for one in each_scored] for quality in QUALITIES}
    times = [each.milliseconds for each in found]
    firsts = [_cut(each.places[0], texts) for each in found if each.places]
    return Row(
        name,
        label,
        scores=scores,
        qualities={quality: _mean(values) for quality, values in scores.items()},
        passage_chars=fmean(len("".join(text.split())) for text in firsts) if firsts else 0.0,
        build_seconds=findings.build_seconds,
        milliseconds_p50=percentile(times, 0.5),
        milliseconds_p95=percentile(times, 0.95),
        peak_megabytes=findings.peak_megabytes,
        versions=result.get("versions"),
    )


def _mean(values: Sequence[float]) -> Quality:
    low, high = mean_interval(values)
    return Quality(fmean(values), low, high)


def scored(asked: Asked, found: Found, texts: Mapping[str, str]) -> dict[str, float]:
    """The measures of QUALITIES for one question."""
    places = found.places[:DEPTH]
    relevant = [any(_on(place, one) for one in asked.evidence) for place in places]
    ranks = [
        next((rank for rank, place in enumerate(places, start=1) if _on(place, one)), None)
        for one in asked.evidence
    ]
    scores = {f"recall_at_{k}": recall_at(ranks, k) for k in DEPTHS}
    scores["mrr"] = reciprocal_rank(relevant)
    scores[f"ndcg_at_{DEPTH}"] = ndcg_at(relevant, DEPTH, relevant_passages(relevant, ranks))
    scores["first_holds_gold"] = float(
        bool(places) and holds_gold(_cut(places[0], texts), asked.case)
    )
    return scores


def _on(place: Place, evidence: Place) -> bool:
    return place.doc == evidence.doc and overlaps_evidence(
        Span(place.start, place.end), [Span(evidence.start, evidence.end)]
    )


def _cut(place: Place, texts: Mapping[str, str]) -> str:
    return texts[place.doc][place.start : place.end]


def holds_gold(passage: str, case: Case) -> bool:
    """Whether a passage holds an acceptable answer, or every item, or every key point."""
    return any(contains(passage, answer) for answer in case.answers) or any(
        bool(parts) and all(contains(passage, part) for part in parts)
        for parts in (case.items, case.keypoints)
    )


def in_process(python: str) -> Run:
    """Run ours with this interpreter and the other systems with `python`."""

    def run(name: str, job: Job) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            given, out = Path(folder, "job.json"), Path(folder, "out.json")
            job.write(given)
            done = subprocess.run(
                [
                    sys.executable if name == OURS else python,
                    *("-m", "eval.peers.run_one", name, str(given), str(out)),
                ],
                cwd=ROOT,
                # The libraries would otherwise ask the hub whether a local folder is up to date.
                env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                check=False,
            )
            if done.returncode or not out.is_file():
                said = done.stderr.strip().split("\n")[-1] or f"退出码 {done.returncode}"
                return {"failed": said}
            result: dict[str, Any] = json.loads(out.read_text("utf-8"))
            return result

    return run


_HEADINGS = {
    "recall_at_1": "召回@1",
    "recall_at_3": "召回@3",
    "recall_at_5": "召回@5",
    "recall_at_10": "召回@10",
    "mrr": "MRR",
    "ndcg_at_10": "nDCG@10",
    "first_holds_gold": "首段含答案",
}


def comparison_table(rows: Sequence[Row]) -> str:
    """As a Markdown table in Chinese; what did not run is told below it."""
    headings = [
        "系统",
        *(_HEADINGS[name] for name in QUALITIES),
        *("MRR 与问据之差", "段长（字）", "建库（秒）", "每问 p50 / p95（毫秒）", "内存峰值（MB）"),
    ]
    lines = [_line(headings), _line(["---", *["---:"] * (len(headings) - 1)])]
    lines += [_line(_cells(row)) for row in rows if row.problem is None]
    problems = [f"{row.label}：{row.problem}" for row in rows if row.problem is not None]
    return "\n".join([*lines, *([""] if problems else []), *problems])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: Row) -> list[str]:
    assert row.qualities is not None  # a row without a problem has them
    return [
        row.label,
        *(_quality(row.qualities[name]) for name in QUALITIES),
        "—" if row.mrr_change is None else _quality(row.mrr_change, "+"),
        f"{row.passage_chars:.0f}",
        f"{row.build_seconds:.1f}",
        f"{row.milliseconds_p50:.0f} / {row.milliseconds_p95:.0f}",
        f"{row.peak_megabytes:.0f}",
    ]


def _quality(one: Quality, sign: str = "") -> str:
    low, high = (f"{bound:{sign}.3f}" for bound in (one.low, one.high))
    return f"{one.value:{sign}.3f}（{low} 至 {high}）"


def record(rows: Sequence[Row], *, name: str, when: str, asked: int, left_out: int) -> str:
    """Everything as JSON text, with the machine that the times are from."""
    content = {
        "set": name,
        "when": when,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "questions": asked,
        "left_out": left_out,
        "rows": [asdict(row) for row in rows],
    }
    return json.dumps(content, ensure_ascii=False, indent=1)
