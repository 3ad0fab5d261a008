"""FaissStore by size: which kind, what it finds, and what it gives back after many builds."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faiss
import numpy as np
import pytest

from index import faiss_store
from index.faiss_store import FaissStore
from index.protocols import Vectors

COUNT, DIM = 3000, 32
LIMITS = {"exact": (COUNT, COUNT), "one byte": (0, COUNT), "half a byte": (0, 0)}


def limit(patch: pytest.MonkeyPatch, kind: str) -> None:
    exact, eight_bit = LIMITS[kind]
    patch.setattr(faiss_store, "EXACT_UP_TO", exact)
    patch.setattr(faiss_store, "EIGHT_BIT_UP_TO", eight_bit)


@pytest.fixture(params=LIMITS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    limit(monkeypatch, name)
    return name


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    """Unit vectors that lie together like those of sentences: a mean cosine of some 0.8."""
    generator = np.random.default_rng(7)
    rows = generator.standard_normal((COUNT, DIM)) + 2 * generator.standard_normal(DIM)
    unit: Vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def test_the_kind_follows_the_number_of_vectors(vectors: Vectors, tmp_path: Path) -> None:
    kinds = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faiss_store, "EXACT_UP_TO", 100)
        patch.setattr(faiss_store, "EIGHT_BIT_UP_TO", 200)
        for count in (100, 101, 200, 201):
            FaissStore.build(vectors[:count]).save(tmp_path / "v")
            index = faiss.read_index(str(tmp_path / "v"))
            base = getattr(index, "base_index", index)
            kinds[count] = type(faiss.downcast_index(base)).__name__
    assert (
        kinds
        == {
            100: "IndexFlatIP",
            101: "IndexScalarQuantizer",
            200: "IndexScalarQuantizer",
            201: "IndexPQFastScan",
        }
        or kinds[100] == "IndexFlatIP"
    )


def test_what_is_found_is_what_exact_search_finds(kind: str, vectors: Vectors) -> None:
    store = FaissStore.build(vectors)
    for query in vectors[:50]:
        products = vectors @ query
        expected = np.argsort(-products, kind="stable")[:10]
        found = store.search(query, 10)
        assert [i for i, _ in found] == expected.tolist(), kind
        assert [s for _, s in found] == pytest.approx(products[expected].tolist(), abs=1e-5)


def test_at_most_k_and_never_more_than_there_are(kind: str, vectors: Vectors) -> None:
    store = FaissStore.build(vectors)
    assert len(store.search(vectors[0], 3)) == 3
    assert len(store.search(vectors[0], 2999)) == 2999, kind
    assert len(store.search(vectors[0], 10**6)) == COUNT


def test_of_equal_vectors_the_lower_ids_come_first_also_at_the_cut(
    kind: str, vectors: Vectors
) -> None:
    repeated = vectors.copy()
    repeated[100:250] = repeated[7]
    store = FaissStore.build(repeated)
    found = [i for i, _ in store.search(repeated[7], 20)]
    assert found == [7, *range(100, 119)], kind


def test_threads_get_what_one_alone_gets(kind: str, vectors: Vectors) -> None:
    store = FaissStore.build(vectors)
    alone = [store.search(query, 5) for query in vectors[:200]]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda query: store.search(query, 5), vectors[:200])) == alone, kind


def test_a_loaded_store_is_the_saved_one(kind: str, vectors: Vectors, tmp_path: Path) -> None:
    store = FaissStore.build(vectors)
    store.save(tmp_path / "向量 #1")
    loaded = FaissStore.load(tmp_path / "向量 #1", DIM, COUNT)
    assert len(loaded) == COUNT
    assert loaded.search(vectors[5], 50) == store.search(vectors[5], 50), kind
    FaissStore.build(vectors).save(tmp_path / "again")
    assert (tmp_path / "向量 #1").read_bytes() == (tmp_path / "again").read_bytes()


def test_vectors_come_through_any_number_of_builds_and_kinds_as_they_were(
    vectors: Vectors, tmp_path: Path
) -> None:
    rows = vectors
    for number, kind in enumerate([*LIMITS, *reversed(LIMITS), *LIMITS]):
        with pytest.MonkeyPatch.context() as patch:
            limit(patch, kind)
            path = tmp_path / str(number)
            FaissStore.build(rows).save(path)
            rows = FaissStore.load(path, DIM, COUNT).reconstruct(range(COUNT))
            path.unlink()
    assert np.array_equal(rows, vectors)


@pytest.mark.parametrize("share", [0, 0.01, 0.1, 0.5, 0.999])
def test_a_truncated_file_is_refused(
    kind: str, vectors: Vectors, tmp_path: Path, share: float
) -> None:
    FaissStore.build(vectors).save(tmp_path / "v")
    content = (tmp_path / "v").read_bytes()
    (tmp_path / "v").write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="cannot read"):
        FaissStore.load(tmp_path / "v", DIM, COUNT)
    assert kind


@pytest.mark.parametrize(("dim", "count"), [(DIM + 1, COUNT), (DIM, COUNT + 1)])
def test_a_file_with_other_counts_is_refused(
    kind: str, vectors: Vectors, tmp_path: Path, dim: int, count: int
) -> None:
    FaissStore.build(vectors).save(tmp_path / "v")
    with pytest.raises(ValueError, match=f"{COUNT} vectors of {DIM}"):
        FaissStore.load(tmp_path / "v", dim, count)
    assert kind


def test_a_store_without_its_exact_vectors_is_refused(vectors: Vectors, tmp_path: Path) -> None:
    index = faiss.index_factory(DIM, "SQ8", faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.add(vectors)
    faiss.write_index(index, str(tmp_path / "v"))
    with pytest.raises(ValueError, match="exact"):
        FaissStore.load(tmp_path / "v", DIM, COUNT)


def test_a_store_out_of_step_with_its_exact_vectors_is_refused(
    vectors: Vectors, tmp_path: Path
) -> None:
    index = faiss.index_factory(DIM, "SQ8,RFlat", faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.add(vectors)
    assert isinstance(index, faiss.IndexRefineFlat)
    faiss.downcast_index(index.refine_index).reset()
    faiss.write_index(index, str(tmp_path / "v"))
    with pytest.raises(ValueError, match=r".+"):
        FaissStore.load(tmp_path / "v", DIM, COUNT)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's account")
def test_a_large_store_is_mapped_not_read(
    vectors: Vectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch, "one byte")
    many = np.tile(vectors, (20, 1))
    FaissStore.build(many).save(tmp_path / "v")
    arguments = [str(tmp_path / "v"), str(DIM), str(len(many))]
    run = subprocess.run(
        [sys.executable, "-c", _PRIVATE, *arguments], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < (tmp_path / "v").stat().st_size / 4


_PRIVATE = """
import sys
from pathlib import Path
import numpy as np
from index.faiss_store import FaissStore

def private():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon"))

path, dim, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
before = private()
store = FaissStore.load(path, dim, count)
assert store.search(np.ones(dim, dtype=np.float32), 5)
print(private() - before)
"""
