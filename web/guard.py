"""What stands between the network and the pages.

`GradioGuard` lets through only what the chat page needs of Gradio's many routes, and rewrites the
page: Chinese, nonces, own style and script. `SafeHeaders` gives every response the headers that a
browser needs to be strict. `PortalCors` lets the portals' pages read what they are answered.
Who may ask at all is access.py's business.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.failures import FORBIDDEN_ORIGIN, NO_SUCH_PAGE, failure_response
from web.visitor import path_of

STATIC_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors {ancestors}"
)
# Gradio sets styles inline, and draws icons from data addresses.
_CHAT_POLICY = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors {ancestors}"
)
_NEEDED = re.compile(
    r"/(config|theme\.css|assets/.+|static/.+|svelte/.+"
    r"|gradio_api/(queue/join|queue/data|run/predict|heartbeat/\w+|startup-events|cancel|reset"
    r"|theme\.css))?"
)
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_FOR_OTHER_SITES = ("/widget.js",)  # what a portal's page may load besides calling the API

# lang.js comes first: Gradio picks its language from the browser as soon as it runs.
_HEAD = """<title>问据</title>
<script src="./ui/lang.js"></script>
<link rel="icon" href="./ui/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="./ui/colors.css">
<link rel="stylesheet" href="./ui/page.css">
<script src="./ui/page.js" defer></script>
"""
_UNWANTED = re.compile(
    r'<meta\s+(?:property|name)="(?:og|twitter):[^>]*>|<link rel="manifest"[^>]*>'
)


class SafeHeaders:
    """Adds what a response did not say itself; the default policy is the strictest.

    Args:
        app: what answers.
        portals: origins whose pages may show ours in a frame.
    """

    def __init__(self, app: ASGIApp, portals: Sequence[str] = ()) -> None:
        self._app = app
        self._policy = STATIC_PAGE_POLICY.format(ancestors=_ancestors(portals))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("x-content-type-options", "nosniff")
                headers.setdefault("referrer-policy", "no-referrer")
                headers.setdefault("content-security-policy", self._policy)
                headers.setdefault("permissions-policy", "camera=(), geolocation=(), microphone=()")
                foreign = path_of(scope) in _FOR_OTHER_SITES
                reader = "cross-origin" if foreign else "same-origin"
                headers.setdefault("cross-origin-resource-policy", reader)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class PortalCors(CORSMiddleware):
    """Starlette's, but a portal that is not on the list is forbidden, not malformed."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """What a browser asks before the request itself."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        return FORBIDDEN_ORIGIN.response()


class GradioGuard:
    """Gradio's app with everything closed that the chat page does not use.

    Args:
        app: Gradio's.
        portals: origins whose pages may show the chat page in a frame.
    """

    def __init__(self, app: ASGIApp, portals: Sequence[str] = ()) -> None:
        self._app = app
        self._ancestors = _ancestors(portals)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = path_of(scope)
        if not _NEEDED.fullmatch(path):
            await failure_response(scope, NO_SUCH_PAGE)(scope, receive, send)
        elif scope["method"] not in _SAFE_METHODS and _from_another_site(Headers(scope=scope)):
            await FORBIDDEN_ORIGIN.response()(scope, receive, send)
        elif path == "/":
            await self._rewritten(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _rewritten(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hold the response back until it is whole, then send it changed."""
        scope = {**scope, "headers": [h for h in scope["headers"] if h[0] != b"accept-encoding"]}
        start: Message = {}
        body = b""

        async def collect(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if message.get("more_body", False):
                return
            changed = _rewrite(start, body, self._ancestors)
            await send(start)
            await send({**message, "body": changed})

        await self._app(scope, receive, collect)


def _rewrite(start: Message, body: bytes, ancestors: str) -> bytes:
    """The new body; sets the headers in `start` to match."""
    headers = MutableHeaders(scope=start)
    if headers.get("content-type", "").startswith("text/html"):
        nonce = secrets.token_urlsafe(16)
        body = chinese_page(body.decode(), nonce).encode()
        headers["content-security-policy"] = _CHAT_POLICY.format(nonce=nonce, ancestors=ancestors)
        headers["cache-control"] = "no-store"
    if "content-length" in headers:
        headers["content-length"] = str(len(body))
    return body


def chinese_page(html: str, nonce: str) -> str:
    """Gradio's page in Chinese, with our style and script, allowed by `nonce` alone."""
    html = _UNWANTED.sub("", html)
    html = html.replace('lang="en"', 'lang="zh-CN"', 1)
    html = html.replace('<meta charset="utf-8" />', '<meta charset="utf-8" />' + _HEAD, 1)
    return html.replace("<script", f'<script nonce="{nonce}"')


def _ancestors(portals: Sequence[str]) -> str:
    return " ".join(["'self'", *portals])


def _from_another_site(headers: Headers) -> bool:
    """Whether a browser sent this for a page of another site.

    `Sec-Fetch-Site` cannot be forged by a page, but browsers send it only over HTTPS and to
    localhost; elsewhere Origin is compared with Host. Programs send neither.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")
