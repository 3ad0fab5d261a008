"""Test-set files to cases. The forms are described in eval/sets/README.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from errors import TestSetError
from eval.case import DIFFICULTIES, Case
from schema import Turn


def load_cases(path: Path) -> list[Case]:
    """The cases of a JSON-lines test set.

    Raises:
        TestSetError: unreadable, or a line that is not a case; names the line.
    """
    try:
        lines = path.read_text("utf-8-sig").split("\n")  # JSON text may hold U+2028
    except (OSError, UnicodeDecodeError) as error:
        raise TestSetError(f"{path}: {error}", f"无法读取测试集 {path}。") from error
    cases = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            cases.append(_case(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            raise TestSetError(
                f"{path}:{number}: {error!r}", f"测试集 {path} 第 {number} 行格式不对。"
            ) from error
    if not cases:
        raise TestSetError(f"{path}: no case", f"测试集 {path} 里没有题目。")
    return cases


def _case(row: dict[str, Any]) -> Case:
    return Case(
        id=str(row["id"]),
        question=row["question"],
        type=row["type"],
        answerable=bool(row["answerable"]),
        answers=tuple(row["answers"]),
        items=tuple(row.get("items") or ()),
        keypoints=tuple(row.get("keypoints") or ()),
        evidence=tuple((item["doc"], item["text"]) for item in row["evidence"]),
        history=tuple(Turn(turn["role"], turn["content"]) for turn in row.get("history") or ()),
        difficulty=_difficulty(row),
    )


def _difficulty(row: dict[str, Any]) -> str | None:
    """The first word of the note where it is one of the three."""
    word = str(row.get("note") or "").split(":")[0]
    return word if not row["answerable"] and word in DIFFICULTIES else None
