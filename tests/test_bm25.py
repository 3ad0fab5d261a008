"""BM25 over token lists: scores, order, and what is on disk."""

from __future__ import annotations

import math
import random
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bm25s  # type: ignore[import-untyped]
import numpy as np
import pytest

from index.bm25 import K1, METHOD, B, Bm25Index

LISTS = [["产业", "园区"], ["园区", "园区", "道路"], [], ["天气"]]


@pytest.fixture
def index() -> Bm25Index:
    return Bm25Index.build(LISTS)


def lucene(tf: int, df: int, length: int) -> float:
    """The formula of Lucene 8, worked independently of the library (no factor k1 + 1)."""
    idf = math.log(1 + (len(LISTS) - df + 0.5) / (df + 0.5))
    mean = sum(map(len, LISTS)) / len(LISTS)
    return idf * tf / (tf + K1 * (1 - B + B * length / mean))


def test_scores_are_those_of_the_published_formula(index: Bm25Index) -> None:
    expected = [(1, lucene(2, 2, 3)), (0, lucene(1, 2, 2))]
    assert [i for i, _ in index.search(["园区"], 10)] == [i for i, _ in expected]
    assert [s for _, s in index.search(["园区"], 10)] == pytest.approx([s for _, s in expected])


def test_a_question_adds_up_its_tokens(index: Bm25Index) -> None:
    both = dict(index.search(["产业", "园区"], 10))
    assert both[0] == pytest.approx(lucene(1, 1, 2) + lucene(1, 2, 2))


def test_only_chunks_with_a_token_of_the_question_come_back(index: Bm25Index) -> None:
    assert [i for i, _ in index.search(["天气", "未见过"], 10)] == [3]
    assert index.search(["未见过"], 10) == []
    assert index.search([], 10) == []
    assert index.search(["园区"], 0) == []


def test_equal_scores_come_in_order_of_chunk_id_also_at_the_cut() -> None:
    index = Bm25Index.build([["甲"]] * 50 + [["甲", "甲"]])
    assert [i for i, _ in index.search(["甲"], 4)] == [50, 0, 1, 2]


def test_document_frequency_counts_chunks(index: Bm25Index) -> None:
    counts = [index.document_frequency(token) for token in ("园区", "天气", "未见过", "")]
    assert counts == [2, 1, 0, 0]


def test_length_counts_empty_chunks_too(index: Bm25Index) -> None:
    assert len(index) == 4


def test_chunks_without_any_token_make_an_index_that_finds_nothing() -> None:
    index = Bm25Index.build([[], []])
    assert len(index) == 2
    assert index.search(["甲"], 3) == []


def test_no_chunk_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        Bm25Index.build([])


@pytest.mark.parametrize("lists", [LISTS, [[], []]])
def test_a_saved_index_answers_as_before(tmp_path: Path, lists: list[list[str]]) -> None:
    index = Bm25Index.build(lists)
    index.save(tmp_path / "词 #1")
    loaded = Bm25Index.load(tmp_path / "词 #1")
    assert loaded.search(["园区", "天气"], 10) == index.search(["园区", "天气"], 10)
    assert len(loaded) == len(index)
    assert loaded.document_frequency("园区") == index.document_frequency("园区")


def saved_by_bm25s(lists: list[list[str]], folder: Path) -> None:
    numbers: dict[str, int] = {}
    ids = [[numbers.setdefault(token, len(numbers)) for token in tokens] for tokens in lists]
    library = bm25s.BM25(k1=K1, b=B, method=METHOD, backend="numpy")
    library.index((ids, numbers), create_empty_token=False, show_progress=False)
    library.save(folder, allow_pickle=False, show_progress=False)


def test_scores_are_those_of_bm25s_bit_for_bit_and_its_files_can_be_read(tmp_path: Path) -> None:
    generator = random.Random(3)
    tokens = [chr(0x4E00 + i) + "词" * (i % 3) for i in range(400)]
    weights = [1 / (i + 1) for i in range(400)]
    lists = [generator.choices(tokens, weights, k=generator.randrange(60)) for _ in range(500)]
    saved_by_bm25s(lists, tmp_path)
    theirs, ours = Bm25Index.load(tmp_path), Bm25Index.build(lists)
    theirs.save(tmp_path / "copy")
    copy = Bm25Index.load(tmp_path / "copy")
    for _ in range(200):
        question = generator.choices(tokens, k=8)
        found = ours.search(question, 20)
        assert found
        assert found == theirs.search(question, 20) == copy.search(question, 20)
    for token in tokens:
        assert ours.document_frequency(token) == theirs.document_frequency(token)


def test_the_numbers_that_tokens_come_with_do_not_matter(tmp_path: Path) -> None:
    starts = np.array([0, 2, 3])
    Bm25Index.from_ids(np.array([0, 1, 1]), starts, ["路", "桥"]).save(tmp_path / "a")
    Bm25Index.from_ids(np.array([2, 0, 0]), starts, ["桥", "无", "路"]).save(tmp_path / "b")
    first, second = (Bm25Index.load(tmp_path / name) for name in "ab")
    assert first.search(["桥", "路"], 5) == second.search(["桥", "路"], 5)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's account")
def test_what_is_loaded_stays_on_disk(tmp_path: Path) -> None:
    """Measured in a process of its own: the memory that is private to it."""
    tokens = [f"词{i}" for i in range(60_000)]
    ids = np.random.default_rng(1).integers(0, len(tokens), 2_000_000)
    starts = np.linspace(0, len(ids), 20_001).astype(np.int64)
    Bm25Index.from_ids(ids, starts, tokens).save(tmp_path)
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    run = subprocess.run([sys.executable, "-c", _PRIVATE, tmp_path], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < size / 4


_PRIVATE = """
import sys
from pathlib import Path
from index.bm25 import Bm25Index

def private():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon"))

before = private()
index = Bm25Index.load(Path(sys.argv[1]))
assert index.search(["词7", "词9"], 5)
print(private() - before)
"""


def test_the_same_lists_give_the_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        Bm25Index.build(LISTS).save(tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_nothing_on_disk_is_pickled(tmp_path: Path, index: Bm25Index) -> None:
    index.save(tmp_path)
    kinds = {path.suffix for path in tmp_path.iterdir()}
    assert kinds == {".npy", ".json"}
    for path in tmp_path.glob("*.npy"):
        np.load(path, allow_pickle=False)


def test_a_pickled_array_is_refused(tmp_path: Path, index: Bm25Index) -> None:
    index.save(tmp_path)
    np.save(tmp_path / "data.csc.index.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects"):
        Bm25Index.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("indptr.csc.index.npy", []),
        ("indptr.csc.index.npy", [0, 1, 3, 4]),
        ("indptr.csc.index.npy", [0, 3, 1, 4, 5]),
        ("indices.csc.index.npy", [0, 0, 1, 1, 4]),
        ("indices.csc.index.npy", [0, 0, 1, 1, -1]),
        ("data.csc.index.npy", [1.0, 1.0, 1.0, 1.0]),
        ("data.csc.index.npy", [1.0, 1.0, 1.0, 1.0, float("nan")]),
    ],
)
def test_arrays_that_contradict_each_other_are_refused(
    tmp_path: Path, index: Bm25Index, name: str, values: list[float]
) -> None:
    index.save(tmp_path)
    kind = np.load(tmp_path / name).dtype
    np.save(tmp_path / name, np.array(values, dtype=kind))
    with pytest.raises(ValueError, match="out of step"):
        Bm25Index.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("vocab_starts.index.npy", []),
        ("vocab_starts.index.npy", [0, 6, 12, 18]),
        ("vocab_starts.index.npy", [0, 6, 18, 12, 24]),
        ("vocab_starts.index.npy", [0, 24]),
        ("vocab_starts.index.npy", [1, 6, 12, 18, 24]),
        ("vocab.index.npy", [0] * 23),
    ],
)
def test_a_vocabulary_that_contradicts_itself_is_refused(
    tmp_path: Path, index: Bm25Index, name: str, values: list[int]
) -> None:
    index.save(tmp_path)
    kind = np.load(tmp_path / name).dtype
    np.save(tmp_path / name, np.array(values, dtype=kind))
    with pytest.raises(ValueError, match=r"out of step|not a vocabulary"):
        Bm25Index.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"null", b'{"k1": "a", "x": 1}'])
def test_a_damaged_parameter_file_is_refused(
    tmp_path: Path, index: Bm25Index, content: bytes
) -> None:
    index.save(tmp_path)
    (tmp_path / "params.index.json").write_bytes(content)
    with pytest.raises(ValueError, match=r".+"):
        Bm25Index.load(tmp_path)


def test_a_missing_file_is_told(tmp_path: Path, index: Bm25Index) -> None:
    index.save(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b" / "vocab.index.npy").unlink()
    with pytest.raises(OSError, match="vocab"):
        Bm25Index.load(tmp_path / "b")


def test_threads_get_what_one_alone_gets() -> None:
    index = Bm25Index.build([[f"t{i % 7}", f"u{i % 11}"] for i in range(500)])
    questions = [[f"t{i % 7}", f"u{i % 5}"] for i in range(200)]
    alone = [index.search(question, 10) for question in questions]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda question: index.search(question, 10), questions)) == alone
