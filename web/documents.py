"""The operator's documents page: upload, list, remove, rebuild, behind a password.

The page is a frame; its script fills it from the JSON routes below `/documents/api/`. Without a
session a page leads to the log-in and everything else is refused. What happens to the files is
library.py's business, who is logged in login.py's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Protocol
from urllib.parse import quote as percent_encode
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Query, Request
from fastapi.concurrency import contextmanager_in_threadpool, run_in_threadpool
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from errors import (
    LargeUploadError,
    LockedOutError,
    LoginRequiredError,
    RefusedUploadError,
    WrongPasswordError,
)
from web.failures import FORBIDDEN_ORIGIN, failure_response
from web.library import IndexView, Library, LibraryDocument
from web.login import SESSION_SECONDS, Operators
from web.render import chinese_date
from web.visitor import visitor_of_request

COOKIE = "wenju_operator"
MAX_FILES = 200  # at once; what is dropped by mistake should not run for hours
PAGE_ROWS = 200
_MAX_PASSWORD_CHARS = 1000
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
    # Without a referrer, a form's Origin is "null", and nobody could log in over plain HTTP.
    "referrer-policy": "same-origin",
}
_SAFE_METHODS = ("GET", "HEAD")
_STATUS_ZH = {
    "indexed": "已收录",
    "waiting": "等待建库",
    "changed": "已替换，等待建库",
    "leaving": "已移除，等待建库",
    "unreadable": "读不了",
}


class ServedIndex(IndexView, Protocol):
    """IndexView that knows since when it answers."""

    @property
    def serving_since(self) -> datetime | None:
        """When the generation that answers took over, in UTC."""


class NamesBody(BaseModel):
    """Names of files, as a browser has them."""

    names: list[Annotated[str, Field(max_length=2000)]] = Field(max_length=MAX_FILES)


class DocsBody(BaseModel):
    """Documents of the list."""

    docs: list[Annotated[str, Field(max_length=2000)]] = Field(max_length=MAX_FILES)


def documents_router(library: Library, service: ServedIndex, password: str) -> APIRouter:
    """`/documents` and everything below it.

    Args:
        library: the uploads; entered.
        service: what answers now.
        password: of the operator; not empty.
    """

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        yield
        # Here, since a process that is asked to end may do so before anybody leaves the library.
        await run_in_threadpool(library.stop)

    operators = Operators(password)
    router = APIRouter(include_in_schema=False, lifespan=lifespan)
    router.include_router(_log_in_routes(operators))
    router.include_router(_page_route(operators, library))
    router.include_router(_api(operators, library, service))
    return router


def _log_in_routes(operators: Operators) -> APIRouter:
    router = APIRouter(prefix="/documents")

    @router.get("/login", response_model=None)
    def form(request: Request) -> Response:
        if _logged_in(request, operators):
            return _to(request, "/documents")
        return _log_in_page(request, 200)

    @router.post("/login", response_model=None)
    def log_in(
        request: Request, password: Annotated[str, Form(max_length=_MAX_PASSWORD_CHARS)] = ""
    ) -> Response:
        if _from_another_site(request):
            return failure_response(request.scope, FORBIDDEN_ORIGIN)
        try:
            token = operators.log_in(password, visitor_of_request(request).address)
        except WrongPasswordError as error:
            return _log_in_page(request, 401, error.user_message)
        except LockedOutError as error:
            page = _log_in_page(request, 429, error.user_message)
            page.headers["retry-after"] = str(error.retry_after)
            return page
        response = _to(request, "/documents")
        response.set_cookie(
            COOKIE,
            token,
            max_age=SESSION_SECONDS,
            path=_root(request) + "/documents",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return response

    @router.post("/logout", response_model=None)
    def log_out(request: Request) -> Response:
        if _from_another_site(request):
            return failure_response(request.scope, FORBIDDEN_ORIGIN)
        operators.log_out(request.cookies.get(COOKIE, ""))
        response = _to(request, "/documents/login")
        response.delete_cookie(COOKIE, path=_root(request) + "/documents")
        return response

    return router


def _page_route(operators: Operators, library: Library) -> APIRouter:
    router = APIRouter()

    @router.get("/documents", response_model=None)
    def page(request: Request) -> Response:
        if not _logged_in(request, operators):
            return _to(request, "/documents/login")
        html = _template("documents.html").render(
            root=_root(request),
            page_title="文档管理",
            suffixes=",".join(sorted(library.suffixes)),
            max_bytes=library.max_file_bytes,
            max_files=MAX_FILES,
        )
        return HTMLResponse(html, headers=_HEADERS)

    return router


def _api(operators: Operators, library: Library, service: ServedIndex) -> APIRouter:
    router = APIRouter(prefix="/documents/api", route_class=_operators_only(operators))

    @router.get("/state", response_model=None)
    def state() -> JSONResponse:
        return JSONResponse(
            {
                "build": _build_record(library),
                "serving": _serving_record(service, library),
                "revision": library.revision,
            }
        )

    @router.get("/documents", response_model=None)
    def documents(request: Request, q: str = "", page: Annotated[int, Query(ge=1)] = 1) -> Response:
        rows = library.documents()
        found = _matching(rows, q)
        pages = max(1, -(-len(found) // PAGE_ROWS))
        page = min(page, pages)
        shown = found[(page - 1) * PAGE_ROWS : page * PAGE_ROWS]
        root = _root(request)
        return JSONResponse(
            {
                "documents": [_row_record(row, root) for row in shown],
                "page": page,
                "pages": pages,
                "matching": len(found),
                "total": len(rows),
                "waiting": sum(row.status in ("waiting", "changed", "leaving") for row in rows),
            }
        )

    @router.post("/names", response_model=None)
    def names(body: NamesBody) -> JSONResponse:
        return JSONResponse({"files": [_name_record(library, name) for name in body.names]})

    @router.post("/upload", response_model=None)
    async def upload(
        request: Request, name: Annotated[str, Query(max_length=2000)], replace: bool = False
    ) -> Response:
        return await _receive(request, library, name, replacing=replace)

    @router.post("/remove", response_model=None)
    def remove(body: DocsBody) -> JSONResponse:
        removed = 0
        try:
            for doc in body.docs:
                library.remove(doc)
                removed += 1
        finally:
            if removed:
                library.update()
        return JSONResponse({"status": "accepted"}, 202)

    @router.post("/update", response_model=None)
    def update() -> JSONResponse:
        library.update()
        return JSONResponse({"status": "accepted"}, 202)

    @router.post("/rebuild", response_model=None)
    def rebuild() -> JSONResponse:
        library.rebuild()
        return JSONResponse({"status": "accepted"}, 202)

    return router


def _operators_only(operators: Operators) -> type[APIRoute]:
    """A kind of route that asks for the session before it reads anything else of a request."""

    class OperatorRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle: Callable[[Request], Awaitable[Response]] = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                if not _logged_in(request, operators):
                    raise LoginRequiredError
                if request.method not in _SAFE_METHODS and _from_another_site(request):
                    return FORBIDDEN_ORIGIN.response()
                response = await handle(request)
                response.headers["cache-control"] = "no-store"
                return response

            return guarded

    return OperatorRoute


async def _receive(request: Request, library: Library, name: str, *, replacing: bool) -> Response:
    """Take one file in, in pieces."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > library.max_file_bytes:
        raise LargeUploadError(library.max_file_bytes)
    kept = library.clean_name(name)
    try:
        incoming = contextmanager_in_threadpool(library.receive(kept, replacing=replacing))
        async with incoming as upload:
            async for part in request.stream():
                await run_in_threadpool(upload.write, part)
    except ClientDisconnect:  # nobody is there to be told
        return Response(status_code=400)
    return JSONResponse({"name": kept}, 201)


def _from_another_site(request: Request) -> bool:
    """Whether a browser sent this for a page of another site; the cookie alone must not do.

    `Sec-Fetch-Site` cannot be forged by a page, but browsers send it only over HTTPS and to
    localhost; elsewhere Origin is compared with Host. Programs send neither.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")


def _logged_in(request: Request, operators: Operators) -> bool:
    return operators.knows(request.cookies.get(COOKIE, ""))


def _log_in_page(request: Request, status: int, problem: str = "") -> HTMLResponse:
    html = _template("documents_login.html").render(
        root=_root(request), page_title="登录", problem=problem
    )
    return HTMLResponse(html, status, headers=_HEADERS)


def _to(request: Request, path: str) -> RedirectResponse:
    return RedirectResponse(_root(request) + path, 303, headers=_HEADERS)


def _root(request: Request) -> str:
    root: str = request.scope.get("root_path", "")
    return root


def _name_record(library: Library, name: str) -> dict[str, Any]:
    try:
        kept = library.clean_name(name)
        return {"name": kept, "exists": library.holds(kept), "problem": ""}
    except RefusedUploadError as error:
        return {"name": name, "exists": False, "problem": error.user_message}


def _matching(rows: Sequence[LibraryDocument], query: str) -> list[LibraryDocument]:
    """Those with the query in name, title or status; what is not settled stands first."""
    wanted = query.strip().casefold()
    found = [
        row
        for row in rows
        if wanted in f"{row.doc}\n{row.title or ''}\n{_STATUS_ZH[row.status]}".casefold()
    ]
    return sorted(found, key=lambda row: row.status == "indexed")


def _row_record(row: LibraryDocument, root: str) -> dict[str, Any]:
    return {
        "doc": row.doc,
        "title": row.title,
        "date": chinese_date(row.date) if row.date else "",
        "chars": row.chars,
        "chunks": row.chunks,
        "warnings": list(row.warnings),
        "status": row.status,
        "status_text": _STATUS_ZH[row.status],
        "reason": row.reason,
        "uploaded": row.uploaded,
        "folder": row.folder,
        "article": f"{root}/article/{percent_encode(row.doc)}" if row.chunks else None,
    }


def _build_record(library: Library) -> dict[str, Any]:
    state = library.state
    return {
        "phase": state.phase,
        "job": state.job,
        "message": state.message,
        "done": state.done,
        "total": state.total,
        "queued": state.queued,
        "finished": state.finished.isoformat() if state.finished else None,
        "version": state.version,
    }


def _serving_record(service: ServedIndex, library: Library) -> dict[str, Any]:
    since = service.serving_since
    documents, chunks = library.counts()
    return {
        "version": service.index_version,
        "since": since.isoformat() if since else None,
        "documents": documents,
        "chunks": chunks,
    }


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _template(name: str) -> Template:
    return _environment().get_template(name)
