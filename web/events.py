"""Server-sent events: one answer as it comes about, as bytes on the wire."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any

from web.answers import Events, Given, Step, Waiting
from web.failures import Failure

MEDIA_TYPE = "text/event-stream"
# A proxy that buffers would hold the first words back until the last are there.
HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}

STAGES_ZH = {
    "retrieve": "正在查找相关段落……",
    "read": "正在阅读……",
    "compose": "正在核对引文……",
}
_KEEP_ALIVE_SECONDS = 15.0  # proxies close what is silent for a minute
_STATEMENT_END = re.compile(r"(?<=[。；！？])(?=.)")


def status_of(step: Step) -> tuple[str, str] | None:
    """The name of a step and what people are told of it; None where it is over too soon to tell."""
    if isinstance(step, Waiting):
        return "waiting", f"前面还有 {step.ahead} 个问题，请稍候……"
    return (step.name, STAGES_ZH[step.name]) if step.name in STAGES_ZH else None


def event(name: str, data: Mapping[str, Any]) -> bytes:
    """One event; JSON has no line feed, so one data line holds it."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def statements(answer: str) -> list[str]:
    """The answer cut behind its statements, nothing lost.

    Example: 甲[1]；乙[2]。 -> 甲[1]； and 乙[2]。
    """
    return _STATEMENT_END.split(answer)


async def answer_events(
    events: Events, failure_of: Callable[[Exception], Failure]
) -> AsyncGenerator[bytes]:
    """The events of CONTRACT.md: status, delta, citations, done, or error in place of done."""
    told = ""
    try:
        async with aclosing(_with_keep_alive(events)) as items:
            async for item in items:
                if item is None:
                    yield b": \n\n"
                elif isinstance(item, Given):
                    for part in _of_record(item.record):
                        yield part
                elif (status := status_of(item)) is not None and status[0] != told:
                    told, text = status
                    yield event("status", {"stage": told, "text": text})
    except Exception as error:  # noqa: BLE001 - the response has begun: only an event can tell
        yield event("error", failure_of(error).body())


def _of_record(record: dict[str, Any]) -> list[bytes]:
    return [
        *(event("delta", {"text": text}) for text in statements(record["answer"])),
        event("citations", {key: record[key] for key in ("citations", "suggestions")}),
        event("done", record),
    ]


async def _with_keep_alive(
    events: Events,
) -> AsyncGenerator[Step | Given | None]:
    """The events, and None whenever nothing has come for a while."""
    upcoming = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            done, _ = await asyncio.wait([upcoming], timeout=_KEEP_ALIVE_SECONDS)
            if not done:
                yield None
                continue
            item = upcoming.result()
            if item is None:
                return
            yield item
            upcoming = asyncio.ensure_future(anext(events, None))
    finally:
        upcoming.cancel()
        with suppress(asyncio.CancelledError, StopAsyncIteration):
            await upcoming
        await events.aclose()
