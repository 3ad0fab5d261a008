"""web.render: replies as safe markup."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bs4 import BeautifulSoup, Tag

from schema import Answer, AskResult, Refusal, Reply
from tests.fakes import (
    FIRMS,
    HOSTILE,
    HOSTILE_SENTENCE,
    PARK,
    PORT,
    ROUTES,
    FakeChatService,
    cite,
)
from web.render import (
    NoticeKind,
    article_link,
    chinese_date,
    locate,
    notice_html,
    question_html,
    reply_html,
    status_html,
)

SERVICE = FakeChatService()


def rendered(reply: Reply, question: str = "问？") -> BeautifulSoup:
    html = reply_html(AskResult(question, reply), SERVICE.article)
    return BeautifulSoup(html, "html.parser")


def one(soup: BeautifulSoup, selector: str) -> Tag:
    found = soup.select(selector)
    assert len(found) == 1, (selector, found)
    return found[0]


def test_each_marker_leads_to_its_source() -> None:
    soup = rendered(
        Answer("甲[1]。乙[2]。", None, 0.9, (cite(1, PORT, ROUTES), cite(2, PARK, FIRMS)))
    )
    links = soup.select("a.wj-cite")
    assert [(link.get_text(), link["href"]) for link in links] == [
        ("[1]", "#source-1"),
        ("[2]", "#source-2"),
    ]
    assert one(soup, ".source-1 mark").get_text() == ROUTES
    assert one(soup, ".source-2 mark").get_text() == FIRMS


def test_a_marker_without_a_source_stays_text() -> None:
    soup = rendered(Answer("甲[1]，见附件[7]。", None, 0.9, (cite(1, PORT, ROUTES),)))
    assert len(soup.select("a.wj-cite")) == 1
    assert one(soup, ".wj-text").get_text() == "甲[1]，见附件[7]。"


def test_the_short_answer_is_emphasised_once() -> None:
    soup = rendered(Answer("231家[1]，即231家。", "231家", 0.9, (cite(1, PARK, FIRMS),)))
    assert one(soup, ".wj-text strong").get_text() == "231家"


def test_a_quotation_stands_in_its_paragraph() -> None:
    soup = rendered(Answer("甲[1]。", None, 0.9, (cite(1, PORT, ROUTES),)))
    assert one(soup, "blockquote").get_text() == (
        "航线是港口的生命线。" + ROUTES + "企业从下单到收货，平均缩短了三天。"
    )
    assert one(soup, ".wj-source h3").get_text() == "1" + (PORT.title or "")
    assert one(soup, ".wj-date").get_text() == "2025年（据正文推断）"


def test_a_long_paragraph_is_cut_around_the_quotation() -> None:
    long = replace(
        PORT, blocks=(replace(PORT.blocks[0], span=type(PORT.blocks[0].span)(0, len(PORT.text))),)
    )
    result = AskResult("问", Answer("甲[1]。", None, 0.9, (cite(1, PORT, ROUTES),)))
    soup = BeautifulSoup(reply_html(result, lambda _: long), "html.parser")
    text = one(soup, "blockquote").get_text()
    assert text.startswith("…")
    assert ROUTES in text
    assert len(text) < len(ROUTES) + 2 * 112


def test_a_quotation_that_no_longer_stands_there_is_shown_alone() -> None:
    citation = replace(cite(1, PORT, ROUTES), quote="换了索引之后的另一句话。")
    assert locate(PORT, citation) is None
    soup = rendered(Answer("甲[1]。", None, 0.9, (citation,)))
    assert one(soup, "blockquote").get_text() == "换了索引之后的另一句话。"


def test_a_quotation_of_an_article_that_is_gone_is_shown_alone() -> None:
    citation = replace(cite(1, PORT, ROUTES), doc="gone.txt")
    assert (
        one(rendered(Answer("甲[1]。", None, 0.9, (citation,))), "blockquote").get_text() == ROUTES
    )


def test_the_link_names_all_quotations_of_the_article_its_own_first() -> None:
    first, second = cite(1, PORT, ROUTES), cite(2, PORT, "企业从下单到收货，平均缩短了三天。")
    link = article_link(second, (first, second, cite(3, PARK, FIRMS)))
    assert link == (
        "article/%E6%B8%AF%E5%8F%A3/2025%20%E5%B9%B4%E6%8A%A5%231.txt"
        f"?start={second.span.start}&end={second.span.end}"
        f"&start={first.span.start}&end={first.span.end}#quote"
    )


def test_a_refusal_is_labelled_and_offers_related_passages() -> None:
    soup = rendered(Refusal("文档里没有。", "nothing_found", suggestions=(cite(0, PARK, FIRMS),)))
    assert one(soup, ".wj-refusal .wj-label").get_text() == "文中没有答案"
    assert one(soup, ".wj-sources h2").get_text() == "相关段落"
    assert not soup.select(".wj-number")
    assert one(soup, "a.wj-open")["href"]


def test_small_talk_is_answered_without_a_label() -> None:
    soup = rendered(Refusal("您好，请问我文档里的事。", "small_talk"))
    assert soup.get_text() == "您好，请问我文档里的事。"
    assert not soup.select(".wj-refusal")


def test_the_question_as_understood_is_shown_only_where_it_differs() -> None:
    answer = Answer("甲[1]。", None, 0.9, (cite(1, PARK, FIRMS),), "园区有多少家企业？")
    assert one(rendered(answer, "那园区呢？"), ".wj-understood").get_text() == (
        "按“园区有多少家企业？”理解"
    )
    assert not rendered(answer, " 园区有多少家企业?").select(".wj-understood")


def test_text_of_people_and_documents_never_becomes_markup() -> None:
    citation = replace(cite(1, HOSTILE, HOSTILE_SENTENCE), doc='"><script>1</script>')
    hostile = "\n\n" + HOSTILE_SENTENCE
    pieces = [
        question_html(hostile),
        notice_html("error", hostile),
        status_html(hostile),
        reply_html(
            AskResult("问", Answer(f"{hostile}[1]", "<script>", 0.9, (citation,), hostile)),
            lambda _: HOSTILE,
        ),
    ]
    for html in pieces:
        soup = BeautifulSoup(html, "html.parser")
        assert not soup.select("script, img, form, button, b")
        assert all(
            str(link["href"]).startswith(("#source-", "article/")) for link in soup.select("a")
        )
        assert not [attr for tag in soup.find_all() for attr in tag.attrs if attr.startswith("on")]


@pytest.mark.parametrize("text", ["a\n\n![x](http://evil.test/)", "a\r\n\r\nb", "a\u2028\u2028b"])
def test_markup_has_no_line_break_so_that_markdown_leaves_it_alone(text: str) -> None:
    reply = Answer(text + "[1]", None, 0.9, (cite(1, PORT, ROUTES),), text)
    for html in (question_html(text), reply_html(AskResult("问", reply), SERVICE.article)):
        assert len(html.splitlines()) == 1


@pytest.mark.parametrize(
    ("iso", "chinese"),
    [("2025", "2025年"), ("2025-03", "2025年3月"), ("2025-03-30", "2025年3月30日")],
)
def test_dates_read_as_chinese_people_write_them(iso: str, chinese: str) -> None:
    assert chinese_date(iso) == chinese


@pytest.mark.parametrize(("confidence", "hedged"), [(0.1, True), (0.29, True), (0.3, False)])
def test_an_answer_more_likely_wrong_than_right_says_so(confidence: float, hedged: bool) -> None:
    soup = rendered(Answer("231家[1]。", "231家", confidence, (cite(1, PARK, FIRMS),)))
    assert bool(soup.select(".wj-hedge")) is hedged


@pytest.mark.parametrize(
    ("confidence", "word"),
    [(0.0, "低"), (0.29, "低"), (0.3, "中"), (0.69, "中"), (0.7, "高"), (1.0, "高")],
)
def test_confidence_is_said_in_a_word_that_is_explained(confidence: float, word: str) -> None:
    soup = rendered(Answer("231家[1]。", "231家", confidence, (cite(1, PARK, FIRMS),)))
    said = one(soup, ".wj-confidence")
    assert said.get_text() == f"把握：{word}"
    assert str(said["title"]).startswith("这样的回答，十个里")


def test_a_refusal_is_as_sure_as_it_is_plain() -> None:
    assert not rendered(Refusal("文档里没有。", "nothing_found")).select(".wj-confidence")


def test_a_reply_carries_what_feedback_and_export_need() -> None:
    html = reply_html(
        SERVICE.ask("园区有多少家企业？"), SERVICE.article, "ab12", "2026-01-02T03:04"
    )
    soup = BeautifulSoup(html, "html.parser")
    assert one(soup, ".wj-reply.answer-ab12")
    assert one(soup, ".wj-meta").get_text() == "2026-01-02T03:04 fake-1"


def test_small_talk_is_no_answer_to_judge() -> None:
    result = AskResult("你好", Refusal("您好。", "small_talk"))
    assert "answer-" not in reply_html(result, SERVICE.article, "ab12")


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        ("question", "请换个问法"),
        ("limited", "提问太快"),
        ("busy", "暂时繁忙"),
        ("not_ready", "还没准备好"),
        ("error", "系统出错"),
        ("stopped", "已停止"),
    ],
)
def test_each_trouble_has_a_name_of_its_own(kind: NoticeKind, label: str) -> None:
    soup = BeautifulSoup(notice_html(kind, "请稍后再试。"), "html.parser")
    assert one(soup, f".wj-notice-{kind} .wj-label").get_text() == label
    assert one(soup, ".wj-text").get_text() == "请稍后再试。"
