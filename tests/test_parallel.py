"""Reading over several processes gives what one gives, in order, and leaves no process behind."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from assemble import build_index
from corpus import parallel
from corpus.load import RawDocument, SourceFile
from corpus.parallel import Reading, read_all
from errors import LostProcessError
from index.generation import Generation
from settings import Settings

ROOT = Path(__file__).resolve().parent.parent
READING = Reading(mend=True, max_chars=60)


def raws(count: int) -> Iterator[RawDocument]:
    for number in range(count):
        source = SourceFile(Path(f"{number}.txt"), f"{number}.txt", Path())
        text = f"第{number}座仓库建成。仓库有{number}层，可以停放货车。" * 5
        yield RawDocument(source, source.doc, b"" if number % 50 == 3 else text.encode())


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "READ_FIRST", 5)


@pytest.mark.usefixtures("few_are_many")
def test_two_processes_give_the_same_in_the_same_order_as_one() -> None:
    alone = list(read_all(raws(150), READING, 1))
    assert list(read_all(raws(150), READING, 2)) == alone
    assert [read.raw.doc for read in alone] == [f"{number}.txt" for number in range(150)]
    assert [read.problem for read in alone if read.article is None] == ["文件是空的"] * 3


def test_few_documents_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "ProcessPoolExecutor", None)
    assert len(list(read_all(raws(parallel.READ_FIRST + 31), READING, 8))) == 231


@pytest.mark.usefixtures("few_are_many")
def test_only_some_are_taken_ahead() -> None:
    taken = 0

    def counted() -> Iterator[RawDocument]:
        nonlocal taken
        for raw in raws(2000):
            taken += 1
            yield raw

    results = read_all(counted(), READING, 2)
    for _ in range(50):
        next(results)
    results.close()  # type: ignore[attr-defined]
    assert taken < 400


@pytest.mark.usefixtures("few_are_many")
def test_the_index_is_the_same_byte_for_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = tmp_path / "a.lines"
    lines.write_text("".join(f"第{i}区有企业{i}家。\n" for i in range(60)), "utf-8")
    files = []
    for processes in (1, 2):
        monkeypatch.setattr("assemble.usable_cores", lambda processes=processes: processes)
        settings = replace(Settings(), index_dir=str(tmp_path / str(processes)))
        build_index(settings, [lines])
        with Generation.open(Path(settings.index_dir)) as opened:
            files.append(opened.manifest.files)
    assert files[0] == files[1]


@pytest.mark.usefixtures("few_are_many")
def test_a_process_that_was_killed_is_told_with_the_likely_cause() -> None:
    results = read_all(raws(2000), READING, 2)
    for _ in range(50):
        next(results)
    for process in multiprocessing.active_children():
        process.kill()
    with pytest.raises(LostProcessError) as caught:
        list(results)
    assert "内存不足" in caught.value.user_message


_PARENT = """
import os, signal, sys
from pathlib import Path
from corpus import parallel
from corpus.load import RawDocument, SourceFile
parallel.READ_FIRST = 1
if __name__ == "__main__":
    source = SourceFile(Path("a.txt"), "a.txt", Path())
    raws = (RawDocument(source, source.doc, "第一句。".encode()) for _ in range(100_000))
    results = parallel.read_all(raws, parallel.Reading(True, 60), 2)
    for _ in range(40):
        next(results)
    import multiprocessing
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")
def test_processes_end_with_the_one_that_started_them_however_it_dies(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(_PARENT, "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, env=environment, timeout=60
    )
    pids = [int(pid) for pid in result.stdout.split()]
    assert len(pids) == 2, result.stderr
    deadline = time.monotonic() + 20
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline, "a process was left behind"
        time.sleep(0.05)
