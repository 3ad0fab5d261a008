"""A portal on a second origin: a page that embeds the widget, under a strict policy.

The portal is a real server of its own, because what is tested is what a browser forbids between
two origins.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a closed connection is a broken one

_PAGE = """<!doctype html>
<html lang="zh-CN">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>门户</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/portal.css">
{tags}
</head>
<body>
<main>
<h1>产业园门户</h1>
<p><a href="/second">第二页</a></p>
<p><button type="button">门户的按钮</button></p>
<p>{filler}</p>
</main>
</body>
</html>
"""
# As unkind to a foreign element as portals are.
_STYLE = """
html { font-size: 100px; }
body { margin: 20px; font-size: 16px; color: #222; background: #fff; }
h1 { font-size: 28px; }
button { background: red !important; font-size: 40px !important; color: yellow !important; }
* { letter-spacing: 3px; text-transform: uppercase; }
wenju-widget { display: none; font-size: 90px; color: lime; }
"""


@dataclass
class Portal:
    """A running portal; what is set here holds for the next request."""

    address: str
    api: str = ""  # origin of the question answering server
    tags: str = ""  # into <head>
    tokens: list[str] = field(default_factory=list)  # what /token gives, one after the other
    paths: list[str] = field(default_factory=list)  # asked for so far

    def embed(self, *tags: Mapping[str, str]) -> None:
        """Put one script tag on every page for each set of attributes; `src` has a default."""
        self.tags = "\n".join(_tag({"src": f"{self.api}/widget.js", **tag}) for tag in tags)

    @property
    def policy(self) -> str:
        """What webmasters are told to write, and nothing besides."""
        return (
            f"default-src 'none'; script-src {self.api}; connect-src {self.api} 'self'; "
            "style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"
        )


@contextmanager
def running_portal() -> Iterator[Portal]:
    """Serve pages that embed the widget.

    The host differs from the server's 127.0.0.1, so that the browser sees another site. The server
    starts later, as it must be told of the portal: put its origin into `api` then.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            portal.paths.append(self.path)
            if self.path == "/portal.css":
                self._send("text/css", _STYLE)
            elif self.path == "/token":
                self._send(
                    "text/plain", portal.tokens.pop(0) if portal.tokens else "", no_store=True
                )
            else:
                filler = "门户的正文。" * 400
                self._send("text/html", _PAGE.format(tags=portal.tags, filler=filler))

        def _send(self, kind: str, text: str, *, no_store: bool = False) -> None:
            body = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", portal.policy)
            if no_store:
                self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    portal = Portal(f"http://localhost:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield portal
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _tag(attributes: Mapping[str, str]) -> str:
    pairs = " ".join(f'{name}="{escape(value)}"' for name, value in attributes.items())
    return f"<script {pairs} defer></script>"


# What a scripted server does after the head of a response: send bytes, wait for the client to go
# away, wait for the test, or cut the connection.
Step = bytes | Literal["hang", "wait", "cut"]


@dataclass(frozen=True)
class Reply:
    """One scripted response to POST."""

    steps: Sequence[Step]
    status: int = 200  # 0: not even the head is sent
    kind: str = "text/event-stream"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Received:
    """One POST as it came."""

    path: str
    body: dict[str, Any]
    headers: Mapping[str, str]


@dataclass
class Scripted:
    """A server that says what a test has written down, for trouble a real one does not have."""

    address: str
    script: list[Reply] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)  # ends "wait"
    closing: threading.Event = field(default_factory=threading.Event)


def _take(step: Step, handler: BaseHTTPRequestHandler, scripted: Scripted) -> None:
    if step == "wait":
        scripted.go_on.wait(10)
    elif step == "cut":
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        handler.connection.close()
    elif step == "hang":
        _wait_until_left(handler.connection, scripted.closing)
    else:
        assert isinstance(step, bytes)
        handler.wfile.write(step)
        handler.wfile.flush()


def _wait_until_left(connection: socket.socket, closing: threading.Event) -> None:
    connection.settimeout(0.1)
    while not closing.is_set():
        try:
            if not connection.recv(1):
                return
        except TimeoutError:
            continue
        except OSError:
            return


@contextmanager
def scripted_server(widget: Path) -> Iterator[Scripted]:
    """Serve `widget` and the script, to pages of every origin."""

    class Handler(BaseHTTPRequestHandler):
        def do_OPTIONS(self) -> None:
            self._head(204, "text/plain", {})

        def do_GET(self) -> None:
            self._head(200, "text/javascript", {})
            self.wfile.write(widget.read_bytes())

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            scripted.received.append(Received(self.path, body, dict(self.headers)))
            reply = scripted.script.pop(0)
            if reply.status:
                self._head(reply.status, reply.kind, reply.headers)
            for step in reply.steps:
                _take(step, self, scripted)

        def _head(self, status: int, kind: str, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Access-Control-Allow-Headers", "content-type, authorization")
            self.send_header("Access-Control-Expose-Headers", "retry-after")
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scripted = Scripted(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield scripted
    finally:
        scripted.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def event(name: str, data: object, line_end: str = "\n") -> bytes:
    """One server-sent event."""
    text = json.dumps(data, ensure_ascii=False)
    return f"event: {name}{line_end}data: {text}{line_end}{line_end}".encode()
