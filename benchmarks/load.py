"""Many people at once, over real HTTP: python -m benchmarks.load [--people 50] [--seconds 60].

Starts `serve` on the shipped articles (or another index) with the rates lifted, and has each person
ask again as soon as the answer is there, half of them as server-sent events. An answer is lost if
it is no whole answer record. A 503 is an honest "busy": it is asked again when Retry-After says,
and the wait counts. Memory is the server's resident set, once a second; its change over the last
half compares the means of the third and the fourth quarter.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import math
import re
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.server import Server, our_server
from benchmarks.watch import core_seconds_of, memory_of
from settings import ROOT

QUESTIONS = ROOT / "eval" / "sets" / "zimao_open.jsonl"
_DEFAULT_RETRY_SECONDS = 1.0


@dataclass
class Seen:
    """What the people saw."""

    asked: int = 0
    answer_seconds: list[float] = field(default_factory=list)
    first_event_seconds: list[float] = field(default_factory=list)
    busy: int = 0
    lost: list[str] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)  # once a second
    core_seconds: float = 0.0  # of the server's processor time

    def add(self, other: Seen) -> None:
        """Another person's."""
        self.asked += other.asked
        self.answer_seconds += other.answer_seconds
        self.first_event_seconds += other.first_event_seconds
        self.busy += other.busy
        self.lost += other.lost


# Asks once. Gives the seconds after which to ask again; None: the answer has come.
# Raises ValueError where something else than a whole answer has come.
Ask = Callable[[httpx.AsyncClient, str, Seen], Awaitable[float | None]]


@dataclass(frozen=True)
class Crowd:
    """Who asks."""

    people: int
    asks: Sequence[Ask]  # person i asks by number i, and again from the first
    seconds: float = math.inf  # after which nobody asks again
    think: float = 0.0  # seconds from an answer to the next question


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--think", type=float, default=0.0, help="答完到再问的秒数")
    parser.add_argument("--questions", type=Path, default=QUESTIONS, help="测试集，一行一个 JSON")
    parser.add_argument("--index", type=Path, help="索引文件夹（默认为自带文章现建）")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    crowd = Crowd(options.people, (ask_for_json, ask_for_events), options.seconds, options.think)
    questions = itertools.cycle(_questions(options.questions))
    with (
        tempfile.TemporaryDirectory() as folder,
        our_server(options.index or Path(folder, "index")) as server,
    ):
        seen = measure(server, crowd, questions)
    found = figures(seen, options.seconds)
    print(json.dumps(found, ensure_ascii=False, indent=1) if options.json else _table(found))


def _questions(file: Path) -> list[str]:
    lines = file.read_text("utf-8").splitlines()
    return [json.loads(line)["question"] for line in lines if line.strip()]


def measure(server: Server, crowd: Crowd, questions: Iterator[str]) -> Seen:
    """What a crowd sees that asks until its time is over or the questions have run out."""
    return asyncio.run(_measure(server, crowd, questions))


async def _measure(server: Server, crowd: Crowd, questions: Iterator[str]) -> Seen:
    seen = Seen()
    until = time.perf_counter() + crowd.seconds
    limits = httpx.Limits(max_connections=crowd.people + 1)
    before = core_seconds_of(server.pid)
    async with httpx.AsyncClient(base_url=server.address, timeout=60, limits=limits) as client:
        people = [
            _person(client, questions, crowd.asks[i % len(crowd.asks)], until, crowd.think)
            for i in range(crowd.people)
        ]
        watch = asyncio.create_task(_watch_memory(server.pid, seen))
        for one in await asyncio.gather(*people):
            seen.add(one)
        watch.cancel()
    seen.core_seconds = core_seconds_of(server.pid) - before
    return seen


async def _person(
    client: httpx.AsyncClient, questions: Iterator[str], ask: Ask, until: float, think: float
) -> Seen:
    seen = Seen()
    while time.perf_counter() < until and (question := next(questions, None)) is not None:
        seen.asked += 1
        began = time.perf_counter()
        try:
            while (again := await ask(client, question, seen)) is not None:
                seen.busy += 1
                await asyncio.sleep(again)
        except (httpx.HTTPError, ValueError) as error:
            seen.lost.append(repr(error))
        else:
            seen.answer_seconds.append(time.perf_counter() - began)
        await asyncio.sleep(think)
    return seen


async def ask_for_json(client: httpx.AsyncClient, question: str, seen: Seen) -> float | None:
    """An answer of ours, in one piece."""
    response = await client.post(
        "/api/v1/ask", json={"question": question}, headers={"accept": "application/json"}
    )
    if (again := _retry(response)) is not None:
        return again
    _check_whole(question, response.json())
    return None


async def ask_for_events(client: httpx.AsyncClient, question: str, seen: Seen) -> float | None:
    """An answer of ours, as server-sent events."""
    began = time.perf_counter()
    headers = {"accept": "text/event-stream"}
    text = ""
    body = {"question": question}
    async with client.stream("POST", "/api/v1/ask", json=body, headers=headers) as response:
        async for part in response.aiter_text():
            if not text and response.status_code == 200:
                seen.first_event_seconds.append(time.perf_counter() - began)
            text += part
    if (again := _retry(response)) is not None:
        return again
    _check_whole(question, _record_of_events(text))
    return None


def passages_at(path: str, most: int) -> Ask:
    """Asks a server for passages only, `most` of them; ours and the others' answer alike."""

    async def ask(client: httpx.AsyncClient, question: str, seen: Seen) -> float | None:
        response = await client.post(path, json={"query": question, "top_k": most})
        if (again := _retry(response)) is not None:
            return again
        if not response.json().get("passages"):
            raise ValueError(f"no passages for {question}")
        return None

    return ask


def _retry(response: httpx.Response) -> float | None:
    """Seconds to wait where the server is busy; None where it has answered.

    Raises:
        ValueError: it has failed.
    """
    if response.status_code == 503:
        return float(response.headers.get("retry-after", _DEFAULT_RETRY_SECONDS))
    if response.status_code != 200:
        raise ValueError(f"status {response.status_code}")
    return None


def _check_whole(question: str, record: dict[str, Any]) -> None:
    if record.get("question") != question or not record.get("answer"):
        raise ValueError(f"no whole record: {str(record)[:200]}")


def _record_of_events(text: str) -> dict[str, Any]:
    done = re.search(r"^event: done\ndata: (.*)$", text, re.MULTILINE)
    if done is None:
        raise ValueError(f"the stream ended without an answer: {text[-200:]}")
    return dict(json.loads(done[1]))


async def _watch_memory(pid: int, seen: Seen) -> None:
    while True:
        seen.megabytes.append(memory_of(pid).total)
        await asyncio.sleep(1)


def figures(seen: Seen, seconds: float) -> dict[str, Any]:
    """As JSON; `seconds` is how long they asked."""
    quarter = len(seen.megabytes) // 4
    third = statistics.fmean(seen.megabytes[-2 * quarter : -quarter] or seen.megabytes)
    fourth = statistics.fmean(seen.megabytes[-quarter:])
    return {
        "asked": seen.asked,
        "answered": len(seen.answer_seconds),
        "lost": len(seen.lost),
        "lost_examples": seen.lost[:3],
        "busy": seen.busy,
        "per_second": round(len(seen.answer_seconds) / seconds, 1),
        "core_ms_each": round(1000 * seen.core_seconds / max(1, len(seen.answer_seconds)), 1),
        "answer_seconds": _quantiles(seen.answer_seconds),
        "first_event_seconds": _quantiles(seen.first_event_seconds),
        "megabytes_end": round(seen.megabytes[-1], 1),
        "megabytes_most": round(max(seen.megabytes), 1),
        "last_half_percent": round(100 * (fourth - third) / third, 1),
        "megabytes": [round(value, 1) for value in seen.megabytes],
    }


def _quantiles(values: list[float]) -> dict[str, float]:
    """Seconds by name; nothing where too few have been answered to say."""
    if len(values) < 2:
        return {}
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    named = {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(values)}
    return {name: round(value, 3) for name, value in named.items()}


def _table(figures: dict[str, Any]) -> str:
    def spread(name: str) -> str:
        named = figures[name].items()
        return "，".join(f"{key} {value:.2f} 秒" for key, value in named) or "太少，无法统计"

    return "\n".join(
        [
            f"提问 {figures['asked']} 个，答完 {figures['answered']} 个"
            f"（每秒 {figures['per_second']}），"
            f"丢失 {figures['lost']} 个，请稍后再试 {figures['busy']} 次",
            f"回答：{spread('answer_seconds')}",
            f"首个事件：{spread('first_event_seconds')}",
            f"内存：最后 {figures['megabytes_end']} MB，最多 {figures['megabytes_most']} MB，"
            f"后一半时间变化 {figures['last_half_percent']} %",
            *figures["lost_examples"],
        ]
    )


if __name__ == "__main__":
    main()
