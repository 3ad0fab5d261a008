"""The chat as Gradio hands it back: messages in, plain turns out.

The page keeps a conversation in its messages alone, so nothing has to survive on the server between
two questions. What comes back from a browser is not trusted: it is only ever used as plain text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from bs4 import BeautifulSoup

from schema import Role, Turn

Message = dict[str, Any]  # {"role": ..., "content": ...}, content being text or a list of parts

MAX_TURNS = 10  # a follow-up refers to what was said just before, not an hour ago
_MAX_TURN_CHARS = 2000
_MARKER = re.compile(r"\[\d+\]")


def plain_turns(messages: Sequence[Message]) -> list[Turn]:
    """The last `MAX_TURNS` messages as plain text, oldest first; citation markers are dropped."""
    turns = [Turn(_role(message), plain_text(message)) for message in messages[-MAX_TURNS:]]
    return [Turn(turn.role, turn.content[:_MAX_TURN_CHARS]) for turn in turns if turn.content]


def api_turns(messages: Sequence[Turn]) -> tuple[Turn, ...]:
    """The last `MAX_TURNS` messages of a client's own history; citation markers are dropped."""
    turns = [Turn(turn.role, _without_markers(turn)) for turn in messages[-MAX_TURNS:]]
    return tuple(turn for turn in turns if turn.content.strip())


def _without_markers(turn: Turn) -> str:
    content = _MARKER.sub("", turn.content) if turn.role == "assistant" else turn.content
    return content[:_MAX_TURN_CHARS]


def plain_text(message: Message) -> str:
    """What was asked or answered, without labels, sources and markup."""
    soup = BeautifulSoup(_markup(message), "html.parser")
    for marker in soup.select("a.wj-cite"):
        marker.decompose()
    for line_break in soup.find_all("br"):
        line_break.replace_with("\n")
    element = soup.select_one(".wj-question, .wj-text")
    return element.get_text() if element else ""


def waits_for_answer(messages: Sequence[Message]) -> bool:
    """Whether the last message is a question."""
    return bool(messages) and _role(messages[-1]) == "user"


def _role(message: Message) -> Role:
    return "user" if message.get("role") == "user" else "assistant"


def _markup(message: Message) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part.get("text", "") for part in parts if isinstance(part, dict))
