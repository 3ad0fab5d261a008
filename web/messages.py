"""What clients of the HTTP API send, as pydantic reads and OpenAPI shows it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Message(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(json_schema_extra={"description": "对话中的一条消息"})

    role: Literal["user", "assistant"] = Field(description="user：提问的人；assistant：问据")
    content: str = Field(max_length=20_000, description="文字")


class AskBody(BaseModel):
    """A question."""

    model_config = ConfigDict(
        json_schema_extra={
            "description": "一个问题",
            "examples": [{"question": "园区落户了多少家企业？"}],
        }
    )

    question: str = Field(description="问题，最多 1000 字")
    history: list[Message] | None = Field(
        default=None, max_length=200, description="此前的对话，从早到晚；用来理解追问"
    )
    session: str | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        description="会话编号，由调用方自定；没有给 history 时，就用这个会话此前的对话",
    )


class SearchBody(BaseModel):
    """A search."""

    model_config = ConfigDict(
        json_schema_extra={"description": "一次检索", "examples": [{"query": "保税维修"}]}
    )

    query: str = Field(max_length=1000, description="检索词")
    top_k: int = Field(default=10, ge=1, le=100, description="最多几段")


class FeedbackBody(BaseModel):
    """What somebody says of an answer."""

    model_config = ConfigDict(json_schema_extra={"description": "对一个回答的评价"})

    answer_id: str = Field(max_length=64, description="回答记录的 id")
    rating: Literal["up", "down"] = Field(description="up：有用；down：没用")
    problem: Literal["citation"] | None = Field(default=None, description="citation：引用错误")
    comment: str = Field(default="", max_length=2000, description="说明")
