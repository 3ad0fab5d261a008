"""Many people at once over HTTP, each asking again as soon as the answer is there.

Ours is `wenju serve`, asked for answers and, to be compared, for passages alone; the others stand
behind the smallest FastAPI wrapper (peer.py) and are asked for passages. The sides take turns for
each number of people. The people are a process on the same machine and take their share of it.
"""

from __future__ import annotations

import itertools
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.bench import DEPTH, OFFLINE, OURS, Bench, Size, tell
from benchmarks.load import Crowd, ask_for_events, ask_for_json, figures, passages_at
from benchmarks.load import measure as ask_server
from benchmarks.server import Server, free_port, our_server, running
from index.model_folder import usable_cores
from settings import ROOT

ANSWERS = "answers"
_KEPT = ("asked", "answered", "lost", "busy", "per_second", "core_ms_each", "answer_seconds")


def measure(bench: Bench) -> dict[str, Any]:
    """At each size and for each number of people."""
    return {
        "seconds": bench.seconds,
        "cores": usable_cores(),
        "sizes": [_at(bench, size) for size in bench.indexes()],
    }


def _at(bench: Bench, size: Size) -> dict[str, Any]:
    answer_ms = _core_ms(bench, size)
    with ExitStack() as stack:
        servers = {OURS: stack.enter_context(our_server(size.index))}
        for name in bench.others:
            if (folder := bench.peer_index(name, size)) is not None:
                servers[name] = stack.enter_context(_peer_server(bench, name, folder))
        trials = [_trial(bench, servers, size, people) for people in bench.people]
    return {
        "articles": size.articles,
        "answer_core_ms": round(answer_ms, 1),
        "answers_a_second_at_most": round(1000 * usable_cores() / answer_ms, 1),
        "trials": trials,
    }


def _core_ms(bench: Bench, size: Size) -> float:
    """Processor time of one answer where nobody else asks; of which throughput cannot be more."""
    with bench.service(OURS, size.index) as service:
        service.ask("open")
        service.ask("answer", questions=list(bench.questions[:5]))
        return fmean(service.ask("answer", questions=list(bench.questions))["answer_core"])


def _peer_server(bench: Bench, name: str, folder: Path) -> AbstractContextManager[Server]:
    port = free_port()
    command = bench.peer("http", name, str(folder), str(port))
    return running(command, port, ROOT, ("/readyz", "/readyz"), OFFLINE)


def _trial(bench: Bench, servers: dict[str, Server], size: Size, people: int) -> dict[str, Any]:
    ours = servers[OURS]
    crowds = {
        ANSWERS: (ours, (ask_for_json, ask_for_events)),
        OURS: (ours, (passages_at("/api/v1/search", DEPTH),)),
    }
    for name in bench.others:
        if name in servers:
            crowds[name] = (servers[name], (passages_at("/search", DEPTH),))
    found = {}
    for name, (server, asks) in crowds.items():
        tell(f"{size.articles} 篇，{people} 人：{name}")
        crowd = Crowd(people, asks, bench.seconds)
        seen = ask_server(server, crowd, itertools.cycle(bench.questions))
        all_figures = figures(seen, bench.seconds)
        found[name] = {key: all_figures[key] for key in _KEPT} | {
            "megabytes": all_figures["megabytes_most"]
        }
    return {"people": people, "systems": found}
