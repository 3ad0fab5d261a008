"""问据 by its own commands: `build` the documents, then `search --batch` the questions.

The commands run in processes of their own, so that time and memory are those a user has. The
time of a question is the one that `search` reports: from the question to its passages.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from eval.peers.system import Findings, Found, Job, Place, children_peak_megabytes

ROOT = Path(__file__).resolve().parent.parent.parent


class CommandError(Exception):
    """One of our commands failed; the text is what it said."""


def measure_ours(job: Job) -> Findings:
    """Build an index in a temporary folder and search it.

    Raises:
        CommandError: a command fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        index, asked, out = (str(Path(folder, name)) for name in ("index", "in.jsonl", "out.jsonl"))
        lines = [
            json.dumps({"id": name, "question": text}, ensure_ascii=False)
            for name, text in job.questions
        ]
        Path(asked).write_text("\n".join(lines), "utf-8")
        options = ("--index", index, "--model", job.model)
        started = perf_counter()
        _command("build", job.folder, *options)
        built = perf_counter() - started
        depth = str(job.depth)
        _command("search", "--batch", asked, "--out", out, "--top-k", depth, *options)
        rows = [json.loads(line) for line in Path(out).read_text("utf-8").split("\n") if line]
    found = {row["id"]: _found(row) for row in rows}
    return Findings(found, built, children_peak_megabytes())


def _found(row: dict[str, Any]) -> Found:
    places = tuple(Place(one["doc"], one["start"], one["end"]) for one in row["passages"])
    return Found(places, row["timings_ms"]["total"])


def _command(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "app.py"), *arguments],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        raise CommandError((done.stderr.strip() or f"退出码 {done.returncode}").split("\n")[-1])
