"""Evidence to citations. The only place where a quotation is made; it fails closed.

A citation is the sentence as it reads in the repaired text and its span in the original. Both are
compared here, white space apart, before anyone sees them.
"""

from __future__ import annotations

from index.protocols import ChunkTable
from qa.ranker import Evidence
from schema import Citation


def cite(evidence: Evidence, n: int, table: ChunkTable) -> Citation | None:
    """The citation number n for one sentence, or None if the source does not bear it out."""
    doc = evidence.passage.chunk.doc
    article = table.article(doc)
    if article is None:
        return None
    quote = evidence.sentence.span.cut(article.text)
    span = article.original_span(evidence.sentence.span)
    if quote != evidence.text or packed(quote) != packed(span.cut(article.original)):
        return None
    return Citation(n=n, doc=doc, title=article.title, date=article.date, span=span, quote=quote)


def packed(text: str) -> str:
    """The text without white space."""
    return "".join(text.split())
