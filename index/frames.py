"""What two processes of ours say to each other over a pipe: JSON and arrays; no pickle.

A frame is the length of its head, the head (a JSON object), and the bytes of its arrays.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_LENGTH = 8  # bytes, big-endian
Head = dict[str, Any]
Array = NDArray[Any]


def send(stream: BinaryIO, head: Head, arrays: Sequence[Array] = ()) -> None:
    """Write a frame.

    Raises:
        OSError: the other side is gone.
    """
    forms = [(array.dtype.str, array.shape) for array in arrays]
    data = json.dumps({**head, "arrays": forms}).encode()
    stream.write(len(data).to_bytes(_LENGTH, "big") + data)
    for array in arrays:
        stream.write(array.tobytes())
    stream.flush()


def receive(stream: BinaryIO) -> tuple[Head, list[Array]]:
    """Read a frame.

    Raises:
        EOFError: the other side is gone.
    """
    head: Head = json.loads(_exactly(stream, int.from_bytes(_exactly(stream, _LENGTH), "big")))
    return head, [_array(stream, *form) for form in head.pop("arrays")]


def _array(stream: BinaryIO, form: str, shape: Sequence[int]) -> Array:
    dtype = np.dtype(form)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    return np.frombuffer(_exactly(stream, size), dtype).reshape(shape)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data
