"""Questions answered on while the index is rebuilt: a new chatbot takes over what is published.

A daemon thread asks now and then what serves, a pointer file or a row of a store. Where that has
changed, the new generation is opened beside the old one and takes its place at once; a question
under way ends on the generation that it began with, and the old one is closed when its last
question is done. What cannot be opened is logged, and the old one serves on. Opening is the
caller's business: models are loaded once and shared.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType

from errors import MissingIndexError, NotReadyError, WenjuError
from qa.chatbot import Chatbot, OnStage
from schema import Article, AskResult, DocumentSummary, History, Passage

_POLL_SECONDS = 0.25
_RETRY_SECONDS = 30.0  # for what could not be opened and may have had a passing cause
_logger = logging.getLogger(__name__)


@dataclass
class _Served:
    """A chatbot and how many calls are inside it; guarded by the lock of LiveChatbot."""

    chatbot: Chatbot
    since: datetime
    users: int = 0
    retired: bool = False


class LiveChatbot:
    """A ChatService over whichever generation is the published one; a context manager.

    Safe to call from several threads. Without an index it is not ready: asking raises
    NotReadyError, and there are no documents.

    Args:
        current: what is published now; changes with every publication, None while there is no
            index. It may raise WenjuError where that cannot be told.
        open_generation: a chatbot over the generation that is published now.
        poll_seconds: between two looks.

    Raises (on entering):
        WenjuError: there is an index, and it cannot be used; or it cannot be reached.
    """

    def __init__(
        self,
        current: Callable[[], Hashable | None],
        open_generation: Callable[[], Chatbot],
        *,
        poll_seconds: float = _POLL_SECONDS,
    ) -> None:
        self._current = current
        self._open_generation = open_generation
        self._poll_seconds = poll_seconds
        self._served: _Served | None = None
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._seen: Hashable | None = None
        self._failed: tuple[Hashable, float] | None = None
        self._unreachable = False
        self._stopped = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="index-watcher", daemon=True)

    def __enter__(self) -> LiveChatbot:
        stamp = self._current()  # before opening, so that no publication is overlooked
        with suppress(MissingIndexError):  # a lost CURRENT alone does no harm
            self._take(self._open_generation(), stamp)
        self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._watcher.join()
        self._swap(None)

    @contextmanager
    def pinned(self) -> Iterator[Chatbot]:
        """One generation for several calls that belong together, whatever is published meanwhile.

        Raises:
            NotReadyError: there is no index yet.
        """
        with self._lock:
            served = self._served
            if served is None:
                raise NotReadyError
            served.users += 1
        try:
            yield served.chatbot
        finally:
            with self._lock:
                served.users -= 1
                unused = served.retired and not served.users
            if unused:
                served.chatbot.generation.close()

    def ask(
        self, question: str, history: History = (), on_stage: OnStage | None = None
    ) -> AskResult:
        """The reply to one question, wholly of one generation; `on_stage` as Chatbot.ask has it.

        Raises:
            NotReadyError: there is no index yet.
            BadQuestionError: nothing typed, or too long.
        """
        with self.pinned() as chatbot:
            return chatbot.ask(question, history, on_stage)

    def search(self, query: str, k: int) -> list[Passage]:
        """Passages only, best first. Raises NotReadyError as `ask` does."""
        with self.pinned() as chatbot:
            return chatbot.search(query, k)

    def article(self, doc: str) -> Article | None:
        """A whole document, or None if the index does not hold it."""
        try:
            with self.pinned() as chatbot:
                return chatbot.article(doc)
        except NotReadyError:
            return None

    def documents(self) -> list[DocumentSummary]:
        """All documents, sorted by doc."""
        try:
            with self.pinned() as chatbot:
                return chatbot.documents()
        except NotReadyError:
            return []

    def origins(self) -> Mapping[str, str]:
        """{doc: the folder that was given to build and holds its file}."""
        try:
            with self.pinned() as chatbot:
                stored = chatbot.generation.table.stored_documents()
                return {document.doc: document.root for document in stored}
        except NotReadyError:
            return {}

    @property
    def examples(self) -> Sequence[str]:
        """A few questions that the documents answer."""
        served = self._served
        return served.chatbot.examples if served else ()

    @property
    def index_version(self) -> str:
        """Which generation answers; "" while there is none."""
        served = self._served
        return served.chatbot.index_version if served else ""

    @property
    def serving_since(self) -> datetime | None:
        """When the generation that answers took over, in UTC; None while there is none."""
        served = self._served
        return served.since if served else None

    def look(self) -> None:
        """Take what is published now, if that is news; the watcher calls this by itself."""
        with self._looking:
            stamp = self._stamp()
            if stamp is None or stamp == self._seen or self._failed_lately(stamp):
                return
            try:
                self._take(self._open_generation(), stamp)
            except WenjuError as error:
                self._fail(stamp)
                _logger.error("new index generation not served: %s", error.user_message)
            except Exception:
                self._fail(stamp)
                _logger.exception("new index generation not served")

    def _watch(self) -> None:
        while not self._stopped.wait(self._poll_seconds):
            self.look()

    def _stamp(self) -> Hashable | None:
        """What is published, None while nobody can tell; that is logged once, not every second."""
        try:
            stamp = self._current()
        except WenjuError as error:
            if not self._unreachable:
                _logger.error("no news of the index: %s", error.user_message)
            self._unreachable = True
            return None
        self._unreachable = False
        return stamp

    def _failed_lately(self, stamp: Hashable) -> bool:
        if self._failed is None or self._failed[0] != stamp:
            return False
        return time.monotonic() - self._failed[1] < _RETRY_SECONDS

    def _fail(self, stamp: Hashable) -> None:
        self._failed = (stamp, time.monotonic())

    def _take(self, chatbot: Chatbot, stamp: Hashable | None) -> None:
        """Serve a chatbot just opened, or let go of it where its generation serves already."""
        damage = chatbot.generation.notice  # then what was opened is an older one
        if damage:
            _logger.error("%s", damage)
        self._seen = stamp
        if self._served and (damage or chatbot.index_version == self.index_version):
            chatbot.generation.close()
        else:
            self._swap(_Served(chatbot, datetime.now(UTC)))

    def _swap(self, fresh: _Served | None) -> None:
        with self._lock:
            old, self._served = self._served, fresh
            if old is not None:
                old.retired = True
            unused = old is not None and not old.users
        if old is not None and unused:
            old.chatbot.generation.close()
