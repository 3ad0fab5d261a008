"""The reader: what it is shown, which spans it offers, and what it refuses to load."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from errors import ModelError
from qa.reader import OnnxReader, PassageText, best_spans, encode, trimmed
from schema import Span
from settings import SHIPPED_READER

PARK = "园区去年开工。青松产业园总投资25亿元，由蓝湾集团建设，占地300亩。"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(SHIPPED_READER / "tokenizer.json"))


@pytest.fixture(scope="module")
def reader() -> OnnxReader:
    return OnnxReader(SHIPPED_READER, spans=2)


def test_tokens_know_their_place_in_the_text_and_what_the_question_shares(
    tokenizer: Tokenizer,
) -> None:
    encoded = encode(tokenizer, "产业园在哪？", PassageText("青松产业园占地广。", heading="园区"))
    assert len(encoded.ids) == len(encoded.types) == len(encoded.places)
    inside = [place for place in encoded.places if place is not None]
    text = "青松产业园占地广。"
    assert {i for place in inside for i in range(place.start, place.end)} == set(range(len(text)))
    shared = {
        place.cut(text)
        for place, kind in zip(encoded.places, encoded.types, strict=True)
        if place is not None and kind == 2
    }
    assert any("产业" in piece or "产业园" in piece for piece in shared)
    assert not any("占地" in piece for piece in shared)


def test_a_text_that_is_too_long_is_cut_at_its_end(tokenizer: Tokenizer) -> None:
    encoded = encode(tokenizer, "产业园在哪？", PassageText("园区很大，" * 400))
    assert len(encoded.ids) == 512
    assert encoded.places[10] is not None


def test_the_best_span_is_measured_against_no_answer() -> None:
    # Tokens: [none] 甲 乙 丙; start 乙 (4), end 丙 (3); no answer 1 + 1.
    logits = np.array([[1, 1], [0, 0], [4, 0], [0, 3]], dtype=np.float32)
    places = [None, Span(0, 1), Span(1, 2), Span(2, 3)]
    (best,) = best_spans(logits, places, "甲乙丙", Span(0, 3), 1)
    assert (best.span, best.score) == (Span(1, 3), 5.0)


def test_spans_of_a_part_stay_inside_it_and_apart_from_each_other() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(11, 2)).astype(np.float32)
    places = [None, *(Span(i, i + 1) for i in range(10))]
    found = best_spans(logits, places, "天地玄黄宇宙洪荒日月", Span(2, 8), 5)
    assert found == sorted(found, key=lambda one: -one.score)
    for i, one in enumerate(found):
        assert 2 <= one.span.start < one.span.end <= 8
        for other in found[i + 1 :]:
            assert one.span.end <= other.span.start or other.span.end <= one.span.start


@pytest.mark.parametrize(
    ("text", "span", "expected"),
    [
        pytest.param("的主要原因。", Span(0, 6), "主要原因", id="particle and stop"),
        pytest.param("出版《红楼梦》一书", Span(2, 6), "《红楼梦》", id="a bracket is closed"),
        pytest.param("，。", Span(0, 2), "", id="nothing but stops"),
    ],
)
def test_edges_that_tokens_carry_over_are_trimmed(text: str, span: Span, expected: str) -> None:
    assert trimmed(text, span).cut(text) == expected


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        pytest.param("青松产业园总投资多少？", "25亿元", id="amount"),
        pytest.param("青松产业园由哪家公司建设？", "蓝湾集团", id="organisation"),
        pytest.param("青松產業園占地多少畝？", "300亩", id="traditional characters"),
    ],
)
def test_the_shipped_reader_finds_the_answer(
    reader: OnnxReader, question: str, answer: str
) -> None:
    ((spans,),) = reader.read(question, [PassageText(PARK)])
    assert spans[0].span.cut(PARK) == answer


def test_a_passage_that_answers_scores_above_one_that_does_not(reader: OnnxReader) -> None:
    right, wrong = reader.read(
        "青松产业园总投资多少？",
        [PassageText(PARK), PassageText("白鹭湖公园每天早上六点开放，游客可以乘船。")],
    )
    assert right[0][0].score > wrong[0][0].score + 3


def test_each_sentence_gets_its_own_spans(reader: OnnxReader) -> None:
    parts = (Span(0, 7), Span(7, len(PARK)))
    ((first, second),) = reader.read("总投资多少？", [PassageText(PARK, parts=parts)])
    assert all(one.span.end <= 7 for one in first)
    assert second[0].span.cut(PARK) == "25亿元"


def test_a_passage_is_read_the_same_beside_others_and_in_many_threads(reader: OnnxReader) -> None:
    question, passages = "青松产业园占地多少？", [PassageText(PARK), PassageText("很短。")] * 6
    alone = reader.read(question, passages[:1])[0]
    assert reader.read(question, passages)[0] == alone
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: reader.read(question, passages), range(8)):
            assert found[0] == alone


def test_nothing_to_read_gives_nothing(reader: OnnxReader) -> None:
    assert reader.read("多少？", []) == []
    ((spans,),) = reader.read("多少？", [PassageText("")])
    assert spans == []


@pytest.mark.parametrize("broken", ["model.onnx", "tokenizer.json", "manifest.json"])
def test_a_damaged_folder_is_refused_with_the_cure(tmp_path: Path, broken: str) -> None:
    folder = tmp_path / "reader"
    shutil.copytree(SHIPPED_READER, folder)
    (folder / broken).write_bytes(b"x")
    with pytest.raises(ModelError) as caught:
        OnnxReader(folder, spans=1)
    assert "已损坏" in caught.value.user_message
