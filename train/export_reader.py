"""The trained reader to models/reader-zh: an int8 ONNX model, its tokenizer, card and manifest.

`python -m train.export_reader DIR [--out models/reader-zh]`, where DIR holds the checkpoint that
`train.train_reader` left. `train.judge_reader` says how good the export is.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import warnings
from pathlib import Path

import torch
from tokenizers import Tokenizer

from qa.reader import READER_FORMAT
from train.export_onnx import OPSET, quantize, write_manifest
from train.train_reader import SpanReader, averaged

NAME = "reader-zh"
CARD = Path(__file__).with_name("reader_zh_card.md")
DEFAULT_OUT = Path(__file__).resolve().parent.parent / "models" / NAME


def write_reader_folder(model: SpanReader, tokenizer: Tokenizer, folder: Path) -> None:
    """Write the export; the card's {sha256} and {size} (MB) are filled in."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        float_path = Path(scratch) / "float.onnx"
        export_float_reader(model, float_path)
        quantize(float_path, folder / "model.onnx")
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    weights = (folder / "model.onnx").read_bytes()
    card = CARD.read_text("utf-8").format(
        sha256=hashlib.sha256(weights).hexdigest(), size=f"{len(weights) / 1e6:.1f}"
    )
    (folder / "README.md").write_text(card, "utf-8")
    write_manifest(NAME, folder, READER_FORMAT)


def export_float_reader(model: SpanReader, path: Path) -> None:
    """Write `model` as float32 ONNX: ids, mask and types in, logits (batch, length, 2) out."""
    sample = torch.ones(2, 7, dtype=torch.long)
    inputs = ["input_ids", "attention_mask", "token_type_ids"]
    with warnings.catch_warnings():
        # The exporter warns of its own deprecation and of every Python branch that it traces.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(),
            (sample, sample, sample),
            str(path),
            input_names=inputs,
            output_names=["logits"],
            dynamic_axes={name: {0: "batch", 1: "length"} for name in [*inputs, "logits"]},
            opset_version=OPSET,
            dynamo=False,
        )


def main() -> None:
    """Export one checkpoint."""
    parser = argparse.ArgumentParser(prog="python -m train.export_reader")
    parser.add_argument("work", type=Path, help="folder with the checkpoint")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    options = parser.parse_args()
    model, tokenizer = averaged(options.work)
    write_reader_folder(model, tokenizer, options.out)
    print(f"{options.out}：{(options.out / 'model.onnx').stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
