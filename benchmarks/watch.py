"""What processes cost: elapsed and processor time, and memory as Linux counts it in /proc."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_SAMPLE_SECONDS = 0.1
_STAT = Path("/proc/stat")


@dataclass(frozen=True)
class Cost:
    """Of a command, all its processes together."""

    seconds: float
    core_seconds: float  # of processor time, user and system
    peak_megabytes: float  # resident, summed over the processes alive at one moment

    def record(self) -> dict[str, float]:
        """As JSON."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Memory:
    """Resident set of a process, in units of 2**20 bytes."""

    private: float  # its own; what a leak would add to
    mapped: float  # of files, which the system can take back

    @property
    def total(self) -> float:
        """Both."""
        return self.private + self.mapped


def memory_of(pid: int) -> Memory:
    """Of a living process.

    Raises:
        ProcessLookupError: it has ended.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines()
    except FileNotFoundError as error:
        raise ProcessLookupError(f"process {pid}") from error
    counts = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
    if not counts:  # ended, and not waited for yet
        raise ProcessLookupError(f"process {pid}")
    shared = int(counts["RssFile"]) + int(counts["RssShmem"])
    return Memory(int(counts["RssAnon"]) / 1024, shared / 1024)


def core_seconds_of(pid: int) -> float:
    """Processor time of a living process so far, all its threads together."""
    # The name, in brackets, may hold blanks; of what follows, fields 14 and 15 of proc(5).
    after = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    return (int(after[11]) + int(after[12])) / os.sysconf("SC_CLK_TCK")


def processes(pid: int) -> list[int]:
    """A process and those below it, as far as they are alive."""
    found = [pid]
    for one in found:  # grows while it is gone through
        try:
            for file in Path(f"/proc/{one}/task").glob("*/children"):
                found += map(int, file.read_text("ascii").split())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def resident(pid: int) -> float:
    """Megabytes of a process and those below it; one that ends meanwhile counts nothing."""
    total = 0.0
    for one in processes(pid):
        try:
            total += memory_of(one).total
        except ProcessLookupError:
            continue
    return total


def run(command: Sequence[str], environ: Mapping[str, str] | None = None) -> tuple[Cost, str]:
    """The cost of a command run to its end in the repository, and its standard output.

    Args:
        command: program and arguments.
        environ: put on top of this process's environment.

    Raises:
        SystemExit: the command fails; the message is what it said.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=said,
        )
        with _Peak(process.pid) as peak:
            _, status, usage = os.wait4(process.pid, 0)
        elapsed = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        if process.returncode:
            message = said.read().decode("utf-8", "replace")[-2000:]
            raise SystemExit(f"{' '.join(command)} has failed:\n{message}")
        output.seek(0)
        text = output.read().decode("utf-8")
    return Cost(elapsed, usage.ru_utime + usage.ru_stime, peak.megabytes), text


class Others:
    """Share of the machine's processor time that others took while this context was open.

    What this process and all that it started and waited for took is not theirs. What the host of a
    virtual machine took away is.
    """

    def __init__(self) -> None:
        self.share = 0.0  # 0 to 1, known when the context ends

    def __enter__(self) -> Others:
        self._before = _machine_seconds(), _own_seconds()
        return self

    def __exit__(self, *_: object) -> None:
        (busy, total), own = _machine_seconds(), _own_seconds()
        (busy_before, total_before), own_before = self._before
        others = (busy - busy_before) - (own - own_before)
        self.share = max(0.0, others / max(total - total_before, 1e-9))


def _machine_seconds() -> tuple[float, float]:
    """Of all processors since the machine started: busy, and all."""
    counts = [int(word) for word in _STAT.read_text("ascii").splitlines()[0].split()[1:9]]
    ticks = os.sysconf("SC_CLK_TCK")
    idle = counts[3] + counts[4]  # waiting for a disk is idle, too
    return (sum(counts) - idle) / ticks, sum(counts) / ticks


def _own_seconds() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


class _Peak:
    """Looks at the memory of a process and those below it, ten times a second."""

    def __init__(self, pid: int) -> None:
        self.megabytes = 0.0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while True:
            self.megabytes = max(self.megabytes, resident(self._pid))
            if self._over.wait(_SAMPLE_SECONDS):
                return

    def __enter__(self) -> _Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
