"""Which document a question speaks of: 《甲》一文里, 五周年那篇, 半年成果综述中.

People who know their documents name them in passing. Such a part of the question says where to
look, not what for: the search keeps to that document and the words are not looked for in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from index.protocols import Generation
from index.words import normalize
from qa.question import Question
from schema import Article

_SORT = "报道|文章|综述|通讯|特稿|扫描|新闻|稿子|稿件|消息|专访|特写"
_REFERENCE = re.compile(
    rf"(?:《(?P<title>[^》]{{2,60}})》(?:一文|[这那]篇)?"
    rf"|(?P<words>[^，。？！；、《》\s]{{2,16}}?(?:[这那]篇|一文|(?:{_SORT})(?=(?:里|中|上|的|[这那]篇)))))"
    rf"(?:{_SORT})?(?:里面?|中|之中|上)?"
)
_ITS_SORT = re.compile(rf"[这那]篇|一文|^[在从]|^(?:{_SORT})$")
_NAMED = 0.6  # share of the reference's words that title, subtitle and year must hold
_CANDIDATES = 50  # passages whose documents may be meant
_LEAST_LEFT = 4  # characters of the question that must be left without the reference


@dataclass(frozen=True)
class Scoped:
    """A question, and the document that it keeps to; None where it names none."""

    question: Question
    doc: str | None


# 在甲综述和乙扫描里，分别怎么说; 两篇报道都写到丙，各自说了什么
_OF_BOTH = re.compile(
    r"^(?P<lead>(?:[^，,。]*?在|.*[，,])?)(?P<first>[^，,。]{2,20}?)[里中上]?[和与跟]"
    r"(?P<second>[^，,。]{2,20}?)(?:[里中上]|这?两[篇份]\S{0,3}?)?[，,]?(?:分别|各自?)(?P<asked>.+)$"
)
_IN_EACH = re.compile(rf"[两二2][篇份](?:{_SORT}|文档|材料)?.*?(?:各自|分别|各[说写是讲提])")


def by_document(question: Question, generation: Generation) -> list[Scoped]:
    """The question about each of two documents; empty where it does not compare any."""
    if question.target is not None or question.is_follow_up:
        return []
    if match := _OF_BOTH.match(question.standalone):
        docs = [_document(match[side], generation) for side in ("first", "second")]
        if None not in docs and docs[0] != docs[1]:
            text = match["lead"].removesuffix("在") + match["asked"]
            return [
                Scoped(
                    replace(
                        question,
                        text=f"{match[side]}：{match['asked']}",
                        standalone=text,
                        focus=text,
                    ),
                    doc,
                )
                for side, doc in zip(("first", "second"), docs, strict=True)
            ]
    if _IN_EACH.search(question.standalone):
        tokenizer = generation.tokenizer
        found = generation.bigrams.search(tokenizer.bigrams(question.standalone), _CANDIDATES)
        passages = generation.table.passages([row for row, _ in found])
        named = list(dict.fromkeys(passage.chunk.doc for passage in passages))[:2]
        return [Scoped(question, doc) for doc in named] if len(named) == 2 else []
    return []


def scoped(question: Question, generation: Generation) -> Scoped:
    """The question without what only names its document."""
    texts = {match[0] for match in _REFERENCE.finditer(f"{question.standalone} {question.focus}")}
    named = {text: doc for text in texts if (doc := _document(text, generation)) is not None}
    own = [match[0] for match in _REFERENCE.finditer(question.focus) if match[0] in named]
    if not own:
        return Scoped(question, None)
    if question.target is not None:
        return Scoped(question, named[own[-1]])  # by-lines stand beside these very words
    standalone, focus = (_without(text, named) for text in (question.standalone, question.focus))
    if len(focus) < _LEAST_LEFT:
        return Scoped(question, None)
    return Scoped(replace(question, standalone=standalone, focus=focus), named[own[-1]])


def _without(text: str, references: Iterable[str]) -> str:
    for reference in references:
        text = text.replace(reference, "")
    return text.lstrip("的，, ")


def _document(reference: str, generation: Generation) -> str | None:
    """The one document whose title, subtitle or year the reference fits best, if one does."""
    tokenizer = generation.tokenizer
    match = _REFERENCE.match(reference)
    name = (match["title"] or match["words"]) if match else reference
    wanted = set(tokenizer.words(_ITS_SORT.sub("", name)))
    if not wanted:
        return None
    found = generation.bigrams.search(tokenizer.bigrams(name), _CANDIDATES)
    docs = {passage.chunk.doc for passage in generation.table.passages([row for row, _ in found])}
    articles = [generation.table.article(doc) for doc in sorted(docs)]
    fits = sorted(
        ((_share(wanted, article), article.doc) for article in articles if article is not None),
        reverse=True,
    )
    if not fits or fits[0][0] < _NAMED or (len(fits) > 1 and fits[1][0] == fits[0][0]):
        return None
    return fits[0][1]


def _share(wanted: set[str], article: Article) -> float:
    year = f"{article.date[:4]}年" if article.date else ""
    names = normalize(" ".join(filter(None, (article.title, article.subtitle, year))))
    return sum(word in names for word in wanted) / len(wanted)
