"""Tokens are cut once and taken over; BM25 over them is bm25s's own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from index import token_store
from index.build import BuildReport
from index.generation import GENERATIONS, Generation
from index.token_store import TOKENS, TokenLists, gather, places
from index.words import CUT_VERSION, WordTokenizer
from tests.index_parts import Entry, build, make_entry

LISTS = [["港口", "货轮", "港口"], [], ["货轮", "关税", "税"], ["新", "港口"]]


def lists_of(token_lists: Sequence[list[str]]) -> TokenLists:
    return gather(iter(token_lists), None, np.full(len(token_lists), -1))


def in_words(lists: TokenLists) -> list[list[str]]:
    ends = lists.starts.tolist()
    return [[lists.vocabulary[i] for i in lists.ids[start:end]] for start, end in pairwise(ends)]


def same_arrays(first: TokenLists, second: TokenLists) -> bool:
    return (
        np.array_equal(first.ids, second.ids)
        and np.array_equal(first.starts, second.starts)
        and first.vocabulary == second.vocabulary
    )


def test_lists_come_back_as_they_were_cut(tmp_path: Path) -> None:
    lists_of(LISTS).save(tmp_path, "words")
    assert in_words(TokenLists.load(tmp_path, "words")) == LISTS


def test_taking_over_gives_the_same_as_cutting_everything() -> None:
    """Byte for byte: in other places, with lists left out and new ones between."""
    old = lists_of(LISTS)
    wanted = [LISTS[3], ["全", "新"], LISTS[0], LISTS[1]]
    same = np.array([3, -1, 0, 1])
    assert same_arrays(gather(iter([["全", "新"]]), old, same), lists_of(wanted))


def test_tokens_that_no_list_holds_any_more_leave_the_vocabulary() -> None:
    kept = gather(iter([]), lists_of(LISTS), np.array([1, 3]))
    assert kept.vocabulary == ["新", "港口"]


def test_places_are_the_positions_of_the_rows() -> None:
    assert places(np.array([0, 2, 2, 5]), np.array([2, 0, 1])).tolist() == [2, 3, 4, 0, 1]


def test_files_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    lists_of(LISTS).save(tmp_path, "words")
    (tmp_path / "words.txt").write_text("港口\n", "utf-8")
    with pytest.raises(ValueError, match="out of step"):
        TokenLists.load(tmp_path, "words")


# --- from one generation to the next ------------------------------------------------------------


ENTRIES = [
    make_entry(f"{i:02}.txt", f"第{i}号仓库存放《灵犀纪要》。", f"{i}号码头停靠货轮。")
    for i in range(30)
]
CHANGED = make_entry("07.txt", "这里改写成《天穹规划》的介绍。", "7号码头停靠货轮。")


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that words are cut from, in order."""
    seen: list[str] = []
    words = WordTokenizer.words

    def watched(self: WordTokenizer, text: str) -> list[str]:
        seen.append(text)
        return words(self, text)

    monkeypatch.setattr(WordTokenizer, "words", watched)
    return seen


def with_changed(entries: Sequence[Entry]) -> list[Entry]:
    return [CHANGED if entry[0].doc == CHANGED[0].doc else entry for entry in entries]


def terms(index_dir: Path) -> tuple[str, ...]:
    with Generation.open(index_dir) as opened:
        return opened.tokenizer.terms


def state(index_dir: Path, report: BuildReport) -> dict[str, int]:
    path = index_dir / GENERATIONS / report.version / TOKENS / "state.json"
    found: dict[str, int] = json.loads(path.read_text("utf-8"))
    return found


def test_a_small_index_learns_its_terms_whenever_it_changes(tmp_path: Path) -> None:
    build(tmp_path, *ENTRIES)
    report = build(tmp_path, *with_changed(ENTRIES))
    assert terms(tmp_path) == ("灵犀纪要", "天穹规划")
    assert state(tmp_path, report)["changed"] == 0


def test_unless_terms_change_only_new_chunks_are_cut(tmp_path: Path, cut: list[str]) -> None:
    build(tmp_path, *ENTRIES)
    cut.clear()
    build(tmp_path, *ENTRIES, make_entry("新.txt", "新的一段没有书名。"))
    assert cut == ["标题\n新的一段没有书名。"]


def test_new_terms_in_a_small_index_cut_everything_again(tmp_path: Path, cut: list[str]) -> None:
    build(tmp_path, *ENTRIES)
    cut.clear()
    build(tmp_path, *with_changed(ENTRIES))
    assert len(cut) == 60


def test_a_large_index_keeps_its_terms_until_enough_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: list[str]
) -> None:
    monkeypatch.setattr(token_store, "FEW_CHUNKS", 60)
    monkeypatch.setattr(token_store, "MAX_CHANGED", 3 / 60)
    build(tmp_path, *ENTRIES)
    cut.clear()
    report = build(tmp_path, *with_changed(ENTRIES))
    assert terms(tmp_path) == ("灵犀纪要",)
    assert len(cut) == 1
    assert state(tmp_path, report)["changed"] == 2  # one came, one went
    report = build(tmp_path, *ENTRIES)
    assert terms(tmp_path) == ("灵犀纪要",)
    assert state(tmp_path, report)["changed"] == 0


def test_equal_chunks_do_not_count_as_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: list[str]
) -> None:
    monkeypatch.setattr(token_store, "FEW_CHUNKS", 1)
    copies = [make_entry(f"抄{i}.txt", "到处都有的一段。") for i in range(60)]
    build(tmp_path, *copies)
    cut.clear()
    report = build(tmp_path, *copies, make_entry("新.txt", "《天穹规划》来了。"))
    assert (state(tmp_path, report)["changed"], len(cut)) == (1, 1)


def test_an_index_built_piecemeal_is_the_one_built_at_once(tmp_path: Path) -> None:
    build(tmp_path / "一", *ENTRIES[:10])
    build(tmp_path / "一", *ENTRIES[5:])
    build(tmp_path / "一", *ENTRIES)
    build(tmp_path / "二", *ENTRIES)
    with Generation.open(tmp_path / "一") as first, Generation.open(tmp_path / "二") as second:
        assert first.manifest.files == second.manifest.files


def test_tokens_cut_by_other_rules_are_not_taken_over(
    tmp_path: Path, cut: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path, *ENTRIES)
    cut.clear()
    monkeypatch.setattr(token_store, "CUT_VERSION", CUT_VERSION + 1)
    build(tmp_path, *ENTRIES, make_entry("新.txt", "新的一段。"))
    assert len(cut) == 61


def test_a_generation_of_a_program_that_kept_no_tokens_is_cut_again(
    tmp_path: Path, cut: list[str]
) -> None:
    report = build(tmp_path, *ENTRIES)
    folder = tmp_path / GENERATIONS / report.version
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    del manifest["pending_chunks"], manifest["checksum"]
    manifest["files"] = {n: f for n, f in manifest["files"].items() if not n.startswith(TOKENS)}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    shutil.rmtree(folder / TOKENS)
    cut.clear()
    report = build(tmp_path, *ENTRIES, make_entry("新.txt", "新的一段。"))
    assert (len(cut), report.unchanged, report.embedded_chunks) == (61, 30, 1)
