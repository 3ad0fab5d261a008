"""The chat page: a ChatService becomes Gradio components and events.

The server keeps nothing of a conversation: the messages on display go to it with each question and
come back with the answer. static/page.js shows their sources in the side panel, puts buttons under
the answers, and keeps the conversation in the browser for a reload.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import gradio as gr
from gradio.themes.utils import sizes
from markupsafe import Markup

from errors import (
    BadQuestionError,
    BusyError,
    NotReadyError,
    TooManyRequestsError,
    WenjuError,
)
from web.answers import Answers, Given
from web.conversation import (
    Message,
    kept_messages,
    plain_text,
    plain_turns,
    settled,
    waits_for_answer,
)
from web.events import STAGES_ZH, status_of
from web.protocols import ChatService
from web.render import NoticeKind, notice_html, question_html, reply_html, status_html
from web.visitor import Visitor, visitor_of_request

_logger = logging.getLogger(__name__)

_FONTS = ("system-ui", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif")
_MONO_FONTS = ("ui-monospace", "Consolas", "monospace")

_HEADER = '<div class="wj-brand"><h1>问据</h1><p>从文档里找答案，每句话都有出处</p></div>'
_WELCOME = (
    '<div class="wj-greeting"><h2>想了解什么？直接问。</h2>'
    "<p>问据只根据已收录的文档作答，并标出每句话的原文出处；文档里没有的，会如实告诉您。</p></div>"
)
_EMPTY_PANEL = (
    '<div class="wj-panel-empty"><h2>来源</h2>'
    "<p>提问后，这里会显示答案引用的原文，<mark>引用的句子</mark>会像这样标出。"
    "点击答案中的 [1]，即可看到对应的句子。</p></div>"
)
_STOPPED = "这个问题没有回答完。"
_MAX_SHOWN = 200  # messages; all of them travel with each question

Shown = tuple[Any, Any]  # what a box shall hold, and the messages


@dataclass(frozen=True)
class Conversation:
    """What happens to the messages when a person does something.

    Where nothing happens, the messages are skipped, not sent back: they could overwrite a question
    that was asked in the meantime.
    """

    answers: Answers

    async def ask(
        self, question: str, messages: list[Message], request: gr.Request
    ) -> AsyncGenerator[Shown]:
        """Put the question into the chat at once, then how far the answer has come, then it.

        The question stays in the box if it is blank or if another one waits.
        """
        if not question.strip() or waits_for_answer(messages):
            yield gr.skip(), gr.skip()
            return
        said = [*messages[-_MAX_SHOWN:], {"role": "user", "content": question_html(question)}]
        box: Any = ""
        async for shown in self._answered(said, request):
            yield box, shown
            box = gr.skip()  # the next question may be in it by now

    async def again(self, messages: list[Message], request: gr.Request) -> AsyncGenerator[Any]:
        """Take the last answer back and answer its question once more."""
        said = list(messages)
        while said and not waits_for_answer(said):
            said.pop()
        if not said:
            yield gr.skip()
            return
        async for shown in self._answered(settled(said), request):
            yield shown

    def stop(self, messages: list[Message]) -> Any:
        """Give up waiting."""
        if not waits_for_answer(messages):
            return gr.skip()
        return [*settled(messages), _said(notice_html("stopped", _STOPPED))]

    def clear(self, messages: list[Message]) -> Any:
        """Begin anew; with nothing said so far, change nothing.

        What comes late would take away the question that was asked meanwhile.
        """
        return [] if messages else gr.skip()

    def restore(self, stored: str, messages: list[Message]) -> Shown:
        """Bring back what the browser has kept, unless something has been said already.

        The box that it came in is emptied, which tells the page that this is done.
        """
        if not stored:
            return gr.skip(), gr.skip()
        kept = [] if messages else kept_messages(stored)
        if waits_for_answer(kept):  # the page was left before the answer came
            kept = [*kept, _said(notice_html("stopped", _STOPPED))]
        return "", kept or gr.skip()

    async def _answered(
        self, said: Sequence[Message], request: gr.Request
    ) -> AsyncGenerator[list[Message]]:
        """The messages that end with a question, and what stands below it from moment to moment."""
        shown = STAGES_ZH["retrieve"]
        yield [*said, _said(status_html(shown))]
        visitor = visitor_of_request(request.request) if request.request else Visitor("unknown")
        try:
            question, history = plain_text(said[-1]), plain_turns(said[:-1])
            events = self.answers.stream(question, history, visitor, "page")
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, Given):
                        yield [*said, _said(self._reply(event))]
                    elif (status := status_of(event)) is not None and status[1] != shown:
                        shown = status[1]
                        yield [*said, _said(status_html(shown))]
        except WenjuError as error:
            yield [*said, _said(notice_html(_kind_of(error), error.user_message))]
        # The border to a person: whatever broke, they get a sentence and a number.
        except Exception:
            request_id = uuid.uuid4().hex[:8]
            _logger.exception("question failed, request id %s", request_id)
            text = f"系统暂时无法回答，请稍后再试。（编号 {request_id}）"
            yield [*said, _said(notice_html("error", text))]

    def _reply(self, given: Given) -> str:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return reply_html(given.result, self.answers.service.article, given.id, now)


def _kind_of(error: WenjuError) -> NoticeKind:
    match error:
        case BadQuestionError():
            return "question"
        case TooManyRequestsError():
            return "limited"
        case BusyError():
            return "busy"
        case NotReadyError():
            return "not_ready"
    return "error"


@dataclass(frozen=True)
class _Parts:
    """The components that events read and write."""

    chat: gr.Chatbot
    box: gr.Textbox
    send: gr.Button
    stop: gr.Button
    clear: gr.Button
    chips: list[gr.Button]
    behind: _Behind


@dataclass(frozen=True)
class _Behind:
    """What page.js alone works with; nobody sees it."""

    again: gr.Button
    kept: gr.Textbox
    restore: gr.Button


def chat_page(answers: Answers, *, takes_feedback: bool = False) -> gr.Blocks:
    """The page, ready to be mounted.

    Args:
        answers: what is asked.
        takes_feedback: whether the server has the route for it; else no buttons offer it.
    """
    service = answers.service
    page = gr.Blocks(title="问据", analytics_enabled=False, fill_width=True)
    with page:
        with gr.Row(elem_id="wj-header"):
            gr.Markdown(_HEADER)
            gr.Button("导出", elem_id="wj-export", size="sm")
            clear = gr.Button("新对话", elem_id="wj-clear", size="sm")
        with gr.Row(elem_id="wj-main"):
            with gr.Column(elem_id="wj-chat"):
                chips = _welcome(service)
                chat = gr.Chatbot(
                    elem_id="wj-messages",
                    label="对话",
                    show_label=False,
                    container=False,
                    buttons=[],
                    latex_delimiters=[],
                    layout="panel",
                    autoscroll=False,
                )
                box, send, stop = _composer()
            with gr.Column(elem_id="wj-side"):
                gr.Markdown(_EMPTY_PANEL, elem_id="wj-panel")
        footer = gr.Markdown(elem_id="wj-footer")
        parts = _Parts(chat, box, send, stop, clear, chips, _behind())
        _connect(Conversation(answers), parts)
        # Without the queue: its stream would still be closing when the first question is asked.
        tell = partial(_footer, service, takes_feedback)
        page.load(tell, None, footer, queue=False, show_progress="hidden")
    page.queue(api_open=False)
    return page


def _welcome(service: ChatService) -> list[gr.Button]:
    """What the page does, and a few questions to begin with; page.css hides it afterwards."""
    with gr.Column(elem_id="wj-welcome"):
        gr.Markdown(_WELCOME)
        with gr.Row(elem_id="wj-examples"):
            return [gr.Button(example, size="sm") for example in service.examples]


def _composer() -> tuple[gr.Textbox, gr.Button, gr.Button]:
    """The box, and the two buttons beside it; page.css shows the one that is of use."""
    with gr.Row(elem_id="wj-composer"):
        box = gr.Textbox(
            elem_id="wj-question",
            label="您的问题",
            show_label=False,
            placeholder="输入您的问题",
            container=False,
            lines=1,
            max_lines=6,
            autofocus=True,
        )
        send = gr.Button("发送", variant="primary", elem_id="wj-send")
        stop = gr.Button("停止", elem_id="wj-stop")
    return box, send, stop


def _behind() -> _Behind:
    with gr.Row(elem_id="wj-behind"):
        return _Behind(
            again=gr.Button("重试", elem_id="wj-again"),
            kept=gr.Textbox(label="保存的对话", elem_id="wj-kept"),
            restore=gr.Button("恢复", elem_id="wj-restore"),
        )


def _connect(conversation: Conversation, parts: _Parts) -> None:
    """Every way to ask is one event, which runs until the answer is there."""
    chat, box, behind = parts.chat, parts.box, parts.behind
    at_once: Any = {"queue": False, "show_progress": "hidden"}
    # AnswerLimit counts, for the page and the API together; Gradio's queue shall not count too.
    running: Any = {"concurrency_limit": None, "show_progress": "hidden"}
    ask = conversation.ask
    asks = [
        gr.on([box.submit, parts.send.click], ask, [box, chat], [box, chat], **running),
        *(chip.click(ask, [chip, chat], [box, chat], **running) for chip in parts.chips),
        behind.again.click(conversation.again, chat, chat, **running),
    ]
    parts.stop.click(conversation.stop, chat, chat, cancels=asks, **at_once)
    parts.clear.click(conversation.clear, chat, chat, cancels=asks, **at_once)
    behind.restore.click(conversation.restore, [behind.kept, chat], [behind.kept, chat], **at_once)


def theme() -> gr.themes.Base:
    """System fonts only: a font from elsewhere would be a request to elsewhere."""
    return gr.themes.Default(
        font=_FONTS, font_mono=_MONO_FONTS, radius_size=sizes.radius_md, text_size=sizes.text_md
    )


def _said(html: str) -> Message:
    return {"role": "assistant", "content": html}


def _footer(service: ChatService, takes_feedback: bool) -> str:
    kind = "wj-takes-feedback" if takes_feedback else ""
    return Markup('<p class="{}">已收录 {} 篇文档 · 索引版本 {}</p>').format(
        kind, len(service.documents()), service.index_version
    )
