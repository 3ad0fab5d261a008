"""web.bodies: sizes and times of bodies, on a real server and over real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from web.bodies import BodyLimits

LIMIT = 1000  # bytes
SECONDS = 0.6  # for a body to arrive


def application() -> FastAPI:
    app = FastAPI()

    @app.post("/length")
    async def length(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    @app.post("/json")
    async def parsed(body: dict[str, Any]) -> JSONResponse:
        return JSONResponse(body)

    @app.post("/upload/file")
    async def upload(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    @app.post("/slow-answer")
    async def slow_answer(request: Request) -> StreamingResponse:
        await request.body()

        async def parts() -> Any:
            for part in ("a", "b", "c"):
                yield part
                await asyncio.sleep(0.3)

        return StreamingResponse(parts())

    return app


@contextmanager
def serving(root_path: str = "") -> Iterator[int]:
    app = BodyLimits(
        application(),
        [("/upload", 5 * LIMIT), ("/upload/file", 4 * LIMIT)],
        default=LIMIT,
        seconds=SECONDS,
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            app, ws="none", lifespan="off", log_level="warning", root_path=root_path
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving() as port:
        yield port


class Connection:
    """A client that sends exactly the bytes it is told to."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def begin(self, path: str, *headers: str) -> None:
        lines = [f"POST {path} HTTP/1.1", "Host: a", "Content-Type: application/json", *headers]
        self.send("\r\n".join([*lines, "", ""]).encode())

    def chunk(self, data: bytes) -> None:
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def until_closed(self) -> tuple[int, bytes]:
        """Status and body; fails after five seconds if the server leaves the connection open."""
        data = b""
        while part := self.socket.recv(65536):
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        return int(head.split()[1]), body


def code(body: bytes) -> str:
    error = json.loads(body)["error"]
    assert error["message"].endswith("。")
    return str(error["code"])


def test_a_body_within_the_limit_passes_whole(port: int) -> None:
    with Connection(port) as client:
        client.begin("/length", f"Content-Length: {LIMIT}", "Connection: close")
        client.send(b"x" * LIMIT)
        assert client.until_closed() == (200, b"1000")


def test_an_announced_excess_is_refused_before_it_is_sent(port: int) -> None:
    with Connection(port) as client:
        client.begin("/length", f"Content-Length: {LIMIT + 1}")
        status, body = client.until_closed()
    assert (status, code(body)) == (413, "too_long")


def test_an_excess_in_chunks_is_refused_as_soon_as_it_is_one(port: int) -> None:
    with Connection(port) as client:
        client.begin("/length", "Transfer-Encoding: chunked")
        for _ in range(3):
            client.chunk(b"x" * (LIMIT // 2))
        status, body = client.until_closed()
    assert (status, code(body)) == (413, "too_long")


def test_a_client_that_sends_on_regardless_still_gets_the_answer(port: int) -> None:
    size = 20 * 1024 * 1024
    with Connection(port) as client:
        client.begin("/json", f"Content-Length: {size}")
        client.send(b"x" * size)
        status, body = client.until_closed()
    assert (status, code(body)) == (413, "too_long")


def test_the_excess_is_refused_also_where_the_framework_reads_the_body(port: int) -> None:
    with Connection(port) as client:
        client.begin("/json", "Transfer-Encoding: chunked")
        client.chunk(b"[" * (LIMIT + 1))
        status, body = client.until_closed()
    assert (status, code(body)) == (413, "too_long")


@pytest.mark.parametrize("path", ["/length", "/json"])
def test_a_body_that_stops_arriving_is_given_up(port: int, path: str) -> None:
    began = time.monotonic()
    with Connection(port) as client:
        client.begin(path, "Content-Length: 100")
        client.send(b"x" * 50)
        status, body = client.until_closed()
    assert (status, code(body)) == (408, "too_slow")
    assert time.monotonic() - began < SECONDS + 3


def test_a_body_that_trickles_is_given_up_too(port: int) -> None:
    with Connection(port) as client:
        client.begin("/length", "Content-Length: 900")
        client.socket.settimeout(0.05)
        for _ in range(100):
            client.send(b"x")
            try:
                answer = client.socket.recv(65536)
                break
            except TimeoutError:
                pass
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_time_is_counted_for_the_body_and_not_for_the_answer(port: int) -> None:
    with Connection(port) as client:
        client.begin("/slow-answer", "Content-Length: 2", "Connection: close")
        client.send(b"{}")
        status, body = client.until_closed()
    assert status == 200
    assert b"c" in body


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "0x10", "9" * 30, "+5", "1, 2"])
def test_a_length_that_is_no_number_is_malformed(port: int, value: str) -> None:
    with Connection(port) as client:
        client.begin("/length", f"Content-Length: {value}")
        status, _ = client.until_closed()
    assert status == 400


def test_a_client_that_leaves_in_the_middle_leaves_no_traceback(
    port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with Connection(port) as client:
        client.begin("/length", "Content-Length: 100")
        client.send(b"x")
    test_a_body_within_the_limit_passes_whole(port)
    output = capfd.readouterr()
    assert "Traceback" not in output.out + output.err


def test_the_longest_prefix_sets_the_limit(port: int) -> None:
    for size, status in ((4 * LIMIT, 200), (4 * LIMIT + 1, 413)):
        with Connection(port) as client:
            client.begin("/upload/file", f"Content-Length: {size}", "Connection: close")
            client.send(b"x" * size)
            assert client.until_closed()[0] == status


def test_prefixes_are_those_below_the_servers_own() -> None:
    with serving(root_path="/kb") as port, Connection(port) as client:
        client.begin("/upload/file", f"Content-Length: {3 * LIMIT}", "Connection: close")
        client.send(b"x" * 3 * LIMIT)
        assert client.until_closed() == (200, b"3000")
