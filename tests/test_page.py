"""The chat page as people use it: a real browser on a real server."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterator
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import ForeignHost, Visit
from tests.fakes import (
    FIRMS,
    HOSTILE_SENTENCE,
    PARK_DOC,
    PORT,
    PORT_DOC,
    ROUTES,
    SHIPS,
    hurry,
    running_server,
)
from tests.servers import RunningServer
from web.feedback import FeedbackStore

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Locator, Page, expect

THROUGHPUT = "临江港全年完成多少集装箱吞吐量？"


SLOW = "慢慢回答：吞吐量是多少？"


@pytest.fixture(scope="module")
def feedback_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page") / "feedback.sqlite"


@pytest.fixture(scope="module")
def feedback(feedback_file: Path) -> FeedbackStore:
    """What the server of these tests has been told."""
    return FeedbackStore(feedback_file)


@pytest.fixture(scope="module")
def server(feedback_file: Path) -> Iterator[RunningServer]:
    with running_server("fake", feedback=str(feedback_file), queue_size=1) as running:
        yield running


@pytest.fixture
def page(visit: Visit, server: RunningServer) -> Iterator[Page]:
    """The chat page, ready for the first question of a conversation."""
    page = visit.page
    if not box(page).is_visible():
        open_page(page, server)
    yield page
    page.set_viewport_size({"width": 1280, "height": 800})
    page.emulate_media(color_scheme="light")
    if not box(page).is_visible() or page.get_by_role("dialog").is_visible():
        open_page(page, server)
    elif rows(page).count():
        forget(page)


def open_page(page: Page, server: RunningServer) -> None:
    """Load the page and begin anew."""
    page.goto(server.address)
    wait_until_ready(page)
    if rows(page).count():
        forget(page)


def wait_until_ready(page: Page) -> None:
    """The page is up, and what it keeps for a reload is there."""
    box(page).wait_for()
    expect(page.get_by_text("已收录 3 篇文档")).to_be_visible()
    expect(page.locator("html.wj-restoring")).to_have_count(0)


def forget(page: Page) -> None:
    page.get_by_role("button", name="新对话").click()
    expect(rows(page)).to_have_count(0)


def rows(page: Page) -> Locator:
    return page.locator("#wj-messages .message-row")


def box(page: Page) -> Locator:
    return page.get_by_label("您的问题")


def ask(page: Page, question: str) -> None:
    """Send a question and wait until it can be followed by another."""
    answers = page.locator("#wj-messages .wj-reply")
    before = answers.count()
    box(page).fill(question)
    box(page).press("Enter")
    expect(answers).to_have_count(before + 1)
    expect(page.get_by_role("button", name="发送")).to_be_visible()


def panel(page: Page) -> Locator:
    return page.locator("#wj-panel")


def test_a_visitor_sees_what_the_page_does_and_what_to_ask(page: Page) -> None:
    expect(page).to_have_title("问据")
    expect(page.get_by_role("heading", name="问据")).to_be_visible()
    expect(page.get_by_text("问据只根据已收录的文档作答")).to_be_visible()
    expect(page.get_by_text("已收录 3 篇文档 · 索引版本 fake-1")).to_be_visible()
    expect(page.get_by_role("button", name=THROUGHPUT)).to_be_visible()


def test_an_example_question_is_asked_by_a_click(page: Page) -> None:
    page.get_by_role("button", name=THROUGHPUT).click()
    expect(page.locator(".wj-question")).to_have_text(THROUGHPUT)
    expect(page.locator("#wj-messages .wj-text")).to_contain_text("128.6万标箱")
    expect(page.get_by_text("问据只根据已收录的文档作答")).to_be_hidden()


def test_a_new_conversation_where_none_was_begun_loses_no_question(page: Page) -> None:
    for _ in range(3):
        page.evaluate(
            """() => {
                document.querySelector("#wj-clear").click();
                document.querySelector("#wj-examples button").click();
            }"""
        )
        expect(page.locator("#wj-messages .wj-text")).to_contain_text("128.6万标箱")
        expect(page.get_by_role("button", name="发送")).to_be_visible()
        page.wait_for_timeout(300)  # an empty conversation that comes late would take it away
        expect(page.locator(".wj-question")).to_have_text(THROUGHPUT)
        forget(page)


def test_a_question_asked_while_the_last_conversation_goes_is_not_lost(page: Page) -> None:
    for _ in range(3):
        ask(page, "园区落户了多少家企业？")
        box(page).fill(THROUGHPUT)
        page.evaluate(
            """() => {
                document.querySelector("#wj-clear").click();
                document.querySelector("#wj-send").click();
            }"""
        )
        expect(page.locator(".wj-question")).to_have_text([THROUGHPUT])
        expect(page.locator("#wj-messages .wj-text")).to_contain_text(["128.6万标箱"])


def test_a_new_conversation_right_after_a_retry_takes_the_answer_away(page: Page) -> None:
    for _ in range(3):
        ask(page, THROUGHPUT)
        page.evaluate(
            """() => {
                document.querySelector(".wj-tool-again").click();
                document.querySelector("#wj-clear").click();
            }"""
        )
        expect(rows(page)).to_have_count(0)
        page.wait_for_timeout(300)  # an answer that comes late would stand in it
        expect(rows(page)).to_have_count(0)


def test_the_next_question_may_follow_the_answer_at_once(page: Page) -> None:
    box(page).fill(THROUGHPUT)
    page.evaluate(
        """() => new Promise((done) => {
            const send = () => document.querySelector("#wj-send").click();
            new MutationObserver((_, observer) => {
                if (!document.querySelector("#wj-messages .wj-text")) return;
                observer.disconnect();
                const box = document.querySelector("#wj-question textarea");
                box.value = "园区落户了多少家企业？";
                box.dispatchEvent(new Event("input", { bubbles: true }));
                send();
                done();
            }).observe(document.body, { childList: true, subtree: true });
            send();
        })"""
    )
    expect(page.locator("#wj-messages .wj-text")).to_have_count(2)


def test_the_answer_begins_within_three_tenths_of_a_second(page: Page) -> None:
    """Of the page's own making; what the answer itself takes is not in it."""
    taken = []
    for _ in range(7):
        box(page).fill(THROUGHPUT)
        taken.append(page.evaluate(FIRST_TEXT))
        expect(page.get_by_role("button", name="发送")).to_be_visible()
        page.wait_for_timeout(200)  # as long as the page holds the next question back
    assert statistics.median(taken) <= 300, taken


def test_the_answer_stands_beside_its_sources(page: Page) -> None:
    ask(page, THROUGHPUT)
    expect(panel(page).locator("mark")).to_have_text([SHIPS, FIRMS])
    expect(panel(page).get_by_role("heading", level=3)).to_have_text(
        [f"1{PORT.title}", "2产业园里的“店小二”"]
    )
    expect(panel(page).locator(".wj-date")).to_have_text(["2025年（据正文推断）", "2025年3月30日"])


def test_a_click_on_a_citation_highlights_its_source(page: Page) -> None:
    ask(page, THROUGHPUT)
    page.get_by_role("link", name="[2]").click()
    active = page.locator(".wj-source.is-active")
    expect(active.locator("mark")).to_have_text(FIRMS)
    expect(active).to_be_focused()
    expect(active).to_be_in_viewport()
    assert "#source" not in page.url


def test_a_citation_can_be_followed_with_the_keyboard_alone(page: Page) -> None:
    ask(page, THROUGHPUT)
    page.get_by_role("link", name="[1]").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".wj-source.is-active mark")).to_have_text(SHIPS)


def test_a_citation_of_an_earlier_answer_brings_its_sources_back(page: Page) -> None:
    ask(page, "港口开通了哪些航线？")
    ask(page, "园区落户了多少家企业？")
    expect(panel(page).locator("mark")).to_have_text([FIRMS])
    page.get_by_role("link", name="[1]").first.click()
    expect(panel(page).locator(".is-active mark")).to_have_text(ROUTES)


def test_the_whole_article_opens_at_the_quotation_and_closes_again(page: Page) -> None:
    ask(page, "港口开通了哪些航线？")
    panel(page).get_by_role("link", name="查看全文").first.click()
    dialog = page.get_by_role("dialog", name="全文")
    article = dialog.frame_locator("iframe")
    expect(article.get_by_role("heading", level=1)).to_have_text(PORT.title or "")
    expect(article.locator("mark#quote")).to_have_text(ROUTES)
    expect(article.locator("mark#quote")).to_be_in_viewport()
    expect(article.locator(".byline")).to_have_text(PORT.byline or "")
    expect(article.locator(".meta .date")).to_have_text("2025年（据正文推断）")
    article.get_by_role("link", name="原文").click()
    expect(article.locator("pre mark#quote")).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(panel(page).get_by_role("link", name="查看全文").first).to_be_focused()


def test_the_whole_article_marks_every_quotation_of_the_answer(page: Page) -> None:
    ask(page, "港口开通了哪些航线？")
    panel(page).get_by_role("link", name="查看全文").last.click()
    article = page.get_by_role("dialog", name="全文").frame_locator("iframe")
    expect(article.locator("mark")).to_have_text([ROUTES, "企业从下单到收货，平均缩短了三天。"])
    expect(article.locator("mark#quote")).to_have_text("企业从下单到收货，平均缩短了三天。")
    article.get_by_role("link", name="原文").click()
    expect(article.locator("pre mark")).to_have_count(2)
    page.get_by_role("button", name="关闭").click()


def test_a_refusal_looks_different_and_offers_related_passages(page: Page) -> None:
    ask(page, "明天天气怎么样？")
    expect(page.locator(".wj-refusal .wj-label")).to_have_text("文中没有答案")
    refusal = page.locator("#wj-messages .wj-refusal")
    plain = "rgba(0, 0, 0, 0)"
    assert refusal.evaluate("node => getComputedStyle(node).backgroundColor") != plain
    expect(panel(page).get_by_role("heading", name="相关段落")).to_be_visible()
    expect(panel(page).get_by_role("link", name="查看全文")).to_have_count(2)


def test_what_is_merely_related_is_not_marked_like_evidence(page: Page) -> None:
    colour = "node => getComputedStyle(node).backgroundColor"
    ask(page, "明天天气怎么样？")
    expect(panel(page).get_by_role("heading", name="相关段落")).to_be_visible()
    related = panel(page).locator("mark").first.evaluate(colour)
    ask(page, THROUGHPUT)
    expect(panel(page).locator("mark")).to_have_text([SHIPS, FIRMS])
    assert panel(page).locator("mark").first.evaluate(colour) != related


def test_marks_of_neighbouring_lines_do_not_touch(page: Page) -> None:
    page.set_viewport_size({"width": 375, "height": 667})
    ask(page, THROUGHPUT)
    mark = page.locator("#wj-messages mark").first
    lines = mark.evaluate(
        "node => [...node.getClientRects()].map(({ top, bottom }) => [top, bottom])"
    )
    assert len(lines) > 1
    assert all(upper[1] < lower[0] for upper, lower in pairwise(lines))


def test_the_column_of_sources_comes_with_the_first_question(page: Page) -> None:
    expect(page.locator("#wj-side")).to_be_hidden()
    ask(page, THROUGHPUT)
    expect(page.locator("#wj-side")).to_be_visible()


def test_the_newest_question_stands_clear_of_the_header(page: Page) -> None:
    page.set_viewport_size({"width": 375, "height": 667})
    ask(page, THROUGHPUT)
    ask(page, THROUGHPUT)
    question = page.locator("#wj-messages .wj-question").last
    gap = "node => node.getBoundingClientRect().top - %s.getBoundingClientRect().bottom"
    header = "document.querySelector('#wj-header')"
    assert 4 < question.evaluate(gap % header) < 40


def test_a_follow_up_says_how_it_was_understood(page: Page) -> None:
    ask(page, THROUGHPUT)
    expect(page.locator(".wj-understood")).to_have_count(0)
    ask(page, "那园区呢？")
    expect(page.locator("#wj-messages .wj-understood")).to_have_text(
        "按“园区去年落户了多少家企业？”理解"
    )


def test_waiting_shows_what_is_being_done_and_can_be_stopped(page: Page) -> None:
    box(page).fill(SLOW)
    box(page).press("Enter")
    expect(page.locator(".wj-question")).to_be_visible(timeout=2000)
    expect(box(page)).to_have_value("")
    expect(page.locator("#wj-messages .wj-status")).to_have_text("正在核对引文……")
    expect(page.get_by_role("button", name="发送")).to_be_hidden()
    page.get_by_role("button", name="停止").click()
    expect(page.locator("#wj-messages .wj-label")).to_have_text("已停止")
    expect(page.locator("#wj-messages .wj-status")).to_have_count(0)
    ask(page, THROUGHPUT)
    expect(page.locator("#wj-messages .wj-reply")).to_have_count(2)


def test_the_next_question_can_be_written_while_waiting(page: Page, server: RunningServer) -> None:
    box(page).fill(SLOW)
    box(page).press("Enter")
    expect(page.locator("#wj-messages .wj-status")).to_have_text("正在核对引文……")
    box(page).fill("港口开通了哪些航线？")
    hurry(server)
    expect(page.locator("#wj-messages .wj-answer")).to_be_visible()
    expect(box(page)).to_have_value("港口开通了哪些航线？")
    box(page).fill("")


@pytest.mark.parametrize(
    ("question", "word", "hedged"),
    [
        pytest.param("园区有多少家企业？", "高", False, id="sure"),
        pytest.param("说不好有多少家", "中", False, id="middling"),
        pytest.param("拿不准有多少家", "低", True, id="unsure"),
    ],
)
def test_an_answer_says_how_sure_it_is(page: Page, question: str, word: str, hedged: bool) -> None:
    ask(page, question)
    confidence = page.locator("#wj-messages .wj-confidence")
    expect(confidence).to_have_text(f"把握：{word}")
    assert "十个里" in (confidence.get_attribute("title") or "")
    expect(page.locator("#wj-messages .wj-hedge")).to_have_count(int(hedged))


def test_an_answer_can_be_asked_for_again(page: Page) -> None:
    ask(page, THROUGHPUT)
    # Else what follows would hold for the old answer, before anything has happened.
    with page.expect_response("**/queue/join*"):
        page.get_by_role("button", name="重试").click()
    expect(page.locator("#wj-messages .wj-reply")).to_have_count(1)
    expect(page.get_by_role("button", name="发送")).to_be_visible()
    expect(page.locator(".wj-question")).to_have_count(1)


def test_a_new_conversation_starts_empty(page: Page) -> None:
    ask(page, THROUGHPUT)
    page.get_by_role("button", name="新对话").click()
    expect(page.get_by_text("问据只根据已收录的文档作答")).to_be_visible()
    expect(panel(page)).to_contain_text("提问后，这里会显示答案引用的原文")
    ask(page, "那园区呢？")
    expect(page.locator(".wj-refusal")).to_be_visible()  # nothing to refer to any more


def test_a_blank_question_is_not_sent(page: Page) -> None:
    box(page).fill("   ")
    page.get_by_role("button", name="发送").click()
    ask(page, THROUGHPUT)
    expect(page.locator(".wj-question")).to_have_count(1)


@pytest.mark.parametrize(
    ("question", "label", "text"),
    [
        pytest.param("问" * 1001, "请换个问法", "问题太长了", id="bad question"),
        pytest.param("让它崩溃", "系统出错", "系统暂时无法回答，请稍后再试。（编号 ", id="bug"),
        pytest.param("太勤了吗", "提问太快", "提问过于频繁，请 40 秒后再试。", id="limited"),
        pytest.param("太忙了吗", "暂时繁忙", "现在提问的人较多，请稍后再试。", id="busy"),
        pytest.param("没建好吗", "还没准备好", "资料库还没有建好，请稍后再试。", id="not ready"),
    ],
)
def test_trouble_is_one_chinese_sentence_and_a_way_to_try_again(
    page: Page, question: str, label: str, text: str
) -> None:
    ask(page, question)
    if label == "请换个问法":
        page.get_by_role("button", name="修改问题").click()
        expect(box(page)).to_have_value(question)
        box(page).fill("")
    else:
        expect(page.get_by_role("button", name="重试")).to_be_visible()
    expect(page.locator("#wj-messages .wj-label")).to_have_text(label)
    expect(page.locator("#wj-messages .wj-text")).to_contain_text(text)
    expect(page.locator("body")).not_to_contain_text("secret")


def test_when_too_many_ask_the_last_are_told_so(page: Page, server: RunningServer) -> None:
    others = [page.context.new_page() for _ in range(3)]  # two are answered at once, one waits
    for other in others:
        other.goto(server.address)
        expect(other.get_by_text("已收录 3 篇文档")).to_be_visible()
    for other, question in zip(others, (SLOW, SLOW, THROUGHPUT), strict=True):
        box(other).fill(question)
        box(other).press("Enter")
        expect(other.locator("#wj-messages .wj-status")).to_contain_text(re.compile("核对|前面"))
    waiting = others[-1].locator("#wj-messages .wj-status")
    expect(waiting).to_have_text("前面还有 2 个问题，请稍候……")
    ask(page, THROUGHPUT)
    expect(page.locator("#wj-messages .wj-label")).to_have_text("暂时繁忙")
    hurry(server)
    for other in others:
        expect(other.locator("#wj-messages .wj-answer")).to_be_visible()
        other.close()


def test_an_english_browser_reads_chinese_only(page: Page) -> None:
    ask(page, THROUGHPUT)
    ask(page, "明天天气怎么样？")
    # page.js names what is new once a frame.
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    words = page.evaluate(
        """() => [...document.querySelectorAll("body *")]
            .filter((node) => node.checkVisibility())
            .flatMap((node) => [
                node.getAttribute("aria-label"), node.getAttribute("title"),
                node.getAttribute("placeholder"),
                ...[...node.childNodes].filter((child) => child.nodeType === 3).map((t) => t.data),
            ])
            .filter((text) => /[A-Za-z]{3}/.test(text ?? ""))"""
    )
    assert [word for word in words if "fake-1" not in word] == []


def test_every_control_has_a_name(page: Page) -> None:
    ask(page, THROUGHPUT)
    for control in page.locator("button:visible, a:visible, textarea:visible").all():
        snapshot = control.aria_snapshot()
        assert re.search(r'"[^"]+"|: \S|\S:', snapshot), snapshot


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    ask(page, THROUGHPUT)
    ask(page, "明天天气怎么样？")
    for selector in (".wj-question", ".wj-text", ".wj-label", ".wj-cite", ".wj-date", "mark"):
        contrast = page.locator(selector).locator("visible=true").first.evaluate(CONTRAST)
        assert contrast >= 4.5, (selector, contrast)


def test_a_phone_shows_everything_without_scrolling_sideways(visit: Visit, page: Page) -> None:
    page.set_viewport_size({"width": 375, "height": 667})
    ask(page, "问" * 300)
    ask(page, THROUGHPUT)
    page.locator("#wj-messages").get_by_role("link", name="[2]").click()
    source = page.locator("#wj-messages .wj-source.is-active")
    expect(source.locator("mark")).to_have_text(FIRMS)
    expect(source).to_be_in_viewport()
    expect(page.get_by_role("button", name="发送")).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    source.get_by_role("link", name="查看全文").click()
    article = page.get_by_role("dialog", name="全文").frame_locator("iframe")
    expect(article.locator("mark#quote")).to_be_in_viewport()
    assert article.locator("html").evaluate("node => node.scrollWidth") <= 375


def test_nothing_is_fetched_from_elsewhere_and_nothing_fails(
    visit: Visit, page: Page, server: RunningServer
) -> None:
    visit.requests.clear()
    visit.problems.clear()
    fresh = page.context.new_page()
    fresh.goto(server.address)
    box(fresh).wait_for()
    ask(fresh, THROUGHPUT)
    panel(fresh).get_by_role("link", name="查看全文").first.click()
    expect(fresh.frame_locator("iframe").locator("mark#quote")).to_be_visible()
    fresh.close()
    hosts = {urlsplit(request).netloc for request in visit.requests}
    assert hosts - {""} == {urlsplit(server.address).netloc}
    assert visit.problems == []


def test_hostile_questions_and_documents_reach_no_other_host(
    visit: Visit, page: Page, server: RunningServer, foreign_host: ForeignHost
) -> None:
    visit.requests.clear()
    visit.problems.clear()
    ask(page, "危险：" + HOSTILE_SENTENCE)
    ask(
        page,
        "\n\n![图](http://evil.test/q.png)\n\n[点](javascript:window.hacked=1) http://evil.test",
    )
    expect(page.locator(".wj-question").first).to_have_text("危险：" + HOSTILE_SENTENCE)
    page.locator("#wj-messages .wj-cite").first.click()
    expect(panel(page).locator("mark")).to_have_text(HOSTILE_SENTENCE)
    panel(page).get_by_role("link", name="查看全文").click()
    expect(page.frame_locator("iframe").locator("mark#quote")).to_have_text(HOSTILE_SENTENCE)
    assert page.locator("#wj-main :is(img, form, script, [onerror])").count() == 0
    assert page.evaluate("window.hacked") is None
    own = urlsplit(server.address).netloc
    assert {urlsplit(request).netloc for request in visit.requests} - {""} == {own}
    assert foreign_host.paths == []
    assert visit.problems == []


def test_the_policy_stops_what_escaping_would_have_missed(
    page: Page, foreign_host: ForeignHost
) -> None:
    page.evaluate(
        """() => {
            const image = document.createElement("img");
            image.src = "http://evil.test/leak.png";
            document.body.append(image);
            return new Promise((done) => { image.onerror = done; });
        }"""
    )
    assert foreign_host.paths == []
    page.goto("http://evil.test/control")  # the listener does listen
    assert foreign_host.paths[0] == "/control"
    foreign_host.paths.clear()


def tool(page: Page, name: str) -> Locator:
    return page.locator("#wj-messages").get_by_role("button", name=name)


COPIED = f"""全年完成集装箱吞吐量128.6万标箱，同比增长9.3%[1]。园区落户企业231家[2]。

来源：
[1] “{SHIPS}”——《{PORT.title}》，2025年（据正文推断），{PORT_DOC}
[2] “{FIRMS}”——《产业园里的“店小二”》，2025年3月30日，{PARK_DOC}"""


def test_an_answer_is_copied_with_its_sources(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(page, THROUGHPUT)
    tool(page, "复制").click()
    expect(page.locator("#wj-messages .wj-said")).to_have_text("已复制，含来源")
    assert page.evaluate("navigator.clipboard.readText()") == COPIED


def test_an_answer_is_copied_where_plain_http_has_no_clipboard(page: Page) -> None:
    ask(page, THROUGHPUT)
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    tool(page, "复制").click()
    expect(page.locator("#wj-messages .wj-said")).to_have_text("已复制，含来源")
    expect(tool(page, "复制")).to_be_focused()
    box(page).focus()
    page.keyboard.press("Control+V")
    expect(box(page)).to_have_value(COPIED)
    page.reload()
    wait_until_ready(page)


def test_an_answer_that_helped_can_be_called_so(page: Page, feedback: FeedbackStore) -> None:
    ask(page, THROUGHPUT)
    tool(page, "有用").click()
    expect(page.locator("#wj-messages .wj-said")).to_have_text("已记下，谢谢")
    expect(tool(page, "有用")).to_have_attribute("aria-pressed", "true")
    entry = feedback.entries()[-1]
    assert (entry.feedback.rating, entry.record["question"]) == ("up", THROUGHPUT)
    assert entry.record["index_version"] == "fake-1"
    page.reload()
    expect(tool(page, "有用")).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize(
    ("name", "problem"),
    [pytest.param("没用", None, id="no use"), pytest.param("引用错误", "citation", id="citation")],
)
def test_what_is_wrong_with_an_answer_is_told_with_the_keyboard_alone(
    page: Page, feedback: FeedbackStore, name: str, problem: str | None
) -> None:
    ask(page, THROUGHPUT)
    tool(page, name).focus()
    page.keyboard.press("Enter")
    comment = page.locator("#wj-messages").get_by_role("textbox")
    expect(comment).to_be_focused()
    assert feedback.entries()[-1].feedback.comment == ""  # stored before a word is said
    page.keyboard.type("数字是去年的")
    page.keyboard.press("Enter")
    expect(comment).to_have_count(0)
    expect(tool(page, name)).to_be_focused()
    said = feedback.entries()[-1].feedback
    assert (said.rating, said.problem, said.comment) == ("down", problem, "数字是去年的")


def test_feedback_on_an_answer_that_the_server_has_forgotten_is_not_taken_for_stored(
    page: Page,
) -> None:
    ask(page, THROUGHPUT)
    page.route("**/api/v1/feedback", lambda route: route.abort())
    tool(page, "有用").click()
    expect(page.locator("#wj-messages .wj-said")).to_have_text("没有存下，请稍后再试")
    expect(tool(page, "有用")).to_have_attribute("aria-pressed", "false")
    page.unroute("**/api/v1/feedback")


def test_the_conversation_survives_a_reload_and_goes_on(page: Page) -> None:
    ask(page, THROUGHPUT)
    ask(page, "明天天气怎么样？")
    before = page.locator("#wj-messages .wj-text").all_inner_texts()
    page.reload()
    expect(page.locator("#wj-messages .wj-text")).to_have_text(before)
    expect(page.locator(".wj-question").first).to_have_text(THROUGHPUT)
    expect(panel(page).get_by_role("heading", name="相关段落")).to_be_visible()
    page.get_by_role("link", name="[2]").click()
    expect(panel(page).locator(".is-active mark")).to_have_text(FIRMS)
    ask(page, "那园区呢？")
    expect(page.locator("#wj-messages .wj-understood")).to_be_visible()


def test_a_question_without_its_answer_can_be_asked_again_after_a_reload(page: Page) -> None:
    box(page).fill(SLOW)
    box(page).press("Enter")
    expect(page.locator("#wj-messages .wj-status")).to_be_visible()
    page.reload()
    expect(page.locator("#wj-messages .wj-label")).to_have_text("已停止")
    expect(page.locator(".wj-question")).to_have_text(SLOW)
    expect(tool(page, "重试")).to_be_visible()


def test_a_new_conversation_is_forgotten_by_a_reload_too(page: Page) -> None:
    ask(page, THROUGHPUT)
    forget(page)
    page.reload()
    wait_until_ready(page)
    expect(rows(page)).to_have_count(0)


def test_two_tabs_keep_their_conversations_apart(page: Page, server: RunningServer) -> None:
    ask(page, THROUGHPUT)
    other = page.context.new_page()
    open_page(other, server)
    expect(rows(other)).to_have_count(0)
    ask(other, "园区落户了多少家企业？")
    page.reload()
    expect(page.locator(".wj-question")).to_have_text([THROUGHPUT])
    other.close()


def kept(*messages: object, age_ms: int = 0) -> str:
    """A script that puts messages where the page keeps its own."""
    value = json.dumps(list(messages))
    return (
        "() => sessionStorage.setItem('wenju-conversation',"
        f" JSON.stringify({{ saved: Date.now() - {age_ms}, messages: {value} }}))"
    )


QUESTION = {"role": "user", "content": '<div class="wj-question">旧问题</div>'}


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("() => sessionStorage.setItem('wenju-conversation', '{broken')", id="broken"),
        pytest.param(kept({"role": "system", "content": 7}, "x", None), id="foreign"),
        pytest.param(kept(QUESTION, age_ms=12 * 3600 * 1000 + 1000), id="twelve hours old"),
        pytest.param(kept(QUESTION, age_ms=-3600 * 1000), id="from the future"),
    ],
)
def test_what_is_broken_foreign_or_old_is_not_brought_back(page: Page, script: str) -> None:
    page.evaluate(script)
    page.reload()
    wait_until_ready(page)
    expect(page.get_by_text("问据只根据已收录的文档作答")).to_be_visible()
    ask(page, THROUGHPUT)
    expect(page.locator(".wj-question")).to_have_text([THROUGHPUT])


def test_hostile_markup_in_what_was_kept_is_harmless(page: Page, foreign_host: ForeignHost) -> None:
    evil = (
        '<div class="wj-reply wj-answer" onclick="window.hacked=1"><p class="wj-text">旧答案'
        '<img src="http://evil.test/k.png"><script>window.hacked=1</script>'
        '<a class="wj-open" href="http://evil.test/">去</a></p></div>'
    )
    foreign_host.paths.clear()
    page.evaluate(kept(QUESTION, {"role": "assistant", "content": evil}))
    page.reload()
    expect(page.locator("#wj-messages .wj-text")).to_have_text("旧答案去")
    assert page.locator("#wj-messages :is(img, script, [onclick], [href])").count() == 0
    assert page.evaluate("window.hacked") is None
    assert foreign_host.paths == []


def test_the_conversation_and_the_draft_survive_a_restart_of_the_server(browser: Browser) -> None:
    context = browser.new_context(locale="en-US")
    page = context.new_page()
    with running_server("fake") as first:
        page.goto(first.address)
        wait_until_ready(page)
        ask(page, THROUGHPUT)
        expect(tool(page, "复制")).to_be_visible()
        expect(tool(page, "有用")).to_have_count(0)  # this server takes no feedback
    box(page).fill("那园区呢？")
    box(page).press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("与服务器的连接断了")
    with running_server("fake", port=first.port):
        expect(page.get_by_role("alert")).to_have_count(0, timeout=10_000)
        wait_until_ready(page)
        expect(page.locator(".wj-question")).to_have_text([THROUGHPUT])
        expect(box(page)).to_have_value("那园区呢？")
        box(page).press("Enter")
        expect(page.locator("#wj-messages .wj-understood")).to_be_visible()
        context.close()


def test_the_conversation_can_be_exported(page: Page) -> None:
    expect(page.get_by_role("button", name="导出")).to_be_hidden()  # there is nothing yet
    ask(page, THROUGHPUT)
    ask(page, "那园区呢？")
    ask(page, "明天天气怎么样？")
    with page.expect_download() as download:
        page.get_by_role("button", name="导出").click()
    assert re.fullmatch(r"问据对话-\d{8}-\d{4}\.md", download.value.suggested_filename)
    text = Path(download.value.path()).read_text("utf-8")
    assert "**问题**\n\n" + THROUGHPUT in text
    assert "同比增长9.3%[1]。园区落户企业231家[2]。" in text
    assert "按“园区去年落户了多少家企业？”理解" in text
    assert "把握：高" in text
    assert f"[2] 《产业园里的“店小二”》，2025年3月30日，{PARK_DOC}，第 37–67 字" in text
    assert f"\n\n> {FIRMS}\n" in text
    assert "**文中没有答案**" in text
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d · 索引版本 fake-1", text)


def test_an_export_holds_no_markup_of_people_or_documents(page: Page) -> None:
    ask(page, "# 危险\n1. 一\n" + HOSTILE_SENTENCE)
    with page.expect_download() as download:
        page.get_by_role("button", name="导出").click()
    text = Path(download.value.path()).read_text("utf-8")
    assert not re.search(r"(?<!\\)<|(?<!\\)!\[|\w\]\(|^# 危险|^1\. 一", text, re.MULTILINE)


def test_after_a_click_the_keyboard_goes_on_in_the_box(page: Page) -> None:
    box(page).fill(THROUGHPUT)
    page.get_by_role("button", name="发送").click()
    expect(page.locator("#wj-messages .wj-answer")).to_be_visible()
    expect(box(page)).to_be_focused()
    page.get_by_role("button", name="新对话").click()
    expect(rows(page)).to_have_count(0)
    expect(box(page)).to_be_focused()


def test_the_tab_key_goes_from_the_header_down_to_the_sources(page: Page) -> None:
    ask(page, "园区落户了多少家企业？")
    page.get_by_role("button", name="导出").focus()
    names = []
    for _ in range(10):
        names.append(
            page.evaluate(
                "document.activeElement.getAttribute('aria-label')"
                " || document.activeElement.innerText"
                " || document.activeElement.closest('label')?.innerText.trim()"
            )
        )
        page.keyboard.press("Tab")
    order = ["导出", "新对话", "[1]", "复制", "有用", "没用", "引用错误", "重试"]
    assert names[:8] == order
    assert names[9:] == ["发送"]


def test_at_twice_the_size_everything_is_still_there(page: Page) -> None:
    page.set_viewport_size({"width": 640, "height": 400})  # 1280 x 800 at 200 %
    ask(page, THROUGHPUT)
    expect(page.locator("#wj-messages .wj-text")).to_be_in_viewport()
    expect(page.get_by_role("button", name="发送")).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("button", name="新对话")).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 640


def grave_findings(page: Page) -> list[str]:
    """What axe-core calls serious or critical; through DevTools, so that the policy allows it."""
    page.evaluate(AXE)
    result = page.evaluate("axe.run({ resultTypes: ['violations'] })")
    assert result["passes"]  # it did look
    return [
        f"{finding['id']}: {finding['nodes'][0]['html'][:200]}"
        for finding in result["violations"]
        if finding["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_grave(
    page: Page, server: RunningServer, scheme: str, width: int
) -> None:
    page.emulate_media(
        color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce"
    )
    page.set_viewport_size({"width": width, "height": 800})
    assert grave_findings(page) == []
    ask(page, "拿不准有多少家")
    tool(page, "没用").click()
    expect(page.locator("#wj-messages").get_by_role("textbox")).to_be_focused()
    assert grave_findings(page) == []
    ask(page, "明天天气怎么样？")
    assert grave_findings(page) == []
    page.locator("a.wj-open").locator("visible=true").last.click()
    expect(page.frame_locator("iframe").locator("mark#quote")).to_be_visible()
    assert grave_findings(page) == []
    address = page.get_by_role("dialog").locator("iframe").get_attribute("src") or ""
    for view in ("readable", "original"):
        page.goto(f"{address.split('#')[0]}&view={view}")
        expect(page.locator("mark#quote")).to_be_visible()
        assert grave_findings(page) == []


AXE = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")

# Milliseconds from the click to the first text of the answer.
FIRST_TEXT = """() => new Promise((done) => {
    const answers = () => document.querySelectorAll("#wj-messages .wj-text").length;
    const before = answers();
    const clicked = performance.now();
    new MutationObserver((_, observer) => {
        if (answers() === before) return;
        observer.disconnect();
        done(performance.now() - clicked);
    }).observe(document.body, { childList: true, subtree: true, characterData: true });
    document.querySelector("#wj-send").click();
})"""

# WCAG 2 contrast of a node's text with the nearest opaque background behind it.
CONTRAST = """(node) => {
    const channels = (color) => color.match(/[\\d.]+/g).map(Number);
    const luminance = (rgb) => {
        const [r, g, b] = rgb.map((value) => {
            const part = value / 255;
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const text = luminance(channels(getComputedStyle(node).color).slice(0, 3));
    for (let behind = node; behind; behind = behind.parentElement) {
        const [r, g, b, alpha = 1] = channels(getComputedStyle(behind).backgroundColor);
        if (alpha === 1) {
            const [light, dark] = [text, luminance([r, g, b])].sort((one, two) => two - one);
            return (light + 0.05) / (dark + 0.05);
        }
    }
}"""
