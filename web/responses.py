"""What the HTTP API answers, as OpenAPI shows it: the records of CONTRACT.md with every field told.

The routes build plain dictionaries (qa.record); these models only describe them, and the tests hold
the one against the other.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


def _described(zh: str) -> ConfigDict:
    """Nothing but the fields named here, and a description in Chinese."""
    return ConfigDict(extra="forbid", json_schema_extra={"description": zh})


Doc = Annotated[str, Field(description="文档：建库时所给文件夹之下的路径")]
Title = Annotated[str | None, Field(description="文档的标题；没有时为 null")]
Date = Annotated[
    str | None, Field(description="文档自己的日期，如 2025、2025-03、2025-03-30；不知道时为 null")
]
Start = Annotated[int, Field(description="在原文中的起点（Unicode 码点，含）")]
End = Annotated[int, Field(description="在原文中的终点（不含）")]
Version = Annotated[str, Field(description="作答所用索引的版本")]


class Citation(BaseModel):
    """One quotation."""

    model_config = _described("一处引文，可在原文中找到")

    n: int = Field(description="回答里 [n] 的号码；相关段落为 0")
    doc: Doc
    title: Title
    date: Date
    start: Start
    end: End
    quote: str = Field(description="引文：整理后的原句；去掉空白后与原文 start 到 end 一致")


class AnswerRecord(BaseModel):
    """The answer record."""

    model_config = _described("回答记录")

    id: str = Field(description="回答的编号；评价时用")
    question: str = Field(description="问题")
    answer: str = Field(description="回答，每句后有引文标记 [n]；拒答时是一句说明")
    short_answer: str | None = Field(
        description="最短的完整答案（数字连单位、名称、日期，多项以、相连）；没有时为 null"
    )
    refused: bool = Field(description="文档里没有答案时为 true")
    reason: str | None = Field(
        description="拒答的原因，供程序区分，如 nothing_found、small_talk（只是招呼）；否则为 null"
    )
    confidence: float = Field(ge=0, le=1, description="把握，0 到 1，经过校准：0.8 约八成正确")
    citations: list[Citation] = Field(description="引文，依回答中的次序；拒答时为空")
    suggestions: list[Citation] = Field(
        max_length=3, description="拒答时的相关段落，最多三段；否则为空"
    )
    timings_ms: dict[str, float] = Field(
        description="各步用时（毫秒）：understand、retrieve、read、rank、compose、total"
    )
    index_version: Version
    pending_chunks: int = Field(
        ge=0, description="索引里还没有向量、暂时只能按词找到的段数；建库完成后为 0"
    )
    standalone_question: str = Field(description="连同此前的对话所理解的问题；没有改动时可为空")
    rateable: bool = Field(description="能否评价：服务器收评价，而且问的不只是招呼")


class Passage(BaseModel):
    """A search result."""

    model_config = _described("检索到的一段")

    doc: Doc
    title: Title
    date: Date
    start: Start
    end: End
    context: str = Field(description="所在位置：标题、小标题；只供检索，不是原文")
    text: str = Field(description="整理后的文字")
    score: float = Field(description="得分，越大越相关；只在同一次检索里可比")


class SearchResult(BaseModel):
    """What a search found."""

    model_config = _described("检索结果")

    query: str = Field(description="检索词")
    passages: list[Passage] = Field(description="从最相关的一段开始")
    index_version: Version


class DocumentLine(BaseModel):
    """One line of the list."""

    model_config = _described("文档列表中的一篇")

    doc: Doc
    title: Title
    date: Date
    chars: int = Field(description="整理后的字数")
    chunks: int = Field(description="分成几段")
    warnings: list[str] = Field(description="读取时的提醒")


class DocumentList(BaseModel):
    """The list of documents."""

    model_config = _described("文档列表")

    documents: list[DocumentLine] = Field(description="按名称排序")
    total: int = Field(description="一共几篇")
    index_version: Version


class Run(BaseModel):
    """A run of text."""

    model_config = _described("一截文字")

    text: str = Field(description="文字")
    quoted: bool = Field(description="是否在所给的引文之内")


class Block(BaseModel):
    """A paragraph."""

    model_config = _described("一个段落")

    kind: Literal[
        "title", "subtitle", "byline", "date", "heading", "body", "pull_quote", "caption"
    ] = Field(description="标题、副标题、作者、日期、小标题、正文、摘引、图注")
    runs: list[Run] = Field(description="依次相连就是整段")


class Document(BaseModel):
    """A whole document."""

    model_config = _described("一篇文档")

    doc: Doc
    title: Title
    subtitle: str | None = Field(description="副标题")
    byline: str | None = Field(description="作者")
    date: Date
    date_inferred: bool = Field(description="日期是否由正文里的年份推断")
    sha256: str = Field(description="文件的 SHA-256")
    blocks: list[Block] = Field(description="整理后的各段")
    original: list[Run] = Field(description="未经整理的原文，依次相连就是全部")


class FeedbackStored(BaseModel):
    """Feedback was taken."""

    model_config = _described("评价已存下")

    status: Literal["stored"] = Field(description="stored")


class ErrorDetail(BaseModel):
    """What went wrong."""

    model_config = _described("错误的内容")

    code: str = Field(description="错误代码，见“错误”")
    message: str = Field(description="中文说明，可直接给用户看")


class Error(BaseModel):
    """The form of all errors below /api/v1."""

    model_config = _described("错误")

    error: ErrorDetail = Field(description="错误的内容")


class OpenAIErrorDetail(BaseModel):
    """What went wrong, for OpenAI's clients."""

    model_config = _described("错误的内容（OpenAI 的形式）")

    message: str = Field(description="中文说明，可直接给用户看")
    type: Literal["invalid_request_error", "rate_limit_error", "server_error"] = Field(
        description="错误的种类"
    )
    param: str | None = Field(description="总是 null")
    code: str = Field(description="错误代码，见“错误”")


class OpenAIError(BaseModel):
    """The form of all errors below /v1."""

    model_config = _described("错误（OpenAI 的形式）")

    error: OpenAIErrorDetail = Field(description="错误的内容")


class CompletionMessage(BaseModel):
    """The answer as a message."""

    model_config = _described("回答")

    role: Literal["assistant"] = Field(description="assistant")
    content: str = Field(description="回答；拒答时是一句说明")
    refusal: None = Field(description="总是 null；是否拒答见 refused")


class Choice(BaseModel):
    """The only choice."""

    model_config = _described("唯一的回答")

    index: int = Field(description="总是 0")
    message: CompletionMessage = Field(description="回答")
    logprobs: None = Field(description="总是 null")
    finish_reason: Literal["stop"] = Field(description="stop")


class Usage(BaseModel):
    """Characters, since nothing here works with tokens."""

    model_config = _described("用量，以字数计（这里不用 token）")

    prompt_tokens: int = Field(description="问题和所用对话的字数")
    completion_tokens: int = Field(description="回答的字数")
    total_tokens: int = Field(description="两者之和")


class ChatCompletion(BaseModel):
    """A completion."""

    model_config = _described("一次回答；逐步返回时，citations 等项在最后一块里")

    id: str = Field(description="编号")
    object: Literal["chat.completion"] = Field(description="chat.completion")
    created: int = Field(description="时间（Unix 秒）")
    model: Literal["wenju"] = Field(description="wenju")
    choices: list[Choice] = Field(description="只有一个")
    usage: Usage = Field(description="用量")
    citations: list[Citation] = Field(description="引文，依回答中的次序")
    suggestions: list[Citation] = Field(description="拒答时的相关段落")
    refused: bool = Field(description="文档里没有答案时为 true")
    confidence: float = Field(ge=0, le=1, description="把握，0 到 1")
    index_version: Version
    answer_id: str = Field(description="回答的编号；评价时用")


class Model(BaseModel):
    """A model."""

    model_config = _described("模型")

    id: Literal["wenju"] = Field(description="wenju")
    object: Literal["model"] = Field(description="model")
    created: int = Field(description="服务启动的时间（Unix 秒）")
    owned_by: str = Field(description="wenju")


class ModelList(BaseModel):
    """All models."""

    model_config = _described("模型列表")

    object: Literal["list"] = Field(description="list")
    data: list[Model] = Field(description="只有一个")


class Alive(BaseModel):
    """The process runs."""

    model_config = _described("进程在运行")

    status: Literal["ok"] = Field(description="ok")


class Ready(BaseModel):
    """Whether questions can be answered."""

    model_config = _described("能否作答")

    status: Literal["ready", "empty"] = Field(description="ready：可以作答；empty：还没有文档")
    index_version: Version
    documents: int = Field(description="文档数")


CITATION: dict[str, Any] = {
    "n": 1,
    "doc": "000_633663b307547015.txt",
    "title": "遇自贸区 创新促开放",
    "date": "2025",
    "start": 2817,
    "end": 2905,
    "quote": "吸引392家再制造维修企业入驻，……",
}
ANSWER: dict[str, Any] = {
    "id": "0f8b6f1c2d3e4a5b8c7d6e5f4a3b2c1d",
    "question": "入驻了多少家再制造维修企业？",
    "answer": "392家[1]。",
    "short_answer": "392家",
    "refused": False,
    "reason": None,
    "confidence": 0.93,
    "citations": [CITATION],
    "suggestions": [],
    "timings_ms": {"retrieve": 8.1, "read": 41.0, "total": 50.3},
    "index_version": "20261122-1",
    "pending_chunks": 0,
    "standalone_question": "入驻了多少家再制造维修企业？",
    "rateable": True,
}
COMPLETION: dict[str, Any] = {
    "id": "chatcmpl-5d0c",
    "object": "chat.completion",
    "created": 1795305600,
    "model": "wenju",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "392家[1]。", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 14, "completion_tokens": 8, "total_tokens": 22},
    "citations": [CITATION],
    "suggestions": [],
    "refused": False,
    "confidence": 0.93,
    "index_version": "20261122-1",
    "answer_id": ANSWER["id"],
}
EVENTS = """event: status
data: {"stage": "retrieve", "text": "正在查找相关段落……"}

event: delta
data: {"text": "392家[1]。"}

event: citations
data: {"citations": [{"n": 1, …}], "suggestions": []}

event: done
data: {"id": "…", "answer": "392家[1]。", …}
"""
CHUNKS = """data: {"id": "chatcmpl-5d0c", "object": "chat.completion.chunk", …, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, …}]}

data: {…, "choices": [{"index": 0, "delta": {"content": "392家[1]。"}, …}]}

data: {…, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "citations": [{"n": 1, …}], …}

data: [DONE]
"""  # noqa: E501
