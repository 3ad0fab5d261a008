"""One system in a process of its own: python -m eval.peers.run_one NAME JOB.json OUT.json.

OUT gets the findings, or {"missing": package} where the system is not installed here, or
{"failed": what it said}.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from eval.peers.langchain_faiss import LangchainFaiss
from eval.peers.ours import CommandError, measure_ours
from eval.peers.system import Findings, Job, measure
from eval.peers.txtai_index import TxtaiIndex


@dataclass(frozen=True)
class System:
    """One row of the comparison."""

    label: str  # Chinese
    run: Callable[[Job], Findings]
    packages: tuple[str, ...] = ()  # whose versions belong to the figures


_LANGCHAIN = (
    *("langchain-community", "langchain-core", "langchain-huggingface"),
    *("langchain-text-splitters", "sentence-transformers", "faiss-cpu"),
)
_TXTAI = ("txtai", "langchain-text-splitters", "sentence-transformers", "faiss-cpu")
OURS = "wenju"
SYSTEMS: dict[str, System] = {
    OURS: System("问据", measure_ours),
    # The splitter's sizes are those of many tutorials, and then the length of our passages.
    "langchain-500": System(
        "LangChain + FAISS，500/50 字",
        lambda job: measure(LangchainFaiss(job.model, 500, 50), job),
        _LANGCHAIN,
    ),
    "langchain-180": System(
        "LangChain + FAISS，180/0 字",
        lambda job: measure(LangchainFaiss(job.model, 180, 0), job),
        _LANGCHAIN,
    ),
    "txtai": System(
        "txtai，180 字",
        lambda job: measure(TxtaiIndex(job.model, 180, hybrid=False), job),
        _TXTAI,
    ),
    "txtai-hybrid": System(
        "txtai hybrid，180 字",
        lambda job: measure(TxtaiIndex(job.model, 180, hybrid=True), job),
        _TXTAI,
    ),
}


def findings_or_reason(system: System, job: Job) -> dict[str, Any]:
    """What a system came to, or why it did not run, as JSON."""
    try:
        findings = system.run(job)
        return findings.record() | {"versions": {one: version(one) for one in system.packages}}
    except ModuleNotFoundError as error:
        return {"missing": error.name or str(error)}
    except ImportError as error:
        # Libraries say so themselves where an optional part of them is absent.
        return {"missing": str(error)}
    except CommandError as error:
        return {"failed": str(error)}


def main(argv: Sequence[str] | None = None) -> None:
    """Run one system."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=SYSTEMS)
    parser.add_argument("job", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args(argv)
    result = findings_or_reason(SYSTEMS[arguments.name], Job.read(arguments.job))
    arguments.out.write_text(json.dumps(result, ensure_ascii=False), "utf-8")


if __name__ == "__main__":
    main()
