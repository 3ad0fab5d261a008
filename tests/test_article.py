"""web.article: the whole article with its quotations marked."""

from __future__ import annotations

from array import array
from dataclasses import replace

import pytest
from bs4 import BeautifulSoup

from schema import Article, Block, Span
from tests.fakes import FIRMS, HOSTILE, HOSTILE_SENTENCE, PARK, PORT, ROUTES, SHIPS, cite
from web.article import View, article_page, notice_page


def shown(article: Article, quotes: list[Span], view: View = "readable") -> BeautifulSoup:
    return BeautifulSoup(article_page(article, quotes, view, root=""), "html.parser")


def test_headline_date_and_paragraphs_are_shown_by_their_kind() -> None:
    soup = shown(PORT, [])
    assert [node.get_text() for node in soup.select("h1")] == [PORT.title]
    assert [node.get_text() for node in soup.select(".subtitle, .byline")] == [
        PORT.subtitle,
        PORT.byline,
    ]
    assert [node.get_text() for node in soup.select(".meta .date")] == ["2025年（据正文推断）"]
    assert [node.get_text() for node in soup.select("h2")] == [
        "从“小码头”到“大枢纽”",
        "航线越织越密",
    ]
    assert [node.get_text() for node in soup.select(".caption")] == [
        "临江港三号码头，岸桥正在装船。（周望舒 摄）"
    ]
    assert len(soup.select("p.body")) == 4
    assert len(soup.select("blockquote")) == 1


def test_fields_that_are_not_in_the_text_are_shown_all_the_same() -> None:
    soup = shown(replace(PARK, byline="记者 王宁"), [])
    assert [node.get_text() for node in soup.select(".byline")] == ["记者 王宁"]


@pytest.mark.parametrize("view", ["readable", "original"])
def test_every_quotation_is_marked_and_the_page_opens_at_the_first(view: View) -> None:
    routes, ships = cite(1, PORT, ROUTES).span, cite(2, PORT, SHIPS).span
    soup = shown(PORT, [routes, ships], view)
    marks = ["".join(mark.get_text().split()) for mark in soup.select("mark")]
    assert marks == [SHIPS, ROUTES]
    assert ["".join(mark.get_text().split()) for mark in soup.select("#quote")] == [ROUTES]


def test_a_quoted_title_is_marked_in_the_headline() -> None:
    assert PORT.title
    soup = shown(PORT, [cite(1, PORT, PORT.title).span])
    assert [mark.get_text() for mark in soup.select("h1 mark#quote")] == [PORT.title]


def test_overlapping_quotations_are_marked_without_repeating_text() -> None:
    start = cite(1, PARK, FIRMS).span.start
    quotes = [Span(start, start + 20), Span(start + 10, start + 30)]
    soup = shown(PARK, quotes, "original")
    assert [node.get_text() for node in soup.select("pre")] == [PARK.original]
    assert "".join(m.get_text() for m in soup.select("mark")) == PARK.original[start : start + 30]


def test_the_original_is_shown_character_by_character() -> None:
    soup = shown(PORT, [], "original")
    assert [node.get_text() for node in soup.select("pre.original")] == [PORT.original]


@pytest.mark.parametrize("view", ["readable", "original"])
@pytest.mark.parametrize(
    "span", [Span(5, 5), Span(9, 3), Span(0, 10**9), Span(10**9, 10**9 + 1), Span(0, 1)]
)
def test_a_span_that_fits_nowhere_marks_nothing(view: View, span: Span) -> None:
    marks = [mark.get_text() for mark in shown(PORT, [span], view).select("mark")]
    assert "".join(marks).strip() == ""


def test_the_switch_between_the_views_keeps_the_quotation() -> None:
    span = cite(1, PORT, ROUTES).span
    links = {link.get_text(): link for link in shown(PORT, [span]).select(".views a")}
    assert links["原文"]["href"] == (
        "/article/%E6%B8%AF%E5%8F%A3/2025%20%E5%B9%B4%E6%8A%A5%231.txt"
        f"?start={span.start}&end={span.end}&view=original#quote"
    )
    assert links["阅读版"].get("aria-current") == "page"


def test_what_repair_left_out_is_marked_where_it_stood() -> None:
    original = "产值达\n第3版\n149亿元。"
    kept = [*range(3), *range(8, len(original))]
    text = "".join(original[place] for place in kept)
    article = Article(
        "a.txt", "0" * 64, original, text, array("I", kept), (Block("body", Span(0, len(text))),)
    )
    soup = shown(article, [Span(0, len(original))])
    assert [node["title"] for node in soup.select("mark + .omission")] == ["整理时略去：第3版"]
    assert [mark.get_text() for mark in soup.select("mark")] == ["产值达", "149亿元。"]


def test_dropped_white_space_is_not_worth_a_mark() -> None:
    assert not shown(PORT, []).select(".omission")


def test_a_damaged_character_is_pointed_out() -> None:
    text = "长江经济带与粤港\ufffd澳。"
    article = Article(
        "a.txt",
        "0" * 64,
        text,
        text,
        array("I", range(len(text))),
        (Block("body", Span(0, len(text))),),
    )
    assert [node["title"] for node in shown(article, []).select(".damaged")] == ["原文此处损坏"]


@pytest.mark.parametrize("view", ["readable", "original"])
def test_hostile_text_is_shown_not_run(view: View) -> None:
    soup = shown(HOSTILE, [], view)
    assert [script.get("src") for script in soup.select("script")] == ["/ui/article.js"]
    assert not soup.select("img, form, b, [onerror], [onmouseover]")
    assert [node.get_text() for node in soup.select("h1")] == [HOSTILE.title]
    text = "".join(soup.get_text().split())
    assert "".join(HOSTILE_SENTENCE.split()) in text


def test_a_notice_says_one_thing_and_leads_back() -> None:
    soup = BeautifulSoup(notice_page("没有<这>个页面", "说明。", "/kb"), "html.parser")
    assert [node.get_text() for node in soup.select("h1")] == ["没有<这>个页面"]
    assert {link["href"] for link in soup.select("a")} == {"/kb/"}
