"""Opening an index: what is served, what is refused, and with which words."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faiss
import numpy as np
import pytest

from errors import DamagedIndexError, IncompatibleIndexError, IndexStateError, MissingIndexError
from index import generation
from index.bm25 import Bm25Index
from index.generation import CURRENT, GENERATIONS, MANIFEST, Generation, read_pointer
from index.manifest import Manifest, record_file
from tests.index_parts import BigramEmbedder, build, make_entry

FIRST = make_entry("甲.txt", "园区吸引企业入驻。产值增长。", "道路修到村口。")
SECOND = make_entry("乙.txt", "《灵犀纪要》谈到海水淡化。", title="海洋")
Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two builds into "two", the first without and the second with SECOND; one into "one"."""
    folder = tmp_path_factory.mktemp("built")
    build(folder / "one", FIRST)
    build(folder / "two", FIRST)
    build(folder / "two", FIRST, SECOND)
    return folder


@pytest.fixture
def index_dir(built: Path, tmp_path: Path) -> Path:
    """An index of two generations."""
    return shutil.copytree(built / "two", tmp_path / "索引 #1 100%?")


@pytest.fixture
def single(built: Path, tmp_path: Path) -> Path:
    """An index of one generation."""
    return shutil.copytree(built / "one", tmp_path / "single")


def serving(index_dir: Path) -> Path:
    return index_dir / GENERATIONS / (index_dir / CURRENT).read_text().strip()


def rewrite_manifest(folder: Path, **changes: object) -> None:
    path = folder / MANIFEST
    record = {**json.loads(path.read_text()), **changes}
    del record["checksum"]  # as in manifests made before there was one
    path.write_text(json.dumps(record))


def accept_files_as_they_are(folder: Path) -> None:
    """Give the manifest the checksums of what lies there, as a careless tool would."""
    names = json.loads((folder / MANIFEST).read_text())["files"]
    records = {name: record_file(folder / name) for name in names}
    rewrite_manifest(
        folder, files={n: {"sha256": r.sha256, "size": r.size} for n, r in records.items()}
    )


def test_a_generation_finds_by_meaning_by_word_and_by_name(index_dir: Path) -> None:
    with Generation.open(index_dir) as opened:
        query = BigramEmbedder().embed_queries(["海洋\n《灵犀纪要》谈到海水淡化。"])[0]
        best = opened.vectors.search(query, 1)[0][0]
        assert opened.words.search(opened.tokenizer.words("海水怎么淡化"), 5)[0][0] == best
        assert opened.bigrams.search(opened.tokenizer.bigrams("海水"), 5)[0][0] == best
        assert opened.table.passages([best])[0].chunk == SECOND[1][0]
        assert opened.table.article("甲.txt") == FIRST[0]
        assert opened.notice is None


def test_the_tokenizer_knows_the_terms_the_chunks_were_cut_with(index_dir: Path) -> None:
    with Generation.open(index_dir) as opened:
        assert "灵犀纪要" in opened.tokenizer.words("灵犀纪要说了什么")
        assert opened.words.document_frequency("灵犀纪要") == 1


def test_the_version_is_that_of_the_manifest_and_of_the_folder(index_dir: Path) -> None:
    with Generation.open(index_dir) as opened:
        assert opened.version == opened.manifest.version == serving(index_dir).name
        assert (opened.manifest.documents, opened.manifest.chunks) == (2, 3)
        assert (opened.manifest.sentences, opened.manifest.dim) == (4, 64)


def test_sentence_vectors_are_unit_vectors_of_the_sentences(index_dir: Path) -> None:
    embedder = BigramEmbedder()
    with Generation.open(index_dir) as opened:
        for passage in opened.table.passages(range(3)):
            chunk = passage.chunk
            article = opened.table.article(chunk.doc)
            assert article is not None
            expected = embedder.embed_queries([s.span.cut(article.text) for s in chunk.sentences])
            found = opened.sentence_vectors(passage.chunk_id)
            assert found.dtype == np.float32
            assert np.allclose(found, expected, atol=1e-3)
            assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("chunk_id", [-1, 3])
def test_sentence_vectors_of_an_unknown_chunk_are_a_key_error(
    index_dir: Path, chunk_id: int
) -> None:
    with Generation.open(index_dir) as opened, pytest.raises(KeyError):
        opened.sentence_vectors(chunk_id)


def test_opening_writes_nothing_and_needs_no_right_to_write(index_dir: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in index_dir.rglob("*")}
    for path in before:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        Generation.open(index_dir, verify=True).close()
        assert {p: p.stat().st_mtime_ns for p in index_dir.rglob("*")} == before
    finally:
        for path in before:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_many_threads_may_read_one_generation(index_dir: Path) -> None:
    with Generation.open(index_dir) as opened:

        def answer(number: int) -> list[object]:
            tokens = opened.tokenizer.words("园区企业" if number % 2 else "海水淡化")
            best = opened.words.search(tokens, 1)[0][0]
            return [best, opened.table.passages([best]), opened.sentence_vectors(best).tolist()]

        alone = [answer(0), answer(1)]
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(answer, range(200))) == alone * 100


@pytest.mark.parametrize("kind", ["absent", "empty", "begun"])
def test_where_nothing_was_published_the_index_is_missing(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "index"
    if kind != "absent":
        folder.mkdir()
    if kind == "begun":
        (folder / GENERATIONS / ".building").mkdir(parents=True)
        (folder / ".lock").touch()
    with pytest.raises(MissingIndexError) as caught:
        Generation.open(folder)
    assert "python app.py build" in caught.value.user_message


@pytest.mark.parametrize(
    "files",
    [
        {"照片.jpg": "…"},
        {"CURRENT": "MANIFEST-000005\n", "LOG": "", "000003.log": ""},
        {"CURRENT": "MANIFEST-000005\n"},
        {"docstore.json": "{}", "generations": ""},
    ],
    ids=["photos", "LevelDB", "CURRENT of another program", "another index"],
)
def test_a_folder_of_another_program_is_refused(tmp_path: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(IncompatibleIndexError, match="不是问据的文件"):
        Generation.open(tmp_path)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index").write_text("text")
    with pytest.raises(IncompatibleIndexError, match="不是文件夹"):
        Generation.open(tmp_path / "index")


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"format_version": 2}, "更新的版本"),
        ({"format_version": 0}, "已过时"),
        ({"format": "other"}, "不是问据的索引"),
    ],
    ids=["newer", "older", "foreign"],
)
def test_a_generation_of_another_format_is_refused_although_an_older_one_is_whole(
    index_dir: Path, changes: dict[str, object], detail: str
) -> None:
    rewrite_manifest(serving(index_dir), **changes)
    with pytest.raises(IncompatibleIndexError, match=detail):
        Generation.open(index_dir)


def truncate(name: str) -> Damage:
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size // 2)


def delete(name: str) -> Damage:
    return lambda folder: (folder / name).unlink()


def flip_a_bit(name: str) -> Damage:
    def damage(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)

    return damage


FILES = [
    "documents.sqlite",
    "vectors.faiss",
    "sentence_vectors.npy",
    "terms.json",
    "words/data.csc.index.npy",
    "bigrams/vocab.index.npy",
]
DAMAGES = [
    pytest.param(make(name), id=f"{make.__name__} {name}")
    for name in FILES
    for make in (truncate, delete, flip_a_bit)
] + [
    pytest.param(delete(MANIFEST), id="delete manifest"),
    pytest.param(truncate(MANIFEST), id="truncate manifest"),
    pytest.param(flip_a_bit(MANIFEST), id="flip a bit of the manifest"),
    pytest.param(lambda folder: shutil.rmtree(folder), id="delete the generation"),
    pytest.param(lambda folder: (folder.parent.parent / CURRENT).write_text(""), id="no pointer"),
    pytest.param(lambda folder: (folder.parent.parent / CURRENT).write_text("../x"), id="pointer"),
    pytest.param(lambda folder: (folder.parent.parent / CURRENT).unlink(), id="delete the pointer"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_generation_gives_way_to_the_one_before(index_dir: Path, damage: Damage) -> None:
    folder = serving(index_dir)
    damage(folder)
    with Generation.open(index_dir) as opened:
        assert opened.notice is not None
        assert opened.version in opened.notice
        assert "--rebuild" in opened.notice
        assert opened.table.article("甲.txt") == FIRST[0]


@pytest.mark.parametrize("damage", DAMAGES)
def test_without_a_whole_generation_the_index_is_refused(single: Path, damage: Damage) -> None:
    folder = serving(single)
    damage(folder)
    if (folder / MANIFEST).exists() and read_pointer(single) != folder.name:
        delete(MANIFEST)(folder)  # a lost pointer alone does no harm: the newest whole one is found
    with pytest.raises(IndexStateError) as caught:
        Generation.open(single)
    assert not isinstance(caught.value, MissingIndexError)
    assert "--rebuild" in caught.value.user_message


@pytest.mark.parametrize(
    "field", ["version", "dim", "documents", "chunks", "sentences", "files", "created"]
)
def test_a_manifest_without_a_field_is_damaged(single: Path, field: str) -> None:
    path = serving(single) / MANIFEST
    record = json.loads(path.read_text())
    del record[field], record["checksum"]
    path.write_text(json.dumps(record))
    with pytest.raises(DamagedIndexError, match=field):
        Generation.open(single)


@pytest.mark.parametrize(
    "changes",
    [
        {"dim": "64"},
        {"dim": True},
        {"chunks": -1},
        {"surprise": 1},
        {"files": []},
        {"files": {"../../secret": {"sha256": "0", "size": 1}}},
        {"files": {"/etc/passwd": {"sha256": "0", "size": 1}}},
        {"files": {"terms.json": {"sha256": "0"}}},
        {"files": {"terms.json": 5}},
        {"files": {}},
        {"format_version": "1"},
        {"version": "000009-00000000"},
    ],
    ids=str,
)
def test_a_manifest_that_makes_no_sense_is_damaged(
    single: Path, changes: dict[str, object]
) -> None:
    rewrite_manifest(serving(single), **changes)
    with pytest.raises(DamagedIndexError):
        Generation.open(single)


def test_a_flipped_bit_anywhere_in_a_manifest_is_damage_and_never_another_format(
    single: Path, tmp_path: Path
) -> None:
    whole = (serving(single) / MANIFEST).read_bytes()
    path = tmp_path / MANIFEST
    for position in [*range(120), *range(120, len(whole), 11)]:  # the format stands first
        flipped = bytearray(whole)
        flipped[position] ^= 1 << position % 8
        path.write_bytes(flipped)
        with pytest.raises(DamagedIndexError):
            Manifest.load(path, single)


def test_a_manifest_comes_back_from_json_as_it_was(index_dir: Path, tmp_path: Path) -> None:
    with Generation.open(index_dir) as opened:
        (tmp_path / "m.json").write_text(opened.manifest.to_json(), "utf-8")
        assert Manifest.load(tmp_path / "m.json", index_dir) == opened.manifest


def one_vector_too_many(folder: Path) -> None:
    index = faiss.read_index(str(folder / "vectors.faiss"))
    index.add(np.ones((1, index.d), dtype=np.float32))
    faiss.write_index(index, str(folder / "vectors.faiss"))


def one_list_too_few(folder: Path) -> None:
    Bm25Index.build([["甲"]]).save(folder / "words")


def one_sentence_too_few(folder: Path) -> None:
    rows = np.load(folder / "sentence_vectors.npy")
    np.save(folder / "sentence_vectors.npy", rows[:-1])


def sentences_in_another_type(folder: Path) -> None:
    rows = np.load(folder / "sentence_vectors.npy")
    np.save(folder / "sentence_vectors.npy", rows.astype(np.float64))


def terms_that_are_none(folder: Path) -> None:
    (folder / "terms.json").write_text("[1, 2]")


def another_table(folder: Path) -> None:
    other = next(p for p in folder.parent.iterdir() if p != folder and p.name[0] != ".")
    shutil.copy(other / "documents.sqlite", folder / "documents.sqlite")


@pytest.mark.parametrize(
    "damage",
    [
        one_vector_too_many,
        one_list_too_few,
        one_sentence_too_few,
        sentences_in_another_type,
        terms_that_are_none,
        another_table,
    ],
)
def test_parts_out_of_step_are_refused_even_with_the_right_checksums(
    index_dir: Path, damage: Damage
) -> None:
    folder = serving(index_dir)
    damage(folder)
    accept_files_as_they_are(folder)
    with Generation.open(index_dir) as opened:
        assert opened.version != folder.name
        assert opened.notice is not None


def test_large_files_are_hashed_only_when_asked_for(
    single: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "MAX_HASHED_BYTES", 0)
    path = serving(single) / "sentence_vectors.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    Generation.open(single).close()
    with pytest.raises(DamagedIndexError, match="sentence_vectors"):
        Generation.open(single, verify=True)
    os.truncate(path, len(data) - 1)
    with pytest.raises(DamagedIndexError, match="sentence_vectors"):
        Generation.open(single)


def test_another_model_is_refused_by_name(index_dir: Path) -> None:
    with Generation.open(index_dir) as opened:
        opened.check_model(index_dir, "bigrams-1", 64)
        for fingerprint, dim in (("other", 64), ("bigrams-1", 32)):
            with pytest.raises(IncompatibleIndexError, match="bigrams-1"):
                opened.check_model(index_dir, fingerprint, dim)


def test_what_was_opened_serves_on_after_its_files_are_gone(index_dir: Path) -> None:
    with Generation.open(index_dir) as opened:
        shutil.rmtree(index_dir)
        assert opened.table.article("甲.txt") == FIRST[0]
        assert opened.sentence_vectors(0).shape == (1, 64)
        assert opened.words.search(opened.tokenizer.words("园区"), 1)
