"""Every request gets a number, is told to those who count and log, and none ends without an answer.

The number (`scope["request_id"]`, header `x-request-id`) stands in the log and in the sentence that
a person is shown when something breaks, so that the two can be brought together. A proxy or portal
that numbers requests itself sends its number in `x-request-id`, and it is taken over.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.failures import Failure, failure_of, failure_response
from web.visitor import Visitor, path_of

GONE = 499  # as proxies log it: the client left before there was an answer
NO_ROUTE = "none"  # what was asked for is nowhere

current_request: ContextVar[str] = ContextVar("current_request", default="")

_GIVEN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_STATIC = "/ui/"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Handled:
    """One request that is over, as far as counting and logging may know it."""

    request_id: str
    method: str  # OTHER if it is none of HTTP's own
    route: str  # template such as /article/{doc:path}, never the path itself
    status: int
    seconds: float  # until the last byte was handed over
    site: str  # origin of the portal page that asks; "" for own pages and programs


class Recorded:
    """Numbers requests, tells of them when they are over, and answers for what broke.

    Args:
        app: what answers.
        observers: are told of every request.
    """

    def __init__(self, app: ASGIApp, observers: Sequence[Callable[[Handled], None]] = ()) -> None:
        self._app = app
        self._observers = observers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = _number(Headers(scope=scope))
        scope["request_id"] = request_id
        current_request.set(request_id)
        noted = scope.setdefault("state", {})  # the same one in all copies of the scope
        status = 0

        async def numbered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, numbered)
        # The border to a person: whatever broke, they get a sentence and a number.
        except Exception as error:  # noqa: BLE001
            failure = logged_failure(error, request_id)
            if not status:
                await failure_response(scope, failure)(scope, receive, numbered)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "OTHER"
            route, seconds = noted.get("route", NO_ROUTE), time.perf_counter() - began
            site = _site(noted.get("visitor"))
            self._tell(Handled(request_id, method, route, status or GONE, seconds, site))

    def _tell(self, handled: Handled) -> None:
        for observer in self._observers:
            observer(handled)


class RouteNoted:
    """Notes in the state of a request which route it found; stands right before the routes.

    The scope itself does not tell: what stands between may hand on a copy of it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        path = path_of(scope) if scope["type"] == "http" else ""
        try:
            await self._app(scope, receive, send)
        finally:
            template = getattr(scope.get("route"), "path", None)
            if template is None and path.startswith(_STATIC):
                template = f"{_STATIC}{{path}}"
            if template is None and path == "/":
                template = "/"
            if path and template is not None:
                scope.setdefault("state", {})["route"] = template


def logged_failure(error: Exception, request_id: str) -> Failure:
    """What to tell a client of an error; what nobody foresaw is written to the log in full."""
    failure = failure_of(error, request_id)
    if failure.status == 500:
        _logger.error("request failed", exc_info=error, extra={"request_id": request_id})
    return failure


def _number(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex[:12]


def _site(visitor: object) -> str:
    return visitor.site if isinstance(visitor, Visitor) else ""
