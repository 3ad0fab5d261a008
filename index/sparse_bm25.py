"""BM25 as the inner product of two sparse vectors, one of a chunk and one of a query.

A chunk's vector holds how much each of its tokens counts there, a query's how rare each of its
tokens is. So any store that knows sparse vectors ranks as bm25.py does, and a rarity is that of one
state of the index although the rows of several lie side by side. Tokens are named by hashes, which
needs no vocabulary: 32 bits of them are the place in a vector, all 64 the key of a frequency.
"""

from __future__ import annotations

import functools
import hashlib
import math
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from index.bm25 import K1, B

SparseVector = dict[int, float]

_PLACES = 2**32 - 3  # a store counts them from 0 to 2**32 - 2; the first is NOTHING
NOTHING: SparseVector = {0: 1e-6}  # of a chunk without tokens: a store takes no empty vector
_ENTRY = np.dtype([("hash", "<u8"), ("count", "<i8")])


@functools.lru_cache(maxsize=1 << 18)
def token_hash(token: str) -> int:
    """64 bits that name a token; the same in every process and release."""
    return int.from_bytes(hashlib.blake2b(token.encode("utf-8"), digest_size=8).digest(), "little")


def _place(token: str) -> int:
    return token_hash(token) % _PLACES + 1


def chunk_vector(tokens: Sequence[str], mean_length: float) -> SparseVector:
    """How much each token of a chunk counts there; NOTHING for a chunk without any.

    Args:
        tokens: of the chunk, repetitions included.
        mean_length: tokens in a chunk of the corpus.
    """
    if not tokens:
        return dict(NOTHING)
    damping = K1 * (1 - B + B * len(tokens) / mean_length)
    vector: SparseVector = {}
    for token, count in Counter(tokens).items():
        place = _place(token)
        vector[place] = vector.get(place, 0.0) + count / (count + damping)
    return vector


def query_vector(tokens: Sequence[str], frequencies: Frequencies, chunks: int) -> SparseVector:
    """How rare each token is among so many chunks; empty where no chunk holds any of them."""
    vector: SparseVector = {}
    for token, count in Counter(tokens).items():
        frequency = frequencies.of(token)
        if frequency:
            idf = math.log(1 + (chunks - frequency + 0.5) / (frequency + 0.5))
            place = _place(token)
            vector[place] = vector.get(place, 0.0) + count * idf
    return vector


@dataclass(frozen=True)
class Frequencies:
    """In how many chunks each token stands; or by how much that changes, which may be negative."""

    entries: NDArray[np.void]  # of _ENTRY, by rising hash

    @classmethod
    def of_changes(cls, changes: Mapping[int, int]) -> Frequencies:
        """From {token_hash: by how much}."""
        entries = np.array(
            sorted((key, count) for key, count in changes.items() if count), dtype=_ENTRY
        )
        return cls(entries)

    @classmethod
    def merged(cls, parts: Iterable[Frequencies]) -> Frequencies:
        """The sum."""
        entries = np.concatenate([np.empty(0, _ENTRY), *(part.entries for part in parts)])
        hashes, where = np.unique(entries["hash"], return_inverse=True)
        counts = np.zeros(len(hashes), np.int64)
        np.add.at(counts, where, entries["count"])
        kept = np.flatnonzero(counts)
        merged = np.empty(len(kept), _ENTRY)
        merged["hash"], merged["count"] = hashes[kept], counts[kept]
        return cls(merged)

    def of(self, token: str) -> int:
        """Of one token; 0 for an unknown one."""
        key = np.uint64(token_hash(token))
        row = int(np.searchsorted(self.entries["hash"], key))
        found = row < len(self.entries) and self.entries["hash"][row] == key
        return int(self.entries["count"][row]) if found else 0

    def to_bytes(self) -> bytes:
        """To be stored."""
        return zlib.compress(self.entries.tobytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> Frequencies:
        """What `to_bytes` gave.

        Raises:
            ValueError: it is not that.
        """
        try:
            return cls(np.frombuffer(zlib.decompress(data), dtype=_ENTRY))
        except zlib.error as error:
            raise ValueError(f"not a table of frequencies: {error}") from error

    def __len__(self) -> int:
        return len(self.entries)


class TokenCounter:
    """Counts tokens while chunks come and go."""

    def __init__(self) -> None:
        self._changes: Counter[int] = Counter()

    def add(self, tokens: Iterable[str], chunks: int = 1) -> None:
        """Tokens of one chunk that came; of one that went, with -1."""
        for token in set(tokens):
            self._changes[token_hash(token)] += chunks

    def changes(self) -> Frequencies:
        """By how much the frequencies have changed."""
        return Frequencies.of_changes(self._changes)
