"""The doctor: what it tells of an index, what it mends, and what it leaves alone."""

from __future__ import annotations

import json
import os
import shutil
from collections import namedtuple
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import app
import assemble
from errors import (
    IncompatibleIndexError,
    LockedIndexError,
    MissingIndexError,
    ModelError,
    NewerIndexError,
)
from index import generation, vectors
from index.doctor import Counts, examine, repair
from index.generation import BUILDING, CURRENT, GENERATIONS, MANIFEST, Generation
from index.journal import JOURNAL
from index.lock import HOLDER_FILE, write_lock
from index.manifest import differing_files
from settings import Settings
from tests.crash_parts import expected, said_by, write
from tests.index_parts import ROOT, make_entry, open_writer

MODEL = "bigrams-1"
Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Corpus 0, then corpus 1."""
    index_dir = tmp_path_factory.mktemp("built") / "index"
    write(index_dir, 0)
    write(index_dir, 1)
    return index_dir


@pytest.fixture
def index_dir(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "索引 #1")


def names(index_dir: Path) -> list[str]:
    """Of the generations, oldest first."""
    return sorted(path.name for path in (index_dir / GENERATIONS).iterdir())


def folder(index_dir: Path, number: int) -> Path:
    return index_dir / GENERATIONS / names(index_dir)[number]


def on_disk(index_dir: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in index_dir.rglob("*")}


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_of_a_whole_index_all_parts_and_their_counts_are_told(index_dir: Path) -> None:
    before = on_disk(index_dir)
    found = examine(index_dir, MODEL)
    assert (found.problems, found.advice, found.leftovers, found.builder) == ((), (), (), None)
    assert found.pointer == found.serving == names(index_dir)[1]
    assert [g.version for g in found.generations] == names(index_dir)[::-1]
    with Generation.open(index_dir) as opened:
        held = opened.manifest
        chunks = held.chunks
    newest = found.generations[0]
    assert newest.counts == Counts(held.documents, chunks, held.sentences, chunks, chunks, chunks)
    assert "正在提供服务" in found.text()
    assert "索引完好" in found.text()
    assert on_disk(index_dir) == before


FILES = [
    "documents.sqlite",
    "vectors.faiss",
    "sentence_vectors.npy",
    "terms.json",
    "words/data.csc.index.npy",
    "bigrams/vocab.index.npy",
]


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, Path.unlink])
@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_damaged_file_is_named_and_the_generation_before_serves(
    index_dir: Path, name: str, damage: Damage
) -> None:
    damage(folder(index_dir, 1) / name)
    found = examine(index_dir)
    assert found.serving == names(index_dir)[0]
    assert name in found.generations[0].described()
    assert "--repair" in found.advice[0]


@pytest.mark.parametrize(
    ("name", "damage"),
    [("documents.sqlite", truncate), ("vectors.faiss", flip_a_bit), (MANIFEST, Path.unlink)],
)
def test_a_damaged_generation_is_set_aside_and_the_next_build_makes_up_for_it(
    index_dir: Path, name: str, damage: Damage
) -> None:
    older, newer = names(index_dir)
    damage(folder(index_dir, 1) / name)
    done = repair(index_dir)
    assert any(older in line for line in done)
    assert said_by(index_dir) == expected(0)
    assert (index_dir / "damaged" / newer).is_dir()
    (behind,) = examine(index_dir).problems
    assert newer in behind
    assert f"wenju build {ROOT}" in examine(index_dir).advice[0]

    write(index_dir, 1)
    assert examine(index_dir).problems == ()
    assert said_by(index_dir) == expected(1)


def test_every_damaged_file_is_named_not_only_the_first(index_dir: Path) -> None:
    for name in FILES:
        flip_a_bit(folder(index_dir, 1) / name)
    assert sorted(examine(index_dir).generations[0].files) == sorted(FILES)


def test_a_bit_in_a_file_too_large_to_be_hashed_on_opening_is_found(
    index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "MAX_HASHED_BYTES", 0)
    flip_a_bit(folder(index_dir, 1) / "sentence_vectors.npy")
    found = examine(index_dir)
    assert found.serving == names(index_dir)[1]
    assert any("正在提供服务的版本" in problem for problem in found.problems)
    repair(index_dir)
    assert said_by(index_dir) == expected(0)


@pytest.mark.parametrize("content", [None, "", "nonsense", "000009-00000000", "../x"])
def test_a_lost_pointer_is_pointed_at_the_newest_whole_generation(
    index_dir: Path, content: str | None
) -> None:
    (index_dir / CURRENT).unlink()
    if content is not None:
        (index_dir / CURRENT).write_text(content)
    assert any(CURRENT in problem for problem in examine(index_dir).problems)
    assert said_by(index_dir, notice=True) == expected(1)
    repair(index_dir)
    assert examine(index_dir).problems == ()
    assert said_by(index_dir) == expected(1)


def test_a_damaged_generation_that_does_not_serve_is_set_aside_too(index_dir: Path) -> None:
    older = names(index_dir)[0]
    truncate(folder(index_dir, 0) / "terms.json")
    assert any(older in problem for problem in examine(index_dir).problems)
    repair(index_dir)
    assert examine(index_dir).problems == ()
    assert said_by(index_dir) == expected(1)


def test_a_generation_set_aside_twice_does_not_replace_the_first(index_dir: Path) -> None:
    newer = names(index_dir)[1]
    for _ in range(2):
        truncate(folder(index_dir, 1) / "terms.json")
        repair(index_dir)
        write(index_dir, 1)
    assert [path.name for path in sorted((index_dir / "damaged").iterdir())] == [
        newer,
        f"{newer}-2",
    ]


def test_what_a_killed_build_left_is_told_and_removed(index_dir: Path) -> None:
    serving = names(index_dir)[1]
    write(index_dir, 2)
    unpublished = names(index_dir)[1]
    shutil.copytree(folder(index_dir, 0), index_dir / GENERATIONS / "000000-00000000")
    (index_dir / CURRENT).write_text(serving + "\n")
    (index_dir / f"{CURRENT}.new").write_text(unpublished)
    (index_dir / GENERATIONS / BUILDING).mkdir()
    found = examine(index_dir)
    assert {left.path for left in found.leftovers} == {
        f"{GENERATIONS}/{unpublished}",
        f"{GENERATIONS}/{BUILDING}",
        f"{CURRENT}.new",
    }
    repair(index_dir)
    assert examine(index_dir).leftovers == ()
    assert said_by(index_dir) == expected(1)


def test_a_generation_that_a_build_died_removing_is_removed_and_not_taken_for_damaged(
    index_dir: Path,
) -> None:
    half = shutil.copytree(folder(index_dir, 0), index_dir / GENERATIONS / "000000-00000000")
    (half / MANIFEST).unlink()
    found = examine(index_dir)
    assert [left.path for left in found.leftovers] == [f"{GENERATIONS}/000000-00000000"]
    assert len(found.problems) == 1
    repair(index_dir)
    assert examine(index_dir).problems == ()
    assert not (index_dir / "damaged").exists()


def test_while_a_build_runs_it_is_told_who_and_nothing_is_touched(index_dir: Path) -> None:
    (index_dir / GENERATIONS / BUILDING).mkdir()
    truncate(folder(index_dir, 1) / "terms.json")
    with write_lock(index_dir):
        before = on_disk(index_dir)
        found = examine(index_dir)
        assert found.builder is not None
        assert f"进程 {os.getpid()}" in found.builder
        assert found.leftovers == ()
        with pytest.raises(LockedIndexError):
            repair(index_dir)
        assert on_disk(index_dir) == before
    assert not (index_dir / HOLDER_FILE).exists()


@pytest.mark.parametrize("publishes", [True, False])
def test_a_build_that_begins_during_an_examination_is_no_problem(
    index_dir: Path, publishes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = ExitStack()

    def compared_while_built(*arguments: Any) -> Mapping[str, str]:
        monkeypatch.setattr("index.doctor.differing_files", differing_files)
        faults = differing_files(*arguments)
        if publishes:
            write(index_dir, 2)
        else:
            stack.enter_context(write_lock(index_dir))
            (index_dir / GENERATIONS / BUILDING).mkdir()
        return faults

    monkeypatch.setattr("index.doctor.differing_files", compared_while_built)
    with stack:
        found = examine(index_dir)
    assert (found.problems, found.advice, found.leftovers) == ((), (), ())
    assert (found.builder is None) == publishes


def test_a_generation_that_a_build_removes_during_an_examination_is_no_problem(
    index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat, old = Path.stat, folder(index_dir, 0)

    def removing(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path == old / "documents.sqlite":
            shutil.rmtree(old, ignore_errors=True)
        return stat(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", removing)
    found = examine(index_dir)
    assert (len(found.generations), found.problems) == (1, ())


def test_without_a_whole_generation_nothing_is_moved_and_the_rebuild_is_named(
    index_dir: Path,
) -> None:
    for number in (0, 1):
        truncate(folder(index_dir, number) / "vectors.faiss")
    before = names(index_dir)
    repair(index_dir)
    assert names(index_dir) == before
    found = examine(index_dir)
    assert found.serving is None
    assert "没有一个版本能提供服务" in found.text()
    assert any(f"wenju build {ROOT} --rebuild" in line for line in found.advice)
    write(index_dir, 2, rebuild=True)
    assert said_by(index_dir) == expected(2)


def test_the_build_that_is_named_takes_in_nothing_that_lies_beside_a_file_given_alone(
    tmp_path: Path,
) -> None:
    index_dir, given = tmp_path / "index", tmp_path / "given"
    docs = {"a.lines": ["a.lines/000001", "a.lines/000002"], "b.txt": ["b.txt"]}
    given.mkdir()
    with open_writer(index_dir) as writer:
        for file, names_in_it in docs.items():
            (given / file).touch()
            for doc in names_in_it:
                writer.put(*make_entry(doc, f"{doc} 谈到园区。"), str(given))
        writer.publish()
    truncate(folder(index_dir, 0) / "vectors.faiss")
    named = f"wenju build {given}/a.lines {given}/b.txt --rebuild"
    assert any(named in line for line in examine(index_dir).advice)
    (given / "b.txt").unlink()
    assert any(f"wenju build {given} --rebuild" in line for line in examine(index_dir).advice)


def test_what_a_newer_version_built_is_left_alone(index_dir: Path) -> None:
    path = folder(index_dir, 1) / MANIFEST
    record = json.loads(path.read_text())
    del record["checksum"]
    path.write_text(json.dumps({**record, "format_version": 99}))
    found = examine(index_dir)
    assert "请升级本程序" in found.advice[0]
    before = names(index_dir)
    with pytest.raises(NewerIndexError):
        repair(index_dir)
    assert names(index_dir) == before


def test_a_build_that_has_published_words_first_and_died_is_told_to_go_on(
    index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(step: str) -> None:
        if step == "pointer swapped":
            raise KeyboardInterrupt

    monkeypatch.setattr(vectors, "_WORDS_FIRST", 1)
    monkeypatch.setattr(vectors, "_KEPT", 0)
    with pytest.raises(KeyboardInterrupt):
        write(index_dir, 2, on_step=die)
    (index_dir / JOURNAL).write_bytes(b"?")
    found = examine(index_dir)
    assert "只能按词检索" in found.problems[0]
    assert f"wenju build {ROOT}" in found.advice[-1]
    assert [left.path for left in found.journal] == [JOURNAL]
    repair(index_dir)
    assert (index_dir / JOURNAL).exists()
    write(index_dir, 2)
    assert examine(index_dir).problems == ()
    assert said_by(index_dir) == expected(2)


def test_another_model_than_that_of_the_index_is_a_problem(index_dir: Path) -> None:
    found = examine(index_dir, "other-1")
    (problem,) = found.problems
    assert MODEL in problem
    assert "other-1" in problem
    assert "--rebuild" in found.advice[0]


def test_too_little_space_for_another_build_is_a_problem(
    index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9, 9, 1000))
    (problem,) = examine(index_dir).problems
    assert "磁盘" in problem


def test_where_no_index_is_or_another_program_s_nothing_is_done(tmp_path: Path) -> None:
    for absent in (tmp_path / "absent", tmp_path):
        with pytest.raises(MissingIndexError):
            examine(absent)
    with pytest.raises(MissingIndexError):
        repair(tmp_path / "absent")
    (tmp_path / "照片.jpg").write_text("…")
    for act in (examine, repair):
        with pytest.raises(IncompatibleIndexError):
            act(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["照片.jpg"]


def test_the_command_exits_with_0_for_a_healthy_index_and_1_for_another(
    seed_settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index_dir = shutil.copytree(seed_settings.index_dir, tmp_path / "index")
    assert app.main(["doctor", "--index", str(index_dir)]) == 0
    assert "索引完好" in capsys.readouterr().out
    (index_dir / CURRENT).unlink()
    assert app.main(["doctor", "--index", str(index_dir), "--json"]) == 1
    printed = capsys.readouterr()
    record = json.loads(printed.out)
    assert (record["healthy"], len(record["problems"]), record["repaired"]) == (False, 1, [])
    assert printed.err == f"{index_dir} 有 1 处问题，办法见检查结果。\n"
    assert app.main(["doctor", "--index", str(index_dir), "--repair"]) == 0
    assert "已修复" in capsys.readouterr().out


def test_the_command_tells_of_a_model_that_cannot_be_loaded(
    index_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(name: str) -> None:
        raise ModelError(name, f"模型 {name} 缺文件")

    monkeypatch.setattr(assemble, "load_embedder", load)
    assert app.main(["doctor", "--index", str(index_dir), "--model", "另一个"]) == 1
    assert "问题：模型 另一个 缺文件" in capsys.readouterr().out
