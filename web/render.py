"""Replies as HTML for the chat: AskResult in, one line of safe markup out.

Every text of a person or a document goes through `Markup.format`, which escapes it. The markup has
no line feed: the chat renders Markdown, and a block of HTML without a blank line is the one form in
which Markdown leaves the content alone, so `![](http://…)` in a document stays text.
The article view is article.py's business; reading a chat back is conversation.py's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Literal
from urllib.parse import quote as percent_encode
from urllib.parse import urlencode

from markupsafe import Markup, escape

from schema import UNSURE, Answer, Article, AskResult, Citation, Refusal, Span

FindArticle = Callable[[str], Article | None]
NoticeKind = Literal["question", "limited", "busy", "not_ready", "error", "stopped"]

_MARKER = re.compile(r"\[(\d+)\]")
_CONTEXT_CHARS = (
    110  # on each side of a quotation: the paragraph is recognised, the panel stays short
)
_MAX_EMPHASIS_CHARS = 30  # a longer short answer is the sentence itself; bold would say nothing
_SURE = 0.7  # the share of right answers from which people would call a source sure
_NOTICE_LABELS: dict[NoticeKind, str] = {
    "question": "请换个问法",
    "limited": "提问太快",
    "busy": "暂时繁忙",
    "not_ready": "还没准备好",
    "error": "系统出错",
    "stopped": "已停止",
}


def question_html(question: str) -> str:
    """A person's message."""
    return Markup('<div class="wj-question">{}</div>').format(_lines(question))


def notice_html(kind: NoticeKind, text: str) -> str:
    """A message of the system itself: nothing was answered, and why."""
    return Markup(
        '<div class="wj-reply wj-notice wj-notice-{}">'
        '<p class="wj-label">{}</p><p class="wj-text">{}</p></div>'
    ).format(kind, _NOTICE_LABELS[kind], text)


def status_html(text: str) -> str:
    """A line that stands where the answer will stand, and says how far it has come."""
    return Markup('<div class="wj-status"><p>{}</p></div>').format(text)


def reply_html(
    result: AskResult, find_article: FindArticle, answer_id: str = "", given_at: str = ""
) -> str:
    """An answer with its sources, or a refusal with related passages.

    Args:
        result: what was asked and replied.
        find_article: for the paragraph around each quotation.
        answer_id: names the reply in feedback; page.js finds it as the class `answer-<id>`.
        given_at: when it was given, ISO 8601; for the export.
    """
    reply = result.reply
    understood = _understood(result.question, reply.standalone_question)
    if isinstance(reply, Refusal) and reply.reason == "small_talk":
        return Markup('<div class="wj-reply"><p class="wj-text">{}</p></div>').format(
            _lines(reply.text)
        )
    name = f" answer-{answer_id}" if answer_id else ""
    meta = Markup('<p class="wj-meta">{} {}</p>').format(given_at, result.index_version)
    if isinstance(reply, Refusal):
        return Markup(
            '<div class="wj-reply wj-refusal{}"><p class="wj-label">文中没有答案</p>'
            '<p class="wj-text">{}</p>{}{}{}</div>'
        ).format(
            name,
            _lines(reply.text),
            understood,
            meta,
            _sources("相关段落", reply.suggestions, find_article),
        )
    return Markup(
        '<div class="wj-reply wj-answer{}"><p class="wj-text">{}</p>{}{}{}{}{}</div>'
    ).format(
        name,
        _answer_text(reply),
        _confidence(reply.confidence),
        _hedge(reply.confidence),
        understood,
        meta,
        _sources("来源", reply.citations, find_article),
    )


def chinese_date(date: str) -> str:
    """An ISO 8601 date of any precision as a Chinese reader writes it.

    Example: 2025-03 -> 2025年3月
    """
    numbers = [part.lstrip("0") for part in date.split("-")]
    return "".join(number + unit for number, unit in zip(numbers, "年月日", strict=False))


def date_line(date: str | None, *, inferred: bool) -> str:
    """The date shown with a title; empty where none is known."""
    if date is None:
        return ""
    return chinese_date(date) + ("（据正文推断）" if inferred else "")


def article_link(citation: Citation, citations: Sequence[Citation]) -> str:
    """Relative address of the article view, opened at the citation.

    The other citations of the same article follow, so that all quotations are marked there.
    """
    others = [other for other in citations if other.doc == citation.doc and other != citation]
    spans = [citation.span, *(other.span for other in others)]
    query = urlencode(
        [pair for span in spans for pair in (("start", span.start), ("end", span.end))]
    )
    return f"article/{percent_encode(citation.doc)}?{query}#quote"


def locate(article: Article, citation: Citation) -> Span | None:
    """Where the quotation stands in `article.text`.

    None if it does not stand there: the index may have been rebuilt since the answer was given.
    """
    span = article.text_span(citation.span)
    same = "".join(span.cut(article.text).split()) == "".join(citation.quote.split())
    return span if span and same else None


def _answer_text(answer: Answer) -> Markup:
    """The answer with its markers as links and the short answer emphasised once."""
    known = {citation.n for citation in answer.citations}
    short = answer.short_answer or ""
    emphasis = short if 0 < len(short) <= _MAX_EMPHASIS_CHARS else None
    html = Markup("")
    for index, part in enumerate(_MARKER.split(answer.text)):
        if index % 2 == 0:
            html += _emphasised(part, emphasis)
            if emphasis and emphasis in part:
                emphasis = None
        elif int(part) in known:
            html += Markup(
                '<a class="wj-cite" href="#source-{0}" title="查看来源 {0}">[{0}]</a>'
            ).format(part)
        else:
            html += escape(f"[{part}]")
    return html


def _confidence(confidence: float) -> Markup:
    """How sure the answer is, in a word; the word is explained where the mouse rests on it."""
    if confidence >= _SURE:
        word, name, share = "高", "high", "七个以上是对的"
    elif confidence >= UNSURE:
        word, name, share = "中", "middle", "三到七个是对的，请看一眼出处"
    else:
        word, name, share = "低", "low", "不到三个是对的，请核对出处"
    return Markup(
        '<p class="wj-confidence wj-confidence-{}" title="这样的回答，十个里有{}">'
        "把握：<span>{}</span></p>"
    ).format(name, share, word)


def _hedge(confidence: float) -> Markup:
    """A word of warning under an answer that is more likely wrong than right."""
    if confidence >= UNSURE:
        return Markup("")
    return Markup('<p class="wj-hedge">这个回答把握不大，请点开来源核对。</p>')


def _emphasised(text: str, emphasis: str | None) -> Markup:
    if not emphasis or emphasis not in text:
        return _lines(text)
    before, found, after = text.partition(emphasis)
    return _lines(before) + Markup("<strong>{}</strong>").format(found) + _lines(after)


def _lines(text: str) -> Markup:
    """Escaped text in one line of markup."""
    return Markup("<br>").join(text.splitlines())


def _understood(question: str, standalone_question: str) -> Markup:
    if _words(standalone_question) in ("", _words(question)):
        return Markup("")
    return Markup('<p class="wj-understood">按“{}”理解</p>').format(_lines(standalone_question))


def _words(question: str) -> str:
    """Letters and digits alone: another width or punctuation is not another understanding."""
    normal = unicodedata.normalize("NFKC", question).casefold()
    return "".join(character for character in normal if character.isalnum())


def _sources(heading: str, citations: Sequence[Citation], find_article: FindArticle) -> Markup:
    if not citations:
        return Markup("")
    cards = Markup("").join(
        _source(citation, citations, find_article(citation.doc)) for citation in citations
    )
    return Markup('<section class="wj-sources"><h2>{}</h2>{}</section>').format(heading, cards)


def _source(citation: Citation, citations: Sequence[Citation], article: Article | None) -> Markup:
    """One card: number, title, date, the quotation in its paragraph, the way to the article."""
    title = citation.title or citation.doc
    number = Markup('<span class="wj-number">{}</span>').format(citation.n) if citation.n else ""
    date = date_line(citation.date, inferred=article is not None and article.date_inferred)
    return Markup(
        '<div class="wj-source source-{}"><h3>{}{}</h3>{}<blockquote>{}</blockquote>'
        '<a class="wj-open" href="{}" title="查看全文：{}">查看全文</a></div>'
    ).format(
        citation.n,
        number,
        title,
        Markup('<p class="wj-date">{}</p>').format(date) if date else "",
        _excerpt(citation, article),
        article_link(citation, citations),
        title,
    )


def _excerpt(citation: Citation, article: Article | None) -> Markup:
    """The quotation marked within its paragraph, or alone where the paragraph is not known."""
    mark = Markup("<mark>{}</mark>")
    span = locate(article, citation) if article else None
    if article is None or span is None:
        return mark.format(_lines(citation.quote))
    touched = [block.span for block in article.blocks if _overlap(block.span, span)]
    start = min((block.start for block in touched), default=span.start)
    end = max((block.end for block in touched), default=span.end)
    before = article.text[min(start, span.start) : span.start]
    after = article.text[span.end : max(end, span.end)]
    if len(before) > _CONTEXT_CHARS:
        before = "…" + before[-_CONTEXT_CHARS:]
    if len(after) > _CONTEXT_CHARS:
        after = after[:_CONTEXT_CHARS] + "…"
    return _lines(before) + mark.format(_lines(span.cut(article.text))) + _lines(after)


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end
