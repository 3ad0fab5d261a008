"""What processes hold in memory: when they can be asked, and after questions one by one."""

from __future__ import annotations

import itertools
from typing import Any

from benchmarks.bench import DEPTH, OURS, Bench, Size, tell
from benchmarks.load import Crowd, ask_for_json, passages_at
from benchmarks.load import measure as ask_server
from benchmarks.server import our_server
from benchmarks.watch import Memory, memory_of

_QUESTIONS = 200


def measure(bench: Bench) -> dict[str, Any]:
    """At each size: our web server, which answers, and the others, which only retrieve."""
    return {"questions": _QUESTIONS, "sizes": [_at(bench, size) for size in bench.indexes()]}


def _at(bench: Bench, size: Size) -> dict[str, Any]:
    tell(f"内存，{size.articles} 篇")
    systems = {OURS: _ours(bench, size)}
    for name in bench.others:
        if (folder := bench.peer_index(name, size)) is None:
            continue
        with bench.service(name, folder) as service:
            service.ask("open")
            service.ask("search", questions=[bench.questions[0]], depth=DEPTH)
            before = memory_of(service.pid)
            turns = itertools.cycle(bench.questions)
            asked = list(itertools.islice(turns, _QUESTIONS))
            service.ask("search", questions=asked, depth=DEPTH)
            systems[name] = _record(before, memory_of(service.pid))
    return {"articles": size.articles, "systems": systems}


def _ours(bench: Bench, size: Size) -> dict[str, Any]:
    with our_server(size.index) as server:
        turns = itertools.cycle(bench.questions)
        ask_server(
            server, Crowd(1, (passages_at("/api/v1/search", DEPTH),)), itertools.islice(turns, 1)
        )
        before = memory_of(server.pid)
        ask_server(server, Crowd(1, (ask_for_json,)), itertools.islice(turns, _QUESTIONS))
        return _record(before, memory_of(server.pid))


def _record(before: Memory, after: Memory) -> dict[str, float]:
    """Megabytes after the first question and after the last."""
    return {
        "first": round(before.total, 1),
        "last": round(after.total, 1),
        "last_private": round(after.private, 1),
    }
