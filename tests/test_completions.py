"""web.completions: what OpenAI's own client sees of a real server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageParam

from errors import BadQuestionError
from schema import Turn
from tests.fakes import FIRMS, PARK, PORT, ROUTES, hurry, running_server
from tests.loops import in_own_loop
from tests.servers import RunningServer
from web.completions import ChatMessage, Part, asked_in

ROUTES_QUESTION = "港口开通了哪些航线？"
ROUTES_ANSWER = (
    "港口开通近洋航线14条，直达日本、韩国和东南亚的主要口岸[1]。企业从下单到收货平均缩短了三天[2]。"
)


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.address}/v1", api_key="none", max_retries=0) as client:
        yield client


def user(text: str) -> ChatCompletionMessageParam:
    return {"role": "user", "content": text}


def ask(client: OpenAI, *messages: ChatCompletionMessageParam) -> ChatCompletion:
    return client.chat.completions.create(model="wenju", messages=list(messages))


def stream(client: OpenAI, question: str, **options: Any) -> list[ChatCompletionChunk]:
    chunks: Iterator[ChatCompletionChunk] = client.chat.completions.create(
        model="wenju", messages=[user(question)], stream=True, **options
    )
    return list(chunks)


def beside(model: ChatCompletion | ChatCompletionChunk) -> dict[str, Any]:
    """The fields that OpenAI does not know."""
    return model.model_extra or {}


def texts(chunks: Sequence[ChatCompletionChunk]) -> list[str]:
    found = [choice.delta.content for chunk in chunks for choice in chunk.choices]
    return [text for text in found if text]


def test_an_answer_is_a_completion(client: OpenAI) -> None:
    completion = ask(client, user(ROUTES_QUESTION))
    assert completion.object == "chat.completion"
    assert completion.id.startswith("chatcmpl-")
    assert completion.model == "wenju"
    assert abs(completion.created - time.time()) < 60
    (choice,) = completion.choices
    assert choice.message.role == "assistant"
    assert choice.message.content == ROUTES_ANSWER
    assert choice.finish_reason == "stop"


def test_the_citations_come_with_it(client: OpenAI) -> None:
    extra = beside(ask(client, user(ROUTES_QUESTION)))
    assert [(one["n"], one["doc"]) for one in extra["citations"]] == [(1, PORT.doc), (2, PORT.doc)]
    first = extra["citations"][0]
    assert first["quote"] == ROUTES
    assert "".join(PORT.original[first["start"] : first["end"]].split()) == ROUTES
    assert (extra["refused"], extra["confidence"]) == (False, 0.9)
    assert extra["index_version"] == "fake-1"
    assert extra["suggestions"] == []


def test_usage_counts_characters(client: OpenAI) -> None:
    usage = ask(client, user(ROUTES_QUESTION)).usage
    assert usage is not None
    assert usage.prompt_tokens == len(ROUTES_QUESTION)
    assert usage.completion_tokens == len(ROUTES_ANSWER)
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_a_refusal_is_ordinary_content_with_related_passages(client: OpenAI) -> None:
    completion = ask(client, user("今天天气怎么样？"))
    assert "没有找到" in (completion.choices[0].message.content or "")
    assert completion.choices[0].message.refusal is None
    assert beside(completion)["refused"] is True
    assert beside(completion)["citations"] == []
    assert [one["quote"] for one in beside(completion)["suggestions"]] == [FIRMS, ROUTES]


def test_a_follow_up_is_understood_from_the_earlier_messages(client: OpenAI) -> None:
    earlier: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": "你是一个诗人。"},
        user("港口去年吞吐量多少？"),
        {"role": "assistant", "content": "128.6万标箱[1]。"},
    ]
    completion = ask(client, *earlier, user("那企业呢？"))
    assert completion.choices[0].message.content == "园区落户企业231家[1]。"
    assert beside(completion)["citations"][0]["doc"] == PARK.doc


def test_the_answer_can_be_rated_by_its_id(tmp_path: Any) -> None:
    with (
        running_server("fake", feedback=str(tmp_path / "feedback.sqlite")) as server,
        OpenAI(base_url=f"{server.address}/v1", api_key="none") as client,
    ):
        answer_id = beside(ask(client, user(ROUTES_QUESTION)))["answer_id"]
        body = {"answer_id": answer_id, "rating": "up"}
        assert httpx.post(f"{server.address}/api/v1/feedback", json=body).status_code == 200


def test_content_in_parts_is_one_text(client: OpenAI) -> None:
    parts: ChatCompletionMessageParam = {
        "role": "user",
        "content": [{"type": "text", "text": "港口开通了"}, {"type": "text", "text": "哪些航线？"}],
    }
    assert ask(client, parts).choices[0].message.content == ROUTES_ANSWER


def test_parameters_that_steer_a_language_model_have_no_effect(client: OpenAI) -> None:
    completion = client.chat.completions.create(
        model="wenju",
        messages=[user(ROUTES_QUESTION)],
        temperature=1.5,
        max_tokens=1,
        n=1,
        user="somebody",
        tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}],
        extra_body={"nobody_knows": {"this": 1}},
    )
    assert completion.choices[0].message.content == ROUTES_ANSWER


def test_a_stream_begins_with_the_role_and_goes_on_by_statements(client: OpenAI) -> None:
    chunks = stream(client, ROUTES_QUESTION)
    assert chunks[0].choices[0].delta.role == "assistant"
    first, second = texts(chunks)
    assert first + second == ROUTES_ANSWER
    assert first.endswith("[1]。")
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices]
    assert reasons == [None, None, None, "stop"]
    assert all(chunk.usage is None for chunk in chunks)


def test_the_last_chunk_of_a_stream_holds_the_citations(client: OpenAI) -> None:
    last = stream(client, ROUTES_QUESTION)[-1]
    assert [one["n"] for one in beside(last)["citations"]] == [1, 2]
    assert beside(last)["refused"] is False
    assert beside(last)["index_version"] == "fake-1"


def test_usage_comes_at_the_end_of_a_stream_where_asked_for(client: OpenAI) -> None:
    *_, finish, counted = stream(client, ROUTES_QUESTION, stream_options={"include_usage": True})
    assert finish.choices[0].finish_reason == "stop"
    assert counted.choices == []
    assert counted.usage is not None
    assert counted.usage.completion_tokens == len(ROUTES_ANSWER)


def test_a_stream_on_the_wire_ends_with_done(server: RunningServer) -> None:
    body = {"messages": [user(ROUTES_QUESTION)], "stream": True}
    response = httpx.post(f"{server.address}/v1/chat/completions", json=body)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-accel-buffering"] == "no"
    *chunks, done, rest = response.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    assert all(json.loads(chunk.removeprefix("data: ")) for chunk in chunks)


def test_the_streaming_helper_of_the_client_puts_it_together(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model="wenju", messages=[user(ROUTES_QUESTION)]
    ) as streamed:
        final = streamed.get_final_completion()
    assert final.choices[0].message.content == ROUTES_ANSWER


def test_the_asynchronous_client_works_too(server: RunningServer) -> None:
    async def both() -> tuple[str | None, str]:
        address = f"{server.address}/v1"
        async with AsyncOpenAI(base_url=address, api_key="none") as client:
            whole = await client.chat.completions.create(
                model="wenju", messages=[user(ROUTES_QUESTION)]
            )
            chunks = await client.chat.completions.create(
                model="wenju", messages=[user(ROUTES_QUESTION)], stream=True
            )
            parts = [chunk async for chunk in chunks]
        return whole.choices[0].message.content, "".join(texts(parts))

    assert in_own_loop(both()) == (ROUTES_ANSWER, ROUTES_ANSWER)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param({"n": 2}, "n", id="several answers"),
        pytest.param({"messages": []}, "messages", id="no message"),
        pytest.param({"messages": "问题"}, "messages", id="messages is a text"),
        pytest.param({"messages": [{"role": "robot", "content": "问"}]}, "messages", id="role"),
        pytest.param({"messages": [{"role": "system", "content": "问"}]}, "user", id="nobody asks"),
        pytest.param({"messages": [{"role": "user", "content": " "}]}, "问题", id="empty"),
        pytest.param({"messages": [{"role": "user"}]}, "问题", id="no content"),
        pytest.param({"messages": [{"role": "user", "content": "问\ud800"}]}, "字符", id="broken"),
        pytest.param(
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "这是什么？"},
                            {"type": "image_url", "image_url": {"url": "http://evil.test/a.png"}},
                        ],
                    }
                ]
            },
            "图片",
            id="an image",
        ),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_what_cannot_be_asked_is_a_bad_request(
    server: RunningServer, change: dict[str, Any], named: str, streamed: bool
) -> None:
    body = {"model": "wenju", "messages": [user("问")], "stream": streamed} | change
    headers = {"content-type": "application/json"}
    url = f"{server.address}/v1/chat/completions"
    response = httpx.post(url, content=json.dumps(body), headers=headers)
    error = response.json()["error"]
    assert response.status_code == 400
    assert named in error["message"]
    assert (error["type"], error["param"]) == ("invalid_request_error", None)


def test_the_client_raises_its_own_errors(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="请先输入一个问题"):
        ask(client, user(" "))
    with pytest.raises(openai.NotFoundError, match="wenju") as unknown:
        client.chat.completions.create(model="gpt-4o", messages=[user("问")])
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.APIStatusError, match="1000 个字以内") as long:
        ask(client, user("问" * 1001))
    assert long.value.status_code == 413


def test_who_asks_too_often_is_told_when_to_come_back(client: OpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        ask(client, user("太频繁了吗？"))
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.type == "rate_limit_error"


def test_a_failure_is_a_sentence_with_the_number_of_the_request(client: OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client, user("崩溃了吗？"))
    assert caught.value.request_id
    assert caught.value.request_id in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_failure_after_the_start_of_a_stream_is_an_error_in_it(client: OpenAI) -> None:
    with pytest.raises(openai.APIError, match="请稍后再试") as caught:
        stream(client, "崩溃了吗？")
    assert not isinstance(caught.value, openai.APIStatusError)  # the stream had begun
    assert "secret" not in str(caught.value)


async def slow(client: AsyncOpenAI) -> openai.InternalServerError | ChatCompletion:
    try:
        return await client.chat.completions.create(model="wenju", messages=[user("慢吗？")])
    except openai.InternalServerError as error:
        return error


def test_a_server_at_its_limit_says_so(server: RunningServer) -> None:
    async def many() -> list[openai.InternalServerError | ChatCompletion]:
        address = f"{server.address}/v1"
        async with AsyncOpenAI(base_url=address, api_key="none", max_retries=0) as client:
            asked = asyncio.as_completed([slow(client) for _ in range(4)])
            at_once = [await next(asked), await next(asked)]
            hurry(server)
            return [*at_once, *[await answer for answer in asked]]

    outcomes = in_own_loop(many())
    refused = [item for item in outcomes if isinstance(item, openai.InternalServerError)]
    assert [item.status_code for item in refused] == [503, 503]
    assert refused[0].response.headers["retry-after"]


def test_who_leaves_a_stream_gives_the_question_up() -> None:
    with running_server("fake") as server:
        body = {"messages": [user("慢吗？")], "stream": True}
        with httpx.stream("POST", f"{server.address}/v1/chat/completions", json=body) as response:
            assert "assistant" in next(response.iter_text())
        given_up = 'wenju_questions_total{door="openai",outcome="given_up"} 1.0'
        deadline = time.monotonic() + 2  # the answer itself takes three seconds
        while given_up not in httpx.get(f"{server.address}/metrics").text:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        hurry(server)


def test_there_is_one_model(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["wenju"]
    assert client.models.retrieve("wenju").object == "model"
    for unknown in ("gpt-4o", "a/b"):
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve(unknown)


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/", "/v1/embeddings"])
def test_an_unknown_route_answers_in_openais_form(server: RunningServer, path: str) -> None:
    response = httpx.post(f"{server.address}{path}", json={})
    assert response.status_code == 404
    assert response.json()["error"]["type"] == "invalid_request_error"


def test_messages_behind_the_last_question_and_of_tools_do_not_count() -> None:
    messages = [
        ChatMessage(role="developer", content="x"),
        ChatMessage(role="user", content="一"),
        ChatMessage(role="assistant", content=None),
        ChatMessage(role="tool", content="x"),
        ChatMessage(role="assistant", content=[Part(type="text", text="二[1]。")]),
        ChatMessage(role="user", content="三"),
        ChatMessage(role="assistant", content="四"),
    ]
    assert asked_in(messages) == ("三", (Turn("user", "一"), Turn("assistant", "二。")))


def test_only_the_end_of_a_long_conversation_counts() -> None:
    messages = [ChatMessage(role="user", content=str(number)) for number in range(50)]
    question, history = asked_in(messages)
    assert question == "49"
    assert [turn.content for turn in history] == [str(number) for number in range(39, 49)]
    with pytest.raises(BadQuestionError):
        asked_in([])
