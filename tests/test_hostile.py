"""What attackers send, on a real server: each line of data/hostile.jsonl and every route.

A line that "sends" says what is sent to which server ("open": portals on the list; "locked": the
same, tokens demanded, behind a trusted proxy), and the answer: status, texts that must and must not
be in it. A line with a "document" is a file that gets into the index of the real question
answering ("listed": false if it must not), what its pages must and must not hold, and what is
answered to a question about it.
Nothing may make the server say more than a Chinese sentence, or leave a traceback in its log.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from dataclasses import dataclass
from functools import cache
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import pytest

import app
from tests.fakes import running_server
from tests.servers import RunningServer, free_port, in_a_process, served
from web.tokens import mint

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parent.parent
PORTAL, OTHER_PORTAL = "https://portal.example", "https://other.example"
STRANGER = "https://evil.example"
SECRET = "a-secret-for-tests-of-32-letters"
LIMITS: dict[str, object] = {
    "address_per_minute": 0,
    "address_per_day": 0,
    "site_per_minute": 0,
    "site_per_day": 0,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "open": {"origins": [PORTAL, OTHER_PORTAL], "allowed_hosts": ["127.0.0.1"]},
    "locked": {
        "origins": [PORTAL, OTHER_PORTAL],
        "trusted_proxies": ["127.0.0.1"],
        "token_secret": SECRET,
    },
}


@dataclass(frozen=True)
class Sent:
    """One request, in the very bytes that go out."""

    target: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    form: Literal["whole", "chunked", "cut", "stalled"] = "whole"

    def bytes(self, port: int) -> bytes:
        names = {name.lower() for name, _ in self.headers}
        headers = [*self.headers, ("Connection", "close")]
        if "host" not in names:
            headers.append(("Host", f"127.0.0.1:{port}"))
        if self.body and "content-type" not in names:
            headers.append(("Content-Type", "application/json"))
        body = self.body
        if self.form == "chunked":
            headers.append(("Transfer-Encoding", "chunked"))
            body = b"".join(
                b"%x\r\n%s\r\n" % (len(part), part) for part in _parts(self.body, 65_536)
            )
            body += b"0\r\n\r\n"
        elif self.body and "content-length" not in names:
            missing = 10 if self.form in ("cut", "stalled") else 0
            headers.append(("Content-Length", str(len(self.body) + missing)))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        text = f"{self.method} {self.target} HTTP/1.1\r\n{head}\r\n"
        text = text.replace("{OWN}", f"http://127.0.0.1:{port}").replace("{PORT}", str(port))
        return text.encode("latin-1") + body


@dataclass(frozen=True)
class Got:
    status: int
    headers: str
    body: str


@dataclass(frozen=True)
class Case:
    name: str
    server: str
    sent: Sent
    status: tuple[int, ...]
    contains: tuple[str, ...]
    lacks: tuple[str, ...]
    token: tuple[tuple[str, Any], ...] = ()  # how it is made; (): none is sent


def _parts(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def read_cases() -> list[Case]:
    return [_case(record) for record in read_records() if "sends" in record]


def read_records() -> list[dict[str, Any]]:
    # Not splitlines: it takes more characters for the end of a line than JSON does.
    return [
        json.loads(line) for line in (DATA / "hostile.jsonl").read_text("utf-8").split("\n")[:-1]
    ]


def _case(record: dict[str, Any]) -> Case:
    sent, expected = record["sends"], record["expects"]
    return Case(
        record["id"],
        record.get("server", "open"),
        Sent(
            sent["target"],
            sent.get("method", "GET"),
            tuple((name, value) for name, value in sent.get("headers", [])),
            _body(sent),
            sent.get("form", "whole"),
        ),
        tuple(expected["status"]),
        tuple(expected.get("contains", ())),
        tuple(expected.get("lacks", ())),
        tuple(sent.get("token", {}).items()),
    )


def _body(sent: dict[str, Any]) -> bytes:
    """`bytes` are latin-1; `repeated` is [text, times], put where the body says {REPEATED}."""
    if "bytes" in sent:
        return str(sent["bytes"]).encode("latin-1")
    body = json.dumps(sent["json"]) if "json" in sent else str(sent.get("body", ""))
    text, times = sent.get("repeated", ["", 0])
    return body.replace("{REPEATED}", text * times).encode()


def exchange(server: RunningServer, sent: Sent, *, read_body: bool = True) -> Got:
    """Fails if the server has not closed the connection in time."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(sent.bytes(server.port))
        if sent.form == "cut":
            connection.shutdown(socket.SHUT_WR)
        response = HTTPResponse(connection, method=sent.method)
        response.begin()
        body = response.read().decode() if read_body else ""
        response.close()
        return Got(response.status, str(response.headers), body)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RunningServer]]:
    limits: dict[str, Any] = LIMITS | {
        "feedback": str(tmp_path_factory.mktemp("hostile") / "feedback.sqlite")
    }
    with (
        running_server("fake", **limits, **OPTIONS["open"]) as unlocked,
        running_server("fake", **limits, **OPTIONS["locked"]) as locked,
    ):
        yield {"open": unlocked, "locked": locked}
        for server in (unlocked, locked):
            assert exchange(server, Sent("/healthz")).status == 200
            server.stop()
            assert "Traceback" not in server.output()
            assert SECRET not in server.output()


def token_of(spec: dict[str, Any]) -> str:
    made = mint(
        spec.get("secret", SECRET),
        spec.get("site", PORTAL),
        now=time.time(),
        lifetime_seconds=spec.get("lifetime", 600),
    )
    payload, _, signature = made.partition(".")
    if "payload_of_site" in spec:
        payload = mint(SECRET, spec["payload_of_site"], now=time.time()).partition(".")[0]
    return f"{payload}.{signature}"[: spec.get("length")]


def with_token(server: RunningServer, case: Case) -> Sent:
    if not case.token:
        return case.sent
    spec = dict(case.token)
    bearer = ("Authorization", f"Bearer {token_of(spec)}")
    if first := spec.get("first_used_from"):
        used = (bearer, ("X-Forwarded-For", first))
        assert exchange(server, Sent("/api/v1/documents", headers=used)).status == 200
    return Sent(
        case.sent.target,
        case.sent.method,
        (*case.sent.headers, bearer),
        case.sent.body,
        case.sent.form,
    )


CASES = read_cases()
STALLED = [case for case in CASES if case.sent.form == "stalled"]


@pytest.fixture(scope="module")
def answer_to(servers: dict[str, RunningServer]) -> Iterator[Callable[[Case], Got]]:
    """Each case is sent once. What stalls begins at once: its time runs out while others are sent,
    and the last tests of this file ask for its answer.
    """

    @cache
    def answer(case: Case) -> Got:
        server = servers[case.server]
        return exchange(server, with_token(server, case))

    with ThreadPoolExecutor() as clients:
        stalling = {case: clients.submit(answer, case) for case in STALLED}
        yield lambda case: stalling[case].result() if case in stalling else answer(case)


def cases(*chosen: Case) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.name)


def assert_as_written_down(got: Got, case: Case) -> None:
    assert got.status in case.status
    for text in case.contains:
        assert text in got.headers + got.body
    for text in case.lacks:
        assert text not in got.headers + got.body


def assert_strict(got: Got) -> None:
    if "Invalid HTTP request received." in got.body:
        return  # the server of HTTP itself: nothing of ours has seen the request
    assert "nosniff" in got.headers
    assert "content-security-policy" in got.headers
    for text in ("Traceback", str(ROOT), SECRET):
        assert text not in got.body
    if got.status >= 400 and not got.body.startswith('{"detail":'):  # of Gradio's static files
        assert any("一" <= character <= "鿿" for character in got.body)


@cases(*[case for case in CASES if case not in STALLED])
def test_a_hostile_request_gets_the_answer_that_is_written_down(
    answer_to: Callable[[Case], Got], case: Case
) -> None:
    assert_as_written_down(answer_to(case), case)


@cases(*[case for case in CASES if case not in STALLED])
def test_its_answer_is_strict_and_its_errors_are_one_chinese_sentence(
    answer_to: Callable[[Case], Got], case: Case
) -> None:
    assert_strict(answer_to(case))


# Every route, with and without rights

Kind = Literal["public", "operator", "api", "article", "page", "closed"]
# "closed" are Gradio's that the chat page does not need. A route that is not here fails the test
# below: whoever adds one says here who may use it.
ROUTES: dict[str, Kind] = {
    "/healthz": "public",
    "/readyz": "public",
    "/metrics": "public",
    "/openapi.json": "public",
    "/widget.js": "public",
    "/demo": "public",
    "/favicon.ico": "public",
    "/ui/{path}": "public",
    "/api/v1/ask": "api",
    "/api/v1/search": "api",
    "/api/v1/documents": "api",
    "/api/v1/documents/{doc:path}": "api",
    "/api/v1/feedback": "api",
    "/v1/chat/completions": "api",
    "/v1/models": "api",
    "/v1/models/{model_id:path}": "api",
    "/docs": "public",
    "/article/{doc:path}": "article",
    "": "page",
    "/config": "page",
    "/theme.css": "page",
    "/assets/{path:path}": "page",
    "/static/{path:path}": "page",
    "/svelte/{path:path}": "page",
    "/gradio_api/queue/join": "page",
    "/gradio_api/queue/data": "page",
    "/gradio_api/run/{api_name}": "page",  # predict alone
    "/gradio_api/heartbeat/{session_hash}": "page",
    "/gradio_api/startup-events": "page",
    "/gradio_api/cancel": "page",
    "/gradio_api/reset": "page",
    "/gradio_api/theme.css": "page",
    **dict.fromkeys(
        (
            "/login",
            "/logout",
            "/gradio_api/deep_link",
            "/robots.txt",
            "/pwa_icon/{size}",
            "/pwa_icon",
            "/manifest.json",
            "/monitoring",
            "/monitoring/summary",
            "/monitoring/{key}",
            "/gradio_api/user",
            "/gradio_api/login_check",
            "/gradio_api/token",
            "/gradio_api/app_id",
            "/gradio_api/dev/reload",
            "/gradio_api/runs",
            "/gradio_api/info",
            "/gradio_api/openapi.json",
            "/gradio_api/custom_component/{id}/{environment}/{type}/{file_name}",
            "/gradio_api/proxy={url_path:path}",
            "/gradio_api/file={path_or_url:path}",
            "/gradio_api/stream/{event_id}",
            "/gradio_api/stream/{event_id}/close",
            "/gradio_api/stream/{session_hash}/{run}/{component_id}/playlist.m3u8",
            "/gradio_api/stream/{session_hash}/{run}/{component_id}/{segment_id}.{ext}",
            "/gradio_api/stream/{session_hash}/{run}/{component_id}/playlist-file",
            "/gradio_api/file/{path:path}",
            "/gradio_api/api/{api_name}",
            "/gradio_api/call/v2/{api_name}",
            "/gradio_api/call/{api_name}",
            "/gradio_api/call/{api_name}/{event_id}",
            "/gradio_api/call/v2/{api_name}/{event_id}",
            "/gradio_api/component_server",
            "/gradio_api/queue/status",
            "/gradio_api/upload_progress",
            "/gradio_api/upload",
            "/gradio_api/process_recording",
            "/gradio_api/vibe-edit",
            "/gradio_api/undo-vibe-edit",
            "/gradio_api/vibe-code",
            "/gradio_api/vibe-starter-queries",
        ),
        "closed",
    ),
}


def list_routes(feedback: str) -> list[tuple[str, str]]:
    """Method and path of each, documented or not, those of mounted apps included."""
    from tests.fakes import FakeChatService
    from web.options import WebOptions
    from web.server import create_app

    app = create_app(FakeChatService(), WebOptions(1, 1, feedback=feedback, demo=True))
    return list(_walk(app.routes, ""))


def _walk(routes: Any, prefix: str) -> Iterator[tuple[str, str]]:
    for route in routes:
        if hasattr(route, "effective_route_contexts"):  # FastAPI's included router
            yield from _walk(route.effective_route_contexts(), prefix)
            continue
        app: Any = getattr(route, "app", None)
        while hasattr(app, "_app"):  # a guard of ours
            app = app._app
        is_mount = type(route).__name__ == "Mount"
        inner = getattr(app, "routes", None) if is_mount else None
        if inner is None:
            below = "/{path}" if is_mount else ""
            for method in sorted(getattr(route, "methods", None) or ["GET"]):
                yield method, prefix + route.path + below
        else:
            yield from _walk(inner, prefix + route.path)


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    feedback = tmp_path_factory.mktemp("routes") / "feedback.sqlite"
    found = in_a_process(list_routes, str(feedback))
    return [(method, path.rstrip("/")) for method, path in found if method != "HEAD"]


def test_every_route_has_its_rights_written_down(routes: list[tuple[str, str]]) -> None:
    assert len(routes) > 60
    assert {path for _, path in routes} - ROUTES.keys() == set()


def test_a_strangers_page_is_forbidden_every_route(
    servers: dict[str, RunningServer], routes: list[tuple[str, str]]
) -> None:
    for server in servers.values():
        for method, path in routes:
            assert status(server, method, path, ("Origin", STRANGER)) == 403, (method, path)


def test_a_portals_page_may_use_the_api_alone(
    servers: dict[str, RunningServer], routes: list[tuple[str, str]]
) -> None:
    for method, path in routes:
        got = status(servers["open"], method, path, ("Origin", PORTAL))
        if ROUTES[path] in ("public", "api", "article"):
            assert got not in (401, 403), (method, path)
        else:
            assert got == 403, (method, path)


def test_own_pages_and_programs_find_open_what_is_not_closed(
    servers: dict[str, RunningServer], routes: list[tuple[str, str]]
) -> None:
    for headers in ((), (("Origin", "{OWN}"),)):
        for method, path in routes:
            got = status(servers["open"], method, path, *headers)
            if ROUTES[path] == "closed":
                assert got == 404, (method, path)
            elif ROUTES[path] != "operator":
                assert got not in (401, 403), (method, path)
                assert got < 500, (method, path)


def test_without_a_token_only_what_is_public_answers(
    servers: dict[str, RunningServer], routes: list[tuple[str, str]]
) -> None:
    for headers in ((), (("Origin", "{OWN}"),)):
        for method, path in routes:
            got = status(servers["locked"], method, path, *headers)
            if ROUTES[path] == "public":
                assert got not in (401, 403), (method, path)
            elif ROUTES[path] != "operator":
                assert got == 401, (method, path)


def test_with_a_token_all_is_as_where_none_is_asked_for(
    servers: dict[str, RunningServer], routes: list[tuple[str, str]]
) -> None:
    bearer = ("Authorization", f"Bearer {token_of({})}")
    for method, path in routes:
        got = status(servers["locked"], method, path, bearer)
        if ROUTES[path] == "closed":
            assert got == 404, (method, path)
        elif ROUTES[path] != "operator":
            assert got not in (401, 403), (method, path)


def status(server: RunningServer, method: str, path: str, *headers: tuple[str, str]) -> int:
    """Only the first line of the answer is waited for: some streams never end."""
    concrete = re.sub(r"\{[^}]+\}", "predict", path) or "/"
    body = b"" if method == "GET" else b"{}"
    return exchange(server, Sent(concrete, method, headers, body), read_body=False).status


# Documents, in the real question answering

DOCUMENTS = [
    pytest.param(record, id=record["id"]) for record in read_records() if "document" in record
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """What `build` and `serve` make of the hostile documents."""
    folder = tmp_path_factory.mktemp("library")
    articles = folder / "articles"
    articles.mkdir()
    for record in read_records():
        if document := record.get("document"):
            (articles / document["file"]).write_text(document["text"], "utf-8", newline="")
    with chdir(folder):
        assert app.main(["build", str(articles)]) == 0
    port = free_port()
    with served(app.main, ["serve", "--port", str(port)], port=port, folder=folder) as server:
        yield server
        server.stop()
        assert "Traceback" not in server.output()


@pytest.mark.parametrize("record", DOCUMENTS)
def test_a_hostile_document_is_shown_as_text_and_acts_nowhere(
    library: RunningServer, record: dict[str, Any]
) -> None:
    listed = json.loads(exchange(library, Sent("/api/v1/documents")).body)["documents"]
    file = record["document"]["file"]
    is_listed = file in [document["doc"] for document in listed]
    assert is_listed is record["expects"].get("listed", True)
    for view in ("readable", "original"):
        got = exchange(library, Sent(f"/article/{quote(file, safe='')}?view={view}"))
        assert got.status == record["expects"]["status"][0]
        assert "default-src 'none'" in got.headers
        for text in record["expects"]["contains"]:
            assert text in got.body
        for text in record["expects"]["lacks"]:
            assert text not in got.headers + got.body


@pytest.mark.parametrize(
    "record",
    [pytest.param(record, id=record["id"]) for record in read_records() if "asks" in record],
)
def test_a_hostile_document_is_answered_from_and_not_obeyed(
    library: RunningServer, record: dict[str, Any]
) -> None:
    asks = record["asks"]
    body = json.dumps({"question": asks["question"]}).encode()
    answer = json.loads(exchange(library, Sent("/api/v1/ask", "POST", body=body)).body)
    for text in asks["contains"]:
        assert text in answer["answer"]
    for text in asks["lacks"]:
        assert text not in answer["answer"]


# Last, when the time of these requests has run out


@cases(*STALLED)
def test_a_request_that_stalls_gets_such_an_answer_too(
    answer_to: Callable[[Case], Got], case: Case
) -> None:
    got = answer_to(case)
    assert_as_written_down(got, case)
    assert_strict(got)
