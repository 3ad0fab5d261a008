"""The server and the browser for tests that look at pages as people do.

Without Chromium they are skipped, which the summary shows; WENJU_REQUIRE_BROWSER=1 makes that a
failure, and WENJU_CHROMIUM names another binary.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from assemble import build_index, open_chatbot
from qa.chatbot import Chatbot
from settings import SEED_ARTICLES, Settings
from tests.fakes import running_server
from tests.servers import RunningServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.milvus_parts import LiteServer

_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Visit:
    """An open page and what happened on it."""

    page: Page
    requests: list[str] = field(default_factory=list)  # addresses, in order
    problems: list[str] = field(default_factory=list)  # console errors, failed responses


@dataclass
class ForeignHost:
    """A web server that the browser knows as evil.test, and the paths it was asked for."""

    port: int
    paths: list[str]


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """The fake service behind the real server, for the whole run: it takes seconds to start."""
    with running_server("fake") as running:
        yield running


@pytest.fixture(scope="session")
def foreign_host() -> Iterator[ForeignHost]:
    paths: list[str] = []

    class Recorder(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET  # noqa: N815 - the name that http.server calls

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield ForeignHost(server.server_port, paths)
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def browser(foreign_host: ForeignHost) -> Iterator[Browser]:
    sync_api = pytest.importorskip("playwright.sync_api")
    binary = os.environ.get("WENJU_CHROMIUM") or shutil.which("chromium")
    if binary is None or not os.access(binary, os.X_OK):
        _missing(
            "chromium not found: apt-get install chromium fonts-noto-cjk, or set WENJU_CHROMIUM"
        )
    # As long as an action may take: a busy machine is slow, and what is awaited still has to come.
    sync_api.expect.set_options(timeout=15_000)
    with sync_api.sync_playwright() as playwright:
        resolver = f"--host-resolver-rules=MAP evil.test 127.0.0.1:{foreign_host.port}"
        browser = playwright.chromium.launch(executable_path=binary, args=[*_ARGUMENTS, resolver])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def visit(browser: Browser) -> Iterator[Visit]:
    """A page of an English browser, 1280 x 800; one for a module: loading costs seconds."""
    context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 800})
    context.set_default_timeout(15_000)
    visit = Visit(context.new_page())
    context.on("request", lambda request: visit.requests.append(request.url))
    context.on(
        "console",
        lambda message: visit.problems.append(message.text) if message.type == "error" else None,
    )
    context.on(
        "response",
        lambda response: (
            visit.problems.append(f"{response.status} {response.url}")
            if response.status >= 400
            else None
        ),
    )
    yield visit
    context.close()


def _missing(reason: str) -> None:
    if os.environ.get("WENJU_REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiteServer]:
    """A Milvus for the whole run, in a process of its own; each test takes a new database."""
    from tests.milvus_parts import lite_server

    with lite_server(tmp_path_factory.mktemp("milvus")) as running:
        yield running


@pytest.fixture(scope="session")
def seed_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings that name an index of the two shipped articles, built once for the whole run."""
    index_dir = tmp_path_factory.mktemp("seeds") / "index"
    settings = replace(Settings(), index_dir=str(index_dir))
    build_index(settings, [SEED_ARTICLES])
    return settings


@pytest.fixture(scope="session")
def seed_chatbot(seed_settings: Settings) -> Chatbot:
    """The real chatbot over the two shipped articles."""
    return open_chatbot(seed_settings)
