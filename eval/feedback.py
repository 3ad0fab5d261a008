"""What people said of answers becomes a test set: records in, rows out.

An answer that helped is gold, as is a refusal that was right to refuse. What was wrong is a draft:
somebody has to write what the right answer would have been.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from eval.sets import DRAFT_MARK, kind_of
from qa.record import NO_QUESTION

_MARKER = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Said:
    """What one person said of one answer."""

    rating: str  # up, down
    problem: str | None  # citation
    comment: str
    record: Mapping[str, Any]  # the answer record, CONTRACT.md


def feedback_cases(said: Iterable[Said]) -> list[dict[str, Any]]:
    """Rows in the form of a JSON-lines test set, in order; the same gold only once.

    A word on the reply to a greeting is left out.
    """
    rows: dict[object, dict[str, Any]] = {}
    for one in said:
        if one.record.get("reason") in NO_QUESTION:  # records of older versions have none
            continue
        row = _confirmed(one) if one.rating == "up" else _draft(one)
        same = row["id"] if "draft" in row else (row["question"], *row["answers"])
        rows.setdefault(same, row)
    return list(rows.values())


def _confirmed(said: Said) -> dict[str, Any]:
    record = said.record
    note = f"有人说这个回答有用{_quoted(said.comment)}"
    if record["refused"]:
        return _row(record, kind="unanswerable", answerable=False) | {"note": note}
    short = record["short_answer"]
    gold = short or _MARKER.sub("", record["answer"]).strip()
    evidence = [{"doc": one["doc"], "text": one["quote"]} for one in record["citations"]]
    kind = kind_of(_question(record), gold) if short else "howwhy"
    row = _row(record, kind=kind, answerable=True)
    return row | {"answers": [gold], "evidence": evidence, "note": note}


def _draft(said: Said) -> dict[str, Any]:
    """Without gold, so that it counts only after a person has put it in."""
    fault = "引用错误" if said.problem == "citation" else "没用"
    note = (
        f"{DRAFT_MARK}：有人说这个回答{fault}{_quoted(said.comment)}；"
        f"当时的回答：{said.record['answer']} 请补上正确答案和出处。"
    )
    kind = kind_of(_question(said.record), "")
    return _row(said.record, kind=kind, answerable=True) | {"draft": True, "note": note}


def _row(record: Mapping[str, Any], *, kind: str, answerable: bool) -> dict[str, Any]:
    return {
        "id": f"feedback-{record['id'][:12]}",
        "question": _question(record),
        "type": kind,
        "answerable": answerable,
        "answers": [],
        "evidence": [],
    }


def _question(record: Mapping[str, Any]) -> str:
    """As it was understood: a follow-up does not stand alone."""
    return str(record.get("standalone_question") or record["question"]).strip()


def _quoted(comment: str) -> str:
    return f"（“{' '.join(comment.split())}”）" if comment.strip() else ""
