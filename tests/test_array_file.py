"""Arrays read from files."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from index.array_file import load_array


@pytest.fixture
def file(tmp_path: Path) -> Path:
    np.save(tmp_path / "array.npy", np.arange(6, dtype=np.int32))
    return tmp_path / "array.npy"


@pytest.mark.parametrize("mapped", [True, False])
def test_what_was_saved_is_loaded(file: Path, mapped: bool) -> None:
    values = load_array(file, mapped=mapped)
    assert values.tolist() == [0, 1, 2, 3, 4, 5]
    assert isinstance(values, np.memmap) is mapped


def test_two_headers_are_never_parsed_at_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11 up to 3.11.7 raises SystemError now and then where they are."""
    inside = threading.Semaphore(1)
    together = []
    load = np.load

    def watched(*arguments: Any, **options: Any) -> Any:
        alone = inside.acquire(blocking=False)
        together.append(not alone)
        time.sleep(0.005)  # long enough for the others to come, were they let in
        try:
            return load(*arguments, **options)
        finally:
            if alone:
                inside.release()

    monkeypatch.setattr(np, "load", watched)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: load_array(file, mapped=True), range(12)))
    assert together == [False] * 12


def test_an_array_that_would_have_to_be_unpickled_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        load_array(tmp_path / "objects.npy", mapped=False)
