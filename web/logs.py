"""The log: one JSON object a line on standard error, for requests, questions and all that breaks.

A line tells what happened and how long it took, not who asked what. Left out on purpose: the text
of questions and conversations, tokens, cookies, paths and query strings (they name documents), and
the address of the visitor: with the time of each question it would make the log a record of who
asked when, and what an address may do is counted by the rate limits, not here.
The operator can have the text of questions written (`log_questions`), to see what is asked.
"""

from __future__ import annotations

import logging
from typing import Any, TextIO

from pythonjsonlogger.json import JsonFormatter

from schema import Refusal
from web.answers import Asked
from web.recorded import Handled, current_request

_logger = logging.getLogger(__name__)
_MAX_QUESTION_CHARS = 1000  # the longest that is answered; a longer one is a mistake or an attack


def log_as_json(stream: TextIO) -> None:
    """Write everything that this process logs to `stream`, one JSON object a line.

    Of other packages, uvicorn's included, warnings and errors only.
    """
    formatter = JsonFormatter(
        "%(levelname)s %(name)s %(message)s",
        rename_fields={"levelname": "level", "name": "logger", "exc_info": "traceback"},
        timestamp="time",
        json_ensure_ascii=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    _logger.setLevel(logging.INFO)


class ActivityLog:
    """Writes a line for each request and each question.

    Args:
        questions: whether to write the text of questions too.
    """

    def __init__(self, *, questions: bool) -> None:
        self._questions = questions

    def request(self, handled: Handled) -> None:
        """One request that is over."""
        _logger.info(
            "request",
            extra={
                "request_id": handled.request_id,
                "method": handled.method,
                "route": handled.route,
                "status": handled.status,
                "ms": _ms(handled.seconds),
                "site": handled.site,
            },
        )

    def question(self, asked: Asked) -> None:
        """One question that is over; `request_id` joins it to its request."""
        line: dict[str, Any] = {
            # The chat page answers in a task of its own, long after the request that asked.
            "request_id": current_request.get() if asked.door != "page" else None,
            "door": asked.door,
            "outcome": asked.outcome,
            "site": asked.visitor.site,
            "ms": _ms(asked.seconds),
            **_of_reply(asked),
        }
        if self._questions:
            line["question"] = asked.question[:_MAX_QUESTION_CHARS]
        _logger.info("question", extra=line)


def _of_reply(asked: Asked) -> dict[str, Any]:
    if asked.given is None:
        return {}
    result = asked.given.result
    reply = result.reply
    return {
        "refused": isinstance(reply, Refusal),
        "reason": reply.reason if isinstance(reply, Refusal) else None,
        "confidence": round(reply.confidence, 4),
        "index_version": result.index_version,
        "stages_ms": {stage: round(value, 1) for stage, value in result.timings_ms.items()},
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
