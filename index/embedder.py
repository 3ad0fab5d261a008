"""Texts to unit vectors: the shipped fast path, and any other sentence-transformers model.

`load_embedder` chooses. A folder with an ONNX export and a manifest (models/e5-small-zh, or what
`python -m train.export_onnx` writes) runs with onnxruntime and tokenizers alone; torch and
sentence-transformers are imported for other models only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from tokenizers import Encoding

from errors import ModelError
from index.model_folder import MANIFEST, map_over_threads, read_model_folder, usable_cores
from index.protocols import Embedder, Vectors
from schema import Span

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

MANIFEST_FORMAT = "wenju-onnx-embedder-1"
_POOLING = "1_Pooling/config.json"
_PROMPTS = "config_sentence_transformers.json"
_ONNX_CONFIG = "onnx_encoder_config.json"
# Measured with onnxruntime 1.31: what it fuses takes four times as long as the two operators that
# it stands for, 14 % of the time of a text. The shipped onnx_encoder.py leaves it out as well.
_SLOW_FUSIONS = ("SkipLayerNormFusion",)

Progress = Callable[[int], None]
_Output = TypeVar("_Output")


def load_embedder(name_or_path: str) -> Embedder:
    """The embedder of a model folder or of a name on the Hugging Face hub.

    Raises:
        ModelError: it is missing, damaged or cannot be loaded.
    """
    folder = Path(name_or_path)
    # Either file marks an export, so that losing one is reported instead of taking the slow path.
    if (folder / MANIFEST).is_file() or (folder / _ONNX_CONFIG).is_file():
        return OnnxEmbedder(folder)
    return SentenceTransformerEmbedder(name_or_path)


class OnnxEmbedder:
    """Runs an int8 ONNX export, one text at a time, bulk work on as many threads as cores.

    Texts are not batched: a text's vector then does not depend on its neighbours (activations are
    quantised over a whole batch, and batches of eight moved vectors by up to 0.004 in cosine), an
    index built piecemeal equals one built at once, and it is no slower.

    A text of more than `max_tokens` tokens, prompt included (512 for the shipped model, some 700
    Chinese characters), is cut: its vector stands for its beginning.
    """

    def __init__(self, model_dir: Path, threads: int | None = None) -> None:
        """Open a model folder.

        Args:
            model_dir: holds manifest.json and the files it names.
            threads: for the bulk calls; the cores of this process where None.

        Raises:
            ModelError: a file is missing or is not the one that the manifest names.
        """
        model = read_model_folder(model_dir, MANIFEST_FORMAT, (_POOLING, _PROMPTS, _ONNX_CONFIG))
        prompts = model.json(_PROMPTS)["prompts"]
        self.max_tokens = int(model.json(_ONNX_CONFIG)["max_seq_length"])
        self.threads = threads or usable_cores()
        self._fingerprint = model.fingerprint
        self._pooling: Literal["mean", "cls"] = model.json(_POOLING)["pooling_mode"]
        self._prompts = (str(prompts["query"]), str(prompts["document"]))
        self._session, self._tokenizer = model.open(without=_SLOW_FUSIONS)
        self._tokenizer.enable_truncation(self.max_tokens)
        self._dim = int(self._session.get_outputs()[0].shape[-1])

    @property
    def fingerprint(self) -> str:
        """Name and first 16 hexadecimal digits of the weights' sha256."""
        return self._fingerprint

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    def embed_queries(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Shape (len(texts), dim), float32; row i belongs to texts[i]; each L2 norm is 1.

        Args:
            texts: may be empty, and may hold empty texts.
            progress: called in this thread with the number of texts done so far.
        """
        return self._embed(self._prompts[0], texts, progress)

    def embed_passages(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """As embed_queries, with the model's prompt for passages."""
        return self._embed(self._prompts[1], texts, progress)

    def embed_passages_with_parts(
        self,
        texts: Sequence[str],
        parts: Sequence[Sequence[Span]],
        progress: Progress | None = None,
    ) -> tuple[Vectors, list[Vectors]]:
        """Vectors of the texts, and for each text one vector per part (spans in that text).

        A part's vector is the normalised mean of the token vectors that touch the part, read
        inside its text; tokens of the prompt and special tokens do not count. A part without a
        token (cut off, or white space) is embedded by itself, and so is every part where the model
        pools its first token.

        Returns:
            (len(texts), dim) and a list of (len(parts[i]), dim).
        """
        prompt = self._prompts[1]

        def embed(item: tuple[str, Sequence[Span]]) -> tuple[Vectors, Vectors]:
            return self._embed_parts(prompt, *item)

        pairs = list(zip(texts, parts, strict=True))
        found = list(_count(map_over_threads(embed, pairs, self.threads), progress))
        return _stack([whole for whole, _ in found], self._dim), [rows for _, rows in found]

    def _embed(self, prompt: str, texts: Sequence[str], progress: Progress | None) -> Vectors:
        vectors = map_over_threads(lambda text: self._embed_one(prompt, text), texts, self.threads)
        return _stack(list(_count(vectors, progress)), self._dim)

    def _embed_one(self, prompt: str, text: str) -> Vectors:
        return self._pool(self._token_vectors(self._tokenizer.encode(prompt + text)))

    def _embed_parts(
        self, prompt: str, text: str, parts: Sequence[Span]
    ) -> tuple[Vectors, Vectors]:
        encoding = self._tokenizer.encode(prompt + text)
        tokens = self._token_vectors(encoding)
        starts, ends = np.array(encoding.offsets).T - len(prompt)
        rows = []
        for part in parts:
            # Special tokens have the offsets (0, 0), hence an end before the text begins.
            inside = (starts < part.end) & (ends > part.start) & (ends > 0)
            if self._pooling == "mean" and inside.any():
                rows.append(_unit(tokens[inside].mean(axis=0)))
            else:
                rows.append(self._embed_one(prompt, part.cut(text)))
        return self._pool(tokens), _stack(rows, self._dim)

    def _token_vectors(self, encoding: Encoding) -> Vectors:
        """Shape (tokens, dim)."""
        ids = np.array([encoding.ids], dtype=np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        (states,) = self._session.run(None, inputs)
        vectors: Vectors = np.asarray(states, dtype=np.float32)[0]
        return vectors

    def _pool(self, tokens: Vectors) -> Vectors:
        return _unit(tokens[0] if self._pooling == "cls" else tokens.mean(axis=0))


class SentenceTransformerEmbedder:
    """Any model that sentence-transformers can load, run by it; parts are encoded separately.

    A folder is read without touching the network. Another name is looked up on the Hugging Face
    hub, or in its cache alone if HF_HUB_OFFLINE=1 is set. Prompts are those that the model
    declares under "query" and "document"; a model that declares none gets none.
    """

    def __init__(self, name_or_path: str) -> None:
        """Load the model.

        Raises:
            ModelError: there is no such model, it runs code of its own, or it cannot be read.
        """
        self._model = _load_sentence_transformer(name_or_path)
        self._lock = Lock()  # tokenizers of transformers refuse concurrent use
        self._fingerprint = f"{Path(name_or_path).name}-{_weights_digest(self._model)[:16]}"
        dim = self._model.get_embedding_dimension()
        if dim is None:
            raise _unloadable(name_or_path, "it does not tell the size of its vectors")
        self._dim = dim

    @property
    def fingerprint(self) -> str:
        """Name and first 16 hexadecimal digits of a sha256 over prompts and weights."""
        return self._fingerprint

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    def embed_queries(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Shape (len(texts), dim), float32; row i belongs to texts[i]; each L2 norm is 1."""
        return self._embed(self._model.encode_query, texts, progress)

    def embed_passages(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """As embed_queries, with the model's prompt for passages."""
        return self._embed(self._model.encode_document, texts, progress)

    def embed_passages_with_parts(
        self,
        texts: Sequence[str],
        parts: Sequence[Sequence[Span]],
        progress: Progress | None = None,
    ) -> tuple[Vectors, list[Vectors]]:
        """Vectors of the texts, and for each text one vector per part, encoded by itself.

        Returns:
            (len(texts), dim) and a list of (len(parts[i]), dim).
        """
        wholes = self.embed_passages(texts, progress)
        cuts = [span.cut(text) for text, spans in zip(texts, parts, strict=True) for span in spans]
        ends = np.cumsum([len(spans) for spans in parts])
        return wholes, np.split(self.embed_passages(cuts), ends[:-1]) if len(parts) else []

    def _embed(
        self, encode: Callable[..., Any], texts: Sequence[str], progress: Progress | None
    ) -> Vectors:
        window = 256  # texts between two reports; sorted by length and batched inside
        rows: list[Vectors] = []
        for start in range(0, len(texts), window):
            with self._lock:
                found = encode(
                    list(texts[start : start + window]),
                    normalize_embeddings=True,
                    show_progress_bar=False,
                )
            rows.extend(np.asarray(found, dtype=np.float32))
            if progress:
                progress(len(rows))
        return _stack(rows, self._dim)


def _unloadable(name: str, detail: str) -> ModelError:
    return ModelError(
        f"model {name} cannot be loaded: {detail}",
        f"模型 {name} 无法加载，请检查文件夹路径或模型名；"
        "不能联网时，请先把模型下载到本地，再用 --model 给出文件夹。",
    )


def _load_sentence_transformer(name_or_path: str) -> SentenceTransformer:
    is_folder = Path(name_or_path).is_dir()
    if not is_folder and (Path(name_or_path).is_absolute() or name_or_path.startswith(".")):
        raise _unloadable(name_or_path, "no such folder")
    from sentence_transformers import SentenceTransformer  # seconds and 400 MB: only when needed

    try:
        return SentenceTransformer(name_or_path, device="cpu", local_files_only=is_folder)
    except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
        raise _unloadable(name_or_path, f"{type(error).__name__}: {error}") from error


def _weights_digest(model: SentenceTransformer) -> str:
    digest = hashlib.sha256(json.dumps(model.prompts, sort_keys=True).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().float().numpy().tobytes())
    return digest.hexdigest()


def _count(items: Iterator[_Output], progress: Progress | None) -> Iterator[_Output]:
    for done, item in enumerate(items, start=1):
        if progress:
            progress(done)
        yield item


def _unit(vector: Vectors) -> Vectors:
    unit: Vectors = vector / np.linalg.norm(vector)
    return unit


def _stack(rows: Sequence[Vectors], dim: int) -> Vectors:
    if not rows:
        return np.empty((0, dim), dtype=np.float32)
    return np.stack(rows)
