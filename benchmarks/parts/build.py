"""A whole build of news articles, from a file of texts to an index on disk: ours and the others'.

Each build is a process of its own that loads its libraries and its model inside the clock. The
sides take turns, so that a busy moment of the machine strikes both.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import watch
from benchmarks.bench import OURS, Bench, app, chunks_in, tell
from benchmarks.ratios import Ratio
from index.generation import Generation


def measure(bench: Bench) -> dict[str, Any]:
    """Costs of each round and ratios of the others to ours."""
    file = bench.news_file(bench.articles)
    costs: dict[str, list[watch.Cost]] = {name: [] for name in (OURS, *bench.others)}
    about: dict[str, Any] = {}
    for turn in range(bench.rounds):
        for name, own in costs.items():
            cost, about[name] = _built(bench, name, file)
            own.append(cost)
            tell(f"建库 {turn + 1}/{bench.rounds} {name}：{cost.seconds:.1f} 秒")
    with file.open(encoding="utf-8") as lines:
        chars = sum(len(json.loads(line)["text"]) for line in lines)
    systems = {name: _figures(own, costs[OURS], about, name) for name, own in costs.items()}
    return {"articles": bench.articles, "chars": chars, "rounds": bench.rounds, "systems": systems}


def _built(bench: Bench, name: str, file: Path) -> tuple[watch.Cost, dict[str, Any]]:
    with tempfile.TemporaryDirectory(dir=bench.work) as folder:
        if name != OURS:
            cost, text = bench.run_peer("build", name, str(file), str(Path(folder, "index")))
            return cost, json.loads(text)
        cost, _ = watch.run(app("build", str(file), "--index", folder, "--json"))
        with Generation.open(Path(folder)) as generation:
            lengths = [len(text) for _, text in chunks_in(generation)]
    return cost, {"pieces": len(lengths), "chars": sum(lengths)}


def _figures(
    own: Sequence[watch.Cost], ours: Sequence[watch.Cost], about: dict[str, Any], name: str
) -> dict[str, Any]:
    """Medians, and how many times as much as ours: for the articles, and for a character embedded.

    What is embedded differs: pieces overlap, and ours carry their title.
    """
    elapsed, processor = ([getattr(one, key) for one in own] for key in ("seconds", "core_seconds"))
    our_elapsed = [one.seconds for one in ours]
    our_processor = [one.core_seconds for one in ours]
    chars, our_chars = about[name]["chars"], about[OURS]["chars"]
    return {
        **about[name],
        "seconds": round(median(elapsed), 2),
        "core_seconds": round(median(processor), 2),
        "peak_megabytes": round(median(one.peak_megabytes for one in own), 1),
        "rounds": [one.record() for one in own],
        "times_ours": Ratio.of(our_elapsed, elapsed).record(),
        "times_ours_core": Ratio.of(our_processor, processor).record(),
        "times_ours_a_char": Ratio.of(
            [seconds / our_chars for seconds in our_elapsed],
            [seconds / chars for seconds in elapsed],
        ).record(),
    }
