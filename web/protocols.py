"""The seam of the web: all that a page needs to know of question answering."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from schema import Article, AskResult, DocumentSummary, Passage, Turn

OnStage = Callable[[str], None]


class ChatService(Protocol):
    """Answers questions about one index. Safe to call from several threads."""

    def ask(
        self, question: str, history: Sequence[Turn] = (), on_stage: OnStage | None = None
    ) -> AskResult:
        """Answer or refuse; `history` is oldest first.

        `on_stage` is told "understand", "retrieve", "read", "rank" and "compose" as each begins;
        what it raises ends the work.

        Raises:
            BadQuestionError: the question is empty; `user_message` says so.
            LongQuestionError: it is too long.
        """

    def search(self, query: str, k: int) -> list[Passage]:
        """Passages only, best first, at most k."""

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
