"""Has quality fallen since the committed record? A run against it, question by question.

A record is small and readable in a diff: what was run, its figures, and for each question three
yes-or-nos. The comparison is paired, so that a set of a hundred questions shows a drop of six that
nothing makes up for. Smaller drops pass, but name their questions, and do not add up unseen: the
next run is compared with the same record.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from errors import TestSetError, reason
from eval.figures import Figures
from eval.outcome import Outcome
from eval.paired import SIGNIFICANT, Paired, paired

RECORD_FORMAT = "wenju-eval-record-1"
RECORDS = Path(__file__).with_name("records")
_NAMED = 30  # questions in a message; a set may hold thousands


@dataclass(frozen=True)
class Marks:
    """What came of one question."""

    right: bool
    some_cited: bool
    refused: bool


@dataclass(frozen=True)
class Record:
    """A run to hold later ones against."""

    set: str  # the file's name
    sha256: str  # of the file
    index_version: str
    code_version: str
    when: str  # ISO 8601
    figures: Mapping[str, float | None]  # overall values by name
    questions: Mapping[str, Marks]  # by id

    def to_json(self) -> str:
        """A line for each figure and question, so that a diff shows what moved."""
        head = {key: value for key, value in vars(self).items() if isinstance(value, str)}
        lines = [f"{_json(key)}: {_json(value)}" for key, value in head.items()]
        figures = [f"  {_json(name)}: {_json(value)}" for name, value in self.figures.items()]
        questions = [
            f"  {_json(name)}: {_json(asdict(marks))}" for name, marks in self.questions.items()
        ]
        lines = [f'"format": {_json(RECORD_FORMAT)}', *lines]
        lines.append('"figures": {\n' + ",\n".join(figures) + "\n}")
        lines.append('"questions": {\n' + ",\n".join(questions) + "\n}")
        return "{\n" + ",\n".join(lines) + "\n}\n"


def make_record(
    path: Path,
    *,
    index_version: str,
    code_version: str,
    when: str,
    figures: Figures,
    outcomes: Sequence[Outcome],
) -> Record:
    """The record of a run of the test set at `path`.

    Raises:
        TestSetError: the set cannot be read.
    """
    return Record(
        set=path.name,
        sha256=set_sha256(path),
        index_version=index_version,
        code_version=code_version,
        when=when,
        # Times are the machine's, and change from run to run.
        figures={one.name: _rounded(one.value) for one in figures.overall if _is_kept(one.unit)},
        questions={
            outcome.id: Marks(outcome.right, outcome.some_cited, outcome.refused)
            for outcome in outcomes
        },
    )


def _is_kept(unit: str) -> bool:
    return unit != "milliseconds"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def set_sha256(path: Path) -> str:
    """Of the set's file.

    Raises:
        TestSetError: the file cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise TestSetError(
            f"{path}: {error}", f"无法读取测试集 {path}：{reason(error)}。"
        ) from error


def record_path(set_path: Path) -> Path:
    """Where the committed record of a test set lies."""
    return RECORDS / f"{set_path.name.split('.')[0]}.json"


def read_record(path: Path) -> Record:
    """What Record.to_json wrote.

    Raises:
        TestSetError: there is none, or it is not a record.
    """
    try:
        stored = json.loads(path.read_text("utf-8"))
        return _record(stored)
    except FileNotFoundError as error:
        raise TestSetError(f"{path}: {error}", f"没有可比较的记录 {path}。") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TestSetError(f"{path}: {error!r}", f"{path} 不是完好的评测记录。") from error


def _record(stored: dict[str, Any]) -> Record:
    """Raises ValueError, KeyError, TypeError or AttributeError where it is not one."""
    if stored["format"] != RECORD_FORMAT:
        raise ValueError(f"format {stored['format']}")
    texts = {key: stored[key] for key in ("set", "sha256", "index_version", "code_version", "when")}
    if not all(isinstance(value, str) for value in texts.values()):
        raise TypeError("not text")
    questions = {name: Marks(**marks) for name, marks in stored["questions"].items()}
    if not all(type(mark) is bool for one in questions.values() for mark in vars(one).values()):
        raise TypeError("marks must be true or false")
    figures = {
        name: None if value is None else float(value) for name, value in stored["figures"].items()
    }
    return Record(**texts, figures=figures, questions=questions)


@dataclass(frozen=True)
class Measured:
    """One property that must not fall."""

    label: str  # Chinese: what fewer questions must not be
    lost_label: str  # Chinese: what the questions are that lost it
    won_label: str
    change: Paired


@dataclass(frozen=True)
class GateResult:
    """How a run stands to the record."""

    record: Record
    measured: tuple[Measured, ...]
    added: tuple[str, ...]  # ids that only the run has
    missing: tuple[str, ...]  # ids that only the record has
    same_file: bool  # the set's file is what it was, byte for byte
    questions: Mapping[str, str]  # of the run, by id

    @property
    def same_set(self) -> bool:
        """What is compared is comparable."""
        return self.same_file and not self.added and not self.missing

    @property
    def passed(self) -> bool:
        """The set is the record's and nothing fell beyond chance."""
        return self.same_set and not any(one.change.fell for one in self.measured)

    def text(self) -> str:
        """Chinese, for the terminal: the verdict, then each property with its questions."""
        lines = [self._verdict()]
        if not self.same_set:
            lines += self._set_lines()
        for one in self.measured:
            lines += self._measured_lines(one)
        return "\n".join(lines)

    def _verdict(self) -> str:
        against = f"{self.record.when}，代码 {self.record.code_version}"
        if self.passed:
            return f"通过：与记录（{against}）相比没有显著变差。"
        if not self.same_set:
            return f"未通过：测试集与记录（{against}）的不同，不能比较；请核对测试集，或重做记录。"
        fallen = "、".join(one.label for one in self.measured if one.change.fell)
        return f"未通过：与记录（{against}）相比，{fallen}显著变差（p < {SIGNIFICANT}）。"

    def _set_lines(self) -> list[str]:
        lines = []
        if self.added:
            lines.append(f"记录中没有的题 {len(self.added)} 道：{_listed(self.added)}")
        if self.missing:
            lines.append(f"记录中有而这次没有的题 {len(self.missing)} 道：{_listed(self.missing)}")
        if not self.same_file and not self.added and not self.missing:
            lines.append("题号相同，但测试集文件的内容改过（sha256 不同）。")
        if self.measured and self.measured[0].change.count:
            lines.append("两次都有的题对比如下，仅供参考：")
        return lines

    def _measured_lines(self, one: Measured) -> list[str]:
        change = one.change
        if not change.count:
            return []
        lines = [
            f"{one.label}：{change.before} → {change.after}（共 {change.count} 题，"
            f"{one.lost_label} {len(change.lost)}，{one.won_label} {len(change.won)}，"
            f"p = {change.p:.3f}）"
        ]
        for label, ids in ((one.lost_label, change.lost), (one.won_label, change.won)):
            lines += [f"  {label} {name}：{self.questions[name]}" for name in ids[:_NAMED]]
            if len(ids) > _NAMED:
                lines.append(f"  {label}的另有 {len(ids) - _NAMED} 题")
        return lines


def compare(record: Record, outcomes: Sequence[Outcome], sha256: str) -> GateResult:
    """Hold a run against the record.

    Args:
        record: of an earlier run.
        outcomes: of this one.
        sha256: of the file of the set that was run.
    """
    questions = {outcome.id: outcome.question for outcome in outcomes}

    def measured(
        labels: tuple[str, str, str],
        counts: Callable[[Outcome], bool],
        then: Callable[[Marks], bool],
        now: Callable[[Outcome], bool],
    ) -> Measured:
        after = {outcome.id: now(outcome) for outcome in outcomes if counts(outcome)}
        before = {name: then(marks) for name, marks in record.questions.items()}
        return Measured(*labels, change=paired(before, after))

    return GateResult(
        record=record,
        measured=(
            measured(
                ("答对", "新答错", "新答对"),
                lambda _: True,
                lambda marks: marks.right,
                lambda outcome: outcome.right,
            ),
            measured(
                ("有引用落在证据上", "新引偏", "新引对"),
                lambda outcome: outcome.answerable,
                lambda marks: marks.some_cited,
                lambda outcome: outcome.some_cited,
            ),
            measured(
                ("不可回答的题已拒答", "新漏拒", "新拒对"),
                lambda outcome: not outcome.answerable,
                lambda marks: marks.refused,
                lambda outcome: outcome.refused,
            ),
        ),
        added=tuple(name for name in questions if name not in record.questions),
        missing=tuple(name for name in record.questions if name not in questions),
        same_file=sha256 == record.sha256,
        questions=questions,
    )


def _listed(ids: Sequence[str]) -> str:
    more = " 等" if len(ids) > _NAMED else ""
    return "、".join(ids[:_NAMED]) + more


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
