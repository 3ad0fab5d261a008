"""What people say of answers, kept in one SQLite file with the answer it is about.

Only questions on which somebody sent feedback are written down. A second word on the same answer
replaces the first.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from errors import FeedbackError
from qa.record import answer_record
from schema import AskResult

Rating = Literal["up", "down"]
Problem = Literal["citation"]

_FORMAT = 1  # PRAGMA user_version; raised when the columns change
_TABLE = """
CREATE TABLE IF NOT EXISTS feedback (
    answer_id TEXT PRIMARY KEY,
    given_at TEXT NOT NULL,       -- ISO 8601, UTC
    rating TEXT NOT NULL,         -- up, down
    problem TEXT,                 -- citation
    comment TEXT NOT NULL,
    question TEXT NOT NULL,
    index_version TEXT NOT NULL,
    record TEXT NOT NULL          -- the whole answer record, JSON
) STRICT
"""
_INSERT = "INSERT OR REPLACE INTO feedback VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Feedback:
    """What was said of an answer."""

    answer_id: str
    rating: Rating
    problem: Problem | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class FeedbackEntry:
    """One row of the store."""

    feedback: Feedback
    given_at: str  # ISO 8601, UTC
    record: dict[str, Any]  # the answer record, CONTRACT.md


class FeedbackStore:
    """The file; made with the first word. Safe to call from several threads and processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def add(self, feedback: Feedback, result: AskResult) -> None:
        """Store what was said of an answer.

        Raises:
            FeedbackError: the file cannot be written, or is something else.
        """
        record = answer_record(result, feedback.answer_id)
        row = (
            feedback.answer_id,
            datetime.now(UTC).isoformat(timespec="seconds"),
            feedback.rating,
            feedback.problem,
            feedback.comment,
            result.question,
            result.index_version,
            json.dumps(record, ensure_ascii=False),
        )
        with self._opened() as connection, connection:
            connection.execute(_INSERT, row)

    def entries(self) -> list[FeedbackEntry]:
        """All that was said, oldest first; nothing if nobody said anything.

        Raises:
            FeedbackError: the file cannot be read, or is something else.
        """
        if not self._path.exists():
            return []
        with self._opened() as connection:
            rows = connection.execute(
                "SELECT answer_id, rating, problem, comment, given_at, record FROM feedback"
                " ORDER BY given_at, rowid"
            ).fetchall()
        return [FeedbackEntry(Feedback(*row[:4]), row[4], json.loads(row[5])) for row in rows]

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own: seldom used, so nothing is held open."""
        try:
            with self._lock:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with closing(sqlite3.connect(self._path, timeout=5)) as connection:
                    _prepare(connection)
                    yield connection
        except (OSError, sqlite3.Error, ValueError) as error:
            raise FeedbackError(self._path, str(error)) from error


def _prepare(connection: sqlite3.Connection) -> None:
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > _FORMAT:
        raise ValueError(f"format {found}, newer than {_FORMAT}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(_TABLE)
    connection.execute(f"PRAGMA user_version = {_FORMAT}")
