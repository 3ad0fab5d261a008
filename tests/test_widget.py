"""The portal widget as visitors of a portal use it: a page on a second origin, under the strict
policy that docs/widget.md recommends, in a real browser. Answers come from the real server; a
scripted one stands in only for trouble on the way and for what must be seen of a request.
"""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.conftest import ForeignHost, Visit
from tests.fakes import FIRMS, HOSTILE_SENTENCE, PORT, ROUTES, SHIPS, hurry, running_server
from tests.portal import Portal, Reply, Scripted, event, running_portal, scripted_server
from tests.servers import RunningServer

pytest.importorskip("playwright")

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    WebError,
    expect,
)

WIDGET = Path(__file__).parent.parent / "web" / "static" / "widget.js"
MAX_BYTES = 15_000  # gzipped
THROUGHPUT = "临江港全年完成多少集装箱吞吐量？"
WEATHER = "明天天气怎么样？"
LAST_STAGE = "正在核对引文……"  # that is shown while the server takes its time
SCREENS = {"desktop": (1280, 800), "phone": (375, 667), "zoomed": (640, 400)}  # the last: 200 %


@pytest.fixture(scope="module")
def feedback_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("feedback") / "feedback.sqlite"


@pytest.fixture(scope="module")
def running(feedback_file: Path) -> Iterator[tuple[Portal, RunningServer]]:
    """The portal, and the server that has it on its list."""
    with (
        running_portal() as portal,
        running_server(
            "fake", origins=[portal.address], feedback=str(feedback_file), demo=True
        ) as server,
    ):
        yield portal, server


@pytest.fixture
def api(running: tuple[Portal, RunningServer]) -> RunningServer:
    return running[1]


@pytest.fixture
def portal(running: tuple[Portal, RunningServer]) -> Portal:
    """The portal with one widget of the real server."""
    portal, server = running
    portal.api = server.address
    portal.embed({})
    portal.paths.clear()
    return portal


@pytest.fixture(scope="module")
def scripted_process() -> Iterator[Scripted]:
    with scripted_server(WIDGET) as scripted:
        yield scripted


@pytest.fixture
def scripted(portal: Portal, scripted_process: Scripted) -> Scripted:
    """The portal with one widget of the scripted server."""
    portal.api = scripted_process.address
    portal.embed({})
    scripted_process.script.clear()
    scripted_process.received.clear()
    scripted_process.go_on.clear()
    return scripted_process


@pytest.fixture(params=["desktop"])
def screen(request: pytest.FixtureRequest) -> str:
    """Which of SCREENS; tests name others by parametrizing it."""
    name: str = request.param
    return name


def new_context(browser: Browser, screen: str) -> BrowserContext:
    width, height = SCREENS[screen]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        locale="en-US",  # the widget's language is the portal's choice
        reduced_motion="reduce",  # what moves cannot be clicked until it stands
        has_touch=screen == "phone",
        is_mobile=screen == "phone",
    )
    context.set_default_timeout(10_000)
    return context


@pytest.fixture(scope="module")
def tabs(browser: Browser) -> Iterator[Callable[[str], Page]]:
    """One for each screen: a new one is two new processes of the browser, half of a test's cost."""
    opened: dict[str, Page] = {}

    def tab(screen: str) -> Page:
        if screen not in opened:
            opened[screen] = new_context(browser, screen).new_page()
        return opened[screen]

    yield tab
    for page in opened.values():
        page.context.close()


@contextmanager
def visiting(page: Page) -> Iterator[Visit]:
    """What happens in a tab, whose pages may not break their policy or throw."""
    visit = Visit(page)
    faults: list[str] = []

    def note_request(request: Request) -> None:
        visit.requests.append(request.url)

    def note_fault(error: WebError) -> None:
        faults.append(str(error.error))

    def note_problem(message: ConsoleMessage) -> None:
        if message.type == "error":
            visit.problems.append(message.text)

    page.context.on("request", note_request)
    page.context.on("weberror", note_fault)
    page.context.on("console", note_problem)
    yield visit
    page.context.remove_listener("request", note_request)
    page.context.remove_listener("weberror", note_fault)
    page.context.remove_listener("console", note_problem)
    assert faults == []
    assert [text for text in visit.problems if "Content Security Policy" in text] == []


# All that the widget remembers; what is still under way must not store it again. Where the storage
# is forbidden, it holds nothing.
FORGET = """() => {
    Storage.prototype.setItem = () => {};
    try { sessionStorage.clear(); } catch {}
}"""


@pytest.fixture
def visit(tabs: Callable[[str], Page], portal: Portal, screen: str) -> Iterator[Visit]:
    with visiting(tabs(screen)) as visit:
        yield visit
        page = visit.page
        for other in page.context.pages:
            if other != page:
                other.close()
        page.evaluate(FORGET)
        page.goto("about:blank")


@pytest.fixture
def page(visit: Visit) -> Page:
    """An empty tab; the portal is the test's to open."""
    return visit.page


@pytest.fixture
def shown_as_before(page: Page, screen: str) -> Iterator[None]:
    """For tests that change how their tab shows pages."""
    yield
    page.emulate_media(color_scheme="null", reduced_motion="reduce", forced_colors="null")
    width, height = SCREENS[screen]
    page.set_viewport_size({"width": width, "height": height})


def bubble(page: Page) -> Locator:
    return page.locator(".bubble")


def panel(page: Page) -> Locator:
    return page.get_by_role("dialog")


def box(page: Page) -> Locator:
    return page.get_by_label("您的问题")


def answers(page: Page) -> Locator:
    """What stands under a question once it is no longer waited for."""
    return page.locator(".answer:has(.tools, .trouble)")


def visit_portal(page: Page, portal: Portal, path: str = "/") -> None:
    """Load the portal's page, the panel closed."""
    page.goto(portal.address + path)
    bubble(page).first.wait_for()


def open_widget(page: Page, portal: Portal) -> None:
    visit_portal(page, portal)
    bubble(page).click()
    box(page).wait_for()


def ask(page: Page, question: str) -> Locator:
    """Type and send; the answer, complete."""
    before = answers(page).count()
    box(page).fill(question)
    box(page).press("Enter")
    expect(answers(page)).to_have_count(before + 1)
    return answers(page).last


def record(answer: str = "好[1]。", **changes: Any) -> dict[str, Any]:
    """An answer record as the API has it."""
    citation = {
        "n": 1,
        "doc": "园区/年报.txt",
        "title": "年报",
        "date": "2025-03",
        "start": 3,
        "end": 9,
        "quote": "好得很。",
    }
    return {
        "id": "a1",
        "question": "",
        "answer": answer,
        "short_answer": None,
        "refused": False,
        "rateable": True,
        "confidence": 0.9,
        "citations": [citation],
        "suggestions": [],
        "timings_ms": {},
        "index_version": "v",
        "standalone_question": "",
    } | changes


def answered(text: str = "好[1]。", **changes: Any) -> Reply:
    """A whole stream with this answer."""
    return Reply([event("delta", {"text": text}), event("done", record(text, **changes))])


def failed(status: int, code: str, message: str, **headers: str) -> Reply:
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    return Reply([body], status, "application/json", headers)


# --- What it costs a portal ---


def test_it_is_small() -> None:
    assert len(gzip.compress(WIDGET.read_bytes(), 9)) <= MAX_BYTES


def test_before_it_is_opened_it_costs_one_request(
    visit: Visit, page: Page, portal: Portal, api: RunningServer
) -> None:
    visit_portal(page, portal)
    page.wait_for_load_state("networkidle")
    own = [address for address in visit.requests if address.startswith(portal.address)]
    assert [urlsplit(address).path for address in own] == ["/", "/portal.css"]
    others = [address for address in visit.requests if address not in own]
    assert [address for address in others if not address.startswith("data:")] == [
        f"{api.address}/widget.js"
    ]


def test_it_asks_no_other_host_and_breaks_no_policy(
    visit: Visit, page: Page, portal: Portal, api: RunningServer
) -> None:
    open_widget(page, portal)
    answer = ask(page, THROUGHPUT)
    answer.locator(".marker").first.click()
    answer.get_by_role("button", name="有用").click()
    expect(answer.locator(".said")).to_have_text("谢谢，已记录")
    hosts = {urlsplit(address).netloc for address in visit.requests} - {""}
    assert hosts == {urlsplit(portal.address).netloc, urlsplit(api.address).netloc}
    assert visit.problems == []


def test_the_style_of_the_portal_stays_outside(page: Page, portal: Portal) -> None:
    open_widget(page, portal)  # although the portal hides the element and makes buttons red
    go = page.locator(".go")
    assert style(go, "fontSize", "letterSpacing", "textTransform") == ["14.4px", "normal", "none"]
    assert style(go, "color") == ["rgb(255, 255, 255)"]


# --- Opening and closing ---


@pytest.mark.parametrize("screen", list(SCREENS), indirect=True)
def test_opening_moves_into_the_question_box_and_esc_back_to_the_bubble(
    page: Page, portal: Portal
) -> None:
    visit_portal(page, portal)
    expect(panel(page)).to_be_hidden()
    expect(bubble(page)).to_have_accessible_name("打开 资料问答")
    bubble(page).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="资料问答")).to_be_visible()
    expect(box(page)).to_be_focused()
    page.keyboard.press("Escape")
    expect(panel(page)).to_be_hidden()
    expect(bubble(page)).to_be_focused()
    expect(bubble(page)).to_have_attribute("aria-expanded", "false")


@pytest.mark.parametrize("screen", ["phone", "zoomed"], indirect=True)
def test_a_small_screen_shows_nothing_else_until_it_is_closed(page: Page, portal: Portal) -> None:
    open_widget(page, portal)
    ask(page, THROUGHPUT)
    page.evaluate(SETTLED)
    size = page.evaluate("[visualViewport.width, visualViewport.height]")
    place = panel(page).bounding_box()
    assert place is not None
    assert [place["x"], place["y"], place["width"], place["height"]] == [0, 0, *size]
    assert panel(page).evaluate("node => node.matches(':modal')")
    expect(page.get_by_role("button", name="发送")).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("getComputedStyle(document.documentElement).overflow") == "hidden"
    page.get_by_role("button", name="关闭", exact=True).click()
    expect(panel(page)).to_be_hidden()
    assert page.evaluate("getComputedStyle(document.documentElement).overflow") == "visible"


def test_on_a_desktop_the_portal_stays_usable(page: Page, portal: Portal) -> None:
    open_widget(page, portal)
    page.get_by_role("button", name="门户的按钮").click()
    assert not panel(page).evaluate("node => node.matches(':modal')")
    expect(panel(page)).to_be_in_viewport(ratio=1)
    bubble(page).click()
    expect(panel(page)).to_be_hidden()


@pytest.mark.usefixtures("shown_as_before")
def test_it_goes_full_screen_and_back_when_the_window_changes(page: Page, portal: Portal) -> None:
    open_widget(page, portal)
    box(page).fill("半个问题")
    page.set_viewport_size({"width": 375, "height": 667})
    expect(panel(page)).to_have_class("panel full")
    expect(box(page)).to_be_focused()
    expect(box(page)).to_have_value("半个问题")
    page.set_viewport_size({"width": 1280, "height": 800})
    expect(panel(page)).to_have_class("panel")


def test_keys_pressed_in_it_are_not_the_portals(page: Page, portal: Portal) -> None:
    open_widget(page, portal)
    page.evaluate(
        "() => { window.keys = 0; document.addEventListener('keydown', () => window.keys++); }"
    )
    page.keyboard.type("abc")
    assert page.evaluate("window.keys") == 0


# --- Asking ---


@pytest.mark.parametrize("screen", list(SCREENS), indirect=True)
def test_an_answer_has_numbers_that_open_the_quotation(page: Page, portal: Portal) -> None:
    open_widget(page, portal)
    answer = ask(page, THROUGHPUT)
    expect(page.locator(".question")).to_have_text("您问：" + THROUGHPUT)
    expect(answer.locator(".text")).to_have_text(
        "全年完成集装箱吞吐量128.6万标箱，同比增长9.3%1。园区落户企业231家2。"
    )
    expect(answer.locator("strong")).to_have_text("128.6万标箱")
    marker = answer.get_by_role("button", name=f"来源 1 {PORT.title}", exact=True)
    marker.click()
    detail = page.get_by_role("group", name=PORT.title or "")
    expect(detail).to_be_focused()
    expect(detail).to_be_in_viewport()
    expect(detail.locator("blockquote")).to_have_text(SHIPS)
    expect(detail.locator(".doc")).to_have_text("文档：港口/2025 年报#1.txt")
    head = answer.locator(".source > button").first
    expect(head).to_have_attribute("aria-expanded", "true")
    expect(head.locator(".date")).to_have_text("2025年")
    marker.click()
    expect(detail).to_be_hidden()
    expect(head).to_have_attribute("aria-expanded", "false")


def test_the_article_opens_in_a_new_tab_with_every_quotation_of_the_answer(
    page: Page, portal: Portal, api: RunningServer
) -> None:
    open_widget(page, portal)
    answer = ask(page, "港口开通了哪些航线？")
    answer.locator(".marker").nth(1).click()
    link = answer.get_by_role("link", name="在原文中查看").locator("visible=true")
    assert link.get_attribute("rel") == "noopener"
    with page.context.expect_page() as opened:
        link.click()
    article = opened.value
    expect(article.locator("mark#quote")).to_have_text("企业从下单到收货，平均缩短了三天。")
    expect(article.locator("mark")).to_have_text([ROUTES, "企业从下单到收货，平均缩短了三天。"])
    assert article.url.startswith(f"{api.address}/article/")
    assert article.evaluate("window.opener") is None


def test_what_is_under_way_is_shown_and_can_be_stopped(
    page: Page, portal: Portal, api: RunningServer
) -> None:
    open_widget(page, portal)
    box(page).fill("慢慢回答：吞吐量是多少？")
    box(page).press("Enter")
    expect(page.locator(".progress")).to_have_text(re.compile("正在"))
    page.get_by_role("button", name="停止").click()
    expect(page.locator(".stopped")).to_have_text("已停止")
    expect(page.get_by_role("button", name="发送")).to_be_visible()
    expect(box(page)).to_be_focused()
    page.get_by_role("button", name="重试").click()
    expect(page.locator(".progress")).to_have_text(LAST_STAGE)
    hurry(api)
    expect(page.locator(".turn")).to_have_count(1)
    expect(page.locator(".marker")).to_have_count(2)


def test_a_follow_up_is_understood_from_what_was_said(page: Page, portal: Portal) -> None:
    open_widget(page, portal)
    expect(ask(page, THROUGHPUT).locator(".understood")).to_have_count(0)
    answer = ask(page, "那园区呢？")
    expect(answer.locator(".understood")).to_have_text("按“园区去年落户了多少家企业？”理解")


def test_the_history_is_the_last_finished_turns_without_markers(
    page: Page, portal: Portal, scripted: Scripted
) -> None:
    scripted.script += [answered(f"第{n}个答案[1]。") for n in range(1, 7)]
    scripted.script += [failed(500, "internal", "出错了。"), answered()]
    open_widget(page, portal)
    for n in range(1, 9):
        ask(page, f"问题{n}")
    history = scripted.received[-1].body["history"]
    assert [turn["content"] for turn in history] == [
        text for n in range(2, 7) for text in (f"问题{n}", f"第{n}个答案。")
    ]
    assert [turn["role"] for turn in history[:2]] == ["user", "assistant"]
    assert scripted.received[0].body == {"question": "问题1", "history": []}


def test_a_refusal_looks_different_and_offers_passages(page: Page, portal: Portal) -> None:
    open_widget(page, portal)
    answer = ask(page, WEATHER)
    expect(answer.locator(".refusal")).to_contain_text("文中没有答案")
    expect(answer.get_by_role("heading")).to_have_text("相关段落")
    answer.get_by_role("button", name="产业园里的“店小二”").click()
    expect(answer.locator("blockquote").first).to_have_text(FIRMS)
    expect(answer.get_by_role("link", name="在原文中查看").first).to_be_visible()
    expect(answer.get_by_role("button", name="引用错误")).to_have_count(0)


def test_an_unsure_answer_says_so(page: Page, portal: Portal, scripted: Scripted) -> None:
    scripted.script += [answered(confidence=0.29), answered(confidence=0.3)]
    open_widget(page, portal)
    expect(ask(page, "甲").locator(".unsure")).to_have_text("把握不大，请核对来源。")
    expect(ask(page, "乙").locator(".unsure")).to_have_count(0)


def test_a_number_without_a_source_is_text(page: Page, portal: Portal, scripted: Scripted) -> None:
    scripted.script.append(answered("甲[1][9]，乙[2]。"))
    open_widget(page, portal)
    answer = ask(page, "甲")
    expect(answer.locator(".text")).to_have_text("甲1[9]，乙[2]。")
    expect(answer.locator(".marker")).to_have_count(1)


def test_a_suggested_question_is_asked_by_a_click(page: Page, portal: Portal) -> None:
    portal.embed({"data-suggestions": f" {THROUGHPUT} | |港口开通了哪些航线？"})
    open_widget(page, portal)
    expect(page.locator(".chips button")).to_have_count(2)
    page.get_by_role("button", name=THROUGHPUT).click()
    expect(page.locator(".marker")).to_have_count(2)
    expect(page.locator(".chips")).to_have_count(0)
    expect(page.get_by_role("log")).to_be_focused()


def test_a_new_conversation_forgets_the_old_one(page: Page, portal: Portal) -> None:
    open_widget(page, portal)
    ask(page, THROUGHPUT)
    page.get_by_role("button", name="新对话").click()
    expect(page.locator(".turn")).to_have_count(0)
    expect(page.locator(".greeting")).to_be_visible()
    expect(ask(page, "那园区呢？").locator(".refusal")).to_be_visible()  # nothing to refer to


def test_a_blank_question_is_not_sent(page: Page, portal: Portal) -> None:
    open_widget(page, portal)
    box(page).fill("  ")
    page.get_by_role("button", name="发送").click()
    expect(page.locator(".turn")).to_have_count(0)


def test_enter_sends_but_not_while_a_word_is_composed(page: Page, portal: Portal) -> None:
    open_widget(page, portal)
    box(page).fill("吞吐量")
    for options in ({"isComposing": True}, {"keyCode": 229}):
        box(page).dispatch_event("keydown", {"key": "Enter", **options})
    box(page).press("Shift+Enter")
    expect(page.locator(".turn")).to_have_count(0)
    expect(box(page)).to_have_value("吞吐量\n")
    box(page).press("Enter")
    expect(page.locator(".turn")).to_have_count(1)


# --- Feedback and copying ---


@pytest.mark.parametrize(
    ("button", "stored"),
    [("有用", ("up", None)), ("没用", ("down", None)), ("引用错误", ("down", "citation"))],
)
def test_a_word_on_an_answer_is_stored_and_acknowledged(
    page: Page, portal: Portal, feedback_file: Path, button: str, stored: tuple[str, str | None]
) -> None:
    open_widget(page, portal)
    answer = ask(page, THROUGHPUT)
    answer.get_by_role("button", name=button, exact=True).click()
    expect(answer.get_by_role("status")).to_have_text("谢谢，已记录")
    pressed = answer.get_by_role("button", name=button, exact=True)
    expect(pressed).to_have_attribute("aria-pressed", "true")
    with closing(sqlite3.connect(feedback_file)) as connection:
        rows = connection.execute(
            "SELECT rating, problem, question FROM feedback ORDER BY rowid DESC LIMIT 1"
        ).fetchall()
    assert rows == [(*stored, THROUGHPUT)]


def test_what_cannot_be_rated_has_no_buttons_for_it(
    page: Page, portal: Portal, scripted: Scripted
) -> None:
    scripted.script.append(answered(rateable=False))
    open_widget(page, portal)
    answer = ask(page, "甲")
    expect(answer.get_by_role("button", name="复制")).to_be_visible()
    expect(answer.get_by_role("group", name="评价这个回答")).to_have_count(0)


def test_feedback_that_is_not_stored_is_not_acknowledged(
    page: Page, portal: Portal, scripted: Scripted
) -> None:
    scripted.script += [answered(), failed(404, "not_found", "没有找到这个回答。")]
    open_widget(page, portal)
    answer = ask(page, "甲")
    answer.get_by_role("button", name="有用").click()
    expect(answer.get_by_role("status")).to_have_text("没有找到这个回答。")
    expect(answer.get_by_role("button", name="有用")).to_have_attribute("aria-pressed", "false")


@pytest.fixture
def clipboard(page: Page) -> Iterator[None]:
    """Pages may read it."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield
    page.context.clear_permissions()


@pytest.mark.usefixtures("clipboard")
@pytest.mark.parametrize("secure", [True, False], ids=["https", "plain http"])
@pytest.mark.parametrize("screen", ["desktop", "phone"], indirect=True)
def test_an_answer_is_copied_with_its_sources(
    page: Page, portal: Portal, api: RunningServer, secure: bool
) -> None:
    open_widget(page, portal)
    answer = ask(page, "园区落户了多少家企业？")
    page.evaluate("window.clipboard = navigator.clipboard")
    if not secure:
        page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    answer.get_by_role("button", name="复制").click()
    expect(answer.get_by_role("status")).to_have_text("已复制，含来源")
    expect(answer.get_by_role("button", name="复制")).to_be_focused()
    copied = page.evaluate("window.clipboard.readText()").splitlines()
    assert copied[0] == "园区落户企业231家[1]。"
    assert copied[2].startswith(f"[1] “{FIRMS}” 《产业园里的“店小二”》 2025年3月30日 ")
    assert f"{api.address}/article/园区.txt?start=" in unquote(copied[2])


# --- Trouble ---


def test_a_failure_is_one_chinese_sentence_and_can_be_tried_again(
    page: Page, portal: Portal
) -> None:
    open_widget(page, portal)
    answer = ask(page, "让它崩溃")
    expect(answer.locator(".trouble")).to_contain_text("系统暂时无法处理，请稍后再试。")
    answer.get_by_role("button", name="重试").click()
    expect(page.locator(".turn")).to_have_count(1)
    expect(answers(page).locator(".trouble")).to_be_visible()


def test_a_question_that_is_too_long_comes_back_to_be_shortened(page: Page, portal: Portal) -> None:
    open_widget(page, portal)
    answer = ask(page, "问" * 1001)
    expect(answer.locator(".trouble")).to_contain_text("问题太长了")
    expect(answer.get_by_role("button", name="重试")).to_have_count(0)
    expect(box(page)).to_have_value("问" * 1001)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        pytest.param(
            failed(
                429, "too_many_requests", "提问过于频繁，请 30 秒后再试。", **{"Retry-After": "30"}
            ),
            "没有成功提问过于频繁，请 30 秒后再试。",
            id="the server says when",
        ),
        pytest.param(
            failed(503, "busy", "现在提问的人较多。", **{"Retry-After": "5"}),
            "没有成功现在提问的人较多。请在 5 秒后再试。",
            id="only the header says when",
        ),
        pytest.param(
            Reply([b"<html>Bad Gateway</html>"], 502, "text/html"),
            "没有成功问答服务暂时不可用（502），请稍后再试。",
            id="a proxy's page",
        ),
        pytest.param(
            Reply([event("error", {"error": {"code": "internal", "message": "出错了。"}})]),
            "没有成功出错了。",
            id="an error in the stream",
        ),
        pytest.param(
            Reply(["cut"]), "没有成功连接不上问答服务，请检查网络后重试。", id="cut at once"
        ),
        pytest.param(
            Reply([event("status", {"stage": "read", "text": "正在阅读……"})]),
            "没有成功连接中断，回答没有传完，请重试。",
            id="ended without an answer",
        ),
        pytest.param(
            Reply([b"event: delta\ndata: {\n\n"]),
            "没有成功连接不上问答服务，请检查网络后重试。",
            id="garbage",
        ),
    ],
)
def test_trouble_says_what_to_do(
    page: Page, portal: Portal, scripted: Scripted, reply: Reply, message: str
) -> None:
    scripted.script += [reply, answered()]
    open_widget(page, portal)
    answer = ask(page, "甲")
    expect(answer.locator(".trouble")).to_have_text(message)
    answer.get_by_role("button", name="重试").click()
    expect(page.locator(".marker")).to_have_count(1)
    expect(page.locator(".trouble")).to_have_count(0)


def test_what_came_before_the_connection_broke_stays(
    page: Page, portal: Portal, scripted: Scripted
) -> None:
    scripted.script.append(Reply([event("delta", {"text": "前半句[1"}), "wait", "cut"]))
    open_widget(page, portal)
    box(page).fill("甲")
    box(page).press("Enter")
    expect(page.locator(".text")).to_have_text("前半句")
    scripted.go_on.set()
    answer = answers(page)
    expect(answer.locator(".text")).to_have_text("前半句")
    expect(answer.locator(".trouble")).to_contain_text("连接中断，回答没有传完，请重试。")


def test_text_that_came_before_stopping_stays(
    page: Page, portal: Portal, scripted: Scripted
) -> None:
    scripted.script.append(Reply([event("delta", {"text": "前半句"}), "hang"]))
    open_widget(page, portal)
    box(page).fill("甲")
    box(page).press("Enter")
    expect(page.locator(".text")).to_have_text("前半句")
    page.get_by_role("button", name="停止").click()
    expect(page.locator(".stopped")).to_have_text("已停止")
    expect(page.locator(".text")).to_have_text("前半句")


@pytest.fixture
def clock_page(browser: Browser, portal: Portal) -> Iterator[Page]:
    """A page whose clock the test sets, in a context of its own: the clock is the context's."""
    context = new_context(browser, "desktop")
    context.clock.install()
    with visiting(context.new_page()) as visit:
        yield visit.page
        context.close()


def test_a_server_that_falls_silent_is_given_up(
    clock_page: Page, portal: Portal, scripted: Scripted
) -> None:
    page = clock_page
    begun = event("status", {"stage": "read", "text": "正在阅读第一段……"})
    scripted.script.append(Reply([begun, "hang"]))
    open_widget(page, portal)
    box(page).fill("甲")
    box(page).press("Enter")
    # Only what is read can fall silent: the widget begins to wait when it has shown this.
    expect(page.locator(".progress")).to_have_text("正在阅读第一段……")
    page.clock.fast_forward(61_000)
    expect(page.locator(".trouble")).to_contain_text("请重试")


def test_a_server_that_never_begins_to_answer_is_given_up(
    clock_page: Page, portal: Portal, scripted: Scripted
) -> None:
    page = clock_page
    scripted.script.append(Reply(["hang"], status=0))
    open_widget(page, portal)
    box(page).fill("甲")
    with page.expect_request("**/api/v1/ask"):
        box(page).press("Enter")
    page.clock.fast_forward(61_000)
    expect(page.locator(".trouble")).to_contain_text("请重试")


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_events_may_be_cut_anywhere(
    page: Page, portal: Portal, scripted: Scripted, line_end: str
) -> None:
    answer = "汉字𠮷，两行\n第二行[1]。"
    lines = [
        ": 注释",
        "id: 7",
        "event: delta",
        'data: {"text":',
        f"data: {json.dumps(answer)}}}",
        "",
    ]
    stream = line_end.join(lines).encode() + line_end.encode()
    stream += event("unknown", {}, line_end) + event("done", record(answer), line_end) + b"\n"
    scripted.script.append(Reply([stream[at : at + 1] for at in range(len(stream))]))
    open_widget(page, portal)
    text = ask(page, "甲").locator(".text")
    assert text.evaluate("node => node.textContent") == "汉字𠮷，两行\n第二行1。"


def test_a_line_end_may_be_cut_in_two(page: Page, portal: Portal, scripted: Scripted) -> None:
    first = event("delta", {"text": "甲"}, "\r\n")
    head, middle, tail = event("done", record("乙[1]。"), "\r\n").partition(b"done\r")
    scripted.script.append(Reply([first + head + middle, "wait", tail]))
    open_widget(page, portal)
    box(page).fill("问")
    box(page).press("Enter")
    expect(page.locator(".text")).to_have_text("甲")  # all before the cut has been read
    scripted.go_on.set()
    expect(page.locator(".text")).to_have_text("乙1。")


def test_a_plain_json_answer_is_taken_too(page: Page, portal: Portal, scripted: Scripted) -> None:
    body = json.dumps(record()).encode()
    scripted.script.append(Reply([body], kind="application/json"))
    open_widget(page, portal)
    expect(ask(page, "甲").locator(".marker")).to_have_count(1)


def test_a_portal_that_is_not_on_the_list_gets_no_answer(
    page: Page, portal: Portal, api: RunningServer
) -> None:
    with running_portal() as stranger:
        stranger.api = api.address
        stranger.embed({})
        open_widget(page, stranger)
        answer = ask(page, THROUGHPUT)
        expect(answer.locator(".trouble")).to_contain_text("连接不上问答服务")


# --- Tokens ---


def test_a_token_is_fetched_when_first_needed_and_again_when_it_is_refused(
    page: Page, portal: Portal, scripted: Scripted
) -> None:
    portal.embed({"data-token-url": "/token"})
    portal.tokens = ["first.a", '{"token": "second.b"}']
    expired = failed(401, "unauthorized", "凭证过期。")
    scripted.script += [answered(), expired, answered()]
    open_widget(page, portal)
    assert "/token" not in portal.paths
    ask(page, "甲")
    ask(page, "乙")
    assert [one.headers["Authorization"] for one in scripted.received] == [
        "Bearer first.a",
        "Bearer first.a",
        "Bearer second.b",
    ]
    assert portal.paths.count("/token") == 2


def test_the_link_to_the_article_carries_the_token(
    page: Page, portal: Portal, scripted: Scripted
) -> None:
    portal.embed({"data-token-url": "/token"})
    portal.tokens = ["first.a"]
    scripted.script.append(answered())
    open_widget(page, portal)
    answer = ask(page, "甲")
    answer.locator(".marker").click()
    expect(answer.get_by_role("link")).to_have_attribute(
        "href", re.compile(r"\?token=first\.a&start=")
    )


@pytest.mark.parametrize("token", ["", "<html>登录</html>", '{"error": 1}', "{"])
def test_without_a_token_nothing_is_asked(
    page: Page, portal: Portal, scripted: Scripted, token: str
) -> None:
    portal.embed({"data-token-url": "/token"})
    portal.tokens = [token]
    open_widget(page, portal)
    expect(ask(page, "甲").locator(".trouble")).to_contain_text("没有取得访问凭证")
    assert scripted.received == []


# --- From page to page ---


@pytest.mark.parametrize("screen", ["desktop", "phone"], indirect=True)
def test_the_conversation_goes_along_to_the_portals_next_page(page: Page, portal: Portal) -> None:
    open_widget(page, portal)
    ask(page, THROUGHPUT).get_by_role("button", name="有用").click()
    expect(page.locator(".said")).to_have_text("谢谢，已记录")
    page.goto(portal.address + "/second")
    expect(panel(page)).to_be_visible()
    expect(page.locator(".marker")).to_have_count(2)
    expect(page.get_by_role("button", name="有用")).to_have_attribute("aria-pressed", "true")
    expect(box(page)).not_to_be_focused()  # nobody asked to go there
    expect(ask(page, "那园区呢？").locator(".understood")).to_be_visible()
    page.keyboard.press("Escape")
    page.goto(portal.address)
    bubble(page).wait_for()
    expect(panel(page)).to_be_hidden()


def test_a_question_left_behind_can_be_asked_again(
    page: Page, portal: Portal, api: RunningServer
) -> None:
    open_widget(page, portal)
    box(page).fill("慢慢回答：吞吐量是多少？")
    box(page).press("Enter")
    expect(page.locator(".progress")).to_be_visible()
    page.goto(portal.address + "/second")
    expect(page.locator(".stopped")).to_be_visible()
    page.get_by_role("button", name="重试").click()
    expect(page.locator(".progress")).to_have_text(LAST_STAGE)
    hurry(api)
    expect(page.locator(".marker")).to_have_count(2)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(
            "Object.defineProperty(window, 'sessionStorage', { get() { throw new Error('no'); } })",
            id="forbidden",
        ),
        pytest.param("Storage.prototype.setItem = () => { throw new Error('full'); }", id="full"),
        pytest.param("Storage.prototype.getItem = () => '{'", id="no JSON"),
        pytest.param("Storage.prototype.getItem = () => 'null'", id="null"),
        pytest.param("Storage.prototype.getItem = () => '[]'", id="no object"),
        pytest.param(
            """Storage.prototype.getItem = () => '{"version": 0, "turns": [{"question": "x"}]}'""",
            id="another version",
        ),
        pytest.param(
            """Storage.prototype.getItem = () =>
                '{"version": 1, "turns": [null, 7, {}, {"question": 1}]}'""",
            id="no turns",
        ),
    ],
)
def test_broken_storage_breaks_nothing(page: Page, portal: Portal, script: str) -> None:
    with page.add_init_script(script):
        open_widget(page, portal)
    expect(page.locator(".turn")).to_have_count(0)
    expect(ask(page, THROUGHPUT).locator(".marker")).to_have_count(2)


def test_what_is_stored_stays_small(page: Page, portal: Portal, scripted: Scripted) -> None:
    scripted.script += [answered("长" * 50_000 + "[1]") for _ in range(9)]
    open_widget(page, portal)
    for n in range(9):
        ask(page, f"问题{n}")
    stored = page.evaluate("JSON.stringify({ ...sessionStorage })")
    assert 50_000 < len(stored) < 400_000
    page.reload()
    expect(page.locator(".question").last).to_have_text("您问：问题8")


# --- For the portal's own scripts ---


def test_two_widgets_on_a_page_do_not_know_each_other(page: Page, portal: Portal) -> None:
    portal.embed(
        {"data-title": "制度问答", "data-id": "rules"},
        {"data-title": "港口问答", "data-id": "port", "data-position": "left"},
    )
    visit_portal(page, portal)
    assert page.evaluate("Wenju.widgets.map((widget) => widget.id)") == ["rules", "port"]
    places = [bubble(page).nth(n).bounding_box() for n in range(2)]
    assert places[0] is not None and places[1] is not None
    assert places[0]["x"] > 640 > places[1]["x"]
    page.get_by_role("button", name="打开 港口问答").click()
    harbour = page.get_by_role("dialog", name="港口问答")
    harbour.get_by_label("您的问题").fill(THROUGHPUT)
    harbour.get_by_label("您的问题").press("Enter")
    expect(harbour.locator(".marker")).to_have_count(2)
    page.get_by_role("button", name="打开 制度问答").click()
    rules = page.get_by_role("dialog", name="制度问答")
    expect(rules.locator(".turn")).to_have_count(0)
    rules.get_by_label("您的问题").fill(WEATHER)
    rules.get_by_label("您的问题").press("Enter")
    expect(rules.locator(".refusal")).to_be_visible()
    page.reload()
    expect(rules.locator(".question")).to_have_text("您问：" + WEATHER)
    expect(harbour.locator(".question")).to_have_text("您问：" + THROUGHPUT)


def test_a_portals_script_can_open_ask_listen_and_close(page: Page, portal: Portal) -> None:
    portal.embed({"data-id": "qa"})
    with page.add_init_script(
        """window.seen = [];
        for (const name of ["ready", "open", "question", "answer", "error", "feedback", "close"]) {
            document.addEventListener(`wenju:${name}`, (event) => {
                window.seen.push(`${event.target.id} ${name}`);
            });
        }"""
    ):
        visit_portal(page, portal)
    given = page.evaluate(
        """async (question) => {
            const widget = Wenju.get("qa");
            widget.on("answer", () => { throw new Error("the portal's own fault"); });
            const deaf = () => window.seen.push("deaf");
            widget.on("answer", deaf).off("answer", deaf);
            widget.on("answer", (record) => window.seen.push(record.short_answer));
            return await widget.ask(question);
        }""",
        THROUGHPUT,
    )
    assert given["citations"][0]["quote"] == SHIPS
    expect(page.locator(".marker")).to_have_count(2)
    page.get_by_role("button", name="有用").click()
    expect(page.locator(".said")).not_to_be_empty()
    failed_one = page.evaluate("Wenju.get('qa').ask('让它崩溃')")
    assert failed_one is None
    page.evaluate("() => { Wenju.get('qa').close(); Wenju.get('qa').reset(); }")
    assert page.evaluate("[Wenju.get('qa').isOpen, Wenju.get('nobody')]") == [False, None]
    assert page.evaluate("window.seen") == [
        "qa ready",
        "qa open",
        "qa question",
        "128.6万标箱",
        "qa answer",
        "qa feedback",
        "qa question",
        "qa error",
        "qa close",
    ]


def test_closing_gives_the_focus_back_to_the_portals_button_that_opened_it(
    page: Page, portal: Portal
) -> None:
    visit_portal(page, portal)
    button = page.get_by_role("button", name="门户的按钮")
    button.evaluate("node => node.addEventListener('click', () => Wenju.widgets[0].open())")
    button.focus()
    page.keyboard.press("Enter")
    expect(box(page)).to_be_focused()
    page.keyboard.press("Escape")
    expect(button).to_be_focused()


def test_an_answer_that_comes_while_it_is_closed_is_announced_on_the_bubble(
    page: Page, portal: Portal, api: RunningServer
) -> None:
    open_widget(page, portal)
    box(page).fill("慢慢回答：吞吐量是多少？")
    box(page).press("Enter")
    expect(page.locator(".progress")).to_have_text(LAST_STAGE)
    page.keyboard.press("Escape")
    hurry(api)
    expect(bubble(page)).to_have_accessible_name("打开 资料问答（有新回答）")
    bubble(page).click()
    expect(page.locator(".marker")).to_have_count(2)
    expect(bubble(page)).to_have_accessible_name("关闭 资料问答")


def test_every_attribute_has_its_effect(page: Page, portal: Portal, api: RunningServer) -> None:
    portal.embed(
        {
            "data-endpoint": api.address + "/",
            "data-title": "Rules",
            "data-greeting": "<b>Hi</b>",
            "data-color": "#abc",
            "data-position": "left",
            "data-lang": "en",
            "data-suggestions": "A|B",
            "data-theme": "dark",
            "data-open": "",
            "data-z-index": "77",
        }
    )
    page.goto(portal.address)
    expect(page.get_by_role("dialog", name="Rules")).to_be_visible()
    expect(page.locator(".greeting")).to_have_text("<b>Hi</b>")
    expect(page.get_by_label("Your question")).to_be_visible()
    expect(page.locator(".chips button")).to_have_text(["A", "B"])
    assert style(bubble(page), "left", "zIndex") == ["24px", "77"]
    assert style(bubble(page), "backgroundColor") == ["rgb(170, 187, 204)"]
    assert style(panel(page), "backgroundColor") == ["rgb(26, 33, 43)"]


def test_nonsense_in_an_attribute_is_as_if_it_were_not_there(page: Page, portal: Portal) -> None:
    portal.embed(
        {
            "data-color": "red;} * { display: none",
            "data-position": "top",
            "data-lang": "fr",
            "data-theme": "x",
            "data-z-index": "1;}",
        }
    )
    open_widget(page, portal)
    assert style(bubble(page), "backgroundColor") == ["rgb(31, 78, 140)"]


def test_an_impossible_endpoint_is_said_in_the_console(visit: Visit, portal: Portal) -> None:
    portal.embed({"data-endpoint": "javascript:alert(1)"})
    visit.page.goto(portal.address)
    visit.page.wait_for_function("document.readyState === 'complete'")
    expect(bubble(visit.page)).to_have_count(0)
    assert any("data-endpoint" in problem for problem in visit.problems)


# --- Hostile content ---


def test_hostile_text_stays_text(
    visit: Visit, page: Page, portal: Portal, foreign_host: ForeignHost
) -> None:
    open_widget(page, portal)
    answer = ask(page, "危险：" + HOSTILE_SENTENCE)
    answer.locator(".marker").click()
    expect(answer.locator("blockquote")).to_have_text(HOSTILE_SENTENCE)
    expect(answer.locator(".name")).to_have_text("<b onmouseover=alert(1)>标题</b>")
    page.goto(portal.address + "/second")
    expect(page.locator(".question")).to_have_text("您问：危险：" + HOSTILE_SENTENCE)
    assert page.locator(".panel :is(img, script, iframe, [onerror], [onmouseover])").count() == 0
    assert page.locator(".log form").count() == 0
    assert page.evaluate("window.hacked") is None
    assert foreign_host.paths == []


_NO_ARTICLE = ("../../v1/models", "a/../../../x", "..", ".", "", "\ud800")


@pytest.mark.parametrize(
    "doc",
    [
        *_NO_ARTICLE,
        "javascript:alert(1)",
        "//evil.test/x",
        "a?b#c",
        "%2e%2e/x",
        "\\\\evil.test\\x",
    ],
)
def test_a_link_never_leaves_the_articles_of_the_endpoint(
    page: Page, portal: Portal, scripted: Scripted, doc: str
) -> None:
    citation = record()["citations"][0] | {"doc": doc, "title": "标题"}
    body = json.dumps(record(citations=[citation])).encode()
    scripted.script.append(Reply([body], kind="application/json"))
    open_widget(page, portal)
    answer = ask(page, "甲")
    answer.locator(".marker").click()
    expect(answer.locator("blockquote")).to_be_visible()
    for address in answer.locator("a").evaluate_all("all => all.map((node) => node.href)"):
        parts = urlsplit(address)
        assert address.startswith(f"{scripted.address}/article/")
        assert unquote(parts.path).removeprefix("/article/") == doc
        assert parse_qs(parts.query) == {"start": ["3"], "end": ["9"]}
    expect(answer.locator("a")).to_have_count(0 if doc in _NO_ARTICLE else 1)


# --- Everyone ---


def test_everything_can_be_done_with_the_keyboard_alone(page: Page, portal: Portal) -> None:
    visit_portal(page, portal)

    def tab_to(selector: str) -> None:
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.locator(f"{selector}:focus").count():
                return
        raise AssertionError(f"Tab does not reach {selector}")

    tab_to(".bubble")
    page.keyboard.press("Enter")
    page.keyboard.type(THROUGHPUT)
    page.keyboard.press("Enter")
    expect(page.locator(".marker")).to_have_count(2)
    page.keyboard.press("Shift+Tab")  # from the box back through the answer
    for _ in range(20):
        if page.locator(".marker:focus").count():
            break
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".detail:focus")).to_have_count(1)
    tab_to(".detail a")
    tab_to(".copy")
    tab_to(".up")
    page.keyboard.press("Space")
    expect(page.locator(".said")).to_have_text("谢谢，已记录")
    tab_to("textarea")
    tab_to(".bubble")
    page.keyboard.press("Escape")
    expect(panel(page)).to_be_hidden()


def test_a_finished_answer_is_read_out_once_and_as_a_whole(
    page: Page, portal: Portal, scripted: Scripted
) -> None:
    pieces = [event("delta", {"text": text}) for text in ("甲", "乙[1]", "丙。")]
    scripted.script.append(Reply([*pieces, event("done", record("甲乙[1]丙。"))]))
    open_widget(page, portal)
    page.evaluate(
        """() => {
            window.said = [];
            const root = document.querySelector("wenju-widget").shadowRoot;
            for (const region of root.querySelectorAll("[role=status]")) {
                new MutationObserver(() => window.said.push(region.textContent))
                    .observe(region, { childList: true, characterData: true, subtree: true });
            }
        }"""
    )
    ask(page, "问")
    assert page.evaluate("window.said") == ["正在查找相关段落……", "回答：甲乙丙。"]
    expect(page.get_by_role("log", name="对话记录")).to_have_attribute("aria-live", "off")


def test_the_accessibility_tree_reads_well(page: Page, portal: Portal) -> None:
    open_widget(page, portal)
    ask(page, "园区落户了多少家企业？")
    expect(panel(page)).to_match_aria_snapshot(
        """
        - dialog "资料问答":
          - heading "资料问答" [level=2]
          - paragraph: 只根据已收录的文档回答
          - button "新对话"
          - button "关闭"
          - log "对话记录":
            - paragraph: /您问： ?园区落户了多少家企业？/
            - text: 回答：
            - paragraph:
              - text: 园区落户企业
              - strong: 231家
              - button "来源 1 产业园里的“店小二”"
            - heading "来源" [level=3]
            - button /来源 ?1 产业园里的“店小二” 2025年3月30日/
            - button "复制"
            - group "评价这个回答":
              - button "有用"
              - button "没用"
              - button "引用错误"
            - status
          - status: 回答：园区落户企业231家。
          - textbox "您的问题"
          - button "发送"
        """
    )


@pytest.mark.usefixtures("shown_as_before")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", ["desktop", "phone"], indirect=True)
def test_axe_finds_nothing_serious(page: Page, portal: Portal, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    visit_portal(page, portal)
    assert serious(page) == []
    bubble(page).click()
    assert serious(page) == []
    ask(page, THROUGHPUT).locator(".marker").first.click()
    ask(page, WEATHER).locator(".source > button").first.click()
    ask(page, "让它崩溃")
    assert serious(page) == []


def serious(page: Page) -> list[str]:
    """Findings of axe in the widget; the portal's own faults are the portal's."""
    package = pytest.importorskip("axe_playwright_python")
    script = Path(package.__file__).parent / "axe.min.js"
    page.evaluate(script.read_text("utf-8"))  # by the debugger, which no policy holds back
    page.evaluate(SETTLED)
    found = page.evaluate("axe.run({ include: [['wenju-widget']] })")
    assert found["passes"]
    return [
        f"{violation['id']}: {node['html']} {node['failureSummary']}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


# Colours are measured wrongly while the panel still fades in.
SETTLED = """() => Promise.all(
    document.querySelector("wenju-widget").shadowRoot.getAnimations()
        .filter((animation) => animation.effect.getTiming().iterations === 1)
        .map((animation) => animation.finished))"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "color", ["#ffee58", "#0b5c4a", "#000000", "#ffffff", "#e53935", "#777777"]
)
def test_every_brand_colour_can_be_read(
    page: Page, portal: Portal, color: str, scheme: str
) -> None:
    portal.embed({"data-color": color, "data-theme": scheme})
    open_widget(page, portal)
    answer = ask(page, THROUGHPUT)
    answer.locator(".marker").first.click()
    texts = ".bubble .go .marker strong .question .detail>a .doc .copy .names>p .source>button>b"
    for selector in texts.split():
        for node in page.locator(selector).all():
            assert contrast(node) >= 4.5, selector


@pytest.mark.usefixtures("shown_as_before")
def test_motion_stops_for_those_who_asked_for_it(page: Page, portal: Portal) -> None:
    page.emulate_media(reduced_motion="reduce")
    open_widget(page, portal)
    box(page).fill("慢慢回答：吞吐量是多少？")
    box(page).press("Enter")
    expect(page.locator(".progress")).to_be_visible()
    moving = "document.querySelector('wenju-widget').shadowRoot.getAnimations().length"
    assert page.evaluate(moving) == 0
    page.emulate_media(reduced_motion="no-preference")
    assert page.evaluate(moving) > 0


@pytest.mark.usefixtures("shown_as_before")
def test_with_forced_colours_every_button_has_an_outline(page: Page, portal: Portal) -> None:
    page.emulate_media(forced_colors="active")
    open_widget(page, portal)
    answer = ask(page, THROUGHPUT)
    edge = ("borderTopWidth", "borderTopStyle")
    for selector in (".bubble", ".go", ".marker", ".close"):
        assert style(page.locator(selector).first, *edge) == ["1px", "solid"]
    answer.locator(".marker").first.click()
    assert style(answer.locator(".marker").first, *edge) == ["3px", "solid"]


# --- The demo page ---


@pytest.mark.parametrize("screen", ["desktop", "phone"], indirect=True)
def test_the_demo_portal_shows_the_widget_and_loads_nothing_from_elsewhere(
    visit: Visit, page: Page, api: RunningServer
) -> None:
    page.goto(f"{api.address}/demo")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    bubble(page).click()
    expect(page.locator(".chips button")).to_have_count(3)
    expect(ask(page, THROUGHPUT).locator(".marker")).to_have_count(2)
    hosts = {urlsplit(address).netloc for address in visit.requests} - {""}
    assert hosts == {urlsplit(api.address).netloc}
    assert visit.problems == []


def style(node: Locator, *names: str) -> list[str]:
    """Computed values of CSS properties, named as in JavaScript."""
    values: list[str] = node.evaluate(
        "(node, names) => names.map((name) => getComputedStyle(node)[name])", list(names)
    )
    return values


def contrast(node: Locator) -> float:
    """WCAG 2 contrast of a node's text with the nearest opaque background behind it."""
    ratio: float = node.evaluate(
        """(node) => {
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
                    const [light, dark] = [text, luminance([r, g, b])].sort((a, b) => b - a);
                    return (light + 0.05) / (dark + 0.05);
                }
            }
        }"""
    )
    return ratio
