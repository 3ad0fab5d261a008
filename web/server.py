"""The web process: a ChatService becomes an address that a browser can open.

Here are the routes and the start; what they show is made in page.py and article.py. Routers added
in `create_app` come before the chat page, which takes every path that is left, and share its
`AnswerLimit`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import AsyncIterator
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
from web.article import article_page, notice_page
from web.guard import GradioGuard, SafeHeaders
from web.limit import AnswerLimit
from web.page import chat_page, theme
from web.protocols import ChatService

_STATIC = Path(__file__).parent / "static"
_MAX_BODY_BYTES = 4 * 1024 * 1024  # Gradio sends the whole chat with each question
_SHUTDOWN_SECONDS = 3  # an open page holds a connection for ever; do not wait for it
_MAX_MARKED_SPANS = 50  # more than any answer cites


def create_app(service: ChatService, *, concurrent_questions: int, queue_size: int) -> FastAPI:
    """The whole application.

    Args:
        service: answers the questions; ready to be used.
        concurrent_questions: how many are answered at the same time.
        queue_size: how many may wait beyond those.
    """
    limit = AnswerLimit(concurrent=concurrent_questions, waiting=queue_size)
    chat = _chat_app(service, limit)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with chat.router.lifespan_context(chat):
            yield

    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
        max_body_size=_MAX_BODY_BYTES,
    )
    app.add_middleware(GZipMiddleware)
    app.add_middleware(SafeHeaders)
    app.add_exception_handler(Exception, _broken_page)
    app.include_router(_pages(service))
    app.mount("/ui", StaticFiles(directory=_STATIC))
    app.mount("/", GradioGuard(chat))
    return app


def serve(
    service: ChatService, host: str, port: int, *, concurrent_questions: int, queue_size: int
) -> None:
    """Serve until interrupted; prints the address of the page.

    Raises:
        PortInUseError: something else listens there.
        WenjuError: the address cannot be used for another reason.
    """
    with _listen(host, port) as listener:
        app = create_app(service, concurrent_questions=concurrent_questions, queue_size=queue_size)
        config = uvicorn.Config(
            app,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        print(f"问据已启动，请在浏览器打开 {_address(host, port)} （按 Ctrl+C 停止）", flush=True)
        with suppress(KeyboardInterrupt):  # uvicorn raises it again once everything is closed
            uvicorn.Server(config).run(sockets=[listener])


def require_free_port(host: str, port: int) -> None:
    """Fail before the index is loaded rather than after.

    Raises:
        PortInUseError: something else listens there.
        WenjuError: the address cannot be used for another reason.
    """
    _listen(host, port).close()


def _chat_app(service: ChatService, limit: AnswerLimit) -> FastAPI:
    """Gradio in an application of its own, so that the guard can stand before all its routes."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    # Without a CORSMiddleware here Gradio adds its own, which lets every site in.
    app.add_middleware(CORSMiddleware, allow_origins=[])
    gr.mount_gradio_app(
        app,
        chat_page(service, limit),
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


def _pages(service: ChatService) -> APIRouter:
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


async def _broken_page(request: Request, _: Exception) -> HTMLResponse:
    """Starlette raises the exception again after this response, and uvicorn logs it."""
    text = "系统暂时无法显示这个页面，请稍后再试。"
    return HTMLResponse(notice_page("系统出错", text, request.scope.get("root_path", "")), 500)


def _listen(host: str, port: int) -> socket.socket:
    try:
        if port not in range(65536):
            raise OSError(errno.EINVAL, "no such port")
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
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
