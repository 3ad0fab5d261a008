"""A test set and a chatbot in, one outcome a question out, in order."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from errors import BadQuestionError
from eval.case import Case
from eval.outcome import Outcome, score
from qa.chatbot import Chatbot, Trace
from qa.question import understand
from schema import AskResult, Refusal

_ARTICLES_KEPT = 256  # most questions of a set stay with their article; an archive may be large


def run(chatbot: Chatbot, cases: Iterable[Case]) -> list[Outcome]:
    """Ask every question once."""
    article = lru_cache(_ARTICLES_KEPT)(chatbot.article)
    return [score(case, _trace(chatbot, case), article) for case in cases]


def _trace(chatbot: Chatbot, case: Case) -> Trace:
    """What the chatbot replies; a question that it does not take (too long) counts as refused."""
    try:
        return chatbot.trace(case.question, case.history)
    except BadQuestionError as error:
        longest = chatbot.max_question_chars
        question = understand(case.question[:longest], (), longest)
        refusal = Refusal(error.user_message, "bad_question")
        result = AskResult(case.question, refusal, {"total": 0.0}, chatbot.index_version)
        return Trace(question, (), (), result)
