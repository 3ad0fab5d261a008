"""Folders of shipped models: every file checked against the manifest, sessions, worker threads.

Shared by the embedder and the reader. A folder holds model.onnx, tokenizer.json and manifest.json,
which names the format and the sha256 of each file; what else it holds depends on the format.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import onnxruntime
from tokenizers import Tokenizer

from errors import ModelError

MANIFEST = "manifest.json"
WEIGHTS = "model.onnx"
TOKENIZER = "tokenizer.json"

_Input = TypeVar("_Input")
_Output = TypeVar("_Output")


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model folder, checked, with the contents of its files but the weights.

    The weights are hashed and then opened from the file: onnxruntime keeps a copy of weights that
    it is given as bytes, 38 MB for each of the shipped models.
    """

    folder: Path
    name: str
    weights_sha256: str
    contents: dict[str, bytes]  # by file name

    @property
    def fingerprint(self) -> str:
        """Name and first 16 hexadecimal digits of the weights' sha256."""
        return f"{self.name}-{self.weights_sha256[:16]}"

    def json(self, name: str) -> dict[str, Any]:
        """A file as a JSON object."""
        return parse(self.folder, name, self.contents[name])

    def open(self, without: Sequence[str] = ()) -> tuple[onnxruntime.InferenceSession, Tokenizer]:
        """The model, ready to run, and its tokenizer.

        Args:
            without: names of onnxruntime's optimizers that are not to be applied. Each changes the
                rounding, so what was fitted to a model's outputs goes with one choice of them.

        Raises:
            ModelError: one of them is not what its name says.
        """
        try:
            return (
                _open_session(self.folder / WEIGHTS, without),
                Tokenizer.from_str(self.contents[TOKENIZER].decode()),
            )
        except (RuntimeError, ValueError) as error:
            raise damaged(self.folder, str(error)) from error


def read_model_folder(folder: Path, model_format: str, names: Sequence[str]) -> ModelFolder:
    """Read `names` and TOKENIZER of a folder, and check them and WEIGHTS.

    Raises:
        ModelError: a file is missing, is not the one that the manifest names, or the manifest is
            of another format.
    """
    manifest = parse(folder, MANIFEST, _read(folder, MANIFEST))
    if manifest.get("format") != model_format:
        raise damaged(folder, f"{MANIFEST} has the format {manifest.get('format')!r}")
    digests = manifest.get("sha256", {})
    contents = {name: _read(folder, name) for name in (TOKENIZER, *names)}
    found = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    for name, digest in {**found, WEIGHTS: _digest(folder, WEIGHTS)}.items():
        if digest != digests.get(name):
            raise damaged(folder, f"checksum of {name}")
    return ModelFolder(folder, str(manifest.get("name", folder.name)), digests[WEIGHTS], contents)


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise damaged(folder, f"{name} cannot be read") from error


def _digest(folder: Path, name: str) -> str:
    try:
        with (folder / name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise damaged(folder, f"{name} cannot be read") from error


def parse(folder: Path, name: str, data: bytes) -> dict[str, Any]:
    """The JSON object in a file of a model folder.

    Raises:
        ModelError: it is none.
    """
    try:
        value = json.loads(data)
    except ValueError as error:
        raise damaged(folder, f"{name} is not JSON") from error
    if not isinstance(value, dict):
        raise damaged(folder, f"{name} is not a JSON object")
    return value


def damaged(folder: Path, detail: str) -> ModelError:
    """The error for a folder that cannot be used, with its cure."""
    return ModelError(
        f"model {folder} is damaged: {detail}",
        f"模型 {folder} 缺文件或已损坏（{detail}），请重新取得这个文件夹，"
        "或换一个模型（向量模型用 --model，阅读模型用设置项 reader）。",
    )


def _open_session(weights: Path, without: Sequence[str]) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # Threads are ours, one text each: threads inside an operator stall when a core is taken away.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        str(weights),
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=list(without),
    )


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_over_threads(
    function: Callable[[_Input], _Output], items: Sequence[_Input], threads: int
) -> Iterator[_Output]:
    """Results in the order of `items`; a single item runs in the calling thread."""
    if len(items) < 2 or threads == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="model") as pool:
        yield from pool.map(function, items)
