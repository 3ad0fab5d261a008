"""Errors as HTTP: which status, code and Chinese sentence each one becomes.

The sentence can be shown to a person as it stands; what broke inside is for the log alone.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Scope

from errors import (
    BadQuestionError,
    BusyError,
    KeptDocumentError,
    LargeUploadError,
    LockedOutError,
    LoginRequiredError,
    LongQuestionError,
    NotReadyError,
    RefusedUploadError,
    SameNameError,
    TooManyRequestsError,
    UnknownDocumentError,
    UnreachableStoreError,
    WenjuError,
)
from web.article import notice_page
from web.visitor import path_of

_BUSY_SECONDS = 5  # after which to try again; an answer takes a tenth of a second


_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """What a client is told."""

    status: int
    code: str
    message: str  # Chinese
    retry_after: int | None = None  # seconds

    @property
    def headers(self) -> dict[str, str]:
        """Beyond those of every response."""
        return {} if self.retry_after is None else {"retry-after": str(self.retry_after)}

    def body(self) -> dict[str, Any]:
        """As CONTRACT.md says."""
        return {"error": {"code": self.code, "message": self.message}}

    def openai_body(self) -> dict[str, Any]:
        """As OpenAI clients expect it."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        if self.status == 429:
            kind = "rate_limit_error"
        return {"error": {"message": self.message, "type": kind, "param": None, "code": self.code}}

    def response(self, *, openai: bool = False) -> JSONResponse:
        """The whole response."""
        body = self.openai_body() if openai else self.body()
        return JSONResponse(body, self.status, headers=self.headers)


MALFORMED = Failure(400, "bad_request", "请求的格式不对，请对照接口说明检查。")
FORBIDDEN_ORIGIN = Failure(403, "forbidden", "不接受来自这个网站的请求，请联系管理员。")
NO_SUCH_PAGE = Failure(404, "not_found", "您要找的页面不存在。")
NOT_FOUND = Failure(404, "not_found", "没有找到。")
WRONG_METHOD = Failure(405, "method_not_allowed", "这个地址不支持这种请求方法。")
TOO_LONG = Failure(413, "too_long", "请求的内容太大了。")


# The first that fits counts.
_EXPECTED: tuple[tuple[type[WenjuError], int, str], ...] = (
    (LongQuestionError, 413, "too_long"),
    (BadQuestionError, 400, "bad_request"),
    (RefusedUploadError, 400, "bad_request"),
    (LoginRequiredError, 401, "unauthorized"),
    (UnknownDocumentError, 404, "not_found"),
    (SameNameError, 409, "conflict"),
    (KeptDocumentError, 409, "conflict"),
    (LargeUploadError, 413, "too_long"),
    (TooManyRequestsError, 429, "too_many_requests"),
    (LockedOutError, 429, "too_many_requests"),
    (BusyError, 503, "busy"),
    (NotReadyError, 503, "not_ready"),
    (UnreachableStoreError, 503, "not_ready"),
    (WenjuError, 500, "internal"),
)


def failure_of(error: BaseException, request_id: str = "") -> Failure:
    """What to tell a client of an error; of one that nobody foresaw only the request's number."""
    for kind, status, code in _EXPECTED:
        if isinstance(error, kind):
            return Failure(status, code, error.user_message, _retry_after(error))
    number = f"（编号 {request_id}）" if request_id else ""
    return Failure(500, "internal", f"系统暂时无法处理，请稍后再试。{number}")


def logged_failure(error: Exception, request_id: str) -> Failure:
    """What to tell a client of an error; what nobody foresaw is written to the log in full."""
    failure = failure_of(error, request_id)
    if failure.status == 500:
        _logger.error("request failed", exc_info=error, extra={"request_id": request_id})
    return failure


def _retry_after(error: WenjuError) -> int | None:
    if isinstance(error, TooManyRequestsError | LockedOutError):
        return error.retry_after
    passing = BusyError | NotReadyError | UnreachableStoreError
    return _BUSY_SECONDS if isinstance(error, passing) else None


def answer_failures(app: FastAPI) -> None:
    """Have the app answer every error as this module says, in the form of the route."""

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, error: RequestValidationError) -> Response:
        return failure_response(request.scope, _malformed(error))

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        return failure_response(request.scope, _BY_STATUS.get(error.status_code, MALFORMED))

    @app.exception_handler(WenjuError)
    def foreseen(request: Request, error: WenjuError) -> Response:
        failure = logged_failure(error, request.scope.get("request_id", ""))
        return failure_response(request.scope, failure)


_FOR_PROGRAMS = ("/api/", "/documents/api/", "/gradio_api/")
_BY_STATUS = {404: NOT_FOUND, 405: WRONG_METHOD, 413: TOO_LONG}


def _malformed(error: RequestValidationError) -> Failure:
    """Names the field, so that whoever writes a client finds the fault."""
    kinds = {item["type"] for item in error.errors()}
    fields = sorted({str(item["loc"][1]) for item in error.errors() if len(item["loc"]) > 1})
    if kinds and kinds <= {"string_too_long", "too_long"}:
        return Failure(413, "too_long", f"{'、'.join(fields)} 太长了。")
    if "json_invalid" in kinds or not fields:
        return MALFORMED
    return Failure(400, "bad_request", f"请求中的 {'、'.join(fields)} 缺少或不合要求。")


def failure_response(scope: Scope, failure: Failure) -> Response:
    """JSON for programs, a page for people, OpenAI's form for its clients."""
    path = path_of(scope)
    if path.startswith("/v1/"):
        return failure.response(openai=True)
    if scope["method"] in ("GET", "HEAD") and not path.startswith(_FOR_PROGRAMS):
        root: str = scope.get("root_path", "")
        title = "没有这个页面" if failure.status == 404 else "打不开这个页面"
        page = notice_page(title, failure.message, root)
        return HTMLResponse(page, failure.status, failure.headers)
    return failure.response()
