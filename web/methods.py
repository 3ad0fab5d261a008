"""Methods of HTTP that a route was not written for: HEAD as GET, another one refused with 405.

Starlette would do both, if Gradio did not take every path that no route wants.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.failures import WRONG_METHOD, failure_response
from web.visitor import path_of

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_STREAMS = "/gradio_api/"  # a GET there may go on for ever


class HeadAsGet:
    """Answers HEAD with the head of what GET would get."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        if not is_head or path_of(scope).startswith(_STREAMS):
            await self._app(scope, receive, send)
            return

        async def bodiless(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, bodiless)


class OtherMethods:
    """Stands before what takes all paths that are left, and refuses those of the routes.

    Args:
        app: takes what is left.
        routes: have refused the request by now, for its path or for its method.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = tuple(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        allowed = self._allowed(scope) if scope["type"] == "http" else []
        if not allowed:
            await self._app(scope, receive, send)
            return
        response = failure_response(scope, WRONG_METHOD)
        response.headers["allow"] = ", ".join(allowed)
        await response(scope, receive, send)

    def _allowed(self, scope: Scope) -> list[str]:
        allowed = [
            method
            for method in _METHODS
            if any(
                route.matches({**scope, "method": method})[0] is Match.FULL
                for route in self._routes
            )
        ]
        return [*allowed, "HEAD"] if "GET" in allowed else allowed
