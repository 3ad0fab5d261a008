"""The chat page as people use it: a real browser on a real server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.conftest import ForeignHost, Visit
from tests.fakes import FIRMS, HOSTILE_SENTENCE, PORT, ROUTES, SHIPS, RunningServer

pytest.importorskip("playwright")

from playwright.sync_api import Locator, Page, expect

THROUGHPUT = "临江港全年完成多少集装箱吞吐量？"


@pytest.fixture
def page(visit: Visit, server: RunningServer) -> Iterator[Page]:
    """The chat page, ready for the first question of a conversation."""
    page = visit.page
    if not page.url.startswith(server.address):
        page.goto(server.address)
    box(page).wait_for()
    expect(page.get_by_text("已收录 3 篇文档")).to_be_visible()
    yield page
    page.set_viewport_size({"width": 1280, "height": 800})
    page.emulate_media(color_scheme="light")
    if not page.url.startswith(server.address) or page.get_by_role("dialog").is_visible():
        page.goto(server.address)
    else:
        page.get_by_role("button", name="新对话").click()
        expect(page.locator("#wj-messages .message-row")).to_have_count(0)


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
        page.get_by_role("button", name="新对话").click()
        expect(page.locator("#wj-messages .message-row")).to_have_count(0)


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
    article.get_by_role("link", name="原文").click()
    expect(article.locator("pre mark#quote")).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_a_refusal_looks_different_and_offers_related_passages(page: Page) -> None:
    ask(page, "明天天气怎么样？")
    expect(page.locator(".wj-refusal .wj-label")).to_have_text("文中没有答案")
    refusal = page.locator("#wj-messages .wj-refusal")
    plain = "rgba(0, 0, 0, 0)"
    assert refusal.evaluate("node => getComputedStyle(node).backgroundColor") != plain
    expect(panel(page).get_by_role("heading", name="相关段落")).to_be_visible()
    expect(panel(page).get_by_role("link", name="查看全文")).to_have_count(2)


def test_a_follow_up_says_how_it_was_understood(page: Page) -> None:
    ask(page, THROUGHPUT)
    expect(page.locator(".wj-understood")).to_have_count(0)
    ask(page, "那园区呢？")
    expect(page.locator("#wj-messages .wj-understood")).to_have_text(
        "按“园区去年落户了多少家企业？”理解"
    )


def test_the_question_shows_at_once_and_waiting_can_be_stopped(page: Page) -> None:
    box(page).fill("慢慢回答：吞吐量是多少？")
    box(page).press("Enter")
    expect(page.locator(".wj-question")).to_be_visible(timeout=2000)
    expect(box(page)).to_have_value("")
    page.get_by_role("button", name="停止").click()
    expect(page.locator("#wj-messages .wj-label")).to_have_text("已停止")
    ask(page, THROUGHPUT)
    expect(page.locator("#wj-messages .wj-reply")).to_have_count(2)


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
    ],
)
def test_trouble_is_one_chinese_sentence(page: Page, question: str, label: str, text: str) -> None:
    ask(page, question)
    expect(page.locator("#wj-messages .wj-label")).to_have_text(label)
    expect(page.locator("#wj-messages .wj-text")).to_contain_text(text)
    expect(page.locator("body")).not_to_contain_text("secret")


def test_when_too_many_ask_the_last_are_told_so(page: Page, server: RunningServer) -> None:
    others = [page.context.new_page() for _ in range(2)]  # as many as this server answers at once
    for other in others:
        other.goto(server.address)
        expect(other.get_by_text("已收录 3 篇文档")).to_be_visible()
    for other in others:
        box(other).fill("慢慢回答：吞吐量是多少？")
        box(other).press("Enter")
        expect(other.locator(".wj-question")).to_be_visible()
    ask(page, THROUGHPUT)
    expect(page.locator("#wj-messages .wj-label")).to_have_text("暂时繁忙")
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
