"""Frames between two processes of ours."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest

from index.frames import receive, send


def test_what_is_sent_is_received_to_the_bit() -> None:
    pipe = BytesIO()
    arrays = [np.arange(6, dtype=np.float32).reshape(2, 3) / 7, np.empty((0, 2), dtype=np.int64)]
    send(pipe, {"texts": ["港口\n", "", "\ud800", "𠮷"]}, arrays)
    send(pipe, {"done": True})
    pipe.seek(0)
    head, found = receive(pipe)
    assert head == {"texts": ["港口\n", "", "\ud800", "𠮷"]}
    for one, other in zip(arrays, found, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert receive(pipe) == ({"done": True}, [])


@pytest.mark.parametrize("kept", [0, 3, 20, -1])
def test_a_frame_cut_short_is_the_end(kept: int) -> None:
    pipe = BytesIO()
    send(pipe, {"texts": ["港口"]}, [np.zeros((2, 3))])
    with pytest.raises(EOFError):
        receive(BytesIO(pipe.getvalue()[:kept]))
