"""Bulk work over workers that come and go: how it is cut, kept going, and done again."""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence

import numpy as np
import pytest

from errors import ClusterError
from index import spread as module
from index.spread import Made, Task, cut_batches, spread
from schema import Span


class FakeWorkers:
    """Vectors are the lengths of texts and parts; `fate` says for each job whether it is lost."""

    def __init__(self, cores: int = 2, fate: Sequence[bool] = (), seed: int = 0) -> None:
        self.present = cores
        self.fate = list(fate)
        self.started: list[Task] = []
        self.out: dict[int, bool] = {}  # job -> lost
        self.most_out = 0
        self._random = random.Random(seed)

    def cores(self) -> int:
        return self.present

    def start(self, task: Task) -> Hashable:
        job = len(self.started)
        self.started.append(task)
        self.out[job] = self.fate.pop(0) if self.fate else False
        self.most_out = max(self.most_out, len(self.out))
        return job

    def finished(self, jobs: Sequence[Hashable], seconds: float) -> Sequence[Hashable]:
        if not self.present or not jobs:
            return ()
        return [self._random.choice(list(jobs))]

    def result(self, job: Hashable) -> Made | None:
        assert isinstance(job, int)
        if self.out.pop(job):
            return None
        task = self.started[job]
        lengths = np.array([[len(text)] for text in task.texts], dtype=np.float32)
        rows = np.array([[e - s] for s, e in task.spans], dtype=np.float32).reshape(-1, 1)
        return Made(lengths, rows)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TICK", 0.0)


def make_task(sizes: Sequence[int]) -> Task:
    texts = ["字" * size for size in sizes]
    return Task.of(texts, [[Span(0, i) for i in range(size % 3)] for size in sizes])


SIZES = random.Random(1).choices(range(400), k=300)


def run(workers: FakeWorkers, task: Task, patience: float = 0.0) -> list[float]:
    """The first number of every text's vector, by place; every place must come once."""
    found: dict[int, float] = {}
    for places, made in spread(task, workers, patience):
        for place, vector in zip(places, made.vectors, strict=True):
            assert place not in found
            found[place] = float(vector[0])
        assert len(made.rows) == task.counts[list(places)].sum()
    return [found[place] for place in range(len(task.texts))]


@pytest.mark.parametrize("seed", range(3))
def test_every_text_gets_its_own_vector_in_whatever_order_batches_end(seed: int) -> None:
    assert run(FakeWorkers(seed=seed), make_task(SIZES)) == SIZES


def test_parts_travel_with_their_text() -> None:
    task = Task.of(["甲", "乙乙", "丙丙丙"], [[Span(0, 1)], [], [Span(0, 2), Span(2, 3)]])
    taken = task.take([2, 1, 0])
    assert taken.texts == ["丙丙丙", "乙乙", "甲"]
    assert taken.parts() == [[Span(0, 2), Span(2, 3)], [], [Span(0, 1)]]


def test_nothing_to_do_is_done_at_once() -> None:
    workers = FakeWorkers()
    assert run(workers, Task.of([], [])) == []
    assert not workers.started


def test_batches_hold_equal_work_and_texts_of_similar_length_the_longest_first() -> None:
    texts = ["字" * size for size in SIZES]
    batches = cut_batches(texts, cores=4)
    assert sorted(place for batch in batches for place in batch.places) == list(range(len(texts)))
    work = [sum(len(texts[place]) + 30 for place in batch.places) for batch in batches]
    assert max(work[:-1]) / min(work[:-1]) < 1.2
    lengths = [len(texts[place]) for batch in batches for place in batch.places]
    assert lengths == sorted(lengths, reverse=True)


def test_a_batch_is_never_more_than_a_few_seconds_of_work() -> None:
    batches = cut_batches(["字" * 100] * 10_000, cores=1)
    assert max(len(batch.places) for batch in batches) <= 8000 // 130 + 1


def test_only_two_batches_a_core_are_out_at_a_time() -> None:
    workers = FakeWorkers(cores=3)
    run(workers, make_task(SIZES * 10))
    assert workers.most_out == 6


def test_machines_that_join_are_used() -> None:
    workers = FakeWorkers(cores=1)
    for number, _ in enumerate(spread(make_task(SIZES * 10), workers, 0.0)):
        if number == 3:
            workers.present = 5
    assert workers.most_out == 10


def test_what_a_dead_worker_had_is_done_again() -> None:
    workers = FakeWorkers(fate=[False, True, True, False, True])
    task = make_task(SIZES)
    assert run(workers, task) == SIZES
    assert len(workers.started) == len(cut_batches(task.texts, 2)) + 3


def test_a_batch_that_ends_every_worker_stops_the_build() -> None:
    workers = FakeWorkers(fate=[True] * 100)
    with pytest.raises(ClusterError) as caught:
        run(workers, make_task([50]))
    assert "连续 5 次没有做完" in caught.value.user_message
    assert len(workers.started) == 5


def test_when_all_workers_are_gone_it_says_so() -> None:
    workers = FakeWorkers()
    with pytest.raises(ClusterError) as caught:
        for _ in spread(make_task(SIZES), workers, 0.01):
            workers.present = 0
    assert "已没有可用的机器" in caught.value.user_message
    assert "索引照常可用" in caught.value.user_message


def test_a_cluster_that_is_back_in_time_goes_on() -> None:
    class Restarting(FakeWorkers):
        asked = 0

        def cores(self) -> int:
            self.asked += 1
            self.present = 0 if 5 < self.asked < 15 else 2
            return self.present

    assert run(Restarting(), make_task(SIZES), patience=60.0) == SIZES
