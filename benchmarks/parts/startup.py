"""From starting a process to its first result, in turn: ours and the others'."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import watch
from benchmarks.bench import DEPTH, OURS, Bench, Size, app, tell
from benchmarks.ratios import Ratio, Spread
from benchmarks.server import our_server


def measure(bench: Bench) -> dict[str, Any]:
    """At each size."""
    return {"rounds": bench.rounds, "sizes": [_at(bench, size) for size in bench.indexes()]}


def _at(bench: Bench, size: Size) -> dict[str, Any]:
    tell(f"启动，{size.articles} 篇")
    question = bench.questions[0]
    index = ["--index", str(size.index)]
    starts: dict[str, Callable[[], float]] = {
        OURS: lambda: watch.run(app("search", question, *index))[0].seconds,
        "ask": lambda: watch.run(app("ask", question, *index))[0].seconds,
    }
    for name in bench.others:
        if (folder := bench.peer_index(name, size)) is not None:
            starts[name] = lambda name=name, folder=folder: _first(bench, name, folder)  # type: ignore[misc]
    for start in starts.values():
        start()  # files once read are in the system's memory for every side
    times: dict[str, list[float]] = {name: [] for name in (*starts, "alive", "ready")}
    for _ in range(bench.rounds):
        for name, start in starts.items():
            times[name].append(start())
        with our_server(size.index) as server:
            times["alive"].append(server.alive_seconds)
            times["ready"].append(server.ready_seconds)
    compared = {name: times[name] for name in (OURS, *bench.others) if name in times}
    return {
        "articles": size.articles,
        "systems": {
            name: Spread.of(own).record() | {"times_ours": Ratio.of(times[OURS], own).record()}
            for name, own in compared.items()
        },
        "ours": {name: Spread.of(times[name]).record() for name in ("ask", "alive", "ready")},
    }


def _first(bench: Bench, name: str, folder: Path) -> float:
    """Seconds from starting a system's process to the passages for its first question."""
    started = time.perf_counter()
    with bench.service(name, folder) as service:
        service.ask("open")
        service.ask("search", questions=[bench.questions[0]], depth=DEPTH)
        return time.perf_counter() - started
