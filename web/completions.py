"""The routes of OpenAI's chat completions, so that programs made for them can ask here.

The last message of the user is the question, what was said before is the history. There is no
language model behind it: whatever steers one (system messages, temperature, tools) is accepted and
has no effect. Beyond OpenAI's fields a completion carries those of the answer record.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from errors import BadQuestionError
from schema import Turn
from web.answers import Answers, Events, given_of
from web.api import chained, first_event
from web.conversation import api_turns
from web.events import HEADERS, MEDIA_TYPE, statements
from web.failures import Failure
from web.recorded import logged_failure
from web.visitor import visitor_of_request

MODEL = "wenju"
_NO_SUCH_MODEL = Failure(404, "model_not_found", f"没有这个模型，请用 {MODEL}。")
_TEXT_PARTS = ("text", "input_text", "output_text", "refusal")
_BESIDES = ("citations", "suggestions", "refused", "confidence", "index_version")
_DONE = b"data: [DONE]\n\n"
_CHAT_ZH = (
    "与 OpenAI 的 chat completions 相同，可直接用它的客户端。最后一条 user 消息是问题，"
    "此前的 user 和 assistant 消息是对话；system、developer 消息和其余参数接受但不起作用。"
    "stream 为 true 时逐句返回，最后一块带 citations 等项，以 data: [DONE] 结束。"
)


class Part(BaseModel):
    """A piece of a message."""

    model_config = ConfigDict(json_schema_extra={"description": "消息的一部分"})

    type: str = Field(description="text；不接受图片、声音和文件")
    text: str | None = Field(default=None, description="文字")


class ChatMessage(BaseModel):
    """One message of a conversation, as OpenAI's clients send it."""

    model_config = ConfigDict(json_schema_extra={"description": "对话中的一条消息"})

    role: Literal["system", "developer", "user", "assistant", "tool", "function"] = Field(
        description="user：提问的人；assistant：问据；其余不起作用"
    )
    content: str | list[Part] | None = Field(default=None, description="文字，或若干段文字")


class StreamOptions(BaseModel):
    """What a stream should hold."""

    model_config = ConfigDict(json_schema_extra={"description": "逐步返回时的选项"})

    include_usage: bool = Field(default=False, description="最后另有一块带 usage")


class ChatBody(BaseModel):
    """A request for a completion; what is not named here is ignored."""

    model_config = ConfigDict(
        json_schema_extra={
            "description": "一次对话；没有列出的参数不起作用",
            "examples": [
                {
                    "model": MODEL,
                    "messages": [{"role": "user", "content": "园区落户了多少家企业？"}],
                }
            ],
        }
    )

    model: str = Field(default=MODEL, description=f"只有 {MODEL}")
    messages: list[ChatMessage] = Field(min_length=1, description="对话，从早到晚")
    stream: bool | None = Field(default=None, description="是否逐步返回")
    stream_options: StreamOptions | None = Field(default=None, description="逐步返回时的选项")
    n: int | None = Field(default=None, description="只能是 1")


@dataclass(frozen=True, slots=True)
class _Completion:
    """What all pieces of one completion have in common."""

    said: int  # characters of the question and the history that goes with it
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))  # seconds

    def whole(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The completion in one piece."""
        message = {"role": "assistant", "content": record["answer"], "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        head = self._head("chat.completion", [choice])
        return head | {"usage": self.usage(record)} | _besides(record)

    def chunk(
        self, delta: Mapping[str, str], finish_reason: Literal["stop"] | None = None
    ) -> dict[str, Any]:
        """One piece of a stream."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._head("chat.completion.chunk", [choice])

    def usage_chunk(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The piece behind the last one, which only counts."""
        return self._head("chat.completion.chunk", []) | {"usage": self.usage(record)}

    def usage(self, record: Mapping[str, Any]) -> dict[str, int]:
        """Characters, since nothing here works with tokens."""
        told = len(record["answer"])
        return {
            "prompt_tokens": self.said,
            "completion_tokens": told,
            "total_tokens": self.said + told,
        }

    def _head(self, kind: str, choices: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": MODEL,
            "choices": list(choices),
        }


def completion_router(answers: Answers) -> APIRouter:
    """Chat completions and the list of models."""
    router = APIRouter(prefix="/v1", tags=["OpenAI 兼容"])
    began = int(time.time())
    model = {"id": MODEL, "object": "model", "created": began, "owned_by": MODEL}

    @router.post("/chat/completions", summary="对话", description=_CHAT_ZH, response_model=None)
    async def complete(request: Request, body: ChatBody) -> Response:
        if body.model != MODEL:
            return _NO_SUCH_MODEL.response(openai=True)
        if body.n not in (None, 1):
            raise BadQuestionError("n is not 1", "每次只有一个回答，参数 n 只能是 1。")
        question, history = asked_in(body.messages)
        events = answers.stream(question, history, visitor_of_request(request), "openai")
        # What cannot be worked on is an ordinary error, also where a stream was asked for.
        replies = chained(await first_event(events), events)
        completion = _Completion(len(question) + sum(len(turn.content) for turn in history))
        if not body.stream:
            async with aclosing(replies):
                return JSONResponse(completion.whole((await given_of(replies)).record))
        counted = body.stream_options is not None and body.stream_options.include_usage
        chunks = _chunks(replies, completion, counted, request.scope.get("request_id", ""))
        return StreamingResponse(chunks, media_type=MEDIA_TYPE, headers=HEADERS)

    @router.get("/models", summary="模型列表", description=f"只有 {MODEL}。")
    def models() -> dict[str, Any]:
        return {"object": "list", "data": [model]}

    @router.get("/models/{model_id:path}", summary="一个模型", description="", response_model=None)
    def model_by_id(model_id: str) -> Response:
        return JSONResponse(model) if model_id == MODEL else _NO_SUCH_MODEL.response(openai=True)

    return router


def asked_in(messages: Sequence[ChatMessage]) -> tuple[str, tuple[Turn, ...]]:
    """The question and what was said before it.

    Raises:
        BadQuestionError: nobody asks, or not in words alone.
    """
    said = [item for item in messages if item.role in ("user", "assistant")]
    while said and said[-1].role != "user":
        said.pop()
    if not said:
        raise BadQuestionError("no message of a user", "messages 里没有 user 的消息，请写入问题。")
    turns = [Turn("user" if item.role == "user" else "assistant", _text(item)) for item in said]
    return turns[-1].content, api_turns(turns[:-1])


def _text(message: ChatMessage) -> str:
    parts = [message.content] if isinstance(message.content, str) else message.content or []
    if any(not isinstance(part, str) and part.type not in _TEXT_PARTS for part in parts):
        raise BadQuestionError("a part is no text", "只接受文字，不接受图片、声音和文件。")
    text = "\n".join(part if isinstance(part, str) else part.text or "" for part in parts)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise BadQuestionError("half a surrogate pair", "消息里有不完整的字符，请检查编码。")
    return text


def _besides(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the answer record tells beyond OpenAI's fields; `answer_id` is for feedback."""
    return {key: record[key] for key in _BESIDES} | {"answer_id": record["id"]}


async def _chunks(
    replies: Events, completion: _Completion, counted: bool, request_id: str
) -> AsyncGenerator[bytes]:
    """The stream on the wire. Closing it gives the question up."""
    # With usage asked for, OpenAI has a null in all chunks but the one that counts.
    empty = {"usage": None} if counted else {}
    try:
        async with aclosing(replies):
            yield _data(completion.chunk({"role": "assistant", "content": ""}) | empty)
            record = (await given_of(replies)).record
        for text in statements(record["answer"]):
            yield _data(completion.chunk({"content": text}) | empty)
        yield _data(completion.chunk({}, "stop") | _besides(record) | empty)
        if counted:
            yield _data(completion.usage_chunk(record))
        yield _DONE
    except Exception as error:  # noqa: BLE001 - the response has begun: only an event can tell
        yield _data(logged_failure(error, request_id).openai_body())


def _data(value: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()
