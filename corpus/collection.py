"""Files that hold an article a line: their lines, and what stands in one.

The name tells: .lines is text, one article a line; .jsonl is JSON, one object a line; .gz behind
either, or behind .txt, is the same compressed. A plain .txt is always one article, however long its
lines are. All are UTF-8.

A JSON object has its text under `text` or `content`, and optionally `title`, `date` and `id`. What
is quoted, and what offsets count in, is that text; of a text file it is the line.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from corpus.formats import Extracted
from errors import UnreadableDocumentError, reason

MAX_LINE_BYTES = 50 * 1024 * 1024  # as for a file

_TEXT_SUFFIXES = (".lines", ".lines.gz", ".txt.gz")
_JSON_SUFFIXES = (".jsonl", ".jsonl.gz")
_MARK = b"\xef\xbb\xbf"
_PLAIN_ID = re.compile(r"[\w.-]{1,100}")
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not blank."""

    number: int  # from 1, blank lines counted
    data: bytes  # without its end


def is_collection(name: str) -> bool:
    """Whether a file of that name holds an article a line."""
    return name.lower().endswith(_TEXT_SUFFIXES + _JSON_SUFFIXES)


def lines(path: Path) -> Iterator[Line]:
    """The lines of a file, one in memory at a time; blank ones are left out.

    Raises:
        UnreadableDocumentError: it cannot be read to its end, or a line is too long.
    """
    try:
        file = _opened(path)
    except OSError as error:
        raise UnreadableDocumentError(f"{path}: {error}", f"无法读取：{reason(error)}") from error
    with file:
        number = 0
        while data := _next(file, path):
            number += 1
            if number == 1:
                data = data.removeprefix(_MARK)
            if (text := data.strip(b"\r\n")).strip():
                yield Line(number, text)


def count_lines(path: Path) -> int:
    """How many line ends a file has, to tell how far reading is; as far as it can be read."""
    count = 0
    try:
        with _opened(path) as file:
            while block := file.read(_BLOCK):
                count += block.count(b"\n")
    except (OSError, EOFError, zlib.error):
        return count
    return count


def line_name(line: Line, *, json_lines: bool) -> str:
    """What a line's document is called below its file: a plain `id`, or the number of the line."""
    if json_lines:
        try:
            found = _record(line.data).get("id")
        except UnreadableDocumentError:
            found = None
        name = str(found) if type(found) in (str, int) else ""
        if _PLAIN_ID.fullmatch(name) and name.strip("."):
            return name
    return f"{line.number:06d}"


def is_json(name: str) -> bool:
    """Whether the lines of a collection of that name are JSON."""
    return name.lower().endswith(_JSON_SUFFIXES)


def extract_line(data: bytes, *, json_lines: bool) -> Extracted:
    """What a line holds.

    Raises:
        UnreadableDocumentError: not UTF-8, or not an object with a text.
    """
    if not json_lines:
        return Extracted(_decoded(data))
    record = _record(data)
    text = record.get("text", record.get("content"))
    if not isinstance(text, str):
        raise UnreadableDocumentError("no text", "这一行没有 text 或 content 一项，或不是文字")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UnreadableDocumentError("half a character", "内容含有无效字符") from error
    title, date = record.get("title"), record.get("date")
    return Extracted(
        text,
        title=title.strip() or None if isinstance(title, str) else None,
        date=date if isinstance(date, str) else None,
    )


def _opened(path: Path) -> BinaryIO:
    if path.name.lower().endswith(".gz"):
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")


def _next(file: BinaryIO, path: Path) -> bytes:
    try:
        data = file.readline(MAX_LINE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableDocumentError(f"{path}: {error}", "文件不完整或已损坏") from error
    if len(data) > MAX_LINE_BYTES:
        limit = MAX_LINE_BYTES // 1024 // 1024
        raise UnreadableDocumentError(f"{path}: a line too long", f"有一行超过 {limit} MB")
    return data


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableDocumentError("not UTF-8", "这一行不是 UTF-8 文字") from error


def _record(data: bytes) -> dict[str, Any]:
    try:
        record = json.loads(_decoded(data))
    except (ValueError, RecursionError) as error:
        raise UnreadableDocumentError("not JSON", "这一行不是 JSON 对象") from error
    if not isinstance(record, dict):
        raise UnreadableDocumentError("not an object", "这一行不是 JSON 对象")
    return record
