"""What opening left unread is read while people ask, and a flipped bit is an alarm in the log."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from index import generation
from index.file_watch import check_large_files
from index.generation import Generation, generation_path
from tests.crash_parts import write


@pytest.fixture
def index_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index all of whose files are too large to be hashed on opening."""
    monkeypatch.setattr(generation, "MAX_HASHED_BYTES", 0)
    write(tmp_path / "index", 0)
    return tmp_path / "index"


def flip_last_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def alarms(index_dir: Path, caplog: pytest.LogCaptureFixture, *, gone: bool = False) -> list[str]:
    with Generation.open(index_dir) as opened, caplog.at_level(logging.ERROR):
        if gone:
            shutil.rmtree(generation_path(index_dir, opened.version))
        check_large_files(index_dir, opened).join()
    return [record.message for record in caplog.records if record.levelno == logging.ERROR]


def test_a_flipped_bit_in_a_large_file_is_an_alarm_with_its_cure(
    index_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Generation.open(index_dir) as opened:
        folder = generation_path(index_dir, opened.version)
    for name in ("sentence_vectors.npy", "vectors.faiss"):
        flip_last_bit(folder / name)
    found = alarms(index_dir, caplog)
    assert len(found) == 2
    assert "文件 sentence_vectors.npy 与清单不符" in "".join(found)
    assert all("python app.py doctor" in alarm for alarm in found)


def test_a_whole_generation_raises_no_alarm(
    index_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert alarms(index_dir, caplog) == []


def test_a_generation_that_a_newer_one_has_replaced_raises_no_alarm(
    index_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert alarms(index_dir, caplog, gone=True) == []


def test_what_opening_has_hashed_is_not_read_again(
    index_dir: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "MAX_HASHED_BYTES", 1 << 20)
    with Generation.open(index_dir) as opened, caplog.at_level(logging.ERROR):
        flip_last_bit(generation_path(index_dir, opened.version) / "vectors.faiss")
        check_large_files(index_dir, opened).join()
    assert [record for record in caplog.records if record.levelno == logging.ERROR] == []
