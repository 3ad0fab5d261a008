"""Lets sentence-transformers run the ONNX export that lies in the same folder.

Copied into a model folder as it is and named by its `modules.json`; hence it imports nothing of
the project. Load the folder with `SentenceTransformer(folder, trust_remote_code=True)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from sentence_transformers.base.modules import InputModule
from tokenizers import Tokenizer


class OnnxEncoder(InputModule):
    """Texts to token vectors with onnxruntime; inference only, on the processor."""

    config_file_name = "onnx_encoder_config.json"
    config_keys: list[str] = ["max_seq_length"]  # noqa: RUF012  # declared so by the base class

    def __init__(self, folder: str, max_seq_length: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.folder = Path(folder)
        self.max_seq_length = max_seq_length
        self.tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self.session = onnxruntime.InferenceSession(
            str(self.folder / "model.onnx"),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=["SkipLayerNormFusion"],  # as index/embedder.py, same vectors
        )

    @classmethod
    def load(cls, model_name_or_path: str, *args: Any, **kwargs: Any) -> OnnxEncoder:
        """Open a local model folder."""
        return cls(model_name_or_path, **cls.load_config(model_name_or_path))

    def preprocess(
        self, inputs: Sequence[Any], prompt: str | None = None, **kwargs: Any
    ) -> dict[str, torch.Tensor]:
        """Token ids and mask of texts, each (len(inputs), longest), padded on the right."""
        self.tokenizer.enable_truncation(self.max_seq_length)
        self.tokenizer.enable_padding()
        encodings = self.tokenizer.encode_batch([(prompt or "") + text for text in inputs])
        return {
            "input_ids": torch.tensor([encoding.ids for encoding in encodings]),
            "attention_mask": torch.tensor([encoding.attention_mask for encoding in encodings]),
        }

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Add `token_embeddings`, (texts, tokens, dim).

        Texts run one by one: activations are quantised over all that runs together, so that in a
        batch a text's vectors would depend on the other texts.
        """
        mask = features["attention_mask"].cpu()
        vectors = torch.zeros(*mask.shape, self.get_embedding_dimension())
        for row, ids in enumerate(features["input_ids"].cpu()):
            inputs = {"input_ids": ids[mask[row] == 1][None].numpy()}
            inputs["attention_mask"] = mask[row][mask[row] == 1][None].numpy()
            (states,) = self.session.run(None, inputs)
            vectors[row, : states.shape[1]] = torch.from_numpy(states[0])
        features["token_embeddings"] = vectors.to(features["input_ids"].device)
        return features

    def get_embedding_dimension(self) -> int:
        """Length of a token vector."""
        return int(self.session.get_outputs()[0].shape[-1])

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:
        """Copy the export, its code and the tokenizer."""
        names = ("model.onnx", "tokenizer.json", "onnx_encoder.py", self.config_file_name)
        for name in names:
            Path(output_path, name).write_bytes((self.folder / name).read_bytes())
