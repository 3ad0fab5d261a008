"""The chat page in a frame of a portal that forbids foreign scripts, and of one that may not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.fakes import running_server

pytest.importorskip("playwright")

from playwright.sync_api import Browser, expect


@contextmanager
def portal() -> Iterator[Portal]:
    """A site of its own, under the policy of a portal that allows the frame and nothing else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f'<title>门户</title><iframe src="{site.framed}" width="900" height="700">'
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            policy = f"default-src 'none'; frame-src {site.framed}"
            self.send_header("Content-Security-Policy", policy)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site = Portal(f"http://localhost:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Portal:
    """A site whose page frames an address."""

    address: str
    framed: str = ""


@dataclass(frozen=True)
class Sites:
    """One that is on the server's list, and one that is not."""

    portal: Portal
    stranger: Portal


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    with (
        portal() as allowed,
        portal() as stranger,
        running_server("fake", origins=[allowed.address]) as server,
    ):
        allowed.framed = stranger.framed = f"{server.address}/"
        yield Sites(allowed, stranger)


def test_a_portal_on_the_list_can_frame_the_chat_page_and_its_visitors_can_ask(
    browser: Browser, sites: Sites
) -> None:
    page = browser.new_context().new_page()
    page.goto(sites.portal.address)
    chat = page.frame_locator("iframe")
    chat.get_by_label("您的问题").fill("港口开通了哪些航线？")
    chat.get_by_label("您的问题").press("Enter")
    expect(chat.locator("#wj-messages .wj-answer")).to_contain_text("近洋航线14条")
    chat.locator("#wj-messages .wj-cite").first.click()
    expect(chat.locator(".wj-source.is-active").locator("visible=true")).to_be_visible()
    page.context.close()


def test_another_site_is_shown_nothing_of_it(browser: Browser, sites: Sites) -> None:
    page = browser.new_context().new_page()
    with page.expect_console_message(lambda said: "frame-ancestors" in said.text):
        page.goto(sites.stranger.address)
    expect(page.frame_locator("iframe").get_by_label("您的问题")).to_have_count(0)
    page.context.close()
