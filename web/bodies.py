"""How large a request's body may be, and how long it may take to arrive.

Bodies are counted as they stream through, never held: an upload may be larger than memory likes.
Whoever is refused gets the whole answer before the connection is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.failures import MALFORMED, TOO_LONG, Failure, failure_response
from web.visitor import path_of

_TOO_SLOW = Failure(408, "too_slow", "请求的内容没有及时传完，请检查网络后再试。")
# A client that is still sending is reset when the connection closes, and may lose the answer; so
# what it sends is read and dropped for a while.
_LINGER_SECONDS = 1.0


class BodyLimits:
    """Refuses bodies that are too large (413), too slow (408) or announced wrongly (400).

    Args:
        app: what answers.
        limits: (prefix of the path below the server's own, bytes); the longest that fits counts.
        default: bytes for all other paths.
        seconds: within which the body must have arrived, from the moment it is read.
    """

    def __init__(
        self, app: ASGIApp, limits: Sequence[tuple[str, int]], default: int, seconds: float
    ) -> None:
        self._app = app
        self._limits = sorted(limits, key=lambda limit: len(limit[0]), reverse=True)
        self._default = default
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(path_of(scope))
        announced = _announced(scope)
        if announced is None:
            await _refuse(MALFORMED, scope, receive, send)
        elif announced > limit:
            await _refuse(TOO_LONG, scope, receive, send)
        else:
            body = _Body(scope, receive, send, limit, self._seconds)
            try:
                await self._app(scope, body.receive, body.send)
            except ClientDisconnect:
                if not body.refused:
                    raise

    def _limit(self, path: str) -> int:
        for prefix, limit in self._limits:
            if path.startswith(prefix):
                return limit
        return self._default


class _Body:
    """One request on its way to the app, and the app's answer on its way back.

    When the body breaks a rule the client is answered at once; to the app it looks as if the
    client had gone, and what it still says is dropped.
    """

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, limit: int, seconds: float
    ) -> None:
        self.refused = False
        self._scope, self._receive, self._send = scope, receive, send
        self._left = limit  # bytes
        self._seconds = seconds
        self._deadline: float | None = None  # of the event loop; None: nothing read yet
        self._arrived = False
        self._answering = False

    async def receive(self) -> Message:
        """The next part, or a disconnect."""
        if self.refused:
            return {"type": "http.disconnect"}
        if self._arrived:
            return await self._receive()
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            return await self._refused(_TOO_SLOW)
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            return await self._refused(TOO_LONG)
        self._arrived = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """A part of the app's answer."""
        if not self.refused:
            self._answering = True
            await self._send(message)

    async def _refused(self, failure: Failure) -> Message:
        self.refused = True
        if not self._answering:
            await _refuse(failure, self._scope, self._receive, self._send)
        return {"type": "http.disconnect"}


def _announced(scope: Scope) -> int | None:
    """Bytes by Content-Length, 0 if there is none; None if it is no number, or several."""
    lengths = Headers(scope=scope).getlist("content-length")
    if not lengths:
        return 0
    length = lengths[0]
    if len(set(lengths)) > 1 or not (length.isascii() and length.isdigit() and len(length) < 20):
        return None
    return int(length)


async def _refuse(failure: Failure, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer, then read what is still coming, then close the connection."""
    response: Response = failure_response(scope, failure)
    response.headers["connection"] = "close"
    await send(
        {
            "type": "http.response.start",
            "status": response.status_code,
            "headers": response.raw_headers,
        }
    )
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    try:
        async with asyncio.timeout(_LINGER_SECONDS):
            while (await receive()).get("more_body", False):
                pass
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b""})
