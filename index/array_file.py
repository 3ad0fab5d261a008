"""Arrays in files of NumPy's own format, read one header at a time."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# NumPy parses a header with `ast`, which raises SystemError ("recursion depth mismatch") when two
# threads do so at once: CPython issue 106905, in 3.11 up to 3.11.7.
_parsing = threading.Lock()


def load_array(path: Path, *, mapped: bool) -> NDArray[Any]:
    """The array in a file, in memory or read where it is used. Safe to call from several threads.

    Raises:
        OSError: it is missing.
        ValueError: it is no array, or would have to be unpickled.
        EOFError: it is empty.
    """
    with _parsing:
        values: NDArray[Any] = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    return values
