"""What runs on the machines of a Ray cluster: a batch of texts in, their vectors out.

The machines need the program itself, of the same release as the sender's; the model comes through
Ray. Errors of ours would have to be pickled on their way back, so they travel as text.
"""

from __future__ import annotations

import functools
import hashlib
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from errors import ModelError
from index.embedder import OnnxEmbedder
from index.model_folder import MANIFEST, parse
from index.protocols import Vectors
from index.spread import Task

Files = dict[str, NDArray[np.uint8]]  # by path below the model's folder
Problem = tuple[str, str]  # what went wrong, in English and in Chinese

_LIBRARIES = ("wenju", "onnxruntime", "tokenizers", "numpy")  # vectors depend on their versions
_CODE = (
    "errors.py",
    "schema.py",
    "index/embedder.py",
    "index/model_folder.py",
    "index/ray_worker.py",
    "index/spread.py",
)
_ROOT = Path(__file__).resolve().parent.parent


def embed_on_worker(
    model: Sequence[Any],
    expected: Mapping[str, str],
    texts: list[str],
    spans: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> tuple[Vectors, Vectors] | Problem:
    """Embed a Task.

    Args:
        model: one reference to the model's Files.
        expected: the `release` of the sender.
        texts: of the Task, and so on.
        spans: likewise.
        counts: likewise.

    Returns:
        The two arrays of Made; or what is wrong with this worker.
    """
    if problem := other_release(expected):
        return problem
    try:
        embedder = _open(model)
    except ModelError as error:
        return str(error), f"机器 {platform.node()} 收到的模型不能用：{error.user_message}"
    vectors, rows = embedder.embed_passages_with_parts(texts, Task(texts, spans, counts).parts())
    return vectors, np.concatenate([np.empty((0, embedder.dim), np.float32), *rows])


@functools.cache
def release() -> Mapping[str, str]:
    """What must be the same on both sides for equal vectors, by name."""
    digest = hashlib.sha256()
    for name in _CODE:
        digest.update((_ROOT / name).read_bytes())
    found = {name: _version(name) for name in _LIBRARIES}
    return {**found, "code": digest.hexdigest()[:12]}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "?"


def other_release(expected: Mapping[str, str]) -> Problem | None:
    """What differs here from the sender's release, if anything."""
    own = release()
    different = [
        f"{name} {own.get(name)}，本机 {value}"
        for name, value in expected.items()
        if own.get(name) != value
    ]
    if not different:
        return None
    host, found = platform.node(), "；".join(different)
    return (
        f"another release on {host}: {found}",
        f"Ray 集群的机器 {host} 上的程序与本机不同（{found}），向量会不一致；"
        "请在每台机器上按 requirements.lock 安装与本机相同的版本。",
    )


def read_files(model_dir: Path) -> Files:
    """The manifest of a model's folder and the files that it names."""
    manifest = parse(model_dir, MANIFEST, (model_dir / MANIFEST).read_bytes())
    return {
        name: np.frombuffer((model_dir / name).read_bytes(), dtype=np.uint8)
        for name in (MANIFEST, *manifest["sha256"])
    }


_opened: dict[str, OnnxEmbedder] = {}  # the last one that this worker process was asked for


def _open(model: Sequence[Any]) -> OnnxEmbedder:
    """The embedder of this process; fetches and checks the model once.

    Raises:
        ModelError: the files are not those that their manifest names.
    """
    name = model[0].hex()
    if name not in _opened:
        import ray

        files: Files = ray.get(model[0])
        # onnxruntime keeps no file open: nothing is left on the machine, however the worker ends.
        with TemporaryDirectory(prefix="wenju-") as folder:
            for relative, data in files.items():
                path = Path(folder, relative)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data.tobytes())
            _opened.clear()
            _opened[name] = OnnxEmbedder(Path(folder), threads=1)
    return _opened[name]
