"""KeywordIndex over token lists: BM25 scores worked out when it is made, mapped when it is read.

    params.index.json                 {"num_docs": chunks, "method", "k1", "b"}
    vocab.index.npy                   tokens in the order of their bytes, one after the other
    vocab_starts.index.npy            where each begins
    indptr.csc.index.npy              where the entries of each token begin
    indices.csc.index.npy             chunk ids of the entries, rising within a token
    data.csc.index.npy                their scores, float32

The layout is that of the library bm25s but for the vocabulary, and so are the scores, bit for bit
(tests/test_bm25.py); making them for all chunks together takes an eighth of the library's time
with 86,000 chunks. What the library saved can be read, too.

Cutting text into tokens is words.py's business.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.array_file import load_array
from index.vocabulary import Vocabulary

# Lucene's form of BM25: its idf stays positive even for a token that stands in every chunk.
METHOD = "lucene"
K1 = 1.5  # how slowly a repeated token stops counting; chunks are short, repetition means little
B = 0.75  # how much a longer chunk is held against it; 0 not at all, 1 in full proportion

_PARAMS = "params.index.json"
_TOKENS = "vocab.index.npy"
_TOKEN_STARTS = "vocab_starts.index.npy"
_TOKENS_OF_BM25S = "vocab.index.json"
_STARTS = "indptr.csc.index.npy"
_ROWS = "indices.csc.index.npy"
_SCORES = "data.csc.index.npy"
_CHECKED_AT_ONCE = 1 << 20  # entries

Integers = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class _Entries:
    """Which chunks hold a token, and what it adds to their score: entries[begins[t]:ends[t]]."""

    begins: Integers  # one a token
    ends: Integers
    rows: NDArray[np.int32]
    scores: NDArray[np.float32]

    def in_order(self) -> _Entries:
        """The same, the entries of each token right behind those of the one before."""
        if np.array_equal(self.begins[1:], self.ends[:-1]):
            return self
        lengths = (self.ends - self.begins).astype(np.int64)
        ends = np.cumsum(lengths)
        places = np.repeat(self.begins - (ends - lengths), lengths) + np.arange(lengths.sum())
        return _Entries(ends - lengths, ends, self.rows[places], self.scores[places])


class Bm25Index:
    """BM25 over one kind of token; chunk ids are the positions of the lists it was built from.

    Immutable once made, hence safe to search from several threads.
    """

    def __init__(self, vocabulary: Vocabulary, entries: _Entries, count: int) -> None:
        """Use `build`, `from_ids` or `load`."""
        self._vocabulary = vocabulary
        self._entries = entries
        self._count = count

    @classmethod
    def build(cls, token_lists: Iterable[Sequence[str]]) -> Bm25Index:
        """Index of the lists, in order; a list may be empty, but there must be one.

        Raises:
            ValueError: no list at all.
        """
        numbers: dict[str, int] = {}
        ids, ends = array("i"), array("q", [0])
        for tokens in token_lists:
            ids.extend([numbers.setdefault(token, len(numbers)) for token in tokens])
            ends.append(len(ids))
        return cls.from_ids(
            np.frombuffer(ids, dtype=np.intc), np.frombuffer(ends, dtype=np.int64), list(numbers)
        )

    @classmethod
    def from_ids(cls, ids: Integers, starts: Integers, tokens: Sequence[str]) -> Bm25Index:
        """Index of lists of token numbers: list i is ids[starts[i]:starts[i + 1]].

        Args:
            ids: positions in `tokens`, list after list.
            starts: one more than there are lists.
            tokens: different ones, in any order; the index does not depend on it.

        Raises:
            ValueError: no list at all.
        """
        count = len(starts) - 1
        if count < 1:
            raise ValueError("nothing to index")
        order = sorted(range(len(tokens)), key=tokens.__getitem__)
        number = np.empty(len(tokens), dtype=np.int64)
        number[order] = np.arange(len(tokens))
        lengths = np.diff(starts).astype(np.int64)
        # Sorted pairs of token and chunk: how often one stands there is the token's frequency.
        pairs = number[ids] * count
        pairs += np.repeat(np.arange(count, dtype=np.int64), lengths)
        pairs.sort()
        first = np.flatnonzero(np.diff(pairs, prepend=-1))
        times = np.diff(first, append=len(pairs))
        columns, rows = np.divmod(pairs[first], count)
        frequencies = np.bincount(columns, minlength=len(tokens))
        ends = np.cumsum(frequencies)
        mean = float(lengths.mean()) or 1.0
        saturation = K1 * ((1 - B) + B * lengths / mean)
        scores = _rarities(frequencies, count)[columns] * (times / (saturation[rows] + times))
        return cls(
            Vocabulary.of([tokens[i] for i in order]),
            _Entries(ends - frequencies, ends, rows.astype(np.int32), scores.astype(np.float32)),
            count,
        )

    def save(self, folder: Path) -> None:
        """Write JSON and npy files into `folder`, making it."""
        folder.mkdir(parents=True, exist_ok=True)
        entries = self._entries.in_order()
        params = {"num_docs": self._count, "method": METHOD, "k1": K1, "b": B}
        (folder / _PARAMS).write_text(json.dumps(params), "utf-8")
        for name, values in (
            (_TOKENS, self._vocabulary.data),
            (_TOKEN_STARTS, self._vocabulary.starts),
            (_STARTS, np.append(0, entries.ends)),
            (_ROWS, entries.rows),
            (_SCORES, entries.scores),
        ):
            np.save(folder / name, values, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> Bm25Index:
        """What `save` wrote, or the library bm25s; what is read of it stays on disk until used.

        Raises:
            OSError: a file is missing.
            ValueError: a file is damaged.
        """
        params = json.loads((folder / _PARAMS).read_text("utf-8"))
        count = params.get("num_docs") if isinstance(params, dict) else None
        if type(count) is not int or count < 1:
            raise ValueError(f"{_PARAMS} does not tell the number of chunks")
        starts, rows, scores = (_mapped(folder / name) for name in (_STARTS, _ROWS, _SCORES))
        _check(starts, rows, scores, count)
        begins, ends = starts[:-1], starts[1:]
        if (folder / _TOKENS_OF_BM25S).exists():
            vocabulary, order = _vocabulary_of_bm25s(folder / _TOKENS_OF_BM25S)
            begins, ends = begins[order], ends[order]
        else:
            vocabulary = Vocabulary(_mapped(folder / _TOKENS), _mapped(folder / _TOKEN_STARTS))
        if len(vocabulary) != len(begins):
            raise ValueError("vocabulary and entries out of step")
        # Mapped anew: what the check has read is not held.
        entries = _Entries(begins, ends, _mapped(folder / _ROWS), _mapped(folder / _SCORES))
        return cls(vocabulary, entries, count)

    def search(self, tokens: Sequence[str], k: int) -> list[tuple[int, float]]:
        """(chunk id, score > 0), best first, at most k; of equal scores the lower id first."""
        places = [p for token in tokens if (p := self._vocabulary.position(token)) is not None]
        if not places or k <= 0:
            return []
        entries = self._entries
        scores = np.zeros(self._count, dtype=np.float32)
        for place in places:
            part = slice(entries.begins[place], entries.ends[place])
            np.add.at(scores, entries.rows[part], entries.scores[part])
        found = np.flatnonzero(scores > 0)
        if len(found) > k:
            # All chunks as good as the k-th, so that a tie at the border is settled by the sort.
            least = np.partition(scores[found], -k)[-k]
            found = found[scores[found] >= least]
        best = found[np.lexsort((found, -scores[found]))][:k]
        return list(zip(best.tolist(), scores[best].tolist(), strict=True))

    def document_frequency(self, token: str) -> int:
        """In how many chunks the token stands; 0 for an unknown one."""
        place = self._vocabulary.position(token)
        return 0 if place is None else int(self._entries.ends[place] - self._entries.begins[place])

    def __len__(self) -> int:
        return self._count


def _rarities(frequencies: Integers, count: int) -> NDArray[np.float32]:
    """Lucene's inverse document frequency of each token, in bm25s's precision."""
    values, which = np.unique(frequencies, return_inverse=True)
    rarity = [math.log(1 + (count - value + 0.5) / (value + 0.5)) for value in values.tolist()]
    return np.array(rarity, dtype=np.float32)[which]


def _mapped(path: Path) -> NDArray[Any]:
    """An array of a file that is read where it is used.

    Raises:
        OSError: it is missing.
        ValueError: it is no array, or would have to be unpickled.
    """
    try:
        values = load_array(path, mapped=True)
    except EOFError as error:
        raise ValueError(f"{path.name} is empty") from error
    return values.view(np.ndarray)  # whose items and slices cost half of a memmap's


def _vocabulary_of_bm25s(path: Path) -> tuple[Vocabulary, NDArray[np.int64]]:
    """The library's vocabulary, and which of its columns belongs to each token of ours."""
    columns = json.loads(path.read_text("utf-8"))
    if not isinstance(columns, dict) or sorted(columns.values()) != list(range(len(columns))):
        raise ValueError(f"{path.name} is not a vocabulary")
    tokens = sorted(columns)
    return Vocabulary.of(tokens), np.array([columns[t] for t in tokens], dtype=np.int64)


def _check(starts: NDArray[Any], rows: NDArray[Any], scores: NDArray[Any], count: int) -> None:
    """ValueError unless the entries fit together; read in slices, so as to hold little of them."""
    fits = (
        starts.ndim == rows.ndim == scores.ndim == 1
        and (starts.dtype.kind, rows.dtype.name, scores.dtype.name) == ("i", "int32", "float32")
        and len(starts) > 0
        and starts[0] == 0
        and bool(np.all(np.diff(starts) >= 0))
        and starts[-1] == len(rows) == len(scores)
    )
    for first in range(0, len(rows) if fits else 0, _CHECKED_AT_ONCE):
        part = slice(first, first + _CHECKED_AT_ONCE)
        inside = rows[part].min() >= 0 and rows[part].max() < count
        fits = fits and bool(inside) and bool(np.isfinite(scores[part]).all())
    if not fits:
        raise ValueError("BM25 arrays out of step")
