"""The words of a generation: learnt terms, token ids of every chunk, and BM25 over them.

    tokens/state.json                       how they were cut, and what has changed since
    tokens/{words,bigrams}.npy              ids of all chunks, one after the other
    tokens/{words,bigrams}_starts.npy       where the ids of a chunk begin
    tokens/{words,bigrams}.txt              the vocabulary, a token a line, by id

Cutting is what costs (a third of a millisecond a chunk), so a next generation takes over the ids of
the chunks that it shares with this one. Vocabularies are numbered by first appearance: an index
built piecemeal is the same as one built at once, byte for byte, as long as its terms are.

When terms are learnt: they decide how words are cut, so new terms mean that every chunk is cut
again. An index of few chunks learns its terms whenever it changes. A larger one keeps them until
the chunks that came or went since they were learnt are more than a small share of all. Meanwhile
new text is cut with the terms as they are, like the questions: a title that is not among them is
found by the words in it and by its pairs of characters.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jieba  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from index.array_file import load_array
from index.bm25 import Bm25Index
from index.chunk_table import SqliteChunkTable
from index.cutting import cutting
from index.generation import BIGRAMS, TERMS, WORDS
from index.words import CUT_VERSION, learn_terms

TOKENS = "tokens"
_STATE = "state.json"
FEW_CHUNKS = 4000  # learning and cutting all of these again takes two seconds
MAX_CHANGED = 0.02  # of all chunks; 350 of 17,000 news articles
_READ_BATCH = 1000  # chunks held in memory while their words are counted

Ids = NDArray[np.uint32]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TokenLists:
    """Token lists of chunks: those of chunk i are ids[starts[i]:starts[i + 1]]."""

    ids: Ids  # positions in vocabulary
    starts: Places  # one more than chunks
    vocabulary: list[str]

    @classmethod
    def load(cls, folder: Path, name: str) -> TokenLists:
        """What `save` wrote; the ids stay on disk.

        Raises:
            OSError: a file is missing.
            ValueError: the files do not fit together.
        """
        ids = load_array(folder / f"{name}.npy", mapped=True)
        starts = load_array(folder / f"{name}_starts.npy", mapped=False)
        vocabulary = (folder / f"{name}.txt").read_text("utf-8").split("\n")[:-1]
        whole = len(starts) and starts[0] == 0 and starts[-1] == len(ids)
        if not whole or (len(ids) and int(ids.max()) >= len(vocabulary)):
            raise ValueError(f"tokens of {name} are out of step")
        return cls(ids, starts, vocabulary)

    def save(self, folder: Path, name: str) -> None:
        """Write three files."""
        np.save(folder / f"{name}.npy", self.ids, allow_pickle=False)
        np.save(folder / f"{name}_starts.npy", self.starts, allow_pickle=False)
        (folder / f"{name}.txt").write_bytes(
            "".join(f"{token}\n" for token in self.vocabulary).encode("utf-8")
        )

    def __len__(self) -> int:
        return len(self.starts) - 1


@dataclass(frozen=True, slots=True)
class Before:
    """The generation that a new one is made from."""

    folder: Path
    terms: Sequence[str]
    chunks: int
    distinct: int  # chunks, equal ones counted once
    same: Places  # for each new chunk an old one with the same search_text, or -1


def write_words(folder: Path, table: SqliteChunkTable, chunks: int, before: Before | None) -> None:
    """Write terms, tokens and BM25 of all chunks of `table` into a generation's folder.

    Args:
        folder: of the new generation.
        table: its documents and chunks.
        chunks: how many it holds.
        before: None to cut everything.
    """
    same = np.full(chunks, -1, dtype=np.int64) if before is None else before.same
    kept = _kept_terms(before, chunks)
    if kept is None:
        terms, changed = learn_terms(table.texts()), 0
        old = _stored(before) if before and list(before.terms) == terms else None
    else:
        terms, changed, old = *kept, _stored(before)
    if old is None:
        same = np.full(chunks, -1, dtype=np.int64)
    (folder / TERMS).write_text(json.dumps(terms, ensure_ascii=False), "utf-8")
    (folder / TOKENS).mkdir()
    new = np.flatnonzero(same < 0)
    with cutting(terms, len(new)) as cutter:
        for name, cut in ((WORDS, cutter.words), (BIGRAMS, cutter.bigrams)):
            cuts = cut(_search_texts(table, new))
            lists = gather(cuts, old[name] if old else None, same)
            lists.save(folder / TOKENS, name)
            Bm25Index.from_ids(lists.ids, lists.starts, lists.vocabulary).save(folder / name)
    state = {"cut": _cut_by(), "changed": changed}
    (folder / TOKENS / _STATE).write_text(json.dumps(state), "utf-8")


def gather(cuts: Iterator[list[str]], old: TokenLists | None, same: Places) -> TokenLists:
    """Token lists of all chunks, those that are not taken over from `cuts`.

    Args:
        cuts: the tokens of the new chunks, in order.
        old: tokens to take over.
        same: for each chunk the list of `old` that is its own, or -1.
    """
    numbers = {token: i for i, token in enumerate(old.vocabulary)} if old is not None else {}
    fresh = array("I")
    fresh_ends = [0]
    for tokens in cuts:
        fresh.extend([numbers.setdefault(token, len(numbers)) for token in tokens])
        fresh_ends.append(len(fresh))
    is_new = same < 0
    lengths = np.empty(len(same), dtype=np.int64)
    lengths[is_new] = np.diff(fresh_ends)
    if old is not None:
        lengths[~is_new] = np.diff(old.starts)[same[~is_new]]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    ids = np.empty(starts[-1], dtype=np.uint32)
    from_new = np.repeat(is_new, lengths)
    ids[from_new] = np.frombuffer(fresh, dtype=np.uintc)
    if old is not None:
        ids[~from_new] = old.ids[places(old.starts, same[~is_new])]
    return _renumbered(ids, starts, list(numbers))


def places(starts: Places, rows: Places) -> Places:
    """Every position in the ranges [starts[row], starts[row + 1]), range after range."""
    lengths = starts[rows + 1] - starts[rows]
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts[rows] - before, lengths) + np.arange(lengths.sum())


def _renumbered(ids: Ids, starts: Places, vocabulary: Sequence[str]) -> TokenLists:
    """The same lists with tokens numbered by first appearance; those that do not appear go."""
    first = np.full(len(vocabulary), len(ids), dtype=np.int64)
    # Of several values for one place numpy keeps the last: backwards, the first appearance.
    first[ids[::-1]] = np.arange(len(ids) - 1, -1, -1)
    order = np.argsort(first, kind="stable")
    order = order[: int(np.count_nonzero(first < len(ids)))]
    number = np.zeros(len(vocabulary), dtype=np.uint32)
    number[order] = np.arange(len(order), dtype=np.uint32)
    return TokenLists(number[ids], starts, [vocabulary[i] for i in order])


def _kept_terms(before: Before | None, chunks: int) -> tuple[list[str], int] | None:
    """The terms to go on with and the chunks changed since they were learnt; None to learn anew."""
    if before is None or chunks < FEW_CHUNKS:
        return None
    state = _state(before.folder)
    shared = np.unique(before.same[before.same >= 0])
    changed = int(np.count_nonzero(before.same < 0)) + before.distinct - len(shared)
    if state is None or state["changed"] + changed > MAX_CHANGED * chunks:
        return None
    return list(before.terms), state["changed"] + changed


def _stored(before: Before | None) -> dict[str, TokenLists] | None:
    """The tokens of a generation, or None if it has none that were cut as we do today."""
    if before is None or _state(before.folder) is None:
        return None
    try:
        lists = {name: TokenLists.load(before.folder / TOKENS, name) for name in (WORDS, BIGRAMS)}
    except (OSError, ValueError):
        return None
    return lists if all(len(one) == before.chunks for one in lists.values()) else None


def _state(folder: Path) -> dict[str, Any] | None:
    """How the tokens of a generation were cut; None if otherwise than today, or not kept."""
    try:
        state = json.loads((folder / TOKENS / _STATE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    usable = isinstance(state, dict) and state.get("cut") == _cut_by()
    return state if usable and type(state.get("changed")) is int else None


def _cut_by() -> str:
    return f"{CUT_VERSION}/jieba {jieba.__version__}"


def _search_texts(table: SqliteChunkTable, chunk_ids: Places) -> Iterator[str]:
    for first in range(0, len(chunk_ids), _READ_BATCH):
        for passage in table.passages(chunk_ids[first : first + _READ_BATCH].tolist()):
            yield passage.chunk.search_text
