"""How many questions are worked on at once, whichever door they come through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool

from errors import BusyError

_Result = TypeVar("_Result")


class AnswerLimit:
    """Lets `concurrent` calls run and `waiting` more wait; refuses the next one at once.

    Belongs to one event loop. A caller that gives up while waiting frees its place at once; one
    that leaves while being served does so when the work has ended: a thread cannot be stopped.
    """

    def __init__(self, *, concurrent: int, waiting: int) -> None:
        self._concurrent = concurrent
        self._all_places = concurrent + waiting
        self._places = self._all_places
        self._running = asyncio.Semaphore(concurrent)

    @property
    def running(self) -> int:
        """How many are worked on now."""
        return min(self._all_places - self._places, self._concurrent)

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return self._all_places - self._places - self.running

    async def run(
        self, work: Callable[[], _Result], on_wait: Callable[[int], None] = lambda ahead: None
    ) -> _Result:
        """The result of `work`, called on a thread of its own when its turn comes.

        Args:
            work: as above.
            on_wait: told at once how many are ahead, those under way included, if it must wait.

        Raises:
            BusyError: as many as may are waiting already.
        """
        if self._places == 0:
            raise BusyError
        ahead = self._all_places - self._places
        self._places -= 1
        if self._running.locked():
            on_wait(ahead)
        try:
            await self._running.acquire()
        except asyncio.CancelledError:
            self._places += 1
            raise
        working = asyncio.ensure_future(run_in_threadpool(work))
        working.add_done_callback(self._ended)
        return await asyncio.shield(working)

    def _ended(self, working: asyncio.Future[Any]) -> None:
        self._running.release()
        self._places += 1
        if not working.cancelled():
            working.exception()  # taken, else asyncio complains where the caller has left
