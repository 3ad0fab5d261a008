"""Cutting many texts in processes: the same tokens as in one, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from errors import LostProcessError
from index import cutting
from index.cutting import Cutter
from index.words import WordTokenizer

TERMS = ["灵犀鲲湾"]
TEXTS = [
    f"第{i}个产业园区在灵犀鲲湾，产值{i}.5亿元，{chr(0x4E00 + i)}{chr(0x5E00 + i)}集团" * (i % 4)
    for i in range(1300)
]


@pytest.fixture(scope="module")
def cutter() -> Iterator[Cutter]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "FEW_TEXTS", 100)
        with cutting.cutting(TERMS, len(TEXTS), processes=3) as made:
            yield made


def test_words_are_those_of_one_process_in_the_same_order(cutter: Cutter) -> None:
    alone = WordTokenizer(TERMS)
    assert list(cutter.words(TEXTS)) == [alone.words(text) for text in TEXTS]
    assert list(cutter.bigrams(TEXTS)) == [alone.bigrams(text) for text in TEXTS]


@pytest.mark.parametrize("count", [0, 1, 500, 501])
def test_fewer_texts_than_there_are_batches_or_workers(cutter: Cutter, count: int) -> None:
    assert len(list(cutter.words(iter(TEXTS[:count])))) == count


def test_text_that_no_file_could_hold_is_cut_all_the_same(cutter: Cutter) -> None:
    odd = ["半个\ud83d字符", "a\0後", ""]
    assert list(cutter.bigrams(odd)) == [WordTokenizer(TERMS).bigrams(text) for text in odd]


def test_what_both_ends_know_may_be_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "FEW_TEXTS", 0)
    monkeypatch.setattr(cutting, "_BATCH", 7)
    monkeypatch.setattr(cutting, "_TOKENS_KEPT", 30)
    with cutting.cutting(TERMS, 1, processes=2) as made:
        found = list(made.bigrams(TEXTS[:100]))
    assert found == [WordTokenizer(TERMS).bigrams(text) for text in TEXTS[:100]]


def test_few_texts_start_no_process() -> None:
    with cutting.cutting(TERMS, cutting.FEW_TEXTS) as made:
        assert list(made.words(TEXTS[:3])) == [WordTokenizer(TERMS).words(t) for t in TEXTS[:3]]
        assert made._workers == []


@pytest.mark.parametrize("at_work", [False, True])
def test_a_worker_that_was_killed_is_told_with_the_likely_cause(
    monkeypatch: pytest.MonkeyPatch, at_work: bool
) -> None:
    monkeypatch.setattr(cutting, "FEW_TEXTS", 0)
    with cutting.cutting(TERMS, 1, processes=2) as made:
        words = made.words(TEXTS * 20)
        if at_work:
            next(words)
        os.kill(process_id(made), signal.SIGKILL)
        with pytest.raises(LostProcessError) as caught:
            list(words)
    assert "内存不足" in caught.value.user_message


def process_id(cutter: Cutter) -> int:
    number = cutter._workers[0]._process.pid
    assert number is not None
    return number


@pytest.mark.skipif(os.name != "posix", reason="asks for processes as POSIX does")
def test_workers_end_when_their_builder_is_killed() -> None:
    builder = subprocess.Popen(
        [sys.executable, "-c", _BUILDER], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert builder.stdout is not None
    with builder:
        workers = [int(number) for number in builder.stdout.readline().split()]
        builder.kill()
    assert len(workers) == 2
    deadline = time.monotonic() + 20
    while any(map(is_running, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    # Whoever adopts orphans may be slow to bury them.
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


ROOT = Path(__file__).resolve().parent.parent
_BUILDER = """
import time
from errors import LostProcessError
from index import cutting

if __name__ == "__main__":
    cutting.FEW_TEXTS = 0
    with cutting.cutting([], 1, processes=2) as cutter:
        list(cutter.words(["产业园区"] * 1000))
        print(*(worker._process.pid for worker in cutter._workers), flush=True)
        time.sleep(60)
"""
