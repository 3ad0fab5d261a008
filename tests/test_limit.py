"""web.limit: how many questions at once."""

from __future__ import annotations

import asyncio
import threading

import pytest

from errors import BusyError
from tests.loops import in_own_loop
from web.limit import AnswerLimit


def test_no_more_than_the_allowed_number_run_and_the_rest_wait() -> None:
    running = 0
    most = 0
    lock = threading.Lock()
    release = threading.Event()

    def work() -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        release.wait(5)
        with lock:
            running -= 1
        return "done"

    async def five() -> list[str]:
        limit = AnswerLimit(concurrent=2, waiting=3)
        tasks = [asyncio.create_task(limit.run(work)) for _ in range(5)]
        await asyncio.sleep(0.05)
        with pytest.raises(BusyError):
            await limit.run(work)
        release.set()
        return await asyncio.gather(*tasks)

    assert in_own_loop(five()) == ["done"] * 5
    assert most == 2


def test_who_must_wait_is_told_how_many_are_ahead() -> None:
    release = threading.Event()
    told: list[int] = []

    async def four() -> None:
        limit = AnswerLimit(concurrent=2, waiting=3)
        work = (limit.run(lambda: release.wait(5), told.append) for _ in range(4))
        tasks = [asyncio.create_task(one) for one in work]
        await asyncio.sleep(0)
        release.set()
        await asyncio.gather(*tasks)

    in_own_loop(four())
    assert told == [2, 3]


def test_a_failure_or_a_cancelled_wait_frees_the_place() -> None:
    release = threading.Event()

    def fail() -> None:
        raise ValueError

    async def scenario() -> str:
        limit = AnswerLimit(concurrent=1, waiting=1)
        with pytest.raises(ValueError):
            await limit.run(fail)
        first = asyncio.create_task(limit.run(lambda: release.wait(5)))
        second = asyncio.create_task(limit.run(fail))
        await asyncio.sleep(0.05)
        second.cancel()
        await asyncio.sleep(0)
        third = asyncio.create_task(limit.run(lambda: "third"))
        await asyncio.sleep(0)
        release.set()
        await first
        return await third

    assert in_own_loop(scenario()) == "third"
