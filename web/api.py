"""The HTTP API of CONTRACT.md: questions, search, documents, feedback."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from schema import DocumentSummary, Span, Turn
from web.answers import Answers, Events, Given, StageBegun, Step, given_of
from web.article import article_record
from web.conversation import api_turns
from web.events import HEADERS, MEDIA_TYPE, answer_events
from web.failures import NOT_FOUND, Failure, logged_failure
from web.feedback import Feedback, FeedbackStore
from web.messages import AskBody, FeedbackBody, SearchBody
from web.protocols import ChatService
from web.sessions import Sessions
from web.visitor import Visitor, visitor_of_request

_MAX_SPANS = 50
_MAX_LISTED = 1000
_PREFIX = "/api/v1"
_ASK_ZH = (
    "返回一条回答记录。请求头 Accept 为 text/event-stream 时逐步返回：status（进行到哪一步）、"
    "delta（回答的文字）、citations（引文）、done（整条记录）、error（出错）。"
)
_DOCUMENT_ZH = (
    "全文，按段给出，引文单独成一截并标出。"
    "start 与 end 成对给出，是在原文中的位置（Unicode 码点）。"
)


def question_router(answers: Answers, sessions: Sessions) -> APIRouter:
    """Ask and search."""
    router = APIRouter(prefix=_PREFIX, tags=["问答"])

    @router.post("/ask", summary="提问", description=_ASK_ZH, response_model=None)
    async def ask(
        request: Request, body: AskBody, accept: Annotated[str, Header()] = ""
    ) -> Response:
        visitor = visitor_of_request(request)
        events = answers.stream(body.question, _history(body, sessions, visitor), visitor, "api")
        # What cannot be worked on is an ordinary error, also where a stream was asked for.
        first = await first_event(events)
        replies = _remembered(chained(first, events), body, sessions, visitor)
        if MEDIA_TYPE not in accept:
            async with aclosing(replies):
                return JSONResponse((await given_of(replies)).record)
        told = partial(logged_failure, request_id=request.scope.get("request_id", ""))
        body_events = answer_events(replies, told)
        return StreamingResponse(body_events, media_type=MEDIA_TYPE, headers=HEADERS)

    @router.post("/search", summary="只检索段落", description="从最相关的一段开始。")
    async def search(request: Request, body: SearchBody) -> dict[str, Any]:
        passages = await answers.search(body.query, body.top_k, visitor_of_request(request))
        version = answers.service.index_version
        return {"query": body.query, "passages": passages, "index_version": version}

    return router


def document_router(service: ChatService) -> APIRouter:
    """The list of documents, and each of them."""
    router = APIRouter(prefix=_PREFIX, tags=["文档"])

    @router.get("/documents", summary="文档列表", description="按名称排序。")
    def documents(
        offset: Annotated[int, Query(ge=0, description="从第几篇起，第一篇为 0")] = 0,
        limit: Annotated[int, Query(ge=1, le=_MAX_LISTED, description="最多几篇")] = _MAX_LISTED,
    ) -> dict[str, Any]:
        found = service.documents()
        return {
            "documents": [_listed(item) for item in found[offset : offset + limit]],
            "total": len(found),
            "index_version": service.index_version,
        }

    @router.get(
        "/documents/{doc:path}", summary="一篇文档", description=_DOCUMENT_ZH, response_model=None
    )
    def document(
        doc: str,
        start: Annotated[list[int] | None, Query(description="引文的起点")] = None,
        end: Annotated[list[int] | None, Query(description="引文的终点")] = None,
    ) -> Response:
        article = service.article(doc)
        if article is None:
            return NOT_FOUND.response()
        pairs = zip((start or [])[:_MAX_SPANS], (end or [])[:_MAX_SPANS], strict=False)
        return JSONResponse(article_record(article, [Span(one, two) for one, two in pairs]))

    return router


def feedback_router(answers: Answers, store: FeedbackStore) -> APIRouter:
    """What people say of answers."""
    router = APIRouter(prefix=_PREFIX, tags=["问答"])

    @router.post(
        "/feedback",
        summary="评价一个回答",
        description="与问题、回答、索引版本一起存下，供改进和评测使用。再次评价会代替前一次。",
        response_model=None,
    )
    def feedback(body: FeedbackBody) -> Response:
        result = answers.recent.get(body.answer_id)
        if result is None:
            gone = "没有找到这个回答，可能太久远了；评价没有存下。"
            return Failure(404, "not_found", gone).response()
        said = Feedback(body.answer_id, body.rating, body.problem, body.comment.strip())
        store.add(said, result)
        return JSONResponse({"status": "stored"})

    return router


async def first_event(events: Events) -> Step | Given:
    """The first event that people are told of; raises what forbids work on the question."""
    item = await anext(events)
    while item == StageBegun("understand"):
        item = await anext(events)
    return item


async def chained(first: Step | Given, rest: Events) -> Events:
    """The first event, then the others."""
    try:
        yield first
        async for item in rest:
            yield item
    finally:
        await rest.aclose()


async def _remembered(
    events: Events, body: AskBody, sessions: Sessions, visitor: Visitor
) -> Events:
    """The events; the question and its answer are put into the session."""
    try:
        async for item in events:
            if isinstance(item, Given) and body.session is not None:
                said = [Turn("user", body.question), Turn("assistant", item.result.reply.text)]
                sessions.add(visitor, body.session, api_turns(said))
            yield item
    finally:
        await events.aclose()


def _history(body: AskBody, sessions: Sessions, visitor: Visitor) -> tuple[Turn, ...]:
    if body.history is not None:
        return api_turns([Turn(item.role, item.content) for item in body.history])
    return sessions.history(visitor, body.session) if body.session is not None else ()


def _listed(summary: DocumentSummary) -> dict[str, Any]:
    return {
        "doc": summary.doc,
        "title": summary.title,
        "date": summary.date,
        "chars": summary.chars,
        "chunks": summary.chunks,
        "warnings": list(summary.warnings),
    }
