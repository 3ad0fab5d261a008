"""A system in a process of its own that is asked one thing after the other.

Requests and replies are JSON, one a line, over the process's standard input and output. Nothing
beyond the standard library is imported, so that the other systems' environments can run it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parent.parent

_Item = TypeVar("_Item")


def answer(handlers: Mapping[str, Callable[..., Any]]) -> None:
    """Answer requests until standard input ends; the key `do` names the handler."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as replies:
        os.dup2(2, 1)  # what libraries print is no reply
        for line in sys.stdin:
            request = json.loads(line)
            result = handlers[request.pop("do")](**request)
            print(json.dumps(result, ensure_ascii=False), file=replies, flush=True)


def milliseconds(work: Callable[[_Item], object], items: Iterable[_Item]) -> list[float]:
    """How long `work` takes for each item."""
    spent = []
    for item in items:
        started = time.perf_counter()
        work(item)
        spent.append(1000 * (time.perf_counter() - started))
    return spent


class Service:
    """The asking side of `answer`; a context manager that ends the process."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str] | None = None) -> None:
        """Start the process; `environ` is put on top of this one's environment."""
        self._command = command
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            encoding="utf-8",
        )

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def ask(self, what: str, **arguments: Any) -> Any:
        """The reply to one request.

        Raises:
            SystemExit: the process has ended instead; the message is what it said last.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps({"do": what, **arguments}), file=self._process.stdin, flush=True)
            reply = self._process.stdout.readline()
        except BrokenPipeError:
            reply = ""
        if not reply:
            raise SystemExit(f"{' '.join(self._command)} has ended:\n{self._last_words()}")
        return json.loads(reply)

    def _last_words(self) -> str:
        self._process.wait()
        self._said.seek(0)
        return self._said.read().decode("utf-8", "replace")[-2000:]

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._said.close()
