"""Every request gets a number, and none ends without an answer.

The number (`scope["request_id"]`, header `x-request-id`) stands in the log and in the sentence that
a person is shown when something breaks, so that the two can be brought together.
"""

from __future__ import annotations

import logging
import uuid

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.failures import failure_of, failure_response

_logger = logging.getLogger(__name__)


class Recorded:
    """Numbers requests and answers for what broke."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex[:12]
        scope["request_id"] = request_id
        begun = False

        async def numbered(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, numbered)
        # The border to a person: whatever broke, they get a sentence and a number.
        except Exception as error:
            _logger.exception("request %s failed", request_id)
            if not begun:
                response = failure_response(scope, failure_of(error, request_id))
                await response(scope, receive, numbered)
