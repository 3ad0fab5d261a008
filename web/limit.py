"""How many questions are worked on at once, whichever door they come through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

from errors import BusyError

_Result = TypeVar("_Result")


class AnswerLimit:
    """Lets `concurrent` calls run and `waiting` more wait; refuses the next one at once.

    Belongs to one event loop. A caller that gives up while waiting frees its place.
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

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """The result of `work`, called on a thread of its own when its turn comes.

        Raises:
            BusyError: as many as may are waiting already.
        """
        if self._places == 0:
            raise BusyError
        self._places -= 1
        try:
            async with self._running:
                return await run_in_threadpool(work)
        finally:
            self._places += 1
