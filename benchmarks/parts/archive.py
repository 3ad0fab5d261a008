"""Our builds from nothing, against the number of articles; then one article changed in the largest.

The indexes stay in the work folder, where the other parts find them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from benchmarks import watch
from benchmarks.bench import Bench, size_of, tell

_CHANGE = "此文另有更正。"


def measure(bench: Bench) -> dict[str, Any]:
    """Costs of every size, and of bringing the largest index up to date."""
    return {
        "sizes": [_from_nothing(bench, count) for count in bench.sizes],
        "changed": _one_changed(bench, max(bench.sizes)),
    }


def _from_nothing(bench: Bench, count: int) -> dict[str, Any]:
    folder = bench.built_index(count)
    shutil.rmtree(folder, ignore_errors=True)
    cost = _build(bench, count)
    size = size_of(folder)
    tell(f"{size.articles} 篇 {size.chunks} 段：{cost.seconds:.0f} 秒")
    disk = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {
        "articles": size.articles,
        "chunks": size.chunks,
        **cost.record(),
        "chunks_a_second": round(size.chunks / cost.seconds, 1),
        "disk_megabytes": round(disk / 2**20, 1),
    }


def _one_changed(bench: Bench, count: int) -> dict[str, Any]:
    """The build after one article of the news has changed, and the one after it has changed back.

    Where there are no news, the middle line of nothing cannot change: no figures.
    """
    if not count:
        return {}
    file = bench.news_file(count)
    kept = file.read_bytes()
    try:
        _change_middle(file)
        there = _build(bench, count)
    finally:
        file.write_bytes(kept)
    back = _build(bench, count)
    return {"articles": count, "rounds": [there.record(), back.record()]}


def _change_middle(file: Path) -> None:
    rows = file.read_text("utf-8").split("\n")
    middle = len(rows) // 2
    row = json.loads(rows[middle])
    rows[middle] = json.dumps(row | {"text": row["text"] + _CHANGE}, ensure_ascii=False)
    file.write_text("\n".join(rows), "utf-8")


def _build(bench: Bench, count: int) -> watch.Cost:
    return watch.run(bench.build_command(count))[0]
