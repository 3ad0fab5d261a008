"""A build that dies at any moment leaves an index that answers as before it or as after it."""

from __future__ import annotations

import os
import platform
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from index.doctor import examine, repair
from index.generation import CURRENT, GENERATIONS
from tests.crash_parts import (
    CORPORA,
    Builders,
    Ended,
    Kill,
    builders,
    by_words,
    copy,
    expected,
    leftovers,
    random_kill,
    said_by,
    write,
)

# In the order of a publish.
STEPS = (
    "lock taken",
    "leftovers removed",
    "document staged",
    "documents written",
    "words written",
    "vectors written",
    "files synced",
    "manifest written",
    "verified",
    "moved into place",
    "pointer written",
    "pointer swapped",
    "old removed",
)
KILLS_AT_RANDOM = 300
CAN_TRACE = shutil.which("strace") is not None and platform.machine() == "x86_64"


@pytest.fixture(scope="module")
def server() -> Iterator[Builders]:
    with builders() as running:
        yield running


@pytest.fixture(scope="module")
def built(server: Builders, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of corpus 1, with corpus 0 as the generation before."""
    index_dir = tmp_path_factory.mktemp("built") / "index"
    for number in (0, 1):
        assert server.build(index_dir, number).error == ""
    return index_dir


@pytest.fixture(scope="module")
def whole(server: Builders, built: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """How a build ends that nobody kills."""
    return server.build(copy(built, tmp_path_factory.mktemp("whole") / "index"), 2)


def assert_the_next_build_succeeds(server: Builders, index_dir: Path, number: int) -> None:
    ended = server.build(index_dir, number)
    assert (ended.killed, ended.error) == (False, "")
    assert said_by(index_dir) == expected(number)
    assert leftovers(index_dir) == []


def assert_the_doctor_heals(index_dir: Path) -> None:
    before = said_by(index_dir)
    repair(index_dir)
    assert examine(index_dir).problems == ()
    assert said_by(index_dir) == before
    assert leftovers(index_dir) == []


def test_the_steps_are_told_in_the_order_of_a_publish(whole: Ended) -> None:
    assert tuple(dict.fromkeys(whole.steps)) == STEPS


def test_what_the_pointer_names_is_on_disk_before_it_is_swapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut loses what was not synced, which a killed process does not show."""
    index_dir = tmp_path / "index"
    write(index_dir, 0)
    synced: dict[int, int] = {}  # inode -> time of its last change when it was synced
    fsync = os.fsync

    def record(descriptor: int) -> None:
        fsync(descriptor)
        synced[os.fstat(descriptor).st_ino] = os.fstat(descriptor).st_mtime_ns

    def unsynced(step: str) -> None:
        if step == "pointer written":
            pointer = index_dir / f"{CURRENT}.new"
            fresh = index_dir / GENERATIONS / pointer.read_text().strip()
            paths = [pointer, fresh.parent, fresh, *fresh.rglob("*")]
            assert len(paths) > 10
        elif step == "pointer swapped":
            paths = [index_dir]
        else:
            return
        left = [p.name for p in paths if synced.get(p.stat().st_ino) != p.stat().st_mtime_ns]
        assert left == [], step

    monkeypatch.setattr(os, "fsync", record)
    write(index_dir, 1, on_step=unsynced)


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step_the_index_is_as_before_or_as_after_and_the_next_build_succeeds(
    server: Builders, built: Path, tmp_path: Path, step: str
) -> None:
    index_dir = copy(built, tmp_path / "index")
    assert server.build(index_dir, 2, Kill("step", step)).killed
    swapped = STEPS.index(step) >= STEPS.index("pointer swapped")
    assert said_by(index_dir) == expected(2 if swapped else 1)
    assert_the_doctor_heals(copy(index_dir, tmp_path / "healed"))
    assert_the_next_build_succeeds(server, index_dir, 2)


@pytest.mark.parametrize("step", ["words written", "moved into place", "pointer written"])
def test_killed_in_the_first_build_there_is_no_index_or_a_whole_one(
    server: Builders, tmp_path: Path, step: str
) -> None:
    index_dir = tmp_path / "index"
    assert server.build(index_dir, 2, Kill("step", step)).killed
    assert said_by(index_dir, notice=True) in (None, expected(2))
    assert_the_next_build_succeeds(server, index_dir, 2)


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_random_the_index_is_as_before_or_as_after(
    server: Builders, built: Path, whole: Ended, tmp_path: Path, seed: int
) -> None:
    kill = random_kill(random.Random(seed), whole, with_strace=False)
    index_dir = copy(built, tmp_path / "index")
    server.build(index_dir, 2, kill)
    assert said_by(index_dir) in (expected(1), expected(2)), kill
    assert_the_next_build_succeeds(server, index_dir, 3)


@pytest.mark.long
@pytest.mark.parametrize("large", [False, True])
def test_three_hundred_kills_in_a_row_lose_nothing(
    server: Builders, whole: Ended, tmp_path: Path, large: bool
) -> None:
    """Half of the builds start from what the kill before them left, the others from a clean index.

    After each kill the next build is also tried on a copy. A large build may die after it has
    published what it finds by words: then all but the searches by vectors is as after it.
    """
    rng = random.Random(20261125)
    index_dir, now = tmp_path / "index", 0
    server.build(index_dir, now)
    killed: list[str] = []
    while len(killed) < KILLS_AT_RANDOM:
        target = rng.choice([number for number in range(CORPORA) if number != now])
        kill = random_kill(rng, whole, with_strace=CAN_TRACE)
        ended = server.build(index_dir, target, kill, rebuild=rng.random() < 0.2, large=large)
        assert ended.error == "" or ended.killed, (kill, ended)
        said = said_by(index_dir)
        whole_ones = (expected(now), expected(target))
        words_first = large and by_words(said) in [by_words(one) for one in whole_ones]
        assert words_first or said in whole_ones, (len(killed), kill)
        now = target if by_words(said) == by_words(expected(target)) else now
        if ended.killed:
            killed.append(kill.how)
            print(len(killed), kill)
        if said == expected(now):
            assert_the_doctor_heals(copy(index_dir, tmp_path / "healed"))
        again = copy(index_dir, tmp_path / "again")
        assert_the_next_build_succeeds(server, again, rng.randrange(CORPORA))
        if rng.random() < 0.5:
            assert_the_next_build_succeeds(server, index_dir, now)
