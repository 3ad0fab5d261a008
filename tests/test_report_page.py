"""The report as people use it: a real browser on the real file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from eval.outcome import Outcome
from eval.report import write_report
from qa.chatbot import Chatbot
from tests.conftest import Visit
from tests.report_parts import EVIDENCE, HOSTILE, document, failed, hostile, outcomes_of

pytest.importorskip("playwright")

from playwright.sync_api import Locator, Page, expect

from tests.test_page import CONTRAST


@pytest.fixture(scope="module")
def outcomes(seed_chatbot: Chatbot) -> list[Outcome]:
    return outcomes_of(seed_chatbot)


@pytest.fixture(scope="module")
def report(
    tmp_path_factory: pytest.TempPathFactory, outcomes: list[Outcome], seed_chatbot: Chatbot
) -> Path:
    """A report of five questions, 75 more that repeat the first, and a hostile one."""
    more = [replace(outcomes[0], id=f"more-{i}") for i in range(75)]
    attack = hostile(failed(outcomes[0]))
    before = [failed(outcomes[0]), replace(outcomes[1], right=True), *outcomes[2:], *more]
    return write_report(
        tmp_path_factory.mktemp("report"),
        document([*outcomes, *more, attack], name=HOSTILE),
        document(before),
        seed_chatbot.article,
    )


@pytest.fixture
def page(visit: Visit, report: Path) -> Iterator[Page]:
    visit.requests.clear()
    visit.problems.clear()
    page = visit.page
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(report.as_uri())
    yield page
    page.emulate_media(color_scheme="light", media="screen")


def questions(page: Page) -> Locator:
    return page.locator("#rows tr.row")


def opened(page: Page, name: str) -> Locator:
    """The details of the question with this id, after a click on it."""
    toggle = page.locator(".toggle").filter(has=page.get_by_text(name, exact=True))
    toggle.click()
    expect(toggle).to_have_attribute("aria-expanded", "true")
    return page.locator("tr.detail")


def test_filters_leave_the_questions_that_match(page: Page) -> None:
    expect(page.get_by_role("status")).to_have_text("81 题，答对 79 题，答错 2 题。")
    page.get_by_label("对错").select_option("答错")
    expect(questions(page)).to_have_count(2)
    page.locator("select[name=cause]").select_option(label="引对了但答错了（2）")
    page.locator("select[name=type]").select_option(label="数字（77）")
    expect(questions(page)).to_have_count(1)
    expect(questions(page)).to_contain_text("wrong")
    page.get_by_role("button", name="清除筛选").click()
    expect(page.get_by_role("status")).to_contain_text("81 题")


def test_text_is_searched_in_questions_answers_and_ids(page: Page) -> None:
    box = page.get_by_role("searchbox", name="找文字")
    for text, count in (("西游记", 1), ("FOLLOW-UP", 1), ("三一 没有这一点", 1), ("查无此文", 0)):
        box.fill(text)
        expect(questions(page)).to_have_count(count)
    expect(page.get_by_role("status")).to_have_text("没有符合条件的题。")


def test_a_cause_in_the_overview_leads_to_its_questions(page: Page) -> None:
    page.locator(".causes").get_by_role("button", name="答对但引用不在证据上").click()
    expect(questions(page)).to_have_count(1)
    expect(questions(page)).to_contain_text("elsewhere")
    expect(page.locator("#questions")).to_be_in_viewport()


def test_questions_come_fifty_at_a_time(page: Page) -> None:
    expect(questions(page)).to_have_count(50)
    page.get_by_role("button", name="再显示 31 题").click()
    expect(questions(page)).to_have_count(81)
    expect(page.locator("#more")).to_be_hidden()


def test_a_column_sorts_both_ways(page: Page) -> None:
    button = page.get_by_role("button", name="对错")
    button.click()
    expect(questions(page).first).to_contain_text("错")
    button.click()
    expect(questions(page).first).to_contain_text("对")
    expect(page.get_by_role("columnheader", name="对错")).to_have_attribute(
        "aria-sort", "descending"
    )


def test_an_opened_question_shows_evidence_and_citation_in_their_paragraph(page: Page) -> None:
    detail = opened(page, "wrong")
    expect(detail).to_contain_text("引对了但答错了")
    expect(detail).to_contain_text("与原文逐字一致")
    both = detail.locator(".source mark.evidence.cited")
    expect(both).to_have_text(EVIDENCE)
    expect(both).not_to_have_css("background-color", "rgba(0, 0, 0, 0)")
    expect(both).to_have_css("text-decoration-line", "underline")
    alone = detail.locator(".source mark.cited:not(.evidence)").first
    expect(alone).to_have_css("background-color", "rgba(0, 0, 0, 0)")
    expect(detail.locator(".source .number")).to_have_text(["[1]"])


def test_a_follow_up_shows_its_history_and_how_it_was_understood(page: Page) -> None:
    detail = opened(page, "follow-up")
    expect(detail).to_contain_text("问：三一科学城在哪里？")
    expect(detail).to_contain_text("理解为：")
    expect(detail).to_contain_text("要点（回答里有 1/2）")
    expect(detail.locator("li.hit")).to_contain_text(["180亿元"])
    expect(detail.locator("li.miss")).to_have_text(["没有这一点"])
    expect(detail).to_contain_text("没能在“")


def test_a_refusal_gives_its_reason_in_chinese(page: Page) -> None:
    detail = opened(page, "refused")
    expect(detail).to_contain_text("文中没有答案，应当拒答（易）")
    expect(detail).to_contain_text("理由：")
    assert "unmet" not in detail.inner_text()


def test_a_question_opens_and_closes_with_the_keyboard(page: Page) -> None:
    page.locator(".toggle").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("tr.detail")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("tr.detail")).to_have_count(0)


def test_the_comparison_opens_a_question_that_is_newly_wrong(page: Page) -> None:
    section = page.locator("section").filter(has=page.get_by_role("heading", name="与上一次相比"))
    newly = section.locator("details").filter(has_text="新答错（1 题）")
    newly.get_by_role("button").click()
    expect(page.locator("tr.open .toggle")).to_be_focused()
    expect(page.locator("tr.open")).to_contain_text("新答错")
    section.locator("details").filter(has_text="新答对（1 题）").get_by_role("button").click()
    expect(page.locator("tr.detail")).to_contain_text("上一次的回答")
    expect(page.locator("tr.detail")).to_contain_text("总投资99亿元[1]。")


def test_no_request_leaves_and_nothing_fails(visit: Visit, page: Page, report: Path) -> None:
    opened(page, "wrong")
    assert visit.requests == [report.as_uri()]
    assert visit.problems == []


def test_hostile_text_is_text(visit: Visit, page: Page) -> None:
    page.get_by_label("对错").select_option("答错")
    expect(questions(page)).to_have_count(2)
    questions(page).last.locator(".toggle").click()
    expect(page.locator("tr.detail")).to_contain_text("javascript:window.hacked=1")
    expect(page.locator("h1")).to_have_text(HOSTILE)
    assert page.evaluate("window.hacked") is None
    assert page.locator("img, main script, main a, iframe").count() == 0
    assert visit.problems == []


def test_the_policy_stops_what_escaping_would_have_missed(visit: Visit, page: Page) -> None:
    page.evaluate(
        """() => {
            const image = document.createElement("img");
            image.src = "http://evil.test/leak.png";
            document.body.append(image);
            return new Promise((done) => { image.onerror = done; });
        }"""
    )
    assert [one for one in visit.problems if "Content Security Policy" in one]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    opened(page, "wrong")
    for selector in (
        ".brand", ".meta", ".value", ".note", ".chip", ".link", ".id", "thead th", ".toggle",
        ".badge.good", ".badge.bad", ".wrong-here", ".turn", ".number", "mark.cited",
        "mark.evidence", ".hit", ".miss", ".delta.up", ".delta.down", "h3", "dd", "label",
    ):  # fmt: skip
        for node in page.locator(selector).locator("visible=true").all()[:5]:
            contrast = node.evaluate(CONTRAST)
            assert contrast >= 4.5, (selector, contrast)


def test_a_phone_shows_everything_without_scrolling_sideways(page: Page) -> None:
    page.set_viewport_size({"width": 375, "height": 667})
    page.get_by_label("对错").select_option("答错")
    expect(questions(page)).to_have_count(2)
    for toggle in page.locator(".toggle").all():
        toggle.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    size = page.locator("svg text").first.evaluate("node => node.getBoundingClientRect().height")
    assert size >= 10  # pixels


def test_print_leaves_out_the_controls(page: Page) -> None:
    page.emulate_media(media="print")
    expect(page.locator("#filters")).to_be_hidden()
    expect(page.locator("#rows")).to_be_visible()


def test_every_control_has_a_name(page: Page) -> None:
    opened(page, "wrong")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, summary, svg")]
            .filter((node) => node.checkVisibility())
            .filter((node) => !(node.innerText?.trim() || node.getAttribute("aria-label")
                || node.labels?.[0]?.innerText.trim()))
            .map((node) => node.outerHTML.slice(0, 200))"""
    )
    assert nameless == []
