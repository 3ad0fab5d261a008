"""The chat page: a ChatService becomes Gradio components and events.

The page keeps no state beside the messages on display: they go to the server with each question and
come back with the answer. static/page.js shows their sources in the side panel.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
from gradio.themes.utils import sizes
from markupsafe import Markup

from errors import BadQuestionError, WenjuError
from web.answers import Answers
from web.conversation import Message, plain_text, plain_turns, waits_for_answer
from web.protocols import ChatService
from web.render import notice_html, question_html, reply_html
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
    "<p>提问后，这里会显示答案引用的原文。点击答案中的 [1]，即可看到对应的句子。</p></div>"
)
_STOPPED = "这个问题没有回答完。"


@dataclass(frozen=True)
class Conversation:
    """What happens to the messages when a person does something.

    Where nothing happens, the messages are skipped, not sent back: they could overwrite a question
    that was asked in the meantime.
    """

    answers: Answers

    def show(self, question: str, messages: list[Message]) -> tuple[Any, Any]:
        """Put the question into the chat; it stays in the box if blank or if one is waiting."""
        if not question.strip() or waits_for_answer(messages):
            return gr.skip(), gr.skip()
        return "", [*messages, {"role": "user", "content": question_html(question)}]

    async def answer(self, messages: list[Message], request: gr.Request) -> Any:
        """Answer the question that waits."""
        if not waits_for_answer(messages) or request.request is None:
            return gr.skip()
        visitor = visitor_of_request(request.request)
        return [*messages, _said(await self._reply(messages, visitor))]

    def retry(self, messages: list[Message]) -> list[Message]:
        """Take the last answer back, so that its question waits again."""
        while messages and not waits_for_answer(messages):
            messages = messages[:-1]
        return messages

    def stop(self, messages: list[Message]) -> Any:
        """Give up waiting."""
        if not waits_for_answer(messages):
            return gr.skip()
        return [*messages, _said(notice_html("stopped", _STOPPED))]

    def clear(self, messages: list[Message]) -> Any:
        """Begin anew; with nothing said so far, change nothing.

        What comes late would take away the question that was asked meanwhile.
        """
        return [] if messages else gr.skip()

    async def _reply(self, messages: list[Message], visitor: Visitor) -> str:
        """The markup of the answer, or of the reason why there is none."""
        question, history = plain_text(messages[-1]), plain_turns(messages[:-1])
        try:
            given = await self.answers.ask(question, history, visitor, "page")
        except BadQuestionError as error:
            return notice_html("question", error.user_message)
        except WenjuError as error:
            return notice_html("busy", error.user_message)
        # The border to a person: whatever broke, they get a sentence and a number.
        except Exception:
            request_id = uuid.uuid4().hex[:8]
            _logger.exception("question failed, request id %s", request_id)
            return notice_html("error", f"系统暂时无法回答，请稍后再试。（编号 {request_id}）")
        return reply_html(given.result, self.answers.service.article)


@dataclass(frozen=True)
class _Parts:
    """The components that events read and write."""

    chat: gr.Chatbot
    box: gr.Textbox
    send: gr.Button
    stop: gr.Button
    clear: gr.Button
    chips: list[gr.Button]


def chat_page(answers: Answers) -> gr.Blocks:
    """The page, ready to be mounted."""
    service = answers.service
    page = gr.Blocks(title="问据", analytics_enabled=False, fill_width=True)
    with page:
        with gr.Row(elem_id="wj-header"):
            gr.Markdown(_HEADER)
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
        gr.Markdown(partial(_footer, service), elem_id="wj-footer")
        _connect(Conversation(answers), _Parts(chat, box, send, stop, clear, chips))
    page.queue(api_open=False)
    return page


def _welcome(service: ChatService) -> list[gr.Button]:
    """What the page does, and a few questions to begin with; page.css hides it afterwards."""
    with gr.Column(elem_id="wj-welcome"):
        gr.Markdown(_WELCOME)
        with gr.Row(elem_id="wj-examples"):
            return [gr.Button(example, size="sm") for example in service.examples]


def _composer() -> tuple[gr.Textbox, gr.Button, gr.Button]:
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
        stop = gr.Button("停止", elem_id="wj-stop", visible=False)
    return box, send, stop


def _connect(conversation: Conversation, parts: _Parts) -> None:
    """Every way to ask: show the question, offer to stop, answer, offer to send again."""
    chat, box, buttons = parts.chat, parts.box, [parts.send, parts.stop]
    at_once: Any = {"queue": False, "show_progress": "hidden"}
    shown = [
        gr.on(
            [box.submit, parts.send.click],
            conversation.show,
            [box, chat],
            [box, chat],
            **at_once,
        ),
        chat.retry(conversation.retry, chat, chat, **at_once),
        *(
            chip.click(partial(conversation.show, chip.value), chat, [box, chat], **at_once)
            for chip in parts.chips
        ),
    ]
    answers = []
    for question in shown:
        running = question.then(_running, None, buttons, **at_once)
        # AnswerLimit counts, for the page and the API together; Gradio's queue shall not count too.
        answer = running.then(conversation.answer, chat, chat, concurrency_limit=None)
        answer.then(_idle, None, buttons, **at_once)
        answers.append(answer)
    parts.stop.click(conversation.stop, chat, chat, cancels=answers, **at_once).then(
        _idle, None, buttons, **at_once
    )
    parts.clear.click(conversation.clear, chat, chat, cancels=answers, **at_once).then(
        _idle, None, buttons, **at_once
    )


def theme() -> gr.themes.Base:
    """System fonts only: a font from elsewhere would be a request to elsewhere."""
    return gr.themes.Default(
        font=_FONTS, font_mono=_MONO_FONTS, radius_size=sizes.radius_md, text_size=sizes.text_md
    )


def _said(html: str) -> Message:
    return {"role": "assistant", "content": html}


def _running() -> tuple[Any, Any]:
    return gr.update(visible=False), gr.update(visible=True)


def _idle() -> tuple[Any, Any]:
    return gr.update(visible=True), gr.update(visible=False)


def _footer(service: ChatService) -> str:
    return Markup("<p>已收录 {} 篇文档 · 索引版本 {}</p>").format(
        len(service.documents()), service.index_version
    )
