"""The shipped embedder: what its vectors promise, and what happens when the model is not whole."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from tokenizers import Tokenizer

from errors import ModelError
from index.embedder import OnnxEmbedder, SentenceTransformerEmbedder, load_embedder
from schema import Span
from settings import ROOT, SHIPPED_MODEL

SENTENCES = (
    "园区已吸引392家再制造企业入驻。",
    "去年外贸进出口总额达到149亿元，同比增长6.8%。",
    "今天天气晴朗，适合到海边散步。",
)
TEXT = "".join(SENTENCES)
PARTS = [Span(TEXT.index(sentence), TEXT.index(sentence) + len(sentence)) for sentence in SENTENCES]
MIXED = (
    "",
    "港口",
    TEXT,
    "关于" * 300,
    "🚢🎉👍🏽",
    "臺灣的歷史",
    "5G AI 芯片",
    " \n\t　",
    "\x00\x07",
)


@pytest.fixture(scope="module")
def embedder() -> OnnxEmbedder:
    return OnnxEmbedder(SHIPPED_MODEL, threads=2)


@pytest.fixture
def model_copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED_MODEL, tmp_path / "model"))


def token_vectors(text: str) -> tuple[np.ndarray, list[str]]:
    """States and tokens of a text as the export gives them, without the code under test."""
    encoding = Tokenizer.from_file(str(SHIPPED_MODEL / "tokenizer.json")).encode(text)
    session = onnxruntime.InferenceSession(
        SHIPPED_MODEL / "model.onnx",
        providers=["CPUExecutionProvider"],
        disabled_optimizers=["SkipLayerNormFusion"],  # each choice of them rounds differently
    )
    mask = [encoding.attention_mask]
    (states,) = session.run(None, {"input_ids": [encoding.ids], "attention_mask": mask})
    return np.asarray(states)[0], encoding.tokens


def write_small_model(folder: Path, seed: int = 0) -> Path:
    """A BERT of two layers over single characters, as sentence-transformers writes it."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import BertConfig, BertModel, BertTokenizer

    torch.manual_seed(seed)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted({*TEXT, *"问：港口天气"})]
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
    )
    parts = folder / "parts"
    BertModel(config).save_pretrained(parts)
    BertTokenizer(vocab={word: i for i, word in enumerate(words)}).save_pretrained(parts)
    modules = [Transformer(str(parts)), Pooling(32, "mean")]
    model = SentenceTransformer(
        modules=modules, prompts={"query": "问：", "document": ""}, device="cpu"
    )
    model.save_pretrained(str(folder / "model"), create_model_card=False)
    return folder / "model"


def unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector / np.linalg.norm(vector))


def test_vectors_have_the_promised_shape_type_and_length(embedder: OnnxEmbedder) -> None:
    vectors = embedder.embed_passages(MIXED)
    assert vectors.shape == (len(MIXED), embedder.dim) == (len(MIXED), 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_no_texts_give_no_rows(embedder: OnnxEmbedder) -> None:
    assert embedder.embed_queries([]).shape == (0, 384)
    wholes, parts = embedder.embed_passages_with_parts([], [])
    assert wholes.shape == (0, 384)
    assert parts == []


def test_a_text_without_parts_gives_no_part_rows(embedder: OnnxEmbedder) -> None:
    _, (rows,) = embedder.embed_passages_with_parts([TEXT], [[]])
    assert rows.shape == (0, 384)


def test_rows_keep_the_order_of_texts_of_mixed_lengths(embedder: OnnxEmbedder) -> None:
    one_by_one = np.concatenate([embedder.embed_passages([text]) for text in MIXED])
    np.testing.assert_array_equal(embedder.embed_passages(MIXED), one_by_one)


def test_a_question_is_nearest_to_the_sentence_that_answers_it(embedder: OnnxEmbedder) -> None:
    questions = embedder.embed_queries(
        ["有多少家企业入驻园区？", "进出口总额是多少？", "天气怎么样？"]
    )
    scores = questions @ embedder.embed_passages(SENTENCES).T
    assert scores.argmax(axis=1).tolist() == [0, 1, 2]


def test_questions_and_passages_get_the_prompts_of_e5(embedder: OnnxEmbedder) -> None:
    for embed, prompt in (
        (embedder.embed_queries, "query: "),
        (embedder.embed_passages, "passage: "),
    ):
        states, _ = token_vectors(prompt + TEXT)
        np.testing.assert_allclose(embed([TEXT])[0], unit(states.mean(axis=0)), atol=1e-5)


def test_threads_that_share_an_embedder_get_the_same_vectors(embedder: OnnxEmbedder) -> None:
    expected = embedder.embed_queries(SENTENCES)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(embedder.embed_queries, [SENTENCES] * 16):
            np.testing.assert_array_equal(found, expected)


def test_text_beyond_512_tokens_is_not_read(embedder: OnnxEmbedder) -> None:
    beginning = "港口吞吐量" * 300
    longer = beginning + "完全不同的结尾：" + "苹果和香蕉" * 20_000
    np.testing.assert_array_equal(*embedder.embed_passages([beginning, longer]))


def test_progress_counts_the_texts_done(embedder: OnnxEmbedder) -> None:
    seen: list[int] = []
    embedder.embed_passages(SENTENCES, progress=seen.append)
    assert seen == [1, 2, 3]


def test_a_part_is_the_mean_of_its_own_tokens_read_in_context(embedder: OnnxEmbedder) -> None:
    states, tokens = token_vectors("passage: " + TEXT)
    assert tokens[:4] == ["<s>", "▁passage", ":", "▁"]  # the space belongs to the prompt
    first = tokens.index("。") + 1  # one past the token that ends the first sentence
    _, (rows,) = embedder.embed_passages_with_parts([TEXT], [PARTS])
    np.testing.assert_allclose(rows[0], unit(states[4:first].mean(axis=0)), atol=1e-5)


def test_the_only_part_is_all_of_the_text_but_prompt_and_marks(embedder: OnnxEmbedder) -> None:
    states, tokens = token_vectors("passage: " + TEXT)
    wholes, (rows,) = embedder.embed_passages_with_parts([TEXT], [[Span(0, len(TEXT))]])
    inside = states[tokens.index("▁") + 1 : -1]
    np.testing.assert_allclose(rows[0], unit(inside.mean(axis=0)), atol=1e-5)
    np.testing.assert_array_equal(wholes, embedder.embed_passages([TEXT]))
    assert rows[0] @ wholes[0] > 0.98


def test_parts_are_counted_in_code_points(embedder: OnnxEmbedder) -> None:
    # An emoji and a rare character are one code point each, but two UTF-16 units and four bytes.
    prefix = "🚢𠮷"
    spans = [Span(span.start + len(prefix), span.end + len(prefix)) for span in PARTS]
    _, (rows,) = embedder.embed_passages_with_parts([prefix + TEXT], [spans])
    alone = embedder.embed_passages(SENTENCES)
    assert (rows @ alone.T).argmax(axis=1).tolist() == [0, 1, 2]


def test_a_part_that_was_cut_off_is_embedded_by_itself(embedder: OnnxEmbedder) -> None:
    text = "港口" * 800 + SENTENCES[0]
    part = Span(1600, len(text))
    _, (rows,) = embedder.embed_passages_with_parts([text], [[part]])
    np.testing.assert_array_equal(rows, embedder.embed_passages([SENTENCES[0]]))


def test_the_fingerprint_names_the_weights(embedder: OnnxEmbedder) -> None:
    manifest = json.loads((SHIPPED_MODEL / "manifest.json").read_text("utf-8"))
    assert embedder.fingerprint == f"e5-small-zh-{manifest['sha256']['model.onnx'][:16]}"


def test_the_fast_path_imports_no_torch() -> None:
    script = (
        "import sys; from index.embedder import load_embedder\n"
        f"load_embedder({str(SHIPPED_MODEL)!r}).embed_queries(['港口'])\n"
        "print([n for n in ('torch', 'transformers', 'sentence_transformers') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "1_Pooling/config.json"])
def test_a_changed_byte_is_refused_with_a_cure(model_copy: Path, name: str) -> None:
    path = model_copy / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match=name) as caught:
        load_embedder(str(model_copy))
    assert "重新取得" in caught.value.user_message
    assert "\n" not in caught.value.user_message


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx", "tokenizer.json"])
def test_a_missing_file_is_refused_with_a_cure(model_copy: Path, name: str) -> None:
    (model_copy / name).unlink()
    with pytest.raises(ModelError, match=name) as caught:
        load_embedder(str(model_copy))
    assert "--model" in caught.value.user_message


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="empty"),
        pytest.param("[]", id="not an object"),
        pytest.param('{"format": "wenju-onnx-embedder-99"}', id="of another format"),
        pytest.param('{"format": "wenju-onnx-embedder-1"}', id="without checksums"),
    ],
)
def test_a_broken_manifest_is_refused(model_copy: Path, content: str) -> None:
    (model_copy / "manifest.json").write_text(content, "utf-8")
    with pytest.raises(ModelError):
        load_embedder(str(model_copy))


def test_the_shipped_model_is_small_enough_to_ship() -> None:
    size = sum(path.stat().st_size for path in SHIPPED_MODEL.rglob("*") if path.is_file())
    assert size <= 45e6


def test_every_shipped_file_is_the_one_that_the_manifest_names() -> None:
    digests = json.loads((SHIPPED_MODEL / "manifest.json").read_text("utf-8"))["sha256"]
    for name, digest in digests.items():
        assert hashlib.sha256((SHIPPED_MODEL / name).read_bytes()).hexdigest() == digest, name
    assert digests["model.onnx"] in (SHIPPED_MODEL / "README.md").read_text("utf-8")


def test_sentence_transformers_gives_the_shipped_folder_the_same_vectors(
    embedder: OnnxEmbedder,
) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(
        str(SHIPPED_MODEL), trust_remote_code=True, local_files_only=True, device="cpu"
    )
    np.testing.assert_allclose(
        model.encode_document(list(MIXED)), embedder.embed_passages(MIXED), atol=1e-4
    )
    np.testing.assert_allclose(
        model.encode_query(list(MIXED)), embedder.embed_queries(MIXED), atol=1e-4
    )


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence-transformers model with random weights and prompts of its own."""
    return write_small_model(tmp_path_factory.mktemp("small"))


def test_another_sentence_transformers_model_embeds_with_its_own_prompts(
    small_model: Path,
) -> None:
    from sentence_transformers import SentenceTransformer

    other = load_embedder(str(small_model))
    assert isinstance(other, SentenceTransformerEmbedder)
    model = SentenceTransformer(str(small_model), device="cpu", local_files_only=True)
    expected = model.encode(["问：港口", "问：天气"], normalize_embeddings=True)
    np.testing.assert_allclose(other.embed_queries(["港口", "天气"]), expected, atol=1e-5)
    assert other.dim == expected.shape[1]
    assert other.embed_passages([]).shape == (0, other.dim)


def test_another_model_embeds_parts_by_themselves(small_model: Path) -> None:
    other = load_embedder(str(small_model))
    wholes, (rows, none) = other.embed_passages_with_parts([TEXT, "港口"], [PARTS, []])
    np.testing.assert_allclose(rows, other.embed_passages(SENTENCES), atol=1e-5)
    np.testing.assert_allclose(wholes, other.embed_passages([TEXT, "港口"]), atol=1e-5)
    assert none.shape == (0, other.dim)
    no_texts, no_parts = other.embed_passages_with_parts([], [])
    assert no_texts.shape == (0, other.dim)
    assert no_parts == []


def test_other_weights_have_another_fingerprint(small_model: Path, tmp_path: Path) -> None:
    same = load_embedder(str(small_model)).fingerprint
    assert same == load_embedder(str(small_model)).fingerprint
    retrained = write_small_model(tmp_path / small_model.name, seed=1)
    assert load_embedder(str(retrained)).fingerprint != same


def test_a_folder_that_holds_no_model_is_refused_with_a_cure(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_embedder(str(tmp_path))
    assert "--model" in caught.value.user_message


def test_a_name_that_cannot_be_fetched_is_refused_with_a_cure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError) as caught:
        load_embedder("nobody/no-such-model")
    assert "下载到本地" in caught.value.user_message
