"""docs/benchmarks.json: the last result of each part, with its machine, day and commit."""

from __future__ import annotations

import json
import platform
import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from index.model_folder import usable_cores
from settings import ROOT

STORE = ROOT / "docs" / "benchmarks.json"
_OUR_PACKAGES = ("onnxruntime", "faiss-cpu", "numpy", "tokenizers", "jieba", "fastapi", "uvicorn")


def read(path: Path = STORE) -> dict[str, Any]:
    """All parts so far."""
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


def keep(name: str, result: Mapping[str, Any], others: float, path: Path = STORE) -> None:
    """Put in the result of one part.

    Args:
        name: of the part.
        result: its figures.
        others: share of the processor time that other work on the machine took meanwhile.
        path: of the store.
    """
    parts = read(path)
    parts[name] = {
        "when": datetime.now(UTC).date().isoformat(),
        "commit": _commit(),
        "machine": machine(),
        "others_percent": round(100 * others, 1),
        "versions": {package: version(package) for package in _OUR_PACKAGES},
        "result": result,
    }
    path.write_text(json.dumps(parts, ensure_ascii=False, indent=1) + "\n", "utf-8")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text("ascii"))
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text("ascii"))
    return {
        "processor": processor[1] if processor else platform.machine(),
        "cores": usable_cores(),
        "memory_gigabytes": round(int(memory[1]) / 2**20) if memory else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
