"""The chat as Gradio hands it back: messages in, plain turns out.

The page keeps a conversation in its messages alone, so nothing has to survive on the server between
two questions. What comes back from a browser is not trusted: turns are plain text, and a
conversation that a browser has kept is shown again only after everything was taken out of it that
render.py does not write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from bs4 import BeautifulSoup, Tag
from bs4.element import PreformattedString

from schema import Role, Turn

Message = dict[str, Any]  # {"role": ..., "content": ...}, content being text or a list of parts

MAX_TURNS = 10  # a follow-up refers to what was said just before, not an hour ago
MAX_KEPT = 40  # messages that outlive a reload
_MAX_TURN_CHARS = 2000
_MAX_KEPT_CHARS = 50_000  # of the markup of one message; an answer has some five thousand
_MAX_KEPT_MARKS = 1000  # angle brackets that open; an answer has some two hundred
_MARKER = re.compile(r"\[\d+\]")
_KEPT_TAGS = frozenset(
    ("a", "blockquote", "br", "div", "h2", "h3", "mark", "p", "section", "span", "strong")
)
_KEPT_CLASS = re.compile(r"(?:wj|source|answer)-[\w-]+")
_KEPT_LINK = re.compile(r"#source-\d+|article/(?!.*\.\.)[\w.~%/?&=-]*(?:#quote)?")


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
    """Whether the last thing that was said is a question."""
    said = settled(messages)
    return bool(said) and _role(said[-1]) == "user"


def settled(messages: Sequence[Message]) -> list[Message]:
    """The messages without the line at the end that tells how far an answer has come."""
    said = list(messages)
    while said and _role(said[-1]) == "assistant" and 'class="wj-status"' in _markup(said[-1]):
        said.pop()
    return said


def kept_messages(stored: str) -> list[Message]:
    """The messages that a browser has kept, the last `MAX_KEPT`, made harmless.

    Args:
        stored: JSON of page.js, `{"messages": [{"role", "content"}, ...]}`; or anything else, of
            which nothing is taken.
    """
    try:
        found = json.loads(stored)
    except (ValueError, RecursionError):
        return []
    listed = found.get("messages") if isinstance(found, dict) else None
    messages = []
    for item in listed[-MAX_KEPT:] if isinstance(listed, list) else []:
        role = item.get("role") if isinstance(item, dict) else None
        content = item.get("content") if isinstance(item, dict) else None
        if role in ("user", "assistant") and isinstance(content, str):
            html = _harmless(content, role)
            messages += [{"role": role, "content": html}] if html else []
    return messages


def _harmless(markup: str, role: Role) -> str:
    """One line of markup with nothing in it but what render.py writes; "" if none of it is."""
    if len(markup) > _MAX_KEPT_CHARS or markup.count("<") > _MAX_KEPT_MARKS:
        return ""
    soup = BeautifulSoup(markup, "html.parser")
    root = soup.select_one(".wj-question" if role == "user" else ".wj-reply")
    if root is None or root.name not in _KEPT_TAGS:
        return ""
    for remark in [
        one for one in root.find_all(string=True) if isinstance(one, PreformattedString)
    ]:
        remark.extract()
    for tag in [one for one in root.find_all() if one.name not in _KEPT_TAGS]:
        tag.decompose()
    for tag in [root, *root.find_all()]:
        tag.attrs = {**_harmless_attributes(tag)}
    return " ".join(str(root).splitlines())


def _harmless_attributes(tag: Tag) -> dict[str, str]:
    classes = " ".join(filter(_KEPT_CLASS.fullmatch, tag.get_attribute_list("class")))
    title, link = str(tag.get("title") or ""), str(tag.get("href") or "")
    link = link if tag.name == "a" and _KEPT_LINK.fullmatch(link) else ""
    kept = {"class": classes, "href": link, "title": title}
    return {name: value for name, value in kept.items() if value}


def _role(message: Message) -> Role:
    return "user" if message.get("role") == "user" else "assistant"


def _markup(message: Message) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part.get("text", "") for part in parts if isinstance(part, dict))
