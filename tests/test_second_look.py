"""The candidates of a search, ordered by what tells them apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from assemble import build_index, open_chatbot
from qa.second_look import coverage, second_look
from settings import Settings

TEXTS = ["临江港 吞吐量 增长", "临江港 码头 扩建", "临江港 航线 开通"]


def test_the_candidate_with_the_telling_word_covers_most_of_the_question() -> None:
    shares = coverage(["临江港", "吞吐量"], TEXTS)
    assert np.argmax(shares) == 0
    assert shares[0] == pytest.approx(1.0)
    assert shares[1] == shares[2] < 0.2


def test_a_word_that_no_candidate_has_does_not_count() -> None:
    assert coverage(["吞吐量", "火星"], TEXTS).tolist() == coverage(["吞吐量"], TEXTS).tolist()
    assert coverage(["火星"], TEXTS).tolist() == [0.0, 0.0, 0.0]


def test_a_repeated_word_counts_once() -> None:
    once, twice = coverage(["港", "扩建"], TEXTS), coverage(["港", "扩建", "扩建"], TEXTS)
    assert once.tolist() == twice.tolist()


def test_views_of_different_scale_count_alike_and_a_flat_one_not_at_all() -> None:
    small, large, flat = [0.1, 0.3, 0.2], [500.0, 100.0, 300.0], [7.0, 7.0, 7.0]
    assert second_look(small, large, flat) == pytest.approx([0.0, 0.0, 0.0])
    assert np.argmax(second_look(small, flat)) == 1


def test_a_passage_is_found_among_many_of_the_same_subject(tmp_path: Path) -> None:
    """The subject is rare in the archive and in every candidate; what is asked is common in it."""
    source = tmp_path / "documents"
    source.mkdir()
    for number in range(60):
        text = f"城北第{number}中学举办运动会。全校共设置{number}个项目，面积不大的操场坐满了人。"
        (source / f"other-{number:02}.txt").write_text(text, "utf-8")
    about = [f"临江港保税物流园区第{n}期工程临江港保税物流园区建设顺利推进。" for n in range(30)]
    about.insert(17, "园区总面积三点六平方公里，由临江港集团负责运营。")
    for number, sentence in enumerate(about):
        (source / f"port-{number:02}.txt").write_text(
            f"临江港保税物流园区\n\n{sentence}\n", "utf-8"
        )
    settings = replace(Settings(), index_dir=str(tmp_path / "index"))
    build_index(settings, [source])
    with (chatbot := open_chatbot(settings)).generation:
        found = chatbot.search("临江港保税物流园区的总面积是多少？", 3)
    assert "总面积三点六平方公里" in found[0].chunk.text


def test_where_nothing_was_found_there_is_nothing_to_order() -> None:
    """And NumPy, asked for the mean of nothing, would warn on standard error."""
    assert second_look([], coverage(["港口"], []), []).tolist() == []
