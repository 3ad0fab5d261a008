"""Vectors that were made for an index that is not published yet, so that a killed build goes on.

    INDEX_DIR/embedded.journal
        one line of JSON        format and model
        records                 one chunk each: fingerprint, number of sentences, crc32, vectors

Written behind, a batch of chunks at a time, and forced to disk; what a kill or a power cut left of
the last batch is dropped on opening. Nothing is ever served from it. The writer of an index is the
only one to touch it, with the index's lock held, and removes it when all is published.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from index.protocols import Vectors

JOURNAL = "embedded.journal"

_FORMAT = "wenju-journal-1"
_HEAD = struct.Struct("<32sII")  # fingerprint, sentences, crc32 of both and of the vectors


class VectorJournal:
    """The journal of an index folder; a file appears with the first `append`.

    A journal of another model, or of a form that is not ours, is replaced.

    Args:
        path: of the file.
        model: fingerprint of the embedder.
        dim: length of its vectors.

    Raises:
        OSError: it cannot be read or shortened.
    """

    def __init__(self, path: Path, model: str, dim: int) -> None:
        self._path = path
        self._dim = dim
        header = {"format": _FORMAT, "model": model, "dim": dim}
        self._header = json.dumps(header, sort_keys=True).encode() + b"\n"
        self._places: dict[bytes, tuple[int, int]] = {}  # fingerprint -> offset, sentences
        self._file: BinaryIO | None = None
        if path.exists():
            self._file = path.open("r+b")
            self._read()

    def __len__(self) -> int:
        return len(self._places)

    def names(self) -> set[bytes]:
        """The fingerprints of the chunks held."""
        return set(self._places)

    def get(self, fingerprint: bytes) -> tuple[Vectors, NDArray[np.float16]] | None:
        """Vector (dim,) of a chunk and (sentences, dim) of its sentences; None if not held."""
        if self._file is None or fingerprint not in self._places:
            return None
        offset, sentences = self._places[fingerprint]
        self._file.seek(offset)
        data = self._file.read(self._size(sentences))
        vector = np.frombuffer(data, "<f4", self._dim)
        parts = np.frombuffer(data, "<f2", sentences * self._dim, offset=4 * self._dim)
        return vector, parts.reshape(sentences, self._dim)

    def append(self, records: Iterable[tuple[bytes, Vectors, NDArray[np.floating]]]) -> None:
        """Add (fingerprint, vector, sentence vectors) of chunks; on return they are on disk.

        Raises:
            OSError: the disk is full.
        """
        if self._file is None:
            self._file = self._path.open("w+b")
            self._file.write(self._header)
        offset = self._file.seek(0, os.SEEK_END)
        for fingerprint, vector, parts in records:
            payload = vector.astype("<f4").tobytes() + parts.astype("<f2").tobytes()
            head = _HEAD.pack(fingerprint, len(parts), _sum(fingerprint, len(parts), payload))
            self._file.write(head + payload)
            self._places[fingerprint] = (offset + _HEAD.size, len(parts))
            offset += _HEAD.size + len(payload)
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def remove(self) -> None:
        """Close and delete the file, if there is one."""
        self.close()
        self._places.clear()
        self._path.unlink(missing_ok=True)

    def _size(self, sentences: int) -> int:
        return (4 + 2 * sentences) * self._dim

    def _read(self) -> None:
        """Find the records; cut off what follows the last whole one."""
        if self._file is None:
            return
        end = 0
        if self._file.readline(len(self._header)) == self._header:
            end = len(self._header)
            while record := self._next():
                fingerprint, sentences = record
                self._places[fingerprint] = (end + _HEAD.size, sentences)
                end += _HEAD.size + self._size(sentences)
        self._file.truncate(end)
        if not end:
            self._file.seek(0)
            self._file.write(self._header)

    def _next(self) -> tuple[bytes, int] | None:
        """The record at the position of the file, or None unless it is whole."""
        if self._file is None or len(head := self._file.read(_HEAD.size)) < _HEAD.size:
            return None
        fingerprint, sentences, checksum = _HEAD.unpack(head)
        if sentences > 1_000_000:  # not a number that was written: do not read by it
            return None
        payload = self._file.read(self._size(sentences))
        whole = len(payload) == self._size(sentences)
        if not whole or _sum(fingerprint, sentences, payload) != checksum:
            return None
        return fingerprint, sentences


def _sum(fingerprint: bytes, sentences: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(struct.pack("<32sI", fingerprint, sentences)))
