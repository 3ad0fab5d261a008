"""The README's table of quality, from runs of the very commands that anyone can repeat.

    python -m benchmarks.quality [--mrc FILE …] [--news FILE] [--distractors] [--peers PYTHON]

Runs what it is given data for, keeps each result with its command, commit and day in
docs/quality.json, and writes the table between the marks in README.md. Results of parts that were
not run this time stay as they are, with their own day.

- always: the open set over the shipped articles;
- --mrc: of each SQuAD-style file the questions that nothing was trained or fitted on;
- --news: those of train/news_questions.py; with --distractors, also the open set with the file's
  articles beside its documents (about an hour on two cores);
- --peers: retrieval beside other systems, which run in that Python.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eval.case import TYPES_ZH

ROOT = Path(__file__).resolve().parent.parent
STORE = ROOT / "docs" / "quality.json"
README = ROOT / "README.md"
OPEN_SET = "eval/sets/zimao_open.jsonl"
ARTICLES = "corpus/articles"
BEGIN, END = "<!-- quality:begin -->", "<!-- quality:end -->"

# Figures of the table, with their Chinese names; those that a set has no question for stay empty.
FIGURES = (
    ("answer_right", "可回答的答对"),
    ("short_exact", "简短答案 EM"),
    ("short_f1", "简短答案 F1"),
    ("first_cited", "首条引用落在证据上"),
    ("some_cited", "有引用落在证据上"),
    ("verbatim", "引文逐字一致"),
    ("answerable_refused", "可回答的被误拒"),
    ("unanswerable_refused", "不可回答的已拒答"),
    ("area_under_curve", "可答与否的曲线下面积"),
    ("calibration_error", "把握的校准误差"),
    ("recall_at_5", "前 5 段含证据"),
    ("latency_p50", "中位用时"),
)


def run(*command: str) -> str:
    """Standard output of a command in the repository; ends the program where the command fails."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


def app(*arguments: str) -> Any:
    """What an app.py command prints with --json."""
    return json.loads(run(sys.executable, "app.py", *arguments, "--json"))


def keep(name: str, command: str, result: Any) -> None:
    """Put one result into the store."""
    stored = read_store()
    stored[name] = {
        "command": command,
        "when": datetime.now(UTC).date().isoformat(),
        "commit": run("git", "rev-parse", "--short", "HEAD").strip(),
        "machine": f"{platform.system()} {platform.machine()}",
        "result": result,
    }
    STORE.write_text(json.dumps(stored, ensure_ascii=False, indent=1) + "\n", "utf-8")


def read_store() -> dict[str, Any]:
    """All results so far."""
    return dict(json.loads(STORE.read_text("utf-8"))) if STORE.exists() else {}


def summary(document: Mapping[str, Any]) -> dict[str, Any]:
    """What the table needs of a run document."""
    figures = document["figures"]
    return {
        "questions": figures["questions"],
        "overall": {one["name"]: one for one in figures["overall"]},
        "by_type": {
            kind: next(one for one in own if one["name"] == "all_right")
            for kind, own in figures["by_type"].items()
        },
    }


def measure(options: argparse.Namespace) -> None:
    """Run every part that there is data for."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        index = str(folder / "index")
        run(sys.executable, "app.py", "build", ARTICLES, "--index", index)
        keep("open", "make quality", summary(app("eval", OPEN_SET, "--index", index)))
        for path in options.mrc:
            name = path.name.split(".")[0]
            _keep_apart(folder / f"{name}.json.gz", f"kept {name}", [str(path)])
        if options.news:
            _keep_apart(folder / "news.json.gz", "kept news", ["--news", str(options.news)])
        if options.distractors:
            trials = app("eval", OPEN_SET, "--distractors", str(options.news))
            keep("distractors", f"wenju eval {OPEN_SET} --distractors NEWS", trials)
        if options.peers:
            _keep_peers(folder, options)


def _keep_apart(path: Path, name: str, source: Sequence[str]) -> None:
    run(sys.executable, "-m", "train.kept_apart", str(path), *source)
    keep(name, "python -m train.kept_apart … && wenju eval …", summary(app("eval", str(path))))


def _keep_peers(folder: Path, options: argparse.Namespace) -> None:
    sets = {"open": (OPEN_SET, ["--docs", ARTICLES])}
    for path in options.mrc:
        if path.name.startswith("DRCD_test"):  # no weight of retrieval was chosen on it
            sets["DRCD_test"] = (str(path), ["--most", "800"])
    for name, (source, more) in sets.items():
        out = folder / f"peers-{name}.json"
        command = ["-m", "eval.peers", source, *more, "--json", str(out)]
        run(sys.executable, *command, "--python", str(options.peers))
        found = json.loads(out.read_text("utf-8"))
        rows = [
            {key: value for key, value in row.items() if key != "scores"} for row in found["rows"]
        ]
        keep(f"peers {name}", f"python -m eval.peers {Path(source).name} …", found | {"rows": rows})


def table(stored: Mapping[str, Any]) -> str:
    """Markdown, Chinese."""
    named: tuple[tuple[str, str], ...] = (
        ("open", "公开测试集"),
        ("kept news", "留出的新闻问题"),
        ("kept cmrc2018_dev", "CMRC 2018 留出部分"),
        ("kept DRCD_dev", "DRCD dev 留出部分"),
        ("kept DRCD_test", "DRCD test 留出部分"),
    )
    sets = [(stored[key], label) for key, label in named if key in stored]
    lines = [
        "| | " + " | ".join(label for _, label in sets) + " |",
        "|---" * (len(sets) + 1) + "|",
        "| 题数 | " + " | ".join(str(one["result"]["questions"]) for one, _ in sets) + " |",
    ]
    for name, label in FIGURES:
        cells = [_cell(one["result"]["overall"].get(name)) for one, _ in sets]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    days = "；".join(f"{label} {one['when']}（{one['commit']}）" for one, label in sets)
    lines += ["", f"括号内为 95 % 区间。量于：{days}。", ""]
    lines += _types(stored["open"]["result"]["by_type"])
    if "distractors" in stored:
        lines += _distractors(stored["distractors"])
    for key, label in (("peers open", "公开测试集"), ("peers DRCD_test", "DRCD test 的前")):
        if key in stored:
            lines += _peers(stored[key], label)
    return "\n".join(lines)


def _cell(one: Mapping[str, Any] | None) -> str:
    if one is None or one["value"] is None:
        return "–"
    if one["unit"] == "milliseconds":
        return f"{one['value']:.0f} 毫秒"
    if one["unit"] == "mean":
        return f"{one['value']:.3f}"
    low, high = one["low"], one["high"]
    within = "" if low is None or high is None else f"（{100 * low:.0f}–{100 * high:.0f}）"
    return f"{100 * one['value']:.1f} %{within}"


def _types(by_type: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One line: right of how many, by type of the open set."""
    told = [
        f"{TYPES_ZH.get(kind, kind)} {round(one['value'] * one['count'])}/{one['count']}"
        for kind, one in by_type.items()
    ]
    return [f"公开测试集按类型（答对/题数）：{'，'.join(told)}。", ""]


def _distractors(part: Mapping[str, Any]) -> list[str]:
    names = ("answer_right", "first_cited", "recall_at_5", "unanswerable_refused", "latency_p50")
    labels = dict(FIGURES)
    lines = [
        f"索引里另有 N 篇新闻时的公开测试集（{part['when']}，{part['commit']}）：",
        "",
        "| N | " + " | ".join(labels[name] for name in names) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    for trial in part["result"]:
        units = {"latency_p50": "milliseconds"}
        cells = [
            _cell(trial["figures"][name] | {"unit": units.get(name, "rate")}) for name in names
        ]
        lines.append(f"| {trial['label']} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _peers(part: Mapping[str, Any], label: str) -> list[str]:
    rows = [row for row in part["result"]["rows"] if row["problem"] is None]
    columns: tuple[tuple[str, str, Callable[[float], str]], ...] = (
        ("recall_at_1", "召回@1", _plain),
        ("recall_at_5", "召回@5", _plain),
        ("mrr", "MRR", _plain),
        ("ndcg_at_10", "nDCG@10", _plain),
        ("passage_chars", "首段平均字数", lambda value: f"{value:.0f}"),
        ("peak_megabytes", "内存 MB", lambda value: f"{value:.0f}"),
    )
    lines = [
        f"只比检索，同一向量模型，{label} {part['result']['questions']} 题"
        f"（{part['when']}，{part['commit']}，`eval/peers/README.md`）：",
        "",
        "| | " + " | ".join(name for _, name, _ in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for row in rows:
        values = row | {key: one["value"] for key, one in row["qualities"].items()}
        cells = [shown(values[key]) for key, _, shown in columns]
        lines.append(f"| {row['label']} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _plain(value: float) -> str:
    return f"{value:.3f}"


def write_readme(text: str) -> None:
    """Put the table between the marks.

    Raises:
        ValueError: the README has no marks.
    """
    readme = README.read_text("utf-8")
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN} … {END} in {README}")
    README.write_text(f"{before}{BEGIN}\n{text.strip()}\n{END}{after}", "utf-8")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality")
    parser.add_argument("--mrc", nargs="*", type=Path, default=[], help="SQuAD-style .json.gz")
    parser.add_argument("--news", type=Path, help="one article a line")
    parser.add_argument("--distractors", action="store_true")
    parser.add_argument("--peers", type=Path, help="Python with eval/peers/requirements.txt")
    parser.add_argument(
        "--only-write", action="store_true", help="the table from docs/quality.json"
    )
    options = parser.parse_args()
    if options.distractors and not options.news:
        parser.error("--distractors needs --news")
    if not options.only_write:
        measure(options)
    write_readme(table(read_store()))


if __name__ == "__main__":
    main()
