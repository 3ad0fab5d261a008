"""The routes that describe the HTTP API: OpenAPI for programs, a page in Chinese for people.

What makes them is imported when somebody first asks: it is thirty models and a template, and a
server should start at once.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse

from web.options import WebOptions
from web.protocols import ChatService

_FALLBACK_QUESTION = "园区落户了多少家企业？"


def reference_router(app: FastAPI, service: ChatService, options: WebOptions) -> APIRouter:
    """`/openapi.json` and `/docs`, of all routes that the app has when it is first asked."""
    router = APIRouter(include_in_schema=False)

    @cache
    def description() -> dict[str, Any]:
        from web.description import describe

        return describe(app.openapi(), token=options.token_secret is not None)

    @router.get("/openapi.json", response_model=None)
    def openapi(request: Request) -> JSONResponse:
        root: str = request.scope.get("root_path", "")
        return JSONResponse(description() | {"servers": [{"url": root or "/"}]})

    @router.get("/docs", response_model=None)
    def page(request: Request) -> HTMLResponse:
        from web.reference_page import reference_page

        address = str(request.base_url).rstrip("/")
        question = next(iter(service.examples), _FALLBACK_QUESTION)
        root: str = request.scope.get("root_path", "")
        return HTMLResponse(reference_page(description(), options, address, question, root))

    return router
