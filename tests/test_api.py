"""web.api and web.events: questions, search, documents and feedback over HTTP, on a real server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.fakes import (
    FIRMS,
    PARK,
    PARK_DOC,
    PORT,
    PORT_DOC,
    ROUTES,
    SHIPS,
    cite,
    hurry,
    running_server,
)
from tests.loops import in_own_loop
from tests.servers import RunningServer
from web.events import statements
from web.feedback import FeedbackStore

Event = tuple[str, dict[str, Any]]

EVENTS = {"Accept": "text/event-stream"}
ROUTES_ANSWER = (
    "港口开通近洋航线14条，直达日本、韩国和东南亚的主要口岸[1]。企业从下单到收货平均缩短了三天[2]。"
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api") / "feedback.sqlite"


@pytest.fixture(scope="module")
def own_server(store: Path) -> Iterator[RunningServer]:
    with running_server("fake", feedback=str(store)) as server:
        yield server


@pytest.fixture(scope="module")
def client(own_server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=own_server.address, timeout=10) as client:
        yield client


def ask(client: httpx.Client, question: str, **fields: Any) -> dict[str, Any]:
    response = client.post("/api/v1/ask", json={"question": question, **fields})
    assert response.status_code == 200
    record: dict[str, Any] = response.json()
    return record


def events(text: str) -> list[Event]:
    """As a browser's EventSource reads them; comments are passed over."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def stream(client: httpx.Client, question: str) -> list[Event]:
    response = client.post("/api/v1/ask", json={"question": question}, headers=EVENTS)
    assert response.headers["content-type"].startswith("text/event-stream")
    return events(response.text)


# Questions


def test_an_answer_is_a_record_with_its_citations(client: httpx.Client) -> None:
    record = ask(client, "港口有哪些航线？")
    assert record["question"] == "港口有哪些航线？"
    assert record["answer"] == ROUTES_ANSWER
    assert record["short_answer"] == "14条"
    assert (record["refused"], record["confidence"]) == (False, 0.9)
    assert [citation["n"] for citation in record["citations"]] == [1, 2]
    assert record["suggestions"] == []
    assert record["timings_ms"] == {"total": 1.0}
    assert record["index_version"] == "fake-1"


def test_a_quotation_stands_where_the_record_says(client: httpx.Client) -> None:
    citation = ask(client, "港口有哪些航线？")["citations"][0]
    assert citation["doc"] == PORT_DOC
    assert "".join(PORT.original[citation["start"] : citation["end"]].split()) == ROUTES
    assert citation["quote"] == ROUTES


def test_a_refusal_is_a_record_with_related_passages(client: httpx.Client) -> None:
    record = ask(client, "天气怎么样？")
    assert record["refused"] is True
    assert record["short_answer"] is None
    assert record["citations"] == []
    assert [one["quote"] for one in record["suggestions"]] == [FIRMS, ROUTES]


def test_every_answer_has_an_id_of_its_own(client: httpx.Client) -> None:
    assert len({ask(client, "港口有哪些航线？")["id"] for _ in range(3)}) == 3


def test_a_follow_up_is_understood_with_the_history(client: httpx.Client) -> None:
    history = [
        {"role": "user", "content": "港口吞吐量多少？"},
        {"role": "assistant", "content": "128.6万标箱[1]。"},
    ]
    record = ask(client, "那企业呢？", history=history)
    assert record["answer"] == "园区落户企业231家[1]。"
    assert record["standalone_question"] == "园区去年落户了多少家企业？"


def test_a_session_remembers_what_was_said(client: httpx.Client) -> None:
    ask(client, "港口吞吐量多少？", session="one")
    assert ask(client, "那企业呢？", session="one")["standalone_question"]
    assert not ask(client, "那企业呢？", session="another")["standalone_question"]
    assert not ask(client, "那企业呢？")["standalone_question"]


def test_a_history_of_its_own_counts_before_the_session(client: httpx.Client) -> None:
    ask(client, "港口吞吐量多少？", session="two")
    assert not ask(client, "那企业呢？", session="two", history=[])["standalone_question"]


# Events


def test_events_come_in_the_order_of_the_contract(client: httpx.Client) -> None:
    names = [name for name, _ in stream(client, "港口有哪些航线？")]
    assert names == ["status"] * 3 + ["delta"] * 2 + ["citations", "done"]


def test_the_stages_are_told_in_chinese(client: httpx.Client) -> None:
    told = [data for name, data in stream(client, "港口有哪些航线？") if name == "status"]
    assert [data["stage"] for data in told] == ["retrieve", "read", "compose"]
    assert all(data["text"].startswith("正在") for data in told)


def test_the_deltas_together_are_the_answer(client: httpx.Client) -> None:
    told = stream(client, "港口有哪些航线？")
    deltas = [data["text"] for name, data in told if name == "delta"]
    assert "".join(deltas) == ROUTES_ANSWER
    assert dict(told)["done"]["answer"] == ROUTES_ANSWER
    assert dict(told)["citations"]["citations"] == dict(told)["done"]["citations"]


def test_a_refusal_streams_its_sentence_and_the_related_passages(client: httpx.Client) -> None:
    told = dict(stream(client, "天气怎么样？"))
    assert "没有找到" in told["delta"]["text"]
    assert told["citations"]["citations"] == []
    assert len(told["citations"]["suggestions"]) == 2
    assert told["done"]["refused"] is True


def test_the_first_event_comes_before_the_answer_is_found(
    client: httpx.Client, own_server: RunningServer
) -> None:
    body = {"question": "慢吗？"}
    began = time.monotonic()
    with client.stream("POST", "/api/v1/ask", json=body, headers=EVENTS) as response:
        assert "retrieve" in next(response.iter_text())
        assert time.monotonic() - began < 2  # the answer takes three seconds
    hurry(own_server)  # else it would hold its place while others are asked


def test_who_leaves_a_stream_gives_the_question_up() -> None:
    with running_server("fake") as server:
        body = {"question": "慢吗？"}
        with httpx.stream(
            "POST", f"{server.address}/api/v1/ask", json=body, headers=EVENTS
        ) as response:
            next(response.iter_text())
        given_up = 'wenju_questions_total{door="api",outcome="given_up"} 1.0'
        deadline = time.monotonic() + 2
        while given_up not in httpx.get(f"{server.address}/metrics").text:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        hurry(server)


def test_a_stream_is_neither_buffered_nor_stored(client: httpx.Client) -> None:
    response = client.post("/api/v1/ask", json={"question": "航线"}, headers=EVENTS)
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["cache-control"] == "no-cache"
    assert "content-encoding" not in response.headers


def test_what_breaks_in_a_stream_is_its_last_event(client: httpx.Client) -> None:
    *_, (name, data) = stream(client, "崩溃了吗？")
    assert name == "error"
    assert data["error"]["code"] == "internal"
    assert "secret" not in str(data)


@pytest.mark.parametrize("headers", [{}, EVENTS], ids=["JSON", "events"])
@pytest.mark.parametrize(
    ("body", "status", "code", "says"),
    [
        pytest.param({"question": " "}, 400, "bad_request", "输入一个问题", id="empty"),
        pytest.param({"question": "长" * 1001}, 413, "too_long", "1000 个字", id="long"),
        pytest.param({}, 400, "bad_request", "question", id="no question"),
        pytest.param({"question": 1}, 400, "bad_request", "question", id="a number"),
        pytest.param({"question": "问", "history": "问"}, 400, "bad_request", "history", id="text"),
        pytest.param(
            {"question": "问", "history": [{"role": "system", "content": "x"}]},
            400,
            "bad_request",
            "history",
            id="a role of language models",
        ),
        pytest.param(
            {"question": "问", "session": "x" * 129}, 413, "too_long", "session", id="long session"
        ),
        pytest.param({"question": "太频繁"}, 429, "too_many_requests", "7 秒", id="too often"),
    ],
)
def test_what_cannot_be_asked_is_an_ordinary_error(
    client: httpx.Client,
    headers: dict[str, str],
    body: dict[str, Any],
    status: int,
    code: str,
    says: str,
) -> None:
    response = client.post("/api/v1/ask", json=body, headers=headers)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert set(response.json()) == {"error"}
    assert response.json()["error"]["code"] == code
    assert says in response.json()["error"]["message"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'"question"', b"\xff\xfe", b"question=1"])
def test_what_is_no_json_object_is_a_bad_request(client: httpx.Client, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = client.post("/api/v1/ask", content=content, headers=headers)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "bad_request"


def test_who_asks_too_often_is_told_when_to_come_back(client: httpx.Client) -> None:
    response = client.post("/api/v1/ask", json={"question": "太频繁"})
    assert response.headers["retry-after"] == "7"


def test_what_breaks_is_a_sentence_with_the_number_of_the_request(client: httpx.Client) -> None:
    response = client.post("/api/v1/ask", json={"question": "崩溃"})
    assert response.status_code == 500
    assert response.headers["x-request-id"] in response.json()["error"]["message"]
    assert "secret" not in response.text


def test_a_server_at_its_limit_says_so_at_once(own_server: RunningServer) -> None:
    async def many() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=own_server.address, timeout=10) as client:
            body = {"question": "慢吗？"}
            asked = asyncio.as_completed([client.post("/api/v1/ask", json=body) for _ in range(4)])
            at_once = [await next(asked), await next(asked)]
            hurry(own_server)
            return [*at_once, *[await answer for answer in asked]]

    refused = [response for response in in_own_loop(many()) if response.status_code == 503]
    assert len(refused) == 2
    assert refused[0].json()["error"]["code"] == "busy"
    assert int(refused[0].headers["retry-after"]) > 0


# Search


def test_search_gives_passages_from_the_best_on(client: httpx.Client) -> None:
    found = client.post("/api/v1/search", json={"query": "园区"}).json()
    assert (found["query"], found["index_version"]) == ("园区", "fake-1")
    scores = [passage["score"] for passage in found["passages"]]
    assert scores == sorted(scores, reverse=True)
    passage = found["passages"][-1]
    assert passage["doc"] == PARK_DOC
    assert FIRMS in passage["text"]
    kept = "".join(PARK.original[passage["start"] : passage["end"]].split())
    assert kept == "".join(passage["text"].split())


def test_search_gives_no_more_than_asked_for(client: httpx.Client) -> None:
    found = client.post("/api/v1/search", json={"query": "的", "top_k": 1}).json()
    assert len(found["passages"]) == 1


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"query": " "}, 400, "请输入要检索的词"),
        ({"query": "？！"}, 400, "请输入要检索的词"),
        ({}, 400, "query"),
        ({"query": "词" * 1001}, 413, "query"),
        ({"query": "词", "top_k": 0}, 400, "top_k"),
        ({"query": "词", "top_k": 101}, 400, "top_k"),
    ],
)
def test_a_search_for_nothing_is_a_bad_request(
    client: httpx.Client, body: dict[str, Any], status: int, says: str
) -> None:
    response = client.post("/api/v1/search", json=body)
    assert response.status_code == status
    assert says in response.json()["error"]["message"]


# Documents


def test_documents_are_listed_with_what_is_known_of_them(client: httpx.Client) -> None:
    listed = client.get("/api/v1/documents").json()
    assert (listed["total"], listed["index_version"]) == (3, "fake-1")
    assert [one["doc"] for one in listed["documents"]][1] == PARK_DOC
    assert listed["documents"][1] == {
        "doc": PARK_DOC,
        "title": PARK.title,
        "date": "2025-03-30",
        "chars": len(PARK.text),
        "chunks": 3,
        "warnings": [],
    }


def test_a_long_list_comes_in_parts(client: httpx.Client) -> None:
    part = client.get("/api/v1/documents?offset=1&limit=1").json()
    assert [one["doc"] for one in part["documents"]] == [PARK_DOC]
    assert part["total"] == 3
    assert client.get("/api/v1/documents?offset=9").json()["documents"] == []


@pytest.mark.parametrize("query", ["offset=-1", "limit=0", "limit=1001", "limit=x"])
def test_a_part_that_cannot_be_is_a_bad_request(client: httpx.Client, query: str) -> None:
    response = client.get(f"/api/v1/documents?{query}")
    assert response.status_code == 400
    assert query.partition("=")[0] in response.json()["error"]["message"]


def test_a_document_comes_with_its_quotations_marked(client: httpx.Client) -> None:
    spans = [cite(1, PORT, SHIPS).span, cite(2, PORT, ROUTES).span]
    query = "&".join(f"start={span.start}&end={span.end}" for span in spans)
    document = client.get(f"/api/v1/documents/{quote(PORT_DOC, safe='')}?{query}").json()
    assert (document["doc"], document["title"]) == (PORT_DOC, PORT.title)
    runs = [run for block in document["blocks"] for run in block["runs"]]
    assert [run["text"] for run in runs if run["quoted"]] == [SHIPS, ROUTES]
    assert "".join(run["text"] for run in document["original"]) == PORT.original
    marked = "".join(run["text"] for run in document["original"] if run["quoted"])
    assert "".join(marked.split()) == SHIPS + ROUTES


@pytest.mark.parametrize("query", ["", "start=5", "start=9&end=3", "start=0&end=99999999"])
def test_spans_that_fit_nowhere_mark_nothing(client: httpx.Client, query: str) -> None:
    document = client.get(f"/api/v1/documents/{quote(PARK_DOC)}?{query}").json()
    assert not any(run["quoted"] for run in document["original"])


@pytest.mark.parametrize("doc", ["没有.txt", "..%2F..%2Ferrors.py", "%00", "a/b/c"])
def test_an_unknown_document_is_not_found(client: httpx.Client, doc: str) -> None:
    response = client.get(f"/api/v1/documents/{doc}")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"


# Feedback


def test_feedback_is_stored_with_the_question_and_the_answer(
    client: httpx.Client, store: Path
) -> None:
    record = ask(client, "港口有哪些航线？")
    said = {"answer_id": record["id"], "rating": "down", "problem": "citation", "comment": " 不对 "}
    response = client.post("/api/v1/feedback", json=said)
    assert response.json() == {"status": "stored"}
    (entry,) = [
        one for one in FeedbackStore(store).entries() if one.feedback.answer_id == record["id"]
    ]
    assert (entry.feedback.rating, entry.feedback.problem) == ("down", "citation")
    assert entry.feedback.comment == "不对"
    assert entry.record | {"rateable": True} == record


def test_feedback_on_an_unknown_answer_says_that_it_is_not_stored(client: httpx.Client) -> None:
    response = client.post("/api/v1/feedback", json={"answer_id": "none", "rating": "up"})
    assert response.status_code == 404
    assert "没有存下" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rating": "maybe"}, "rating"),
        ({"problem": "spelling"}, "problem"),
        ({"answer_id": None}, "answer_id"),
    ],
)
def test_feedback_that_is_none_is_a_bad_request(
    client: httpx.Client, change: dict[str, Any], says: str
) -> None:
    response = client.post("/api/v1/feedback", json={"answer_id": "x", "rating": "up"} | change)
    assert response.status_code == 400
    assert says in response.json()["error"]["message"]


def test_without_a_file_for_it_feedback_is_not_taken(server: RunningServer) -> None:
    body = {"answer_id": "x", "rating": "up"}
    response = httpx.post(f"{server.address}/api/v1/feedback", json=body)
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("answer", "parts"),
    [
        ("甲[1]；乙[2]。", ["甲[1]；", "乙[2]。"]),
        ("甲。", ["甲。"]),
        ("甲", ["甲"]),
        ("甲？乙！丙", ["甲？", "乙！", "丙"]),
    ],
)
def test_an_answer_is_cut_behind_its_statements(answer: str, parts: list[str]) -> None:
    assert statements(answer) == parts
