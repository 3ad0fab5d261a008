"""Speed and memory against LangChain + FAISS and txtai, with the same weights and in the same run.

    python -m benchmarks.run --news FILE --peers PYTHON [--only PART,PART …]

Runs the parts asked for (by default all) and prints each. Its result is kept with machine, day and
commit in docs/benchmarks.json; docs/benchmarks.md and its picture are written from what is kept
there. Parts that were not run this time stay as they are, so that each can be run when the machine
is quiet; indexes made on the way stay in the work folder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plot, store
from benchmarks.bench import Bench, tell
from benchmarks.page import QUIET, page, section
from benchmarks.parts import archive, build, embedding, flat, latency, load, memory, startup
from benchmarks.peer import SYSTEMS
from benchmarks.watch import Others
from settings import ROOT

QUESTIONS = ROOT / "eval" / "sets" / "zimao_open.jsonl"
PARTS: Mapping[str, Callable[[Bench], dict[str, Any]]] = {
    "build": build.measure,
    "embedding": embedding.measure,
    "archive": archive.measure,
    "latency": latency.measure,
    "startup": startup.measure,
    "memory": memory.measure,
    "load": load.measure,
    "flat": flat.measure,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write."""
    options = _parser().parse_args(argv)
    bench = _bench(options)
    if options.only_write:
        write(options.store)
        return
    bench.work.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        tell(f"== {name}")
        with Others() as others:
            result = PARTS[name](bench)
        if others.share > QUIET:
            tell(f"其间别的任务占用 {others.share:.0%} 的处理器，这些数不宜采用。")
        store.keep(name, result, others.share, options.store)
        print(section(name, store.read(options.store)[name]), end="\n\n", flush=True)
        write(options.store)


def write(kept: Path) -> None:
    """The page and its picture, beside the file of results."""
    parts = store.read(kept)
    panels = plot.panels_of(parts)
    picture = kept.with_suffix(".svg")
    if panels:
        picture.write_text(plot.picture(panels), "utf-8")
    kept.with_suffix(".md").write_text(page(parts, picture.name if panels else None), "utf-8")


def _bench(options: argparse.Namespace) -> Bench:
    rows = options.questions.read_text("utf-8").splitlines()
    questions = [json.loads(row)["question"] for row in rows if row.strip()]
    return Bench(
        work=options.work.resolve(),
        news=options.news,
        ready=tuple(path.resolve() for path in options.indexes),
        sizes=tuple(options.sizes),
        python=options.peers,
        float_model=options.float and options.float.resolve(),
        systems=tuple(options.systems),
        questions=tuple(questions[: options.most]),
        articles=options.articles,
        rounds=options.rounds,
        peer_articles=options.peer_articles,
        seconds=options.seconds,
        people=tuple(options.people),
        many=options.many,
    )


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        raise argparse.ArgumentTypeError(f"没有这一部分：{'、'.join(unknown)}")
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description="速度和内存，与别家同一权重、同一次运行。"
    )
    add = parser.add_argument
    add("--only", type=_names, default=list(PARTS), help=f"用逗号分开：{','.join(PARTS)}")
    add("--only-write", action="store_true", help="不测，只由 docs/benchmarks.json 重写文档")
    add("--news", type=Path, help="一行一篇的新闻，可以是 .gz")
    add("--peers", metavar="PYTHON", help="装有 eval/peers/requirements.txt 的 Python")
    add("--float", type=Path, help="train.build_embedder --float 写出的文件夹（默认现写）")
    add("--work", type=Path, default=ROOT / "data" / "bench", help="中间文件，留着下次用")
    add("--indexes", type=Path, nargs="+", default=[], help="现成的索引（默认按 --sizes 建）")
    add("--sizes", type=int, nargs="+", default=[0, 1000, 17364], help="各索引里的新闻篇数")
    add("--systems", nargs="+", choices=SYSTEMS, default=["langchain-500", "txtai"], help="别家")
    add("--questions", type=Path, default=QUESTIONS, help="测试集，一行一个 JSON")
    add("--most", type=int, help="只用前几个问题")
    add("--articles", type=int, default=500, help="build：几篇新闻")
    add("--rounds", type=int, default=3, help="每样轮流量几次")
    add("--peer-articles", type=int, default=2000, help="别家最多自己算几篇的向量")
    add("--seconds", type=float, default=30.0, help="load：每次多少秒")
    add("--people", type=int, nargs="+", default=[1, 8, 32], help="load：多少人同时问")
    add("--many", type=int, default=20_000, help="flat：连着问几个")
    add("--store", type=Path, default=store.STORE, help="结果（默认 docs/benchmarks.json）")
    return parser


if __name__ == "__main__":
    main()
