"""Nothing leaves the machine: neither the server's own process nor any page asks another host.

The whole of it as an operator runs it: `serve` with the shipped articles, the documents page and
the demo portal.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, expect

_PROGRAM = Path(__file__).with_name("recorded_serve.py")
_PASSWORD = "operator-of-the-test"
QUESTION = "三一科学城总投资多少亿元？"


@dataclass(frozen=True)
class Recorded:
    """A running server and what it has looked up and connected to."""

    address: str
    process: subprocess.Popen[bytes]
    record: Path
    log: Path

    def lines(self) -> list[str]:
        return self.record.read_text("utf-8").splitlines() if self.record.exists() else []


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Recorded]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    record, log = tmp_path / "record", tmp_path / "log"
    command = [sys.executable, _PROGRAM, record, "serve", "--port", port, "--demo"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=tmp_path,
            env=os.environ | {"WENJU_OPERATOR_PASSWORD": _PASSWORD},
            stdout=output,
            stderr=output,
        )
    server = Recorded(f"http://127.0.0.1:{port}", process, record, log)
    try:
        _wait_until_ready(server)
        yield server
    finally:
        process.kill()
        process.wait()


def _wait_until_ready(server: Recorded) -> None:
    for _ in range(600):
        assert server.process.poll() is None, server.log.read_text("utf-8")
        try:
            if httpx.get(f"{server.address}/readyz").status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise AssertionError("the server was not ready within a minute")


def test_a_whole_visit_asks_no_other_host_and_the_server_stops_soon_though_pages_are_open(
    served: Recorded, browser: Browser
) -> None:
    context = browser.new_context()
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    context.on("requestfailed", lambda request: asked.append(request.url))

    chat = context.new_page()
    chat.goto(served.address)
    chat.get_by_label("您的问题").fill(QUESTION)
    chat.get_by_label("您的问题").press("Enter")
    expect(chat.locator("#wj-messages .wj-answer")).to_contain_text("180亿元")
    chat.locator("#wj-panel").get_by_role("link", name="查看全文").first.click()
    article = chat.get_by_role("dialog", name="全文").frame_locator("iframe")
    expect(article.locator("mark#quote").first).to_be_visible()

    portal = context.new_page()
    portal.goto(f"{served.address}/demo")
    portal.locator("wenju-widget .bubble").click()
    portal.locator("wenju-widget textarea").fill(QUESTION)
    portal.locator("wenju-widget textarea").press("Enter")
    expect(portal.locator("wenju-widget")).to_contain_text("180亿元")

    operator = context.new_page()
    operator.goto(f"{served.address}/documents")
    operator.locator("input[type=password]").fill(_PASSWORD)
    operator.locator("input[type=password]").press("Enter")
    expect(operator.get_by_text("蹄疾步稳，筑梦自贸").first).to_be_visible()
    reference = context.new_page()
    reference.goto(f"{served.address}/docs")

    own = urlsplit(served.address).netloc
    assert {urlsplit(url).netloc for url in asked} - {""} == {own}
    # Its own name once, to listen there; nothing else, from the first import on.
    assert {line for line in served.lines() if line != "name 127.0.0.1"} == set()

    served.process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    served.process.wait(10)
    assert time.monotonic() - began < 5
    assert "Traceback" not in served.log.read_text("utf-8")
    context.close()


def test_the_record_would_show_a_request(tmp_path: Path) -> None:
    record = tmp_path / "record"
    code = (
        "import contextlib, pathlib, socket\n"
        "from tests import recorded_serve\n"
        "with contextlib.suppress(SystemExit):\n"
        f"    recorded_serve.main(pathlib.Path({str(record)!r}), ['--help'])\n"
        "with contextlib.suppress(OSError):\n"
        "    socket.create_connection(('127.0.0.1', 9), 1)\n"
    )
    root = _PROGRAM.parent.parent
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=root)
    assert record.read_text("utf-8").splitlines() == ["name 127.0.0.1", "address 127.0.0.1"]
