"""Behind nginx, below a path prefix, with the configuration that docs/deploy.md gives."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.fakes import PARK_DOC, ROUTES, hurry, running_server
from tests.portal import Portal, running_portal
from tests.servers import RunningServer

pytest.importorskip("playwright")

from playwright.sync_api import Browser, expect

GUIDE = Path(__file__).resolve().parent.parent / "docs" / "deploy.md"
QUESTION = "港口开通了哪些航线？"
_PER_MINUTE = 6


@dataclass(frozen=True)
class Site:
    """What people see: nginx, with the server behind it."""

    address: str  # with the prefix
    portal: Portal  # on another origin; may embed the widget
    behind: RunningServer  # as it is reached past the proxy


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    binary = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if binary is None:
        reason = "nginx not found: apt-get install nginx-light"
        if os.environ.get("WENJU_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("nginx")
    with (
        running_portal() as portal,
        running_server(
            "fake",
            root_path="/kb",
            trusted_proxies=["127.0.0.1"],
            origins=[portal.address],
            address_per_minute=_PER_MINUTE,
        ) as server,
        _nginx(binary, folder, server.port) as port,
    ):
        portal.api = f"http://127.0.0.1:{port}"
        portal.embed({"src": f"{portal.api}/kb/widget.js"})
        yield Site(f"{portal.api}/kb", portal, server)


@contextmanager
def _nginx(binary: str, folder: Path, behind: int) -> Iterator[int]:
    """nginx with the guide's location, in a folder of its own."""
    found = re.search(r"```nginx\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    assert found
    location = found[1].replace("127.0.0.1:7860", f"127.0.0.1:{behind}")
    port = _free_port()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off; pid {folder}/pid; error_log stderr;\n"
        f"events {{}}\n"
        f"http {{ access_log off; {paths} server {{ listen 127.0.0.1:{port};\n{location} }} }}\n",
        "utf-8",
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([binary, "-c", str(configuration)], stderr=log)
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                assert process.poll() is None, (folder / "log").read_text("utf-8")
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def ask(address: str, question: str = QUESTION, visitor: str | None = None) -> httpx.Response:
    headers = {"x-forwarded-for": visitor} if visitor else {}
    return httpx.post(f"{address}/api/v1/ask", json={"question": question}, headers=headers)


def test_the_chat_page_asks_answers_and_opens_the_article_below_the_prefix(
    site: Site, browser: Browser
) -> None:
    context = browser.new_context(extra_http_headers={"x-forwarded-for": "198.51.100.1"})
    page = context.new_page()
    failed: list[str] = []
    page.on("response", lambda got: failed.append(got.url) if got.status >= 400 else None)
    page.goto(f"{site.address}/")
    page.get_by_label("您的问题").fill(QUESTION)
    page.get_by_label("您的问题").press("Enter")
    expect(page.locator("#wj-messages .wj-answer")).to_contain_text("近洋航线14条")
    page.locator("#wj-panel").get_by_role("link", name="查看全文").first.click()
    article = page.get_by_role("dialog", name="全文").frame_locator("iframe")
    expect(article.locator("mark#quote")).to_have_text(ROUTES)
    context.close()
    assert failed == []


def test_a_portal_elsewhere_embeds_the_widget_from_below_the_prefix(
    site: Site, browser: Browser
) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(site.portal.address)
    page.locator("wenju-widget .bubble").click()
    page.locator("wenju-widget textarea").fill(QUESTION)
    page.locator("wenju-widget textarea").press("Enter")
    expect(page.locator("wenju-widget")).to_contain_text("近洋航线14条")
    context.close()


@pytest.mark.parametrize("path", ["/docs", "/readyz", "/widget.js", "/ui/page.js", "/openapi.json"])
def test_everything_else_is_there_too(site: Site, path: str) -> None:
    assert httpx.get(site.address + path).status_code == 200


def test_the_first_event_arrives_before_a_slow_answer_is_complete(site: Site) -> None:
    began = time.monotonic()
    headers = {"accept": "text/event-stream", "x-forwarded-for": "198.51.100.2"}
    body = {"question": "慢慢回答：吞吐量是多少？"}
    address = f"{site.address}/api/v1/ask"
    with httpx.stream("POST", address, json=body, headers=headers, timeout=20) as response:
        lines = response.iter_lines()
        first = next(lines)
        assert time.monotonic() - began < 1.5  # the answer takes twice that where nobody hurries
        hurry(site.behind)
        rest = list(lines)
    assert first == "event: status"
    assert "event: done" in rest


def test_visitors_behind_the_proxy_have_limits_of_their_own(site: Site) -> None:
    codes = [ask(site.address, visitor="198.51.100.3").status_code for _ in range(_PER_MINUTE + 1)]
    assert codes == [200] * _PER_MINUTE + [429]
    assert ask(site.address, visitor="198.51.100.4").status_code == 200


def ask_pretending(address: str, source: str) -> list[int]:
    """The codes for one question more than a minute allows, each with another forged visitor.

    Args:
        address: the site, or the server past the proxy.
        source: a loopback address that the connections come from; 127.0.0.1 alone is trusted.
    """
    transport = httpx.HTTPTransport(local_address=source)
    with httpx.Client(transport=transport) as client:
        return [
            client.post(
                f"{address}/api/v1/ask",
                json={"question": QUESTION},
                headers={"x-forwarded-for": f"203.0.113.{number}"},
            ).status_code
            for number in range(_PER_MINUTE + 1)
        ]


def test_a_visitor_of_the_proxy_who_forges_the_header_is_still_one_visitor(site: Site) -> None:
    assert ask_pretending(site.address, "127.0.0.2") == [200] * _PER_MINUTE + [429]


def test_a_forged_header_straight_to_the_server_changes_nothing(site: Site) -> None:
    codes = ask_pretending(site.behind.address, "127.0.0.3")
    assert codes == [200] * _PER_MINUTE + [429]


def test_the_article_page_keeps_the_prefix(site: Site) -> None:
    page = httpx.get(f"{site.address}/article/{PARK_DOC}").text
    assert 'href="/kb/ui/article.css"' in page
    assert '"/ui/' not in page
