"""One writer for an index folder, across processes.

The lock is that of the operating system (flock, or msvcrt on Windows, through `filelock`), so it
ends with its process, however that dies. Who holds it stands in a file beside it; that file is
information only and may be left over.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from errors import LockedIndexError, reason

LOCK_FILE = ".lock"
HOLDER_FILE = ".lock-holder.json"


@contextmanager
def write_lock(index_dir: Path) -> Iterator[None]:
    """Hold the folder's write lock; the folder must exist.

    Raises:
        LockedIndexError: another writer holds it; never waits.
        OSError: the folder cannot be written.
    """
    # thread_local: a build may be closed by another thread than the one that opened it.
    lock = FileLock(index_dir / LOCK_FILE, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise LockedIndexError(index_dir, _holder(index_dir)) from error
    try:
        _write_holder(index_dir)
        yield
    finally:
        with suppress(OSError):
            (index_dir / HOLDER_FILE).unlink()
        lock.release()


def lock_holder(index_dir: Path) -> str | None:
    """Who holds the folder's write lock, in Chinese; None if nobody does.

    Takes a free lock for an instant, so a build that starts in it would be told that the folder is
    locked.
    """
    if not (index_dir / LOCK_FILE).exists():
        return None
    lock = FileLock(index_dir / LOCK_FILE, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        return _holder(index_dir)
    except OSError as error:
        return f"无法判断（{reason(error)}）"
    lock.release()
    return None


def _write_holder(index_dir: Path) -> None:
    record = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    # Information only: a full disk must not keep a build from clearing away what filled it.
    with suppress(OSError):
        (index_dir / HOLDER_FILE).write_text(json.dumps(record), "utf-8")


def _holder(index_dir: Path) -> str:
    """Who holds the lock, in Chinese; the file may be missing for a moment."""
    try:
        record = json.loads((index_dir / HOLDER_FILE).read_text("utf-8"))
        return f"进程 {record['pid']}，主机 {record['host']}，始于 {record['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "未知进程"
