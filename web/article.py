"""One article as a page: Article and the cited spans in, HTML out.

Two views: the readable text by paragraphs, and the untouched original. Both mark the same
quotations; the readable one also marks where repair left something out. Spans come from an address
that anyone can type, so those that fit nowhere are ignored.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote as percent_encode
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from schema import Article, Block, BlockKind, Span
from web.render import date_line

View = Literal["readable", "original"]

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_IN_HEADER: tuple[BlockKind, ...] = ("title", "subtitle", "byline")


@dataclass(frozen=True, slots=True)
class _Paragraph:
    kind: BlockKind
    html: Markup


def article_page(article: Article, quotes: Sequence[Span], view: View, root: str) -> str:
    """The whole page.

    Args:
        article: what to show.
        quotes: spans of `article.original` to mark; the page opens at the first.
        view: the readable text, or the original.
        root: path prefix of the server, without a final slash; "" at the root.
    """
    quotes = _fitting(article, quotes)
    in_text = [] if view == "original" else _text_spans(article, quotes)
    return _TEMPLATES.get_template("article.html").render(
        root=root,
        page_title=article.title or article.doc,
        doc=article.doc,
        header=_header(article, in_text),
        date=date_line(article.date, inferred=article.date_inferred),
        view=view,
        paragraphs=_paragraphs(article, in_text) if view == "readable" else [],
        original=_marked_original(article, quotes) if view == "original" else "",
        links={name: _link(article.doc, quotes, name, root) for name in ("readable", "original")},
    )


def article_record(article: Article, quotes: Sequence[Span]) -> dict[str, Any]:
    """The whole article as JSON: its blocks cut into runs, those of a quotation marked.

    Runs are text, not offsets, since JavaScript counts otherwise than Python.

    Args:
        article: what to show.
        quotes: spans of `article.original` to mark; those that fit nowhere are ignored.
    """
    quotes = _fitting(article, quotes)
    in_text = _text_spans(article, quotes)
    return {
        "doc": article.doc,
        "title": article.title,
        "subtitle": article.subtitle,
        "byline": article.byline,
        "date": article.date,
        "date_inferred": article.date_inferred,
        "sha256": article.sha256,
        "blocks": [
            {
                "kind": block.kind,
                "runs": [
                    {"text": run.cut(article.text), "quoted": _covered(run, in_text)}
                    for run in _runs(block.span, in_text, ())
                ],
            }
            for block in article.blocks
        ],
        "original": [
            {"text": run.cut(article.original), "quoted": _covered(run, quotes)}
            for run in _runs(Span(0, len(article.original)), quotes, ())
        ],
    }


def notice_page(title: str, text: str, root: str) -> str:
    """A page that says one thing, such as "not found"."""
    return _TEMPLATES.get_template("notice.html").render(page_title=title, text=text, root=root)


def _fitting(article: Article, quotes: Sequence[Span]) -> list[Span]:
    return [quote for quote in quotes if 0 <= quote.start < quote.end <= len(article.original)]


def _covered(run: Span, quotes: Iterable[Span]) -> bool:
    return any(quote.start <= run.start < quote.end for quote in quotes)


def _text_spans(article: Article, quotes: Iterable[Span]) -> list[Span]:
    """The quotes in `article.text`, without white space before them."""
    spans = []
    for quote in quotes:
        span = article.text_span(quote)
        blank = len(span) - len(span.cut(article.text).lstrip())
        if span.start + blank < span.end:
            spans.append(Span(span.start + blank, span.end))
    return spans


def _header(article: Article, quotes: Sequence[Span]) -> dict[str, Markup]:
    """Title, subtitle and by-line as printed, or as known where they are not in the text."""
    known = {"title": article.title, "subtitle": article.subtitle, "byline": article.byline}
    lines: dict[str, Markup] = {}
    for kind in _IN_HEADER:
        printed = [_block(article, block, quotes) for block in article.blocks if block.kind == kind]
        lines[kind] = Markup(" ").join(printed) if printed else escape(known[kind] or "")
    return lines


def _paragraphs(article: Article, quotes: Sequence[Span]) -> list[_Paragraph]:
    return [
        _Paragraph(block.kind, _block(article, block, quotes))
        for block in article.blocks
        if block.kind not in _IN_HEADER
    ]


def _block(article: Article, block: Block, quotes: Sequence[Span]) -> Markup:
    """One block with quotations and omissions marked."""
    omissions = _omissions(article, block.span)
    html = Markup("")
    for run in _runs(block.span, quotes, omissions):
        if run.start in omissions:
            html += Markup('<span class="omission" title="整理时略去：{}">⋯</span>').format(
                omissions[run.start]
            )
        html += _marked(article.text, run, quotes)
    return html


def _marked_original(article: Article, quotes: Sequence[Span]) -> Markup:
    whole = Span(0, len(article.original))
    return Markup("").join(
        _marked(article.original, run, quotes) for run in _runs(whole, quotes, ())
    )


def _marked(text: str, run: Span, quotes: Sequence[Span]) -> Markup:
    """A run of text, in a mark if a quotation covers it; the page opens at #quote."""
    html = escape(run.cut(text)).replace(
        "\ufffd", Markup('<span class="damaged" title="原文此处损坏">\ufffd</span>')
    )
    if not _covered(run, quotes):
        return html
    anchor = Markup(' id="quote"') if run.start == quotes[0].start else ""
    return Markup("<mark{}>{}</mark>").format(anchor, html)


def _runs(span: Span, quotes: Iterable[Span], cuts: Iterable[int]) -> list[Span]:
    """`span` cut where a quotation begins or ends and at `cuts`."""
    edges = {edge for quote in quotes for edge in (quote.start, quote.end)} | set(cuts)
    inner = sorted(edge for edge in edges if span.start < edge < span.end)
    starts = [span.start, *inner]
    return [Span(start, end) for start, end in zip(starts, [*inner, span.end], strict=True)]


def _omissions(article: Article, span: Span) -> dict[int, str]:
    """What repair left out inside or right before `span`: place in `text` -> the original.

    White space and invisible characters are not worth a mark.
    """
    offsets = article.offsets
    found: dict[int, str] = {}
    for place in range(max(span.start - 1, 1), span.end):
        if offsets[place] == offsets[place - 1] + 1:
            continue
        left_out = article.original[offsets[place - 1] + 1 : offsets[place]]
        if any(_visible(character) for character in left_out):
            found[max(place, span.start)] = " ".join(left_out.split())
    return found


def _visible(character: str) -> bool:
    return not character.isspace() and not unicodedata.category(character).startswith("C")


def _link(doc: str, quotes: Sequence[Span], view: str, root: str) -> str:
    pairs = [pair for quote in quotes for pair in (("start", quote.start), ("end", quote.end))]
    query = urlencode([*pairs, ("view", view)])
    return f"{root}/article/{percent_encode(doc)}?{query}#quote"
