"""Token to position among all tokens of an index, read from a mapped file instead of a dict.

A dict costs some 200 bytes a token, which for the pairs of characters of 17,000 articles is well
over 100 MB and a second of start-up. Here tokens lie one after the other in the order of their
bytes; a look-up is a binary search of some twenty steps (5 µs).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Vocabulary:
    """Tokens in the order of their UTF-8 bytes. Never changed, hence safe for many threads.

    Attributes:
        data: all tokens, one after the other; may be mapped.
        starts: where each begins in `data`, and where the last one ends.
    """

    def __init__(self, data: NDArray[np.uint8], starts: NDArray[np.int64]) -> None:
        """Use arrays as `of` made them.

        Raises:
            ValueError: they contradict each other.
        """
        forms = (data.dtype.name, data.ndim, starts.dtype.name, starts.ndim)
        if forms != ("uint8", 1, "int64", 1) or not len(starts):
            raise ValueError("not a vocabulary")
        if starts[0] != 0 or starts[-1] != len(data) or bool(np.any(np.diff(starts) < 0)):
            raise ValueError("vocabulary out of step")
        self.data = data
        self.starts = starts
        # Slices and items of a memoryview cost a tenth of those of an array.
        self._bytes = data.data
        self._places = starts.data

    @classmethod
    def of(cls, tokens: Sequence[str]) -> Vocabulary:
        """From tokens that are sorted and different; code points and UTF-8 sort alike."""
        pieces = [token.encode("utf-8") for token in tokens]
        starts = np.zeros(len(pieces) + 1, dtype=np.int64)
        np.cumsum([len(piece) for piece in pieces], out=starts[1:])
        return cls(np.frombuffer(b"".join(pieces), dtype=np.uint8), starts)

    def position(self, token: str) -> int | None:
        """Where the token stands, or None if it is not among them."""
        wanted = token.encode("utf-8", "replace")  # half a surrogate pair is in no text
        place = bisect_left(range(len(self)), wanted, key=self._token)
        return place if place < len(self) and self._token(place) == wanted else None

    def _token(self, place: int) -> bytes:
        return bytes(self._bytes[self._places[place] : self._places[place + 1]])

    def __len__(self) -> int:
        return len(self._places) - 1
