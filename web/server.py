"""The web process: a ChatService becomes an address that a browser can open.

Here the parts are put together and started. Routers come before the chat page, which takes every
path that is left; all doors share one `Answers`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

import gradio as gr
import uvicorn
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

from errors import PortInUseError, WenjuError
from schema import Span
from web.access import AccessGuard, AccessRules
from web.answers import Answers
from web.api import document_router, feedback_router, question_router
from web.article import article_page, demo_page, notice_page
from web.bodies import BodyLimit, BodyLimits
from web.completions import completion_router
from web.conversation import MAX_TURNS
from web.failures import answer_failures
from web.feedback import FeedbackStore
from web.guard import GradioGuard, PortalCors, SafeHeaders
from web.library import MAX_FILE_BYTES
from web.limit import AnswerLimit
from web.logs import ActivityLog, log_as_json
from web.methods import HeadAsGet, OtherMethods
from web.metrics import Metrics, metrics_router
from web.options import WebOptions
from web.page import chat_page, theme
from web.protocols import ChatService
from web.rates import RateLimits
from web.recent import RecentAnswers
from web.recorded import Handled, Recorded, RouteNoted
from web.reference import reference_router
from web.sessions import Sessions
from web.tokens import TokenBook

_STATIC = Path(__file__).parent / "static"
_BODY_LIMITS = (
    BodyLimit("", 4 * 1024 * 1024, 10.0),  # Gradio sends the whole chat with each question
    BodyLimit("/documents/api/upload", MAX_FILE_BYTES + 1024, 900.0),
    BodyLimit("/api/v1/", 256 * 1024, 10.0),
    BodyLimit("/v1/", 256 * 1024, 10.0),
)
_REMEMBERED_ANSWERS = 5000  # for feedback; a few kilobytes each
_SESSIONS = 10_000
_SESSION_SECONDS = 3600.0
_SHUTDOWN_SECONDS = 3  # an open page holds a connection for ever; do not wait for it
_MAX_MARKED_SPANS = 50  # more than any answer cites


def create_app(
    service: ChatService, options: WebOptions, routers: Sequence[APIRouter] = ()
) -> FastAPI:
    """The whole application.

    Args:
        service: answers the questions; ready to be used.
        options: who may ask, how often and how many at once.
        routers: further routes, such as the operator's.
    """
    limit = AnswerLimit(concurrent=options.concurrent_questions, waiting=options.queue_size)
    metrics = Metrics(service, limit)
    log = ActivityLog(questions=options.log_questions)
    answers = Answers(
        service,
        limit,
        RateLimits(
            options.address_per_minute,
            options.address_per_day,
            options.site_per_minute,
            options.site_per_day,
        ),
        RecentAnswers(_REMEMBERED_ANSWERS),
        observers=(metrics.question, log.question),
        takes_feedback=bool(options.feedback),
    )
    rules = AccessRules(options.origins, options.trusted_proxies, options.allowed_hosts)
    sessions = Sessions(most=_SESSIONS, idle_seconds=_SESSION_SECONDS, turns=MAX_TURNS)
    chat = _chat_app(answers, takes_feedback=bool(options.feedback))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with chat.router.lifespan_context(chat):
            yield

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    answer_failures(app)
    app.include_router(question_router(answers, sessions))
    app.include_router(document_router(service))
    if options.feedback:
        app.include_router(feedback_router(answers, FeedbackStore(Path(options.feedback))))
    app.include_router(completion_router(answers))
    app.include_router(metrics_router(metrics))
    app.include_router(reference_router(app, service, options))
    app.include_router(_pages(service, demo=options.demo))
    for router in routers:
        app.include_router(router)
    app.mount("/ui", StaticFiles(directory=_STATIC))
    app.mount("/", OtherMethods(GradioGuard(chat, rules.origins), app.routes))
    _stand_guard(app, rules, options, (metrics.request, log.request))
    return app


def _stand_guard(
    app: FastAPI,
    rules: AccessRules,
    options: WebOptions,
    observers: Sequence[Callable[[Handled], None]],
) -> None:
    """What every request passes, the last one added first."""
    app.add_middleware(RouteNoted)
    app.add_middleware(HeadAsGet)
    app.add_middleware(GZipMiddleware)
    app.add_middleware(BodyLimits, limits=_BODY_LIMITS)
    tokens = TokenBook(options.token_secret) if options.token_secret else None
    app.add_middleware(AccessGuard, rules=rules, tokens=tokens)
    # Outside the guard, so that a portal's page can read why it was refused.
    app.add_middleware(
        PortalCors,
        allow_origins=rules.origins,
        allow_methods=["GET", "POST"],
        allow_headers=["accept", "authorization", "content-type"],
        expose_headers=["retry-after", "x-request-id"],
    )
    app.add_middleware(Recorded, observers=observers)
    app.add_middleware(SafeHeaders, portals=rules.origins)


def serve(
    service: ChatService,
    host: str,
    port: int,
    options: WebOptions,
    routers: Sequence[APIRouter] = (),
) -> None:
    """Serve until interrupted; prints the address of the page.

    Raises:
        PortInUseError: something else listens there.
        WenjuError: the address cannot be used for another reason.
    """
    with _listen(host, port) as listener:
        log_as_json(sys.stderr)
        config = uvicorn.Config(
            create_app(service, options, routers),
            log_config=None,  # as everything else
            log_level="warning",
            server_header=False,
            access_log=False,
            proxy_headers=False,  # AccessGuard believes them, of trusted proxies alone
            root_path=options.root_path,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        address = _address(host, port) + options.root_path
        print(f"问据已启动，请在浏览器打开 {address} （按 Ctrl+C 停止）", flush=True)
        # uvicorn sends itself the signal again once everything is closed. SIGTERM would then kill
        # the process: callers could not clean up, and an ordered stop would look like a failure.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def require_free_port(host: str, port: int) -> None:
    """Fail before the index is loaded rather than after.

    Raises:
        PortInUseError: something else listens there.
        WenjuError: the address cannot be used for another reason.
    """
    _listen(host, port).close()


def _chat_app(answers: Answers, *, takes_feedback: bool) -> FastAPI:
    """Gradio in an application of its own, so that the guard can stand before all its routes."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    # Without a CORSMiddleware here Gradio adds its own, which lets every site in.
    app.add_middleware(CORSMiddleware, allow_origins=[])
    gr.mount_gradio_app(
        app,
        chat_page(answers, takes_feedback=takes_feedback),
        path="/",
        theme=theme(),
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        show_error=False,
        max_file_size=0,
        pwa=False,
        ssr_mode=False,
        mcp_server=False,
    )
    return app


def _pages(service: ChatService, *, demo: bool) -> APIRouter:
    """Everything but the chat."""
    router = APIRouter()

    @router.get("/article/{doc:path}")
    def article(request: Request, doc: str) -> HTMLResponse:
        root: str = request.scope.get("root_path", "")
        found = service.article(doc)
        if found is None:
            text = "索引里没有这篇文档，可能已被移除或更名。"
            return HTMLResponse(notice_page("没有这篇文档", text, root), 404)
        view: Literal["readable", "original"] = (
            "original" if request.query_params.get("view") == "original" else "readable"
        )
        return HTMLResponse(article_page(found, _quotes(request), view, root))

    @router.get("/healthz")
    def alive() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @router.get("/readyz")
    def ready() -> JSONResponse:
        documents = len(service.documents())
        state = {
            "status": "ready" if documents else "empty",
            "index_version": service.index_version,
            "documents": documents,
        }
        return JSONResponse(state, 200 if documents else 503)

    @router.get("/widget.js")
    def widget() -> FileResponse:
        headers = {"cache-control": "public, max-age=300"}  # a portal's every page asks for it
        return FileResponse(_STATIC / "widget.js", media_type="text/javascript", headers=headers)

    if demo:

        @router.get("/demo")
        def portal(request: Request) -> HTMLResponse:
            return HTMLResponse(demo_page(request.scope.get("root_path", "")))

    @router.get("/favicon.ico")
    def icon() -> FileResponse:
        return FileResponse(_STATIC / "icon.svg", media_type="image/svg+xml")

    return router


def _quotes(request: Request) -> list[Span]:
    """The spans to mark: `start` and `end`, in pairs; what is not a number is left out."""
    starts = request.query_params.getlist("start")[:_MAX_MARKED_SPANS]
    ends = request.query_params.getlist("end")[:_MAX_MARKED_SPANS]
    return [
        Span(int(start), int(end))
        for start, end in zip(starts, ends, strict=False)
        if _is_offset(start) and _is_offset(end)
    ]


def _is_offset(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= 12


def _listen(host: str, port: int) -> socket.socket:
    try:
        if port not in range(65536):
            raise OSError(errno.EINVAL, "no such port")
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family)
        # Event loops do it for sockets that they make themselves. Without it every answer on a
        # connection that is used again waits 40 ms for the other side's acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(host, port) from error
        raise WenjuError(
            f"cannot listen on {host}:{port}: {error}",
            f"无法在 {host}:{port} 上启动服务，请检查 --host 和 --port。",
        ) from error


def _is_news(record: logging.LogRecord) -> bool:
    """Whether to log it; cancelling the connections of open pages is how the server stops."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def _address(host: str, port: int) -> str:
    """What a person on this machine types into the browser."""
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
