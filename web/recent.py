"""The answers given lately, so that feedback can refer to one by its id.

Kept in memory alone: what people ask is written down only when they send feedback on it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from schema import AskResult


class Remembered(Protocol):
    """A reply with its id."""

    @property
    def id(self) -> str:
        """Unguessable."""

    @property
    def result(self) -> AskResult:
        """What was replied."""


class RecentAnswers:
    """The last `most` replies."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._results: OrderedDict[str, AskResult] = OrderedDict()

    def add(self, given: Remembered) -> None:
        """Remember a reply; the oldest one is forgotten."""
        self._results[given.id] = given.result
        while len(self._results) > self._most:
            self._results.popitem(last=False)

    def get(self, answer_id: str) -> AskResult | None:
        """The reply with this id, or None if it is forgotten or never was."""
        return self._results.get(answer_id)

    def __len__(self) -> int:
        return len(self._results)
