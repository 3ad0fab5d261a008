"""How long one retrieval and one answer take, against the number of articles.

At each size four processes at most are asked in turn, a block of questions each: ours, the others,
and ours over the smallest index, so that the growth with size is measured within one run, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median
from typing import Any

from benchmarks.bench import DEPTH, OURS, Bench, Size, blocks, tell
from benchmarks.ratios import Ratio, Spread
from benchmarks.service import Service

_BLOCK = 25  # questions of one side before the other takes its turn
SMALLEST = "smallest"

Times = dict[str, list[list[float]]]  # by stage; one list a block


def measure(bench: Bench) -> dict[str, Any]:
    """Times at each size, ours by stage, and ratios to ours."""
    sizes = bench.indexes()
    return {
        "questions": len(bench.questions),
        "rounds": bench.rounds,
        "depth": DEPTH,
        "sizes": [_at(bench, size, sizes[0]) for size in sizes],
    }


def _at(bench: Bench, size: Size, smallest: Size) -> dict[str, Any]:
    tell(f"检索和回答，{size.articles} 篇")
    folders = {OURS: size.index}
    if size != smallest:
        folders[SMALLEST] = smallest.index
    for name in bench.others:
        if (folder := bench.peer_index(name, size)) is not None:
            folders[name] = folder
    with ExitStack() as stack:
        services = {}
        for name, folder in folders.items():
            kind = OURS if name == SMALLEST else name
            services[name] = stack.enter_context(bench.service(kind, folder))
        times = _asked(bench, services)
    ours = times[OURS]
    return {
        "articles": size.articles,
        "chunks": size.chunks,
        "embedded_by_peers": size.articles <= bench.peer_articles,
        "systems": {name: figures(own, ours) for name, own in times.items() if name != SMALLEST},
        "times_smallest": {
            stage: ratio(times.get(SMALLEST, ours)[stage], ours[stage]).record()
            for stage in ("retrieve", "answer")
        },
    }


def _asked(bench: Bench, services: dict[str, Service]) -> dict[str, Times]:
    times: dict[str, Times] = {name: {} for name in services}
    for name, service in services.items():
        service.ask("open")
        _ask(service, name, bench.questions[:2])  # what is set up once belongs to no question
    for _ in range(bench.rounds):
        for block in blocks(bench.questions, _BLOCK):
            for name, service in services.items():
                for stage, spent in _ask(service, name, block).items():
                    times[name].setdefault(stage, []).append(spent)
    return times


def _ask(service: Service, name: str, questions: Sequence[str]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = service.ask("search", questions=list(questions), depth=DEPTH)
    if name in {OURS, SMALLEST}:
        found |= service.ask("answer", questions=list(questions))
    return found


def figures(own: Times, ours: Times) -> dict[str, Any]:
    """Median and 95th percentile of each stage, and the whole retrieval's ratio to ours."""
    stages = {
        stage: Spread.of([one for block in spent for one in block]).record()
        for stage, spent in own.items()
    }
    return {"stages": stages, "times_ours": ratio(ours["retrieve"], own["retrieve"]).record()}


def ratio(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> Ratio:
    """Of the medians of blocks that were measured in turn."""
    return Ratio.of([median(block) for block in ours], [median(block) for block in theirs])
