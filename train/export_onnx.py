"""Any local sentence-transformers encoder to the fast form: an int8 ONNX model folder.

`python -m train.export_onnx MODEL OUT` writes OUT so that `--model OUT` runs it with onnxruntime
alone, and `SentenceTransformer(OUT, trust_remote_code=True)` gives the same vectors. The model
must be an encoder with mean or first-token pooling, such as e5 and bge; the export is compared
with the model and refused where it differs.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from onnxruntime.quantization import (
    QuantType,
    quantize_dynamic,
)
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from tokenizers import Tokenizer

from errors import ModelError, WenjuError
from index.embedder import MANIFEST_FORMAT, OnnxEmbedder
from index.model_folder import MANIFEST

OPSET = 17
MIN_COSINE = 0.98  # int8 against float32: e5-small 0.998, and a broken export far below
PoolingMode = Literal["mean", "cls"]
# Chinese of several kinds and lengths, to compare an export with its model.
PROBES = (
    "园区吸引了多少家企业入驻？",
    "2024年，全市外贸进出口总额达到3500亿元，同比增长6.8%，创历史同期新高。",
    "關於臺灣的歷史，學者有不同的看法。",
    "“我们要把创新作为第一动力。”负责人说，公司每年把营业收入的8%投入研发，"
    "拥有专利217项，产品销往40多个国家和地区，其中 AI 质检设备的市场占有率居全国前列。",
)
_CARD = """# {name}

由 sentence-transformers 模型 {name} 经 `python -m train.export_onnx` 转换的 int8 ONNX。
Exported from the sentence-transformers model {name}; its licence applies.

- `model.onnx`: {size} MB, sha256 `{sha256}`
- {vocabulary} tokens
"""


@dataclass(frozen=True)
class FastModel:
    """Everything that a model folder is written from."""

    name: str
    encoder: torch.nn.Module  # a transformers encoder
    tokenizer: Tokenizer
    pooling: PoolingMode
    max_seq_length: int  # tokens, prompt and special tokens included
    prompts: dict[str, str]  # "query" and "document"
    config: dict[str, Any]  # of the encoder, as transformers writes it


class _TokenVectors(torch.nn.Module):
    """Reduces an encoder to two inputs and one output, with a mask that exports as plain sums."""

    def __init__(self, encoder: torch.nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.has_types = "token_type_ids" in inspect.signature(encoder.forward).parameters

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        hidden = (1.0 - attention_mask[:, None, None, :].float()) * torch.finfo(torch.float32).min
        types = {"token_type_ids": torch.zeros_like(input_ids)} if self.has_types else {}
        output = self.encoder(input_ids=input_ids, attention_mask=hidden, **types)
        return output.last_hidden_state  # type: ignore[no-any-return]


def write_model_folder(model: FastModel, folder: Path, card: str) -> None:
    """Write the int8 export with all that describes it; the same model gives the same bytes.

    Args:
        model: what to write.
        folder: made if missing; files of the same names are replaced.
        card: text of README.md, in which {name}, {sha256}, {size} (MB) and {vocabulary} (tokens)
            are filled in.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        float_path = Path(scratch) / "float.onnx"
        export_float(model.encoder, float_path)
        quantize(float_path, folder / "model.onnx")
    model.tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    source = Path(__file__).with_name("onnx_encoder.py")
    (folder / "onnx_encoder.py").write_bytes(source.read_bytes())
    write_json(folder / "config.json", model.config)
    write_json(folder / "onnx_encoder_config.json", {"max_seq_length": model.max_seq_length})
    write_descriptions(model, folder)
    weights = (folder / "model.onnx").read_bytes()
    filled = card.format(
        name=model.name,
        sha256=hashlib.sha256(weights).hexdigest(),
        size=f"{len(weights) / 1e6:.1f}",
        vocabulary=f"{model.tokenizer.get_vocab_size():,}",
    )
    (folder / "README.md").write_text(filled, "utf-8")
    write_manifest(model.name, folder)


def export_float(encoder: torch.nn.Module, path: Path) -> None:
    """Write `encoder` as a float32 ONNX model: ids and mask in, last_hidden_state out."""
    encoder.eval()
    encoder.set_attn_implementation("eager")  # type: ignore[operator]  # of PreTrainedModel
    sample = torch.ones(2, 7, dtype=torch.long)
    names = ("input_ids", "attention_mask", "last_hidden_state")
    with warnings.catch_warnings():
        # The exporter warns of its own deprecation and of every Python branch that it traces.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _TokenVectors(encoder),
            (sample, sample),
            str(path),
            input_names=list(names[:2]),
            output_names=[names[2]],
            dynamic_axes={name: {0: "batch", 1: "length"} for name in names},
            opset_version=OPSET,
            dynamo=False,
        )


def quantize(source: Path, target: Path) -> None:
    """Turn matrices and embeddings into signed int8, per output channel; activations follow.

    Signed because unsigned weights halve the speed on processors with VNNI.
    """
    quantize_dynamic(
        source,
        target,
        op_types_to_quantize=["MatMul", "Gather"],
        per_channel=True,
        reduce_range=False,
        weight_type=QuantType.QInt8,
    )


def write_descriptions(model: FastModel, folder: Path) -> None:
    """Write the files by which sentence-transformers knows modules and prompts."""
    types = [
        ("", "onnx_encoder.OnnxEncoder"),
        ("1_Pooling", "sentence_transformers.sentence_transformer.modules.Pooling"),
        ("2_Normalize", "sentence_transformers.base.modules.Normalize"),
    ]
    write_json(
        folder / "modules.json",
        [
            {"idx": i, "name": str(i), "path": path, "type": kind}
            for i, (path, kind) in enumerate(types)
        ],
    )
    write_json(
        folder / "1_Pooling" / "config.json",
        {
            "embedding_dimension": model.config["hidden_size"],
            "pooling_mode": model.pooling,
            "include_prompt": True,
        },
    )
    write_json(
        folder / "config_sentence_transformers.json",
        {
            "model_type": "SentenceTransformer",
            "prompts": model.prompts,
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    )


def write_manifest(name: str, folder: Path, model_format: str = MANIFEST_FORMAT) -> None:
    """Write manifest.json: format, name, and the sha256 of every other file in `folder`."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    digests = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if "__pycache__" not in path.parts
    }
    write_json(folder / MANIFEST, {"format": model_format, "name": name, "sha256": digests})


def write_json(path: Path, value: object) -> None:
    """Write readable JSON with a final line feed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", "utf-8")


def read_model(name_or_path: str) -> tuple[SentenceTransformer, FastModel]:
    """Load a sentence-transformers model and take it apart.

    Raises:
        ModelError: it cannot be loaded, or is not of a kind that the fast form can express.
    """
    is_folder = Path(name_or_path).is_dir()
    try:
        model = SentenceTransformer(name_or_path, device="cpu", local_files_only=is_folder)
    except (OSError, ValueError, RuntimeError) as error:
        raise _refused(name_or_path, f"{type(error).__name__}: {error}") from error
    encoder, pooling, *rest = list(model) if len(model) > 1 else (None, None)
    if not isinstance(encoder, Transformer) or not isinstance(pooling, Pooling):
        raise _refused(name_or_path, "it is not an encoder followed by pooling")
    if pooling.pooling_mode not in ("mean", "cls") or not pooling.include_prompt:
        raise _refused(name_or_path, f"pooling {pooling.pooling_mode}")
    if not all(isinstance(module, Normalize) for module in rest):
        raise _refused(name_or_path, "it has layers after pooling")
    return model, FastModel(
        name=Path(name_or_path).name,
        encoder=encoder.auto_model,
        tokenizer=Tokenizer.from_str(model.tokenizer.backend_tokenizer.to_str()),
        pooling=pooling.pooling_mode,
        max_seq_length=model.max_seq_length or encoder.auto_model.config.max_position_embeddings,
        prompts={key: model.prompts.get(key) or "" for key in ("query", "document")},
        config=encoder.auto_model.config.to_diff_dict(),
    )


def probe_cosines(model: SentenceTransformer, folder: Path) -> list[float]:
    """Cosine of each probe's vector between `model` and its export in `folder`."""
    exported = OnnxEmbedder(folder).embed_passages(PROBES)
    expected = model.encode_document(list(PROBES), batch_size=1, normalize_embeddings=True)
    return [float(value) for value in np.sum(exported * np.asarray(expected), axis=1)]


def _refused(name: str, detail: str) -> ModelError:
    return ModelError(f"{name} cannot be exported: {detail}", f"模型 {name} 不能转换：{detail}")


def main(arguments: list[str] | None = None) -> int:
    """Export one model; 0 done, 1 failed with one line on standard error."""
    parser = argparse.ArgumentParser(prog="python -m train.export_onnx", description=__doc__)
    parser.add_argument("model", help="sentence-transformers 模型的文件夹或名称")
    parser.add_argument("out", type=Path, help="写入的文件夹")
    options = parser.parse_args(arguments)
    try:
        model, fast = read_model(options.model)
        write_model_folder(fast, options.out, _CARD)
        cosines = probe_cosines(model, options.out)
        if min(cosines) < MIN_COSINE:
            raise _refused(options.model, f"the export differs, cosine {min(cosines):.3f}")
    except WenjuError as error:
        print(error.user_message, file=sys.stderr)
        return 1
    print(f"{options.out}：与原模型的余弦 {min(cosines):.4f} 至 {max(cosines):.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
