"""What one `ask` on the terminal costs, beside importing sentence-transformers.

    python -m benchmarks.startup [--runs 5]

Runs both in turn in fresh processes and prints the medians of the wall time, their ratio and the
peak memory of `ask`. The index of the shipped articles is built first, and once outside the clock.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
QUESTION = "湖南自贸试验区五年来新设企业超过多少家？"


def run(command: Sequence[str]) -> tuple[float, float]:
    """Seconds and peak resident memory in MB of one process."""
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {command}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        index = ["--index", str(Path(folder, "index"))]
        app = [sys.executable, "app.py"]
        run([*app, "build", "corpus/articles", *index])
        ask = [*app, "ask", QUESTION, *index]
        other = [sys.executable, "-c", "import sentence_transformers"]
        pairs = [(run(ask), run(other)) for _ in range(runs)]
    ours = median(seconds for (seconds, _), _ in pairs)
    theirs = median(seconds for _, (seconds, _) in pairs)
    memory = max(megabytes for (_, megabytes), _ in pairs)
    print(
        f"ask {ours:.2f} s, import sentence_transformers {theirs:.2f} s, "
        f"ratio {ours / theirs:.2f}; peak memory of ask {memory:.0f} MB ({runs} runs, medians)"
    )


if __name__ == "__main__":
    main()
