"""Many people at once, over real HTTP: python -m benchmarks.load [--people 50] [--seconds 60].

Starts `serve` on the shipped articles with the rates lifted, and has each person ask again as soon
as the answer is there, half of them as server-sent events. An answer is lost if it is no whole
answer record. A 503 is an honest "busy": it is asked again when Retry-After says, and the wait
counts. Memory is the server's resident set, once a second; its change over the last half compares
the means of the third and the fourth quarter.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent
QUESTIONS = ROOT / "eval" / "sets" / "zimao_open.jsonl"
_DEFAULT_RETRY_SECONDS = 1.0
_LIFTED = """
[access]
address_per_minute = 0
address_per_day = 0
site_per_minute = 0
site_per_day = 0
"""


@dataclass
class Seen:
    """What the people saw."""

    asked: int = 0
    answer_seconds: list[float] = field(default_factory=list)
    first_event_seconds: list[float] = field(default_factory=list)
    busy: int = 0
    lost: list[str] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)  # once a second


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--think", type=float, default=0.0, help="答完到再问的秒数")
    parser.add_argument("--questions", type=Path, default=QUESTIONS, help="测试集，一行一个 JSON")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    questions = _questions(options.questions)
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "settings.toml"
        settings.write_text(_LIFTED, "utf-8")
        port = _free_port()
        command = [sys.executable, str(ROOT / "app.py"), "serve", "--port", str(port)]
        command += ["--index", str(Path(folder) / "index"), "--settings", str(settings)]
        with (Path(folder) / "log").open("wb") as log:
            server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_until_ready(address, server)
            seen = asyncio.run(_measure(address, server.pid, questions, options))
        finally:
            server.terminate()
            server.wait()
    figures = _figures(seen, options.seconds)
    print(json.dumps(figures, ensure_ascii=False, indent=1) if options.json else _table(figures))


def _questions(file: Path) -> list[str]:
    lines = file.read_text("utf-8").splitlines()
    return [json.loads(line)["question"] for line in lines if line.strip()]


async def _measure(
    address: str, pid: int, questions: list[str], options: argparse.Namespace
) -> Seen:
    turns = itertools.cycle(questions)
    seen = Seen()
    until = time.perf_counter() + options.seconds
    limits = httpx.Limits(max_connections=options.people + 1)
    async with httpx.AsyncClient(base_url=address, timeout=60, limits=limits) as client:
        people = [
            _person(client, turns, streams=bool(number % 2), until=until, think=options.think)
            for number in range(options.people)
        ]
        watch = asyncio.create_task(_watch_memory(pid, seen))
        for one in await asyncio.gather(*people):
            seen.asked += one.asked
            seen.answer_seconds += one.answer_seconds
            seen.first_event_seconds += one.first_event_seconds
            seen.busy += one.busy
            seen.lost += one.lost
        watch.cancel()
    return seen


async def _person(
    client: httpx.AsyncClient,
    questions: itertools.cycle[str],
    *,
    streams: bool,
    until: float,
    think: float,
) -> Seen:
    seen = Seen()
    while time.perf_counter() < until:
        question = next(questions)
        seen.asked += 1
        began = time.perf_counter()
        try:
            while (again := await _ask(client, question, streams=streams, seen=seen)) is not None:
                seen.busy += 1
                await asyncio.sleep(again)
        except (httpx.HTTPError, ValueError) as error:
            seen.lost.append(repr(error))
        else:
            seen.answer_seconds.append(time.perf_counter() - began)
        await asyncio.sleep(think)
    return seen


async def _ask(
    client: httpx.AsyncClient, question: str, *, streams: bool, seen: Seen
) -> float | None:
    """Seconds after which to ask again; None: the answer has come.

    Raises:
        ValueError: something else than a whole answer has come.
    """
    began = time.perf_counter()
    headers = {"accept": "text/event-stream" if streams else "application/json"}
    body = {"question": question}
    text = ""
    async with client.stream("POST", "/api/v1/ask", json=body, headers=headers) as response:
        async for part in response.aiter_text():
            if streams and not text and response.status_code == 200:
                seen.first_event_seconds.append(time.perf_counter() - began)
            text += part
    if response.status_code == 503:
        return float(response.headers.get("retry-after", _DEFAULT_RETRY_SECONDS))
    if response.status_code != 200:
        raise ValueError(f"{response.status_code} {text[:200]}")
    record = _record(text, streams=streams)
    if record.get("question") != question or not record.get("answer"):
        raise ValueError(f"no whole record: {text[:200]}")
    return None


def _record(text: str, *, streams: bool) -> dict[str, Any]:
    if not streams:
        return dict(json.loads(text))
    done = re.search(r"^event: done\ndata: (.*)$", text, re.MULTILINE)
    if done is None:
        raise ValueError(f"the stream ended without an answer: {text[-200:]}")
    return dict(json.loads(done[1]))


async def _watch_memory(pid: int, seen: Seen) -> None:
    while True:
        status = Path(f"/proc/{pid}/status").read_text("ascii")
        kilobytes = re.search(r"VmRSS:\s+(\d+)", status)
        if kilobytes:
            seen.megabytes.append(int(kilobytes[1]) / 1024)
        await asyncio.sleep(1)


def _figures(seen: Seen, seconds: float) -> dict[str, Any]:
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


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _wait_until_ready(address: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if server.poll() is not None:
            sys.exit("the server has not started")
        try:
            if httpx.get(f"{address}/readyz").status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    sys.exit("the server was not ready within two minutes")


if __name__ == "__main__":
    main()
