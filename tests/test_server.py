"""web.server and web.guard: routes, headers and what is closed."""

from __future__ import annotations

import re
import signal
import socket
import time
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest

from errors import PortInUseError, WenjuError
from tests.fakes import (
    HOSTILE_DOC,
    PORT,
    PORT_DOC,
    ROUTES,
    FakeChatService,
    cite,
    running_server,
)
from tests.servers import RunningServer
from web.guard import chinese_page
from web.options import WebOptions
from web.server import require_free_port, serve


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.address, timeout=10) as client:
        yield client


@pytest.fixture(scope="module")
def troubled() -> Iterator[RunningServer]:
    with running_server("troubled") as running:
        yield running


def test_the_chat_page_is_chinese_and_names_no_other_host(client: httpx.Client) -> None:
    response = client.get("/")
    assert response.status_code == 200
    assert 'lang="zh-CN"' in response.text
    assert response.text.index("/ui/lang.js") < response.text.index("window.")
    assert not re.search(r"""(?:src|href|content)=["']https?://""", response.text)


def test_only_scripts_with_the_nonce_of_this_response_may_run(client: httpx.Client) -> None:
    policies = [client.get("/").headers["content-security-policy"] for _ in range(2)]
    nonces = [re.findall(r"'nonce-([\w-]+)'", policy)[0] for policy in policies]
    assert nonces[0] != nonces[1]
    page = client.get("/")
    nonce = re.findall(r"'nonce-([\w-]+)'", page.headers["content-security-policy"])[0]
    scripts = re.findall(r"<script[^>]*>", page.text)
    assert scripts
    assert all(f'nonce="{nonce}"' in script for script in scripts)
    assert "unsafe-eval" not in policies[0]
    assert "script-src 'self' 'nonce-" in policies[0]


def test_gradios_promotion_is_taken_out_of_the_page() -> None:
    html = (
        '<html lang="en"><head><meta charset="utf-8" />'
        '<meta property="og:image" content="https://x.test/a.jpg" /><meta name="twitter:title"\n'
        'content="Gradio" /><link rel="manifest" href="/manifest.json" /><script>1</script></head>'
    )
    page = chinese_page(html, "n")
    assert "og:" not in page
    assert "twitter:" not in page
    assert "manifest" not in page
    assert '<script nonce="n">1</script>' in page


def test_an_example_question_cannot_smuggle_a_script_into_the_page(
    troubled: RunningServer,
) -> None:
    page = httpx.get(troubled.address).text
    assert "window.hacked" in page
    assert ">window.hacked" not in page


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/article/x", "/ui/page.js", "/nothing", "/config", "/theme.css"]
)
def test_every_response_is_strict_about_types_and_sources(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src" in headers["content-security-policy"]
    assert "frame-ancestors" in headers["content-security-policy"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gradio_api/upload"),
        ("GET", "/gradio_api/info"),
        ("GET", "/gradio_api/openapi.json"),
        ("POST", "/gradio_api/call/answer"),
        ("POST", "/gradio_api/run/answer"),
        ("POST", "/gradio_api/api/answer"),
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/proxy=http://evil.test/"),
        ("GET", "/gradio_api/queue/status"),
        ("GET", "/gradio_api/app_id"),
        ("GET", "/gradio_api/token"),
        ("GET", "/monitoring"),
        ("POST", "/login"),
    ],
)
def test_what_the_page_does_not_need_is_closed(
    client: httpx.Client, method: str, path: str
) -> None:
    response = client.request(method, path)
    assert response.status_code == 404
    assert "您要找的页面不存在" in response.text


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        pytest.param({"Origin": "http://evil.test"}, False, id="another origin"),
        pytest.param({"Origin": "null"}, False, id="hidden origin"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, False, id="cross-site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, False, id="sibling host"),
        pytest.param({"Origin": "SELF"}, True, id="same origin"),
        pytest.param({"Sec-Fetch-Site": "same-origin"}, True, id="same origin by the browser"),
        pytest.param({}, True, id="a program"),
    ],
)
def test_another_sites_page_cannot_ask(
    client: httpx.Client, headers: dict[str, str], allowed: bool
) -> None:
    own = str(client.base_url).rstrip("/")
    headers = {name: value.replace("SELF", own) for name, value in headers.items()}
    response = client.post("/gradio_api/queue/join", json={}, headers=headers)
    assert (response.status_code != 403) == allowed


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/queue/data", "/healthz"])
def test_no_other_origin_may_read_an_answer(client: httpx.Client, path: str) -> None:
    response = client.get(path, headers={"Origin": "http://evil.test"})
    assert "access-control-allow-origin" not in response.headers


def test_an_oversized_body_is_refused(client: httpx.Client) -> None:
    body = b'{"data": "' + b"x" * (5 * 1024 * 1024) + b'"}'
    response = client.post("/gradio_api/queue/join", content=body)
    assert response.status_code == 413


def test_the_article_opens_with_the_quotation_marked(client: httpx.Client) -> None:
    span = cite(1, PORT, ROUTES).span
    response = client.get(f"/article/{quote(PORT_DOC)}?start={span.start}&end={span.end}")
    assert response.status_code == 200
    assert f'<mark id="quote">{ROUTES}</mark>' in response.text
    original = client.get(
        f"/article/{quote(PORT_DOC)}?start={span.start}&end={span.end}&view=original"
    )
    assert '<pre class="original">' in original.text
    assert '<mark id="quote">' in original.text


@pytest.mark.parametrize(
    "query", ["start=x&end=y", "start=-1&end=5", "start=5", "end=٣&start=1", "start=9" + "9" * 5000]
)
def test_a_nonsense_address_shows_the_article_without_marks(
    client: httpx.Client, query: str
) -> None:
    response = client.get(f"/article/{quote(PORT_DOC)}?{query}&end=1")
    assert response.status_code == 200
    assert "<mark" not in response.text


@pytest.mark.parametrize("doc", ["没有.txt", "../errors.py", "%2e%2e/errors.py", "<script>", ""])
def test_an_unknown_article_is_a_chinese_page(client: httpx.Client, doc: str) -> None:
    response = client.get(f"/article/{doc}")
    assert response.status_code == 404
    assert "没有这" in response.text
    assert "<script>" not in response.text


def test_a_hostile_article_cannot_run_anything(client: httpx.Client) -> None:
    response = client.get(f"/article/{HOSTILE_DOC}")
    assert "<script>window" not in response.text
    assert "<img" not in response.text
    assert "default-src 'none'" in response.headers["content-security-policy"]


def test_a_failure_shows_chinese_and_no_traceback(troubled: RunningServer) -> None:
    response = httpx.get(f"{troubled.address}/article/a.txt")
    assert response.status_code == 500
    assert "请稍后再试" in response.text
    assert "secret" not in response.text


def test_health_and_readiness_are_told_apart(client: httpx.Client, troubled: RunningServer) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {
        "status": "ready",
        "index_version": "fake-1",
        "documents": 3,
    }
    assert httpx.get(f"{troubled.address}/healthz").status_code == 200
    assert httpx.get(f"{troubled.address}/readyz").status_code == 503


def test_an_answer_on_a_used_connection_waits_for_no_acknowledgement(client: httpx.Client) -> None:
    def seconds() -> float:
        started = time.perf_counter()
        client.get("/healthz")
        return time.perf_counter() - started

    # The system delays acknowledgements by 40 ms; three answers of four may come at a busy moment.
    assert sorted(seconds() for _ in range(40))[10] < 0.03


def test_the_icon_is_ours(client: httpx.Client) -> None:
    assert client.get("/favicon.ico").headers["content-type"] == "image/svg+xml"


def test_a_taken_port_is_one_clear_line_with_the_cure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match="in use") as caught:
            require_free_port("127.0.0.1", port)
        with pytest.raises(PortInUseError):
            serve(FakeChatService(), "127.0.0.1", port, WebOptions(1, 1))
    assert f"--port {port + 1}" in caught.value.user_message
    require_free_port("127.0.0.1", port)


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70000), ("no such host", 7860)])
def test_an_impossible_address_is_one_clear_line(host: str, port: int) -> None:
    with pytest.raises(WenjuError) as caught:
        require_free_port(host, port)
    assert "--host" in caught.value.user_message


def test_the_server_stops_soon_and_quietly_though_a_page_is_open() -> None:
    with (
        running_server("fake") as server,
        httpx.stream("GET", f"{server.address}/gradio_api/heartbeat/abc"),  # as an open page does
    ):
        began = time.monotonic()
        assert server.stop(signal.SIGINT) == 0
        output = server.output()
    assert time.monotonic() - began < 5
    assert f"请在浏览器打开 {server.address}" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/v1/ask", "POST"),
        ("DELETE", "/api/v1/documents", "GET, HEAD"),
        ("PUT", "/v1/models", "GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
        ("BREW", "/article/x.txt", "GET, HEAD"),
    ],
)
def test_another_method_is_refused_with_those_that_are_allowed(
    client: httpx.Client, method: str, path: str, allowed: str
) -> None:
    response = client.request(method, path)
    assert (response.status_code, response.headers["allow"]) == (405, allowed)
    assert response.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_what_is_nowhere_is_not_found_by_any_method(client: httpx.Client, method: str) -> None:
    assert client.request(method, "/api/v1/nothing").status_code == 404


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/widget.js", "/metrics", "/api/v1/documents", "/ui/page.css"]
)
def test_head_is_answered_as_get_without_the_body(client: httpx.Client, path: str) -> None:
    got, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
