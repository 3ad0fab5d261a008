"""The seam of the web: all that a page needs to know of question answering."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from schema import Article, AskResult, DocumentSummary, Turn


class ChatService(Protocol):
    """Answers questions about one index. Safe to call from several threads."""

    def ask(self, question: str, history: Sequence[Turn] = ()) -> AskResult:
        """Answer or refuse; `history` is oldest first.

        Raises:
            BadQuestionError: the question is empty or too long; `user_message` says so.
        """

    def article(self, doc: str) -> Article | None:
        """The whole article, or None if the index does not hold it."""

    def documents(self) -> list[DocumentSummary]:
        """Sorted by doc."""

    @property
    def examples(self) -> Sequence[str]:
        """A few Chinese questions that the documents answer."""

    @property
    def index_version(self) -> str:
        """Names the index generation that answers."""
