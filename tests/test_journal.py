"""Vectors of a build that was killed: what is whole comes back, what is not is dropped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from index.journal import VectorJournal

DIM = 4
Record = tuple[bytes, np.ndarray, np.ndarray]


def record(number: int, sentences: int) -> Record:
    random = np.random.default_rng(number)
    vector = random.random(DIM, dtype=np.float32)
    return bytes([number]) * 32, vector, random.random((sentences, DIM)).astype(np.float16)


RECORDS = [record(1, 2), record(2, 0), record(3, 5)]


def opened(path: Path, model: str = "model", dim: int = DIM) -> VectorJournal:
    return VectorJournal(path, model, dim)


def written(path: Path) -> Path:
    journal = opened(path)
    journal.append(RECORDS[:2])
    journal.append(RECORDS[2:])
    journal.close()
    return path


def assert_holds(journal: VectorJournal, *records: Record) -> None:
    assert journal.names() == {name for name, _, _ in records}
    for name, vector, parts in records:
        found = journal.get(name)
        assert found is not None
        assert np.array_equal(found[0], vector)
        assert np.array_equal(found[1], parts)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path / "journal")


def test_nothing_is_written_until_something_is_added(tmp_path: Path) -> None:
    journal = opened(tmp_path / "journal")
    assert len(journal) == 0
    journal.close()
    journal.remove()
    assert list(tmp_path.iterdir()) == []


def test_records_come_back_exactly(path: Path) -> None:
    journal = opened(path)
    assert_holds(journal, *RECORDS)
    assert journal.get(b"?" * 32) is None
    journal.close()


def test_records_can_be_read_and_added_in_turns(path: Path) -> None:
    journal = opened(path)
    more = record(4, 1)
    journal.append([more])
    assert_holds(journal, *RECORDS, more)
    journal.append([record(5, 1)])
    journal.close()
    journal = opened(path)
    assert_holds(journal, *RECORDS, more, record(5, 1))
    journal.close()


def test_wherever_a_kill_cuts_the_file_the_whole_records_stay(path: Path) -> None:
    data = path.read_bytes()
    ends = [data.index(name) for name, _, _ in RECORDS] + [len(data)]
    for cut in range(0, len(data), 3):
        path.write_bytes(data[:cut])
        journal = opened(path)
        whole = [one for one, end in zip(RECORDS, ends[1:], strict=True) if end <= cut]
        assert_holds(journal, *whole)
        journal.append([record(9, 1)])
        journal.close()
        journal = opened(path)
        assert_holds(journal, *whole, record(9, 1))
        journal.close()


def test_no_flipped_bit_gives_a_wrong_vector(path: Path) -> None:
    data = path.read_bytes()
    for place in range(0, len(data), 3):
        path.write_bytes(data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])
        journal = opened(path)
        held = {name: one for one in RECORDS for name in [one[0]]}
        assert journal.names() <= held.keys()
        assert_holds(journal, *(held[name] for name in journal.names()))
        assert len(journal) < len(RECORDS)
        journal.close()


@pytest.mark.parametrize(("model", "dim"), [("other", DIM), ("model", DIM + 1)])
def test_vectors_of_another_model_are_dropped(path: Path, model: str, dim: int) -> None:
    journal = opened(path, model, dim)
    assert len(journal) == 0
    journal.append([(b"n" * 32, np.ones(dim, dtype=np.float32), np.ones((1, dim)))])
    journal.close()
    journal = opened(path, model, dim)
    assert journal.names() == {b"n" * 32}
    journal.close()


def test_removing_leaves_no_file(path: Path) -> None:
    journal = opened(path)
    journal.remove()
    assert not path.exists()
    assert len(journal) == 0
