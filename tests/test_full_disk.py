"""A disk that fills up in the middle of a build: one clear line, and nothing is lost or left over.

The disk is a small tmpfs; the build runs in a process of its own, since a full disk met through a
memory map kills with SIGBUS.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash_parts import Builders, builders, expected, leftovers, said_by

PAGE = 4096
# From a full disk to one that takes the whole build; every page in the long test.
SOME = [*range(1, 60, 4), 100]
ALL = range(101)


@pytest.fixture(scope="module")
def server() -> Iterator[Builders]:
    with builders() as running:
        yield running


@pytest.fixture
def disk() -> Iterator[Path]:
    """A file system of 2 MiB."""
    if shutil.which("mount") is None:
        pytest.skip("there is no mount command")
    # Not below tmp_path: pytest clears that away, and a mounted folder would be in its way.
    with tempfile.TemporaryDirectory() as folder:
        command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder]
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
        if mounted.returncode:
            pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.strip()}")
        try:
            yield Path(folder)
        finally:
            # Lazily: a failed test may still hold what it opened.
            subprocess.run(["umount", "--lazy", folder], check=True)


def free_pages(disk: Path) -> int:
    return os.statvfs(disk).f_bavail


def leave_free(disk: Path, pages: int, ballast: Path) -> None:
    ballast.unlink(missing_ok=True)
    ballast.touch()
    while missing := free_pages(disk) - pages:
        with ballast.open("ab") as file:
            file.write(bytes(PAGE * missing))


@pytest.mark.parametrize(
    "sizes",
    [pytest.param(SOME, id="some"), pytest.param(ALL, id="every page", marks=pytest.mark.long)],
)
def test_a_disk_that_fills_up_costs_nothing_and_the_next_build_succeeds(
    server: Builders, disk: Path, sizes: list[int]
) -> None:
    index_dir, now, refused = disk / "index", 0, 0
    assert server.build(index_dir, now).error == ""
    for pages in sizes:
        leave_free(disk, pages, disk / "ballast")
        ended = server.build(index_dir, now + 1)
        if not ended.error:
            assert not ended.killed
            break
        refused += 1
        assert "磁盘已满" in ended.error, (pages, ended)
        assert "原有的索引没有变" in ended.error
        assert free_pages(disk) >= pages, pages
        assert said_by(index_dir) == expected(now)
    assert refused > len(sizes) // 4
    assert refused < len(sizes)
    assert said_by(index_dir) == expected(1)
    assert leftovers(index_dir) == []


def test_what_a_killed_build_left_on_a_full_disk_does_not_block_the_next_one(
    server: Builders, disk: Path
) -> None:
    index_dir = disk / "index"
    assert server.build(index_dir, 0).error == ""
    building = index_dir / "generations" / ".building"
    building.mkdir()
    leave_free(disk, 0, building / "documents.sqlite")
    ended = server.build(index_dir, 1)
    assert (ended.killed, ended.error) == (False, "")
    assert said_by(index_dir) == expected(1)
