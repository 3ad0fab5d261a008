"""What an index generation says of itself: origin, model, counts, and the sha256 of every file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from errors import DamagedIndexError, IncompatibleIndexError, NewerIndexError, reason

FORMAT = "wenju-index"
FORMAT_VERSION = 1  # raise it when a generation of today could no longer be read

_FILE_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)*")  # never absolute, never upwards
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file of a generation."""

    sha256: str
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class Manifest:
    """Written last into a generation and read first."""

    version: str  # the generation's name
    wenju_version: str  # of the program that built it
    created: str  # ISO 8601, UTC
    model_fingerprint: str
    dim: int
    documents: int
    chunks: int
    sentences: int
    corpus_version: int  # of the code that reads and splits documents
    settings_fingerprint: str
    files: Mapping[str, FileRecord]  # by path below the generation, with "/"
    pending_chunks: int = 0  # found by words only, until a next generation has their vectors

    def to_json(self) -> str:
        """As written to manifest.json."""
        record = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(self)}
        whole = {**record, "checksum": _checksum(record)}
        return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def load(cls, path: Path, index_dir: Path) -> Manifest:
        """Read manifest.json; `index_dir` is named in errors.

        Raises:
            IncompatibleIndexError: written by another program, or in another format version.
            NewerIndexError: in a format that this version does not know yet.
            DamagedIndexError: missing, unreadable, or a field missing, unknown or of a wrong type.
        """
        try:
            record = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise DamagedIndexError(index_dir, f"清单 {path.name} 无法读取") from error
        if not isinstance(record, dict):
            raise DamagedIndexError(index_dir, f"清单 {path.name} 的内容不对")
        checksum = record.pop("checksum", None)  # none in manifests made before there was one
        if checksum not in (None, _checksum(record)):
            raise DamagedIndexError(index_dir, f"清单 {path.name} 的内容变了")
        _check_format(record, index_dir)
        try:
            return cls(**_typed(record))
        except (TypeError, ValueError, KeyError) as error:
            raise DamagedIndexError(index_dir, f"清单 {path.name} 的内容不对：{error}") from error


def _checksum(record: Mapping[str, Any]) -> str:
    """Of all other fields. Never to change: a flipped bit must not look like a newer format."""
    text = json.dumps(record, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _check_format(record: dict[str, Any], index_dir: Path) -> None:
    if record.pop("format", None) != FORMAT:
        raise IncompatibleIndexError(index_dir, "这不是问据的索引")
    version = record.pop("format_version", None)
    if type(version) is not int:
        raise DamagedIndexError(index_dir, "清单中没有格式版本")
    if version > FORMAT_VERSION:
        raise NewerIndexError(index_dir, version, FORMAT_VERSION)
    if version < FORMAT_VERSION:
        raise IncompatibleIndexError(index_dir, f"索引格式 {version} 已过时")


def _typed(record: dict[str, Any]) -> dict[str, Any]:
    """The record with its files parsed; ValueError for a wrong type, unknown or missing field."""
    hints = get_type_hints(Manifest)
    names = {item.name for item in fields(Manifest)}
    record = {"pending_chunks": 0, **record}  # generations made before there were any
    if record.keys() != names:
        raise ValueError("、".join(sorted(record.keys() ^ names)))
    for name, value in record.items():
        negative = hints[name] is int and type(value) is int and value < 0
        if name != "files" and (type(value) is not hints[name] or negative):
            raise ValueError(name)
    files = record["files"]
    if not isinstance(files, dict) or not all(map(_FILE_NAME.fullmatch, files)):
        raise ValueError("files")
    return {**record, "files": {name: _file_record(value) for name, value in files.items()}}


def _file_record(value: dict[str, Any]) -> FileRecord:
    record = FileRecord(**value)
    if type(record.sha256) is not str or type(record.size) is not int:
        raise ValueError("files")
    return record


def differing_files(folder: Path, files: Mapping[str, FileRecord]) -> dict[str, str]:
    """Files that are not what their records say, all of them read: {name: the fault, Chinese}."""
    faults: dict[str, str] = {}
    for name, expected in files.items():
        try:
            found = record_file(folder / name)
        except FileNotFoundError:
            faults[name] = "不见了"
        except OSError as error:
            faults[name] = f"无法读取（{reason(error)}）"
        else:
            if found.size != expected.size:
                faults[name] = f"有 {found.size} 字节，应为 {expected.size}"
            elif found != expected:
                faults[name] = "的内容变了（sha256 不符）"
    return faults


def record_file(path: Path) -> FileRecord:
    """The record of a file on disk, read in slices."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            digest.update(data)
    return FileRecord(sha256=digest.hexdigest(), size=path.stat().st_size)
