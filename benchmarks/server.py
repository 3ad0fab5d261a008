"""Web servers that are measured: started in a folder of their own, and ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from settings import ROOT

_PATIENCE_SECONDS = 300.0
_LIFTED = """
[access]
address_per_minute = 0
address_per_day = 0
site_per_minute = 0
site_per_day = 0
"""


@dataclass(frozen=True)
class Server:
    """One that answers."""

    address: str
    pid: int
    alive_seconds: float  # from its start until it listens
    ready_seconds: float  # until it can be asked


@contextmanager
def our_server(index: Path) -> Iterator[Server]:
    """`wenju serve` over an index, with the rates lifted.

    Without an index there, the shipped articles are indexed first.
    """
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder, "settings.toml")
        settings.write_text(_LIFTED, "utf-8")
        port = free_port()
        command = [sys.executable, str(ROOT / "app.py"), "serve", "--port", str(port)]
        command += ["--index", str(index.resolve()), "--settings", str(settings)]
        # What it takes in (feedback, uploads) goes into the folder that it runs in.
        with running(command, port, Path(folder), ("/healthz", "/readyz")) as server:
            yield server


@contextmanager
def running(
    command: Sequence[str],
    port: int,
    folder: Path,
    paths: tuple[str, str],
    environ: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """A server while it runs.

    Args:
        command: starts it.
        port: of this machine, where it will listen.
        folder: that it runs in.
        paths: say 200 when it listens, and when it can be asked.
        environ: put on top of this process's environment.

    Raises:
        SystemExit: it ends, or is not ready in time; the message is what it said.
    """
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **(environ or {})}, stdout=said, stderr=said
        )
        try:
            moments = []
            for path in paths:
                if not _says_yes(f"{address}{path}", process, started + _PATIENCE_SECONDS):
                    process.kill()
                    said.seek(0)
                    raise SystemExit(f"没有启动：{said.read().decode('utf-8', 'replace')[-2000:]}")
                moments.append(time.perf_counter() - started)
            yield Server(address, process.pid, *moments)
        finally:
            process.terminate()
            process.wait()


def _says_yes(address: str, process: subprocess.Popen[bytes], until: float) -> bool:
    while time.perf_counter() < until and process.poll() is None:
        try:
            if httpx.get(address, timeout=5).status_code == 200:
                return True
        except httpx.HTTPError:
            pass
        time.sleep(0.02)
    return False


def free_port() -> int:
    """Of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
