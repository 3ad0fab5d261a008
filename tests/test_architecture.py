"""Imports point one way: corpus -> index -> qa -> web | eval, with schema and errors beneath."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("corpus", "index", "qa", "web", "eval", "train", "benchmarks")
TOP = ("app", "assemble", "errors", "evaluate", "schema", "serving", "settings")
MAY_USE = {
    "errors": set(),
    "schema": set(),
    "settings": {"errors"},
    "corpus": {"schema", "errors"},
    "index": {"schema", "errors"},
    "qa": {"schema", "errors", "index"},
    "web": {"schema", "errors", "qa"},
    "eval": {"schema", "errors", "corpus", "qa", "index"},
    "train": {"schema", "errors", "corpus", "index", "qa", "eval", "settings", "assemble"},
    "benchmarks": {"schema", "errors", "corpus", "index", "qa", "eval", "settings", "assemble"},
    "assemble": {"schema", "errors", "settings", "corpus", "index", "qa"},
    "evaluate": {"schema", "errors", "settings", "assemble", "corpus", "qa", "eval", "web"},
    "serving": {"errors", "settings", "assemble", "corpus", "qa", "web"},
    "app": {"schema", "errors", "settings", "assemble", "evaluate", "serving", "qa", "web"},
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def sources() -> Iterator[tuple[str, Path]]:
    for name in TOP:
        yield name, ROOT / f"{name}.py"
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield folder, path


@pytest.mark.parametrize(
    ("part", "path"), [pytest.param(p, f, id=str(f.relative_to(ROOT))) for p, f in sources()]
)
def test_imports_follow_the_flow(part: str, path: Path) -> None:
    ours = {name for name in imports(path) if name in {*FOLDERS, *TOP, "tests"}}
    assert ours - {part} <= MAY_USE[part]


def test_the_answering_path_never_imports_the_heavy_libraries() -> None:
    heavy = {"torch", "transformers", "sentence_transformers", "gradio"}
    lazy = {ROOT / "index" / "embedder.py"}
    for part, path in sources():
        if part in {"corpus", "index", "qa", "eval", *TOP} and path not in lazy:
            assert not heavy & set(imports(path)), path
