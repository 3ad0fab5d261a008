"""Builders and readers of one folder at the same time, and clocks that jump."""

from __future__ import annotations

import itertools
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, tzinfo
from pathlib import Path

import pytest

import index.build
from errors import IndexStateError, LockedIndexError
from index.generation import CURRENT, GENERATIONS, MANIFEST, Generation
from index.words import WordTokenizer
from tests.crash_parts import CORPORA, Builders, answers, builders, expected, said_by, write

SWAPS = 100
READERS = 3


@pytest.fixture(scope="module")
def server() -> Iterator[Builders]:
    with builders() as running:
        yield running


@pytest.mark.long
def test_during_a_hundred_swaps_every_reader_gets_one_whole_version(
    server: Builders, tmp_path: Path
) -> None:
    """Each reader opens what serves now, asks it all the probe questions, and opens again."""
    index_dir = tmp_path / "index"
    server.build(index_dir, 0)
    whole = [expected(number) for number in range(CORPORA)]
    stop = threading.Event()

    def read() -> list[tuple[str, int]]:
        seen = []
        while not stop.is_set():
            with Generation.open(index_dir) as opened:
                assert opened.notice is None
                seen.append((opened.version, whole.index(answers(opened))))
        return seen

    WordTokenizer().words("预热")
    published = []
    with ThreadPoolExecutor(READERS) as pool:
        readers = [pool.submit(read) for _ in range(READERS)]
        try:
            for swap in range(1, SWAPS + 1):
                ended = server.build(index_dir, swap % CORPORA)
                assert ended.error == "", ended
                published.append((index_dir / CURRENT).read_text().strip())
                assert all(reader.running() for reader in readers)
        finally:
            stop.set()
    seen = {found for reader in readers for found in reader.result()}
    assert len(set(published)) == SWAPS
    corpus_of = {name: swap % CORPORA for swap, name in enumerate(published, start=1)}
    assert all(corpus_of.get(version, 0) == number for version, number in seen)
    assert len(seen) > SWAPS / 4


def test_of_two_builders_the_second_is_told_who_the_first_is_and_the_first_is_unharmed(
    tmp_path: Path, server: Builders
) -> None:
    index_dir = tmp_path / "index"
    write(index_dir, 0)
    refusals: list[str] = []

    def meanwhile(step: str) -> None:
        refusals.append(server.build(index_dir, 2).error)
        assert said_by(index_dir) in (expected(0), expected(1)), step

    write(index_dir, 1, on_step=meanwhile)
    assert all(f"另一个建库任务（进程 {os.getpid()}，" in refusal for refusal in refusals)
    assert len(refusals) > 10
    assert said_by(index_dir) == expected(1)
    assert server.build(index_dir, 2).error == ""


def test_of_builders_that_start_together_each_builds_or_is_refused(tmp_path: Path) -> None:
    index_dir = tmp_path / "index"
    write(index_dir, 0)
    built: list[int] = []

    def try_to_build(number: int) -> None:
        try:
            write(index_dir, number)
            built.append(number)
        except LockedIndexError:
            pass

    for _ in range(3):
        with ThreadPoolExecutor(CORPORA - 1) as pool:
            list(pool.map(try_to_build, range(1, CORPORA)))
        assert said_by(index_dir) == expected(built[-1])


class JumpingClock(datetime):
    """A clock that a battery or an administrator has set, each time it is read."""

    years = itertools.cycle((2031, 1999, 2038, 1970))

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime(next(cls.years), 1, 1, tzinfo=tz or UTC)


def test_a_clock_that_jumps_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index.build, "datetime", JumpingClock)
    index_dir = tmp_path / "index"
    versions = []
    for number in range(4):
        versions.append(write(index_dir, number).version)
        for times, path in enumerate((index_dir / GENERATIONS).rglob("*")):
            os.utime(path, (10**9 * (times % 3), 10**9 * (times % 3)))
        assert said_by(index_dir) == expected(number)
    assert [version[:6] for version in versions] == ["000001", "000002", "000003", "000004"]
    assert sorted(p.name for p in (index_dir / GENERATIONS).iterdir()) == versions[2:]
    newest = index_dir / GENERATIONS / versions[3] / MANIFEST
    assert json.loads(newest.read_text())["created"][:4] in {"2031", "1999", "2038", "1970"}
    newest.unlink()
    assert said_by(index_dir, notice=True) == expected(2)
    with pytest.raises(IndexStateError):
        (index_dir / GENERATIONS / versions[2] / MANIFEST).unlink()
        said_by(index_dir)
