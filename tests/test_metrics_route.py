"""web.metrics: what Prometheus reads at /metrics."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from schema import AskResult, Refusal
from tests.fakes import FakeChatService, running_server
from tests.loops import in_own_loop
from tests.servers import RunningServer
from web.answers import Asked, Given
from web.limit import AnswerLimit
from web.metrics import Metrics
from web.recorded import Handled
from web.visitor import Visitor

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    """Value by name and labels, as a Prometheus server reads them."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def read(server: RunningServer) -> Samples:
    return samples(httpx.get(f"{server.address}/metrics").text)


def requests(found: Samples) -> dict[tuple[str, str, str], float]:
    return {
        (labels[1][1], labels[0][1], labels[2][1]): value
        for (name, labels), value in found.items()
        if name == "wenju_http_requests_total"
    }


@pytest.fixture(scope="module")
def visited() -> Iterator[RunningServer]:
    """A server of its own, so that the counts are those of the requests made here."""
    with running_server("fake") as server, httpx.Client(base_url=server.address) as client:
        for question in ("港口有哪些航线？", "园区有多少企业？", "天气怎么样？", "崩溃了吗？", " "):
            client.post("/api/v1/ask", json={"question": question})
        client.post("/api/v1/search", json={"query": "园区"})
        client.post(
            "/v1/chat/completions", json={"messages": [{"role": "user", "content": "企业"}]}
        )
        for path in ("/", "/article/a", "/article/b", "/nothing/at/all", "/ui/page.js", "/x?y=z"):
            client.get(path)
        client.request("BREW", "/healthz")
        yield server


def test_the_text_is_prometheus(visited: RunningServer) -> None:
    response = httpx.get(f"{visited.address}/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert samples(response.text)


def test_requests_are_counted_by_template_never_by_path(visited: RunningServer) -> None:
    found = requests(read(visited))
    assert found["/article/{doc:path}", "GET", "404"] == 2
    assert found["/api/v1/ask", "POST", "200"] == 3
    assert found["/api/v1/ask", "POST", "400"] == 1
    assert found["/api/v1/ask", "POST", "500"] == 1
    assert found["/ui/{path}", "GET", "200"] == 1
    assert found["/", "GET", "200"] == 1
    assert found["none", "GET", "404"] == 2
    assert found["none", "OTHER", "405"] == 1
    assert "nothing" not in str(found)


def test_questions_are_counted_by_door_and_outcome(visited: RunningServer) -> None:
    found = {
        tuple(value for _, value in labels): count
        for (name, labels), count in read(visited).items()
        if name == "wenju_questions_total"
    }
    assert found == {
        ("api", "answered"): 2,
        ("api", "refused"): 1,
        ("api", "failed"): 1,
        ("api", "bad_question"): 1,
        ("search", "found"): 1,
        ("openai", "answered"): 1,
    }


def test_refusals_are_counted_by_reason(visited: RunningServer) -> None:
    assert read(visited)["wenju_refusals_total", (("reason", "nothing_found"),)] == 1


def test_the_index_that_answers_is_named(visited: RunningServer) -> None:
    found = read(visited)
    assert found["wenju_index_info", (("version", "fake-1"),)] == 1
    assert found["wenju_index_documents", ()] == 3


def test_the_process_tells_when_it_started(visited: RunningServer) -> None:
    assert read(visited)["process_start_time_seconds", ()] > 1.7e9


def test_no_label_holds_what_was_asked_or_from_where(visited: RunningServer) -> None:
    text = httpx.get(f"{visited.address}/metrics").text
    assert not re.search(r"航线|企业|园区|127\.0\.0\.1", text)


def metrics_of(limit: AnswerLimit | None = None) -> Metrics:
    return Metrics(FakeChatService(), limit or AnswerLimit(concurrent=1, waiting=1))


def test_time_is_told_by_stage_in_seconds() -> None:
    metrics = metrics_of()
    stages = {"understand": 1.0, "retrieve": 8.0, "read": 41.0, "rank": 2.0, "compose": 3.0}
    reply = Refusal("没有。", "unmet_year")
    result = AskResult("问", reply, {**stages, "total": 55.0, "unheard_of": 1.0}, "v")
    metrics.question(Asked("page", Visitor("::1"), "问", "refused", 1.0, Given("1", result)))
    found = samples(metrics.text().decode())
    told = {
        labels[0][1]: round(value * 1000, 6)
        for (name, labels), value in found.items()
        if name == "wenju_question_seconds_sum"
    }
    assert told == {**stages, "total": 55.0}
    bucket = (("le", "0.05"), ("stage", "read"))
    assert found["wenju_question_seconds_bucket", bucket] == 1


def test_two_servers_in_one_process_count_apart() -> None:
    one, other = metrics_of(), metrics_of()
    one.request(Handled("1", "GET", "/", 200, 0.1, ""))
    assert requests(samples(one.text().decode())) == {("/", "GET", "200"): 1}
    assert requests(samples(other.text().decode())) == {}


def test_questions_under_way_and_waiting_are_told() -> None:
    async def ask_twice() -> list[tuple[float, float]]:
        limit = AnswerLimit(concurrent=1, waiting=3)
        metrics = metrics_of(limit)
        release = threading.Event()
        asked = [asyncio.create_task(limit.run(release.wait)) for _ in range(3)]
        await asyncio.sleep(0)
        seen = [under_way(metrics)]
        release.set()
        await asyncio.gather(*asked)
        return [*seen, under_way(metrics)]

    def under_way(metrics: Metrics) -> tuple[float, float]:
        found = samples(metrics.text().decode())
        return found["wenju_questions_running", ()], found["wenju_questions_waiting", ()]

    assert in_own_loop(ask_twice()) == [(1, 2), (0, 0)]
