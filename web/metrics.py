"""Numbers for Prometheus: what is asked, how long it takes, what answers.

Labels have few values by construction: templates of routes, stages, reasons, outcomes. No question,
path, address or site is one of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from schema import Refusal
from web.answers import Asked
from web.limit import AnswerLimit
from web.protocols import ChatService
from web.recorded import Handled

_STAGES = ("understand", "retrieve", "read", "rank", "compose", "total")
# Seconds. A stage takes from one to some hundred milliseconds; beyond ten seconds all is lost.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0)

# A third of the text, and only OpenMetrics has a use for it.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """Counts what it is told of, in a registry of its own.

    Args:
        service: whose index is reported.
        limit: whose questions under way are reported.
    """

    def __init__(self, service: ChatService, limit: AnswerLimit) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)  # start, memory, processor time, open files
        self._registry.register(_IndexCollector(service))
        self._requests = Counter(
            "wenju_http_requests",
            "Requests by template of the route",
            ("route", "method", "status"),
            registry=self._registry,
        )
        self._questions = Counter(
            "wenju_questions",
            "Questions and searches by the door they came through and what became of them",
            ("door", "outcome"),
            registry=self._registry,
        )
        self._refusals = Counter(
            "wenju_refusals",
            "Questions not answered, by reason",
            ("reason",),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "wenju_question_seconds",
            "Time spent on a question, by stage; time spent waiting is not in it",
            ("stage",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        running = Gauge(
            "wenju_questions_running", "Questions worked on now", registry=self._registry
        )
        running.set_function(lambda: limit.running)
        waiting = Gauge(
            "wenju_questions_waiting", "Questions waiting for their turn", registry=self._registry
        )
        waiting.set_function(lambda: limit.waiting)

    def request(self, handled: Handled) -> None:
        """Count one request."""
        self._requests.labels(handled.route, handled.method, str(handled.status)).inc()

    def question(self, asked: Asked) -> None:
        """Count one question, and its stages if there is a reply."""
        self._questions.labels(asked.door, asked.outcome).inc()
        if asked.given is None:
            return
        result = asked.given.result
        if isinstance(result.reply, Refusal):
            self._refusals.labels(result.reply.reason).inc()
        for stage in _STAGES:
            if stage in result.timings_ms:
                self._seconds.labels(stage).observe(result.timings_ms[stage] / 1000)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)


def metrics_router(metrics: Metrics) -> APIRouter:
    """GET /metrics."""
    router = APIRouter()

    @router.get("/metrics", response_model=None)
    def text() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return router


class _IndexCollector(Collector):
    """What answers, looked up when asked: the index can change while the server runs."""

    def __init__(self, service: ChatService) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        version = {"version": self._service.index_version}
        yield InfoMetricFamily("wenju_index", "The index that answers", value=version)
        count = len(self._service.documents())
        yield GaugeMetricFamily("wenju_index_documents", "Documents in it", value=count)
