"""One writer for a store, across machines.

Milvus has no locks, so the holder writes a row and keeps changing it while it works. Whoever comes
meanwhile sees it change and gives way; where it does not change for a while, its writer has died.
Two that come in the same moment both write, wait, and read who came last. That is as much as rows
can do: a writer that was held up for longer than the patience of another learns it from `check`,
before it publishes.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from errors import LockedIndexError, StoreError
from index.milvus_calls import Milvus
from index.milvus_rows import STATE, Texts

_NAME = "lock"
_BEAT_SECONDS = 2.0
_SETTLE_SECONDS = 0.5  # between two writers' looking and writing lies far less
_LOOK_SECONDS = 0.5
PATIENCE_SECONDS = 20.0


class StoreLock:
    """The lock while it is held."""

    def __init__(self, milvus: Milvus) -> None:
        """Use `store_lock`."""
        self._milvus = milvus
        self._mine = uuid.uuid4().hex
        self._since = datetime.now(UTC).isoformat(timespec="seconds")
        self._lost = False
        self._done = threading.Event()
        self._beating = threading.Thread(target=self._beat, name="store-lock", daemon=True)

    def check(self) -> None:
        """Raise LockedIndexError where another writer has taken the store over."""
        if self._lost or not self._is_mine():
            self._lost = True
            raise LockedIndexError(self._milvus.store, _told(_read(self._milvus)))

    def acquire(self, patience: float) -> None:
        """Take it. Raises LockedIndexError if somebody holds it."""
        holder = _read(self._milvus)
        if holder is not None and not _is_dead(self._milvus, holder, patience):
            raise LockedIndexError(self._milvus.store, _told(holder))
        self._write(0)
        if not self._milvus.is_file:
            time.sleep(_SETTLE_SECONDS)
        self.check()
        self._beating.start()

    def release(self) -> None:
        """Give it back."""
        self._done.set()
        self._beating.join()
        if not self._lost and self._is_mine():
            Texts(self._milvus, STATE).remove([_NAME])

    def _beat(self) -> None:
        beats = 0
        while not self._done.wait(_BEAT_SECONDS):
            beats += 1
            try:
                if not self._is_mine():
                    self._lost = True
                    return
                self._write(beats)
            except StoreError:
                continue  # the writer itself will meet the same trouble, and tell of it

    def _is_mine(self) -> bool:
        holder = _read(self._milvus)
        return holder is not None and holder.get("writer") == self._mine

    def _write(self, beats: int) -> None:
        record = {
            "writer": self._mine,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": self._since,
            "beats": beats,
        }
        Texts(self._milvus, STATE).put(_NAME, json.dumps(record))


@contextmanager
def store_lock(milvus: Milvus, patience: float = PATIENCE_SECONDS) -> Iterator[StoreLock]:
    """Hold the store's lock.

    Args:
        milvus: the store, with a STATE.
        patience: seconds after which a writer that gives no sign is taken for dead.

    Raises:
        LockedIndexError: another writer holds it.
    """
    lock = StoreLock(milvus)
    lock.acquire(patience)
    try:
        yield lock
    finally:
        lock.release()


def _read(milvus: Milvus) -> dict[str, Any] | None:
    text = Texts(milvus, STATE).read(_NAME)
    try:
        record = json.loads(text) if text else None
    except ValueError:
        record = None
    return record if isinstance(record, dict) else None


def _is_dead(milvus: Milvus, holder: dict[str, Any], patience: float) -> bool:
    """Whether the holder gives no sign; returns at once where it does."""
    if milvus.is_file:  # no other process has it open
        return holder.get("pid") != os.getpid()
    ends = time.monotonic() + patience
    while time.monotonic() < ends:
        time.sleep(_LOOK_SECONDS)
        now = _read(milvus)
        if now is None:
            return True
        if now != holder:
            return False
    return True


def _told(holder: dict[str, Any] | None) -> str:
    """Who holds the lock, in Chinese."""
    if holder is None:
        return "未知进程"
    return f"进程 {holder.get('pid')}，主机 {holder.get('host')}，始于 {holder.get('since')}"
