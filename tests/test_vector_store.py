"""What any VectorStore must do; the stores are listed in STORES."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faiss
import numpy as np
import pytest

from index.faiss_store import FaissStore
from index.protocols import Vectors, VectorStore

STORES: list[Callable[[Vectors], VectorStore]] = [FaissStore.build]


@pytest.fixture
def vectors() -> Vectors:
    rows = np.random.default_rng(7).standard_normal((300, 16)).astype(np.float32)
    unit: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


@pytest.fixture(params=STORES, ids=lambda make: make.__qualname__)
def store(request: pytest.FixtureRequest, vectors: Vectors) -> VectorStore:
    made: VectorStore = request.param(vectors)
    return made


def test_search_agrees_with_the_sorted_inner_products(store: VectorStore, vectors: Vectors) -> None:
    for query in vectors[:20]:
        products = vectors @ query
        expected = np.argsort(-products)[:10]
        found = store.search(query, 10)
        assert [i for i, _ in found] == expected.tolist()
        assert [s for _, s in found] == pytest.approx(products[expected].tolist(), abs=1e-5)


def test_at_most_k_and_never_more_than_there_are(store: VectorStore, vectors: Vectors) -> None:
    assert len(store.search(vectors[0], 3)) == 3
    assert len(store.search(vectors[0], 1000)) == 300
    assert store.search(vectors[0], 0) == []
    assert store.search(vectors[0], -1) == []


def test_length_is_the_number_of_vectors(store: VectorStore) -> None:
    assert len(store) == 300


@pytest.mark.parametrize("shape", [(15,), (1, 16), ()])
def test_a_query_of_another_shape_is_refused(store: VectorStore, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        store.search(np.ones(shape, dtype=np.float32), 3)


@pytest.mark.parametrize("make", STORES)
def test_equal_vectors_come_in_order_of_chunk_id(make: Callable[[Vectors], VectorStore]) -> None:
    query = np.array([0.6, 0.8], dtype=np.float32)
    store = make(np.tile(query, (5, 1)))
    found = [i for i, _ in store.search(query, 5)]
    assert found == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("make", STORES)
def test_an_empty_store_finds_nothing(make: Callable[[Vectors], VectorStore]) -> None:
    store = make(np.empty((0, 2), dtype=np.float32))
    assert store.search(np.ones(2, dtype=np.float32), 5) == []


def test_threads_get_what_one_alone_gets(store: VectorStore, vectors: Vectors) -> None:
    alone = [store.search(query, 5) for query in vectors]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda query: store.search(query, 5), vectors)) == alone


def test_a_saved_faiss_store_is_the_same_after_loading(tmp_path: Path, vectors: Vectors) -> None:
    path = tmp_path / "向量 #1%20?.faiss"
    store = FaissStore.build(vectors)
    store.save(path)
    loaded = FaissStore.load(path, 16, 300)
    assert loaded.search(vectors[5], 7) == store.search(vectors[5], 7)
    assert np.array_equal(loaded.reconstruct([3, 299, 0]), vectors[[3, 299, 0]])


def test_saving_where_nothing_can_be_written_is_an_oserror(
    tmp_path: Path, vectors: Vectors
) -> None:
    with pytest.raises(OSError, match="cannot write"):
        FaissStore.build(vectors).save(tmp_path / "missing" / "vectors.faiss")


@pytest.mark.parametrize(("dim", "count"), [(17, 300), (16, 299)])
def test_a_file_with_other_counts_is_refused(
    tmp_path: Path, vectors: Vectors, dim: int, count: int
) -> None:
    FaissStore.build(vectors).save(tmp_path / "v")
    with pytest.raises(ValueError, match="300 vectors of 16"):
        FaissStore.load(tmp_path / "v", dim, count)


@pytest.mark.parametrize("kept", [0, 3, 40, 5000])
def test_a_truncated_file_is_refused(tmp_path: Path, vectors: Vectors, kept: int) -> None:
    FaissStore.build(vectors).save(tmp_path / "v")
    (tmp_path / "v").write_bytes((tmp_path / "v").read_bytes()[:kept])
    with pytest.raises(ValueError, match="cannot read"):
        FaissStore.load(tmp_path / "v", 16, 300)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot read"):
        FaissStore.load(tmp_path / "v", 16, 300)


def test_a_store_that_measures_distance_is_refused(tmp_path: Path, vectors: Vectors) -> None:
    index = faiss.IndexFlatL2(16)
    index.add(vectors)
    faiss.write_index(index, str(tmp_path / "v"))
    with pytest.raises(ValueError, match="inner product"):
        FaissStore.load(tmp_path / "v", 16, 300)


def test_a_search_starts_no_threads_of_its_own_in_any_thread(vectors: Vectors) -> None:
    store = FaissStore.build(vectors)
    seen: list[int] = []

    def search() -> None:
        store.search(vectors[0], 3)
        seen.append(faiss.omp_get_max_threads())

    thread = threading.Thread(target=search)
    thread.start()
    thread.join()
    assert seen == [1]
