"""A test set and a chatbot in, one outcome a question out, in order."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from eval.case import Case
from eval.outcome import Outcome, score
from qa.chatbot import Chatbot

_ARTICLES_KEPT = 256  # most questions of a set stay with their article; an archive may be large


def run(chatbot: Chatbot, cases: Iterable[Case]) -> list[Outcome]:
    """Ask every question once."""
    article = lru_cache(_ARTICLES_KEPT)(chatbot.article)
    return [score(case, chatbot.trace(case.question, case.history), article) for case in cases]
