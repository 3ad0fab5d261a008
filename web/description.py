"""The HTTP API described as OpenAPI: what the routes declare, made whole.

What they cannot declare (answers, events, errors, the token) stands here; routes that are no part
of the API are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from web import responses

Json = dict[str, Any]

_REF = "#/components/schemas/{model}"
TITLE_ZH = "问据的 HTTP 接口"
ABOUT_ZH = (
    "从已收录的文档里找答案，每句话都有可以核对的引文；文档里没有的，会如实拒答。"
    "请求和回答都是 UTF-8 的 JSON。"
)
TOKEN_ZH = (
    "运营方要求凭证时，每个请求带 Authorization: Bearer 凭证。凭证由门户网站的服务器用"
    "共享密钥签发（HMAC-SHA256），短期有效；没有要求时不需要。"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of error that a client should know."""

    status: int
    code: str
    when: str  # Chinese


_MALFORMED = Fault(400, "bad_request", "请求的格式不对，或问题是空的")
_NO_TOKEN = Fault(401, "unauthorized", "需要凭证，或凭证无效、已过期")
_FORBIDDEN = Fault(403, "forbidden", "不接受来自这个网站的请求")
_NOT_FOUND = Fault(404, "not_found", "没有这个地址、文档、回答")
_NO_MODEL = Fault(404, "model_not_found", "没有这个模型")
_WRONG_METHOD = Fault(405, "method_not_allowed", "不支持这种请求方法；Allow 头列出支持的")
_TOO_SLOW = Fault(408, "too_slow", "请求的内容迟迟没有发完")
_TOO_LONG = Fault(413, "too_long", "问题或请求的内容太长")
_TOO_MANY = Fault(429, "too_many_requests", "提问过于频繁；Retry-After 头说明多少秒之后再试")
_INTERNAL = Fault(500, "internal", "系统出错；说明里的编号与 X-Request-ID 相同，请告诉管理员")
_BUSY = Fault(503, "busy", "提问的人太多；Retry-After 头说明多少秒之后再试")
_NOT_READY = Fault(503, "not_ready", "还没有索引，或正在准备")
FAULTS = (
    _MALFORMED,
    _NO_TOKEN,
    _FORBIDDEN,
    _NOT_FOUND,
    _NO_MODEL,
    _WRONG_METHOD,
    _TOO_SLOW,
    _TOO_LONG,
    _TOO_MANY,
    _INTERNAL,
    _BUSY,
    _NOT_READY,
)
_ALWAYS = (_NO_TOKEN, _FORBIDDEN, _INTERNAL)
_POSTED = (_MALFORMED, _TOO_SLOW, _TOO_LONG)
_ASKED = (*_POSTED, _TOO_MANY, _BUSY, _NOT_READY)


@dataclass(frozen=True, slots=True)
class _Given:
    """What an operation answers, beyond what its route declares."""

    model: type[BaseModel] | None  # None: plain text
    faults: tuple[Fault, ...] = ()
    example: Any = None
    stream: str | None = None  # an example of the events, where it can answer by events
    summary: str | None = None  # where the route has none
    description: str | None = None
    also: int | None = None  # another status with an answer of the same form
    public: bool = False  # needs no token


_GIVEN: Mapping[tuple[str, str], _Given] = {
    ("post", "/api/v1/ask"): _Given(
        responses.AnswerRecord, _ASKED, responses.ANSWER, responses.EVENTS
    ),
    ("post", "/api/v1/search"): _Given(responses.SearchResult, _ASKED),
    ("get", "/api/v1/documents"): _Given(responses.DocumentList, (_MALFORMED,)),
    ("get", "/api/v1/documents/{doc}"): _Given(responses.Document, (_MALFORMED, _NOT_FOUND)),
    ("post", "/api/v1/feedback"): _Given(
        responses.FeedbackStored, (*_POSTED, _NOT_FOUND), {"status": "stored"}
    ),
    ("post", "/v1/chat/completions"): _Given(
        responses.ChatCompletion, (*_ASKED, _NO_MODEL), responses.COMPLETION, responses.CHUNKS
    ),
    ("get", "/v1/models"): _Given(responses.ModelList),
    ("get", "/v1/models/{model_id}"): _Given(responses.Model, (_NO_MODEL,)),
    ("get", "/healthz"): _Given(
        responses.Alive,
        summary="是否在运行",
        description="进程在运行就返回 200。",
        example={"status": "ok"},
        public=True,
    ),
    ("get", "/readyz"): _Given(
        responses.Ready,
        summary="能否作答",
        description="能作答时返回 200；还没有文档时返回 503，内容的形式相同。",
        example={"status": "ready", "index_version": "20261122-1", "documents": 2},
        also=503,
        public=True,
    ),
    ("get", "/metrics"): _Given(
        None,
        summary="Prometheus 指标",
        description=(
            "按路由的请求数、按步骤的用时、问题与拒答数、在答和等待的问题数、索引的版本和文档数。"
            "不含问题的文字和来访者的地址。"
        ),
        public=True,
    ),
}
_STATE_TAG = "运行状态"
_PARAMETERS_ZH = {
    "doc": "文档的路径，需作百分号编码",
    "model_id": "模型的名称",
    "accept": "text/event-stream：逐步返回；否则返回一条记录",
}


def describe(declared: Json, *, token: bool) -> Json:
    """The whole OpenAPI description.

    Args:
        declared: what FastAPI makes of the routes; routes that are no part of the API are left out.
        token: whether this server demands one.
    """
    models = [given.model for given in _GIVEN.values() if given.model]
    models += [responses.Error, responses.OpenAIError]
    _, made = models_json_schema([(model, "serialization") for model in models], ref_template=_REF)
    paths: Json = {}
    for (method, path), given in _GIVEN.items():
        if operation := declared["paths"].get(path, {}).get(method):
            paths.setdefault(path, {})[method] = _operation(operation, path, given, token)
    schemas = declared.get("components", {}).get("schemas", {}) | made["$defs"]
    return {
        "openapi": declared["openapi"],
        "info": {"title": TITLE_ZH, "version": "1", "description": ABOUT_ZH},
        "paths": paths,
        "components": {
            "schemas": {name: schemas[name] for name in sorted(_used(paths, schemas))},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": TOKEN_ZH}
            },
        },
    }


def _operation(declared: Json, path: str, given: _Given, token: bool) -> Json:
    operation = {
        "tags": declared.get("tags", [_STATE_TAG]),
        "operationId": declared["operationId"],
        "summary": given.summary or declared["summary"],
        "description": given.description or declared.get("description", ""),
    }
    if parameters := declared.get("parameters"):
        operation["parameters"] = [
            {"description": _PARAMETERS_ZH.get(item["name"], "")} | item for item in parameters
        ]
    if body := declared.get("requestBody"):
        operation["requestBody"] = body
    operation["responses"] = {"200": _answer(given)} | _failures(path, given)
    if given.also is not None:
        operation["responses"][str(given.also)] = _answer(given) | {"description": "形式相同"}
    if not given.public:
        operation["security"] = [{"bearer": []}] if token else [{}, {"bearer": []}]
    return operation


def _answer(given: _Given) -> Json:
    if given.model is None:
        return {"description": "文本", "content": {"text/plain": {"schema": {"type": "string"}}}}
    record: Json = {"schema": {"$ref": _REF.format(model=given.model.__name__)}}
    if given.example is not None:
        record["example"] = given.example
    content = {"application/json": record}
    if given.stream is not None:
        text = {"type": "string", "description": "事件，每个以空行结束；以冒号开头的行不必理会"}
        content["text/event-stream"] = {"schema": text, "example": given.stream}
    return {"description": "成功", "content": content}


def _failures(path: str, given: _Given) -> Json:
    """By status; where two kinds of error share one, both are told."""
    model = responses.OpenAIError if path.startswith("/v1/") else responses.Error
    form = {"application/json": {"schema": {"$ref": _REF.format(model=model.__name__)}}}
    found: Json = {}
    for fault in () if given.public else (*_ALWAYS, *given.faults):
        text = f"{fault.code}：{fault.when}"
        entry = found.setdefault(str(fault.status), {"description": text, "content": form})
        if entry["description"] != text:
            entry["description"] += f"；{text}"
    for status in found.keys() & {"429", "503"}:
        seconds = {"description": "多少秒之后再试", "schema": {"type": "integer"}}
        found[status]["headers"] = {"Retry-After": seconds}
    return dict(sorted(found.items()))


def _used(value: object, schemas: Json) -> set[str]:
    """Names of the schemas that `value` refers to, directly or not."""
    used: set[str] = set()
    waiting = list(_references(value))
    while waiting:
        name = waiting.pop()
        if name not in used:
            used.add(name)
            waiting += _references(schemas[name])
    return used


def _references(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(reference := value.get("$ref"), str):
            yield reference.rpartition("/")[2]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)
