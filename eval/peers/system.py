"""What passes between the comparison and the process of one system: a job in, findings out.

Nothing beyond the standard library is imported, so that an environment without any of our
dependencies can run its system.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol


@dataclass(frozen=True)
class Job:
    """The same for every system."""

    folder: str  # the documents, UTF-8 text files
    docs: tuple[str, ...]  # their paths below `folder`, with "/"
    questions: tuple[tuple[str, str], ...]  # (id, text)
    depth: int  # passages wanted for a question
    model: str  # folder of the embedder

    def write(self, path: Path) -> None:
        """Keep as JSON."""
        path.write_text(json.dumps(asdict(self), ensure_ascii=False), "utf-8")

    @classmethod
    def read(cls, path: Path) -> Job:
        """What `write` kept."""
        row = json.loads(path.read_text("utf-8"))
        pairs = tuple((str(name), str(text)) for name, text in row.pop("questions"))
        return cls(docs=tuple(row.pop("docs")), questions=pairs, **row)

    def texts(self) -> dict[str, str]:
        """The documents as they stand in their files, line ends included."""
        return {doc: Path(self.folder, doc).read_bytes().decode("utf-8") for doc in self.docs}


@dataclass(frozen=True)
class Place:
    """Half-open range of code points in a document's text."""

    doc: str
    start: int
    end: int


@dataclass(frozen=True)
class Found:
    """What came of one question."""

    places: tuple[Place, ...]  # of the passages, best first
    milliseconds: float


@dataclass(frozen=True)
class Findings:
    """What a system came to."""

    found: dict[str, Found]  # by question id
    build_seconds: float  # from a process without any library loaded to an index in memory or file
    peak_megabytes: float  # resident, of the largest process

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Findings:
        """What `record` gave."""
        found = {
            name: Found(tuple(Place(**place) for place in one["places"]), one["milliseconds"])
            for name, one in record["found"].items()
        }
        return cls(found, record["build_seconds"], record["peak_megabytes"])


class Peer(Protocol):
    """A library that indexes texts and finds passages, in this process."""

    def build(self, texts: Mapping[str, str]) -> None:
        """Index the documents, (doc, text); imports its libraries here, inside the clock."""

    def search(self, question: str, depth: int) -> list[Place]:
        """Best first, at most `depth`."""


Clock = Callable[[], float]  # seconds


def measure(peer: Peer, job: Job, clock: Clock = perf_counter) -> Findings:
    """Build once, then ask every question by itself.

    One question is asked before the clock of the questions starts, as the libraries set up much
    when they are first used.

    Raises:
        ImportError: a library of the peer is not installed.
    """
    started = clock()
    peer.build(job.texts())
    built = clock() - started
    if job.questions:
        peer.search(job.questions[0][1], job.depth)
    found = {}
    for name, text in job.questions:
        started = clock()
        places = peer.search(text, job.depth)
        found[name] = Found(tuple(places), 1000 * (clock() - started))
    return Findings(found, built, own_peak_megabytes())


def own_peak_megabytes() -> float:
    """Largest resident size that this process had so far, in units of 2**20 bytes."""
    status = Path("/proc/self/status")
    if status.is_file():
        # getrusage would not do: a new process starts with the peak of the one that started it.
        lines = status.read_text("ascii", "replace").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
    return _megabytes_of(children=False)


def children_peak_megabytes() -> float:
    """As own_peak_megabytes, of the largest process that this one waited for."""
    return _megabytes_of(children=True)


def _megabytes_of(*, children: bool) -> float:
    import resource  # not on Windows

    who = resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(who).ru_maxrss / unit
