"""What is asked and what a right answer holds: the records of a test set.

The forms they are read from are in sets.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from schema import Turn

# Of a question: what is asked for, or what makes it hard. Tables of an office hold these names.
TYPES_ZH = {
    "number": "数字",
    "entity": "名称",
    "date": "日期",
    "definition": "定义",
    "list": "列举",
    "howwhy": "原因方法",
    "colloquial": "口语",
    "noisy": "错别字",
    "followup": "追问",
    "cross": "跨文档",
    "extractive": "摘取",
    "unanswerable": "不可回答",
}
DIFFICULTIES = ("hard", "mid", "easy")
SHORT_TYPES = ("number", "entity", "date", "extractive")  # whose questions have a short answer


@dataclass(frozen=True)
class Case:
    """One question of a test set with what a right answer holds."""

    id: str
    question: str
    type: str
    answerable: bool
    answers: tuple[str, ...]  # acceptable variants, the first preferred
    items: tuple[str, ...] = ()  # what a list must hold
    keypoints: tuple[str, ...] = ()  # what the answer must hold
    # (doc, verbatim text; white space does not count); without text the whole document is meant
    evidence: tuple[tuple[str, str], ...] = ()
    history: tuple[Turn, ...] = ()
    difficulty: str | None = None  # of a question without an answer: hard, mid or easy


@dataclass(frozen=True)
class Fault:
    """A line, row or question of a test-set file that is left out."""

    place: str  # Chinese: 第 3 行
    reason: str  # Chinese


@dataclass(frozen=True)
class CaseSet:
    """A test set as read; what could not be read is named and left out."""

    name: str  # the file's name
    cases: tuple[Case, ...]
    faults: tuple[Fault, ...] = ()
    documents: tuple[tuple[str, str], ...] = ()  # (doc, text) where the set brings its own
    drafts: int = 0  # of the cases: made by rule, and nobody has checked them

    @property
    def remark(self) -> str | None:
        """What the reader of the figures must know of the set, in Chinese."""
        return f"{self.drafts} 题仍是草稿，尚未人工核对。" if self.drafts else None
