"""Hashing beside the answering what opening a generation left unread: its large files.

Opening hashes files up to MAX_HASHED_BYTES; of larger ones it knows size, header and counts, so
that a flipped bit in them would change answers without a word. Here they are read once in a thread
of their own, at half a core at most, and what differs is an error in the log with its cure.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from pathlib import Path

from errors import DamagedIndexError
from index import generation
from index.generation import Generation, generation_path
from index.manifest import FileRecord

_SLICE = 1 << 20  # bytes; hashing them takes about a millisecond
_logger = logging.getLogger(__name__)


def check_large_files(index_dir: Path, opened: Generation) -> threading.Thread:
    """Start to hash the large files of a generation; returns the thread, which ends by itself."""
    folder = generation_path(index_dir, opened.version)
    large = {
        name: record
        for name, record in opened.manifest.files.items()
        if record.size > generation.MAX_HASHED_BYTES
    }
    thread = threading.Thread(
        target=_check, args=(index_dir, folder, large), name="index-file-check", daemon=True
    )
    thread.start()
    return thread


def _check(index_dir: Path, folder: Path, files: dict[str, FileRecord]) -> None:
    for name, expected in files.items():
        try:
            digest = _digest(folder / name)
        except OSError as error:
            if not folder.exists():
                return  # superseded meanwhile
            damage = DamagedIndexError(index_dir, f"文件 {name} 无法读取")
            _logger.error("%s: %s", damage.user_message, error)
            continue
        if digest != expected.sha256:
            damage = DamagedIndexError(index_dir, f"文件 {name} 与清单不符")
            _logger.error("%s", damage.user_message)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while True:
            started = time.monotonic()
            data = file.read(_SLICE)
            if not data:
                return digest.hexdigest()
            digest.update(data)
            time.sleep(time.monotonic() - started)
