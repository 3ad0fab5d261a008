"""web.logs and web.recorded: what the log of a real server holds, and what it never does."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from serving import options_of
from settings import Settings
from tests.fakes import running_server
from tests.loops import in_own_loop
from tests.servers import RunningServer
from web.recorded import GONE, NO_ROUTE, Handled, Recorded

Line = dict[str, Any]

SECRET_WORDS = "企业名录甲乙丙"


def lines(server: RunningServer) -> list[Line]:
    """The log so far; the line for the terminal is none of it."""
    return [json.loads(line) for line in server.output().splitlines() if line.startswith("{")]


def of_request(server: RunningServer, request_id: str, message: str = "request") -> Line:
    """The one line of this kind for this request; written when the response is under way."""
    deadline = time.monotonic() + 10
    while True:
        found = [
            line
            for line in lines(server)
            if line["message"] == message and line["request_id"] == request_id
        ]
        if found or time.monotonic() > deadline:
            (only,) = found
            return only
        time.sleep(0.02)


@pytest.fixture(scope="module")
def logged() -> Iterator[RunningServer]:
    with running_server("fake") as server:
        yield server


@pytest.fixture(scope="module")
def client(logged: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=logged.address) as client:
        yield client


def test_everything_but_the_line_for_the_terminal_is_json(logged: RunningServer) -> None:
    httpx.get(f"{logged.address}/healthz")
    first, *rest = logged.output().splitlines()
    assert first.startswith("问据已启动，请在浏览器打开")
    assert all(json.loads(line) for line in rest)


def test_a_request_is_one_line(logged: RunningServer, client: httpx.Client) -> None:
    response = client.get("/article/园区.txt?start=1&end=2")
    line = of_request(logged, response.headers["x-request-id"])
    assert (line["method"], line["route"]) == ("GET", "/article/{doc:path}")
    assert (line["status"], line["site"]) == (200, "")
    assert 0 < line["ms"] < 10_000
    assert line["level"] == "INFO"
    assert abs(datetime.fromisoformat(line["time"]) - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_question_is_another_line_joined_by_the_number(
    logged: RunningServer, client: httpx.Client
) -> None:
    response = client.post("/api/v1/ask", json={"question": "港口有哪些航线？"})
    line = of_request(logged, response.headers["x-request-id"], "question")
    assert (line["door"], line["outcome"]) == ("api", "answered")
    assert (line["refused"], line["reason"], line["confidence"]) == (False, None, 0.9)
    assert line["index_version"] == "fake-1"
    assert line["stages_ms"] == {"total": 1.0}
    assert line["ms"] > 0


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_refusal_is_told_with_its_reason(
    logged: RunningServer, client: httpx.Client, accept: str
) -> None:
    body = {"question": "天气怎么样？"}
    response = client.post("/api/v1/ask", json=body, headers={"accept": accept})
    line = of_request(logged, response.headers["x-request-id"], "question")
    assert (line["outcome"], line["refused"], line["reason"]) == ("refused", True, "nothing_found")


def test_neither_words_nor_tokens_nor_addresses_are_written(
    logged: RunningServer, client: httpx.Client
) -> None:
    headers = {"Authorization": "Bearer tok-5eb63b", "Cookie": "wenju_token=coo-5eb63b"}
    body = {
        "question": f"{SECRET_WORDS}有几家？",
        "history": [{"role": "user", "content": f"{SECRET_WORDS}呢？"}],
        "session": "ses-5eb63b",
    }
    client.post("/api/v1/ask?key=que-5eb63b", json=body, headers=headers)
    client.post("/api/v1/search", json={"query": SECRET_WORDS})
    message = {"role": "user", "content": SECRET_WORDS}
    client.post("/v1/chat/completions", json={"messages": [message]})
    client.get("/nothing/pat-5eb63b?token=que-5eb63b")
    output = logged.output()
    assert not re.search(rf"{SECRET_WORDS}|5eb63b", output.encode().decode("unicode_escape"))
    assert SECRET_WORDS not in output
    assert "127.0.0.1" not in output.split("\n", 1)[1]


def test_the_operator_can_have_the_questions_written() -> None:
    with running_server("fake", log_questions=True) as server:
        history = [{"role": "user", "content": "吞吐量呢？"}]
        body = {"question": "园区有多少企业？", "history": history}
        answered = httpx.post(f"{server.address}/api/v1/ask", json=body)
        long = httpx.post(f"{server.address}/api/v1/ask", json={"question": "长" * 9000})
        line = of_request(server, answered.headers["x-request-id"], "question")
        assert line["question"] == "园区有多少企业？"
        cut = of_request(server, long.headers["x-request-id"], "question")
        assert cut["question"] == "长" * 1000
        assert "吞吐量" not in server.output()


def test_the_settings_say_whether_questions_are_written_and_by_default_they_are_not() -> None:
    assert not options_of(Settings(), {}, demo=False).log_questions
    chosen = Settings().changed({"server": {"log_questions": True}})
    assert options_of(chosen, {}, demo=False).log_questions


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("/api/v1/ask", {"question": "崩溃"}, id="JSON"),
        pytest.param("/api/v1/ask", {"question": "崩溃", "stream": True}, id="events"),
        pytest.param(
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": "崩溃"}], "stream": True},
            id="OpenAI stream",
        ),
    ],
)
def test_what_broke_is_in_the_log_and_only_there(
    logged: RunningServer, client: httpx.Client, path: str, body: Line
) -> None:
    headers = {"accept": "text/event-stream"} if "stream" in body else {}
    response = client.post(path, json=body, headers=headers)
    request_id = response.headers["x-request-id"]
    line = of_request(logged, request_id, "request failed")
    assert line["level"] == "ERROR"
    assert "RuntimeError: secret detail of the server" in line["traceback"]
    assert "secret" not in response.text
    assert request_id in response.text
    assert of_request(logged, request_id, "question")["outcome"] == "failed"


@pytest.mark.parametrize("given", ["abc-DEF_1", "a" * 64])
def test_the_number_of_a_proxy_is_taken_over(
    logged: RunningServer, client: httpx.Client, given: str
) -> None:
    response = client.get("/readyz", headers={"X-Request-ID": given})
    assert response.headers["x-request-id"] == given
    assert of_request(logged, given)["route"] == "/readyz"


@pytest.mark.parametrize("given", ["", "a" * 65, "a b", "<b>", "a.b", "é", 'x"}', "a\tb"])
def test_any_other_number_is_replaced(client: httpx.Client, given: str) -> None:
    response = client.get("/healthz", headers={b"X-Request-ID": given.encode()})
    assert re.fullmatch(r"[0-9a-f]{12}", response.headers["x-request-id"])


def test_who_leaves_before_any_answer_is_told_apart() -> None:
    async def sends_nothing(scope: Scope, receive: Receive, send: Send) -> None:
        """As what answers does when the connection is gone."""

    async def unused() -> Message:
        raise AssertionError

    async def dropped(message: Message) -> None:
        raise AssertionError

    told: list[Handled] = []
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    in_own_loop(Recorded(sends_nothing, [told.append])(scope, unused, dropped))
    assert [(one.status, one.route) for one in told] == [(GONE, NO_ROUTE)]


def test_uvicorns_own_messages_are_json_too(logged: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", logged.port)) as connection:
        connection.sendall(b"no HTTP at all\r\n\r\n")
        assert b"400" in connection.recv(1000)
    told = [line for line in lines(logged) if line["logger"] == "uvicorn.error"]
    assert told
    assert told[-1]["level"] == "WARNING"
