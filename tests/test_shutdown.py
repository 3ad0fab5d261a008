"""How `app.py serve` ends: soon, quietly, and with what was asked answered."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, expect

_APP = Path(__file__).resolve().parent.parent / "app.py"
_PASSWORD = "operator-of-the-test"
_QUESTION = "三一科学城总投资多少亿元？"
_STREAMS = 4
# One place: while the first is answered, the others wait.
_SETTINGS = "[server]\nconcurrent_questions = 1\n"


@dataclass(frozen=True)
class Served:
    """The running command."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    settings, log = tmp_path / "settings.toml", tmp_path / "log"
    settings.write_text(_SETTINGS, "utf-8")
    command = [sys.executable, _APP, "serve", "--port", port, "--settings", settings]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=tmp_path,
            env=os.environ | {"WENJU_OPERATOR_PASSWORD": _PASSWORD},
            stdout=output,
            stderr=output,
        )
    server = Served(f"http://127.0.0.1:{port}", process, log)
    try:
        _wait_until_ready(server)
        yield server
    finally:
        process.kill()
        process.wait()


def _wait_until_ready(server: Served) -> None:
    for _ in range(600):
        assert server.process.poll() is None, server.log.read_text("utf-8")
        try:
            if httpx.get(f"{server.address}/readyz").status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise AssertionError("the server was not ready within a minute")


def test_the_command_ends_soon_and_with_success_though_pages_and_a_stream_are_open(
    served: Served, browser: Browser
) -> None:
    context = browser.new_context()
    chat, operator = context.new_page(), context.new_page()
    chat.goto(served.address)
    expect(chat.get_by_label("您的问题")).to_be_visible()
    operator.goto(f"{served.address}/documents")
    operator.locator("input[type=password]").fill(_PASSWORD)
    operator.locator("input[type=password]").press("Enter")
    expect(operator.get_by_text("蹄疾步稳，筑梦自贸").first).to_be_visible()

    with ThreadPoolExecutor(_STREAMS) as people:
        streams = [people.submit(_events, served) for _ in range(_STREAMS)]
        while not any(stream.done() for stream in streams):
            time.sleep(0.005)
        under_way = [stream for stream in streams if not stream.done()]
        began = time.monotonic()
        served.process.send_signal(signal.SIGTERM)
        served.process.wait(10)
        took = time.monotonic() - began
        ends = [stream.result() for stream in under_way]
    context.close()
    assert under_way
    assert ends == ["done"] * len(under_way)
    assert took < 5
    assert served.process.returncode == 0
    assert "Traceback" not in served.log.read_text("utf-8")


def _events(served: Served) -> str:
    """Ask as a stream; the name of the last event."""
    response = httpx.post(
        f"{served.address}/api/v1/ask",
        json={"question": _QUESTION},
        headers={"accept": "text/event-stream"},
        timeout=20,
    )
    names = [line for line in response.text.splitlines() if line.startswith("event: ")]
    return names[-1].removeprefix("event: ")
