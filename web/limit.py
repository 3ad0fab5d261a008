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
        self._places = concurrent + waiting
        self._running = asyncio.Semaphore(concurrent)

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
