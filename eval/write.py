"""Rows to test-set files: JSON lines, CSV or XLSX, in the forms that sets.py reads."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from errors import TestSetError, WenjuError, reason
from eval.case import TYPES_ZH
from eval.sets import COLUMNS, DIFFICULTIES_ZH


def write_set(path: Path, rows: Sequence[Mapping[str, Any]], nothing: str) -> None:
    """Write rows as JSON lines, CSV or XLSX, by suffix; the file is whole or not there.

    Args:
        path: where to.
        rows: in the form of the JSON lines.
        nothing: what to tell a person where there are no rows, in Chinese.

    Raises:
        TestSetError: no rows, or another suffix.
        WenjuError: the file cannot be written.
    """
    writers = {".jsonl": _write_lines, ".csv": _write_csv, ".xlsx": _write_xlsx}
    write = writers.get(path.suffix.lower())
    if write is None:
        raise TestSetError(
            f"{path}: unknown suffix", f"{path} 的后缀不认识，请用 .jsonl、.csv 或 .xlsx。"
        )
    if not rows:
        raise TestSetError(f"{path}: no rows", nothing)
    partial = path.with_name(f".{path.name}.partial")
    try:
        write(partial, rows)
        partial.replace(path)
    except OSError as error:
        raise WenjuError(f"{path}: {error}", f"无法写入 {path}：{reason(error)}。") from error
    finally:
        partial.unlink(missing_ok=True)


def _write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), "utf-8")


def _table(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Header and rows as an office worker reads them."""
    return [[names[0] for names in COLUMNS.values()], *(_cells(row) for row in rows)]


def _cells(row: Mapping[str, Any]) -> list[str]:
    evidence = (f"{item['doc']}：{item['text']}" for item in row["evidence"])
    cells = {
        "id": row["id"],
        "question": row["question"],
        "answers": "；".join(row["answers"]),
        "evidence": "\n".join(evidence),
        "type": TYPES_ZH[row["type"]],
        "answerable": "是" if row["answerable"] else "否",
        "keypoints": "",
        "difficulty": DIFFICULTIES_ZH.get(row.get("difficulty", ""), ""),
        "note": row["note"],
    }
    return [cells[column] for column in COLUMNS]


def _guarded(cell: str) -> str:
    """With an apostrophe before what a spreadsheet would run as a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@")) else cell


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """With a byte-order mark: without it Excel takes UTF-8 for GBK."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([_guarded(cell) for cell in row] for row in _table(rows))


_WIDTHS = {"question": 50, "answers": 24, "evidence": 60, "note": 40}
_NO_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def _write_xlsx(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Font
    from openpyxl.utils import get_column_letter

    book = Workbook()
    sheet = book.active
    sheet.title = "测试集"
    sheet.freeze_panes = "A2"
    for at, column in enumerate(COLUMNS, start=1):
        sheet.column_dimensions[get_column_letter(at)].width = _WIDTHS.get(column, 10)
    for number, row in enumerate(_table(rows), start=1):
        for at, text in enumerate(row, start=1):
            cell = sheet.cell(number, at, _NO_XML.sub("", _guarded(text)))
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            if number == 1:
                cell.font = Font(bold=True)
    book.save(path)
