"""The report of a run: what is kept, what is told, and that nothing in it can act."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from errors import TestSetError
from eval.document import RunDocument
from eval.outcome import Outcome
from eval.report import report_page, write_report
from eval.report_rows import change_of, rows
from qa.chatbot import Chatbot
from schema import Article
from tests.report_parts import DOC, EVIDENCE, HOSTILE, document, failed, hostile, outcomes_of


@pytest.fixture(scope="module")
def outcomes(seed_chatbot: Chatbot) -> list[Outcome]:
    return outcomes_of(seed_chatbot)


@pytest.fixture(scope="module")
def run(outcomes: list[Outcome]) -> RunDocument:
    return document(outcomes)


class Elements(HTMLParser):
    """The tags of a page with their attributes, and the text of each script and style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline: dict[str, list[str]] = {"script": [], "style": []}
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag
        if tag in self.inline:
            self.inline[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in self.inline:
            self.inline[self._open][-1] += data


def page_of(run: RunDocument, chatbot: Chatbot, previous: RunDocument | None = None) -> str:
    return report_page(run, previous, chatbot.article)


def data_of(page: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(Elements(page).inline["script"][0])
    return data


# The run document


def test_a_document_read_back_is_the_one_that_was_written(run: RunDocument) -> None:
    assert RunDocument.from_json(run.to_json()) == run


def test_fields_of_a_later_version_are_ignored(run: RunDocument) -> None:
    later = json.loads(run.to_json()) | {"colour": "red"}
    later["outcomes"][0]["mood"] = 1
    assert RunDocument.from_json(json.dumps(later)) == run


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        pytest.param(lambda row: row.pop("when"), "when", id="missing"),
        pytest.param(lambda row: row.update(set=3), "set", id="wrong type"),
        pytest.param(lambda row: row.update(when="昨天"), "", id="no moment"),
        pytest.param(
            lambda row: row["figures"].update(questions=True), "figures.questions", id="no count"
        ),
        pytest.param(
            lambda row: row["outcomes"][1].update(cause="bad_luck"), "outcomes[1].cause", id="cause"
        ),
        pytest.param(
            lambda row: row["outcomes"][0].update(confidence=float("nan")), "", id="not a number"
        ),
        pytest.param(
            lambda row: row["outcomes"][0]["history"].append(["user"]),
            "outcomes[0].history[0]",
            id="half a turn",
        ),
        pytest.param(lambda row: row.update(outcomes={}), "outcomes", id="no list"),
    ],
)
def test_a_damaged_document_is_refused_and_the_place_named(
    run: RunDocument, damage: Callable[[dict[str, Any]], object], named: str
) -> None:
    row = json.loads(run.to_json())
    damage(row)
    with pytest.raises(TestSetError) as caught:
        RunDocument.from_json(json.dumps(row))
    assert named in caught.value.user_message


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 100_000])
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(TestSetError):
        RunDocument.from_json(text)


def test_a_folder_without_a_report_has_no_previous_run(tmp_path: Path) -> None:
    assert RunDocument.read(tmp_path / "report.json") is None


# The files


def test_both_files_are_written_and_nothing_else(
    tmp_path: Path, run: RunDocument, seed_chatbot: Chatbot
) -> None:
    folder = tmp_path / "new" / "folder"
    page = write_report(folder, run, None, seed_chatbot.article)
    assert page == folder / "report.html"
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json"]
    assert RunDocument.read(folder / "report.json") == run


def test_a_report_that_fails_leaves_the_former_one(tmp_path: Path, run: RunDocument) -> None:
    def broken(doc: str) -> Article | None:
        raise OSError(doc)

    (tmp_path / "report.html").write_text("before")
    with pytest.raises(OSError, match="txt"):
        write_report(tmp_path, run, None, broken)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [
        ("report.html", "before")
    ]


def test_half_a_surrogate_pair_is_written_as_a_question_mark(
    tmp_path: Path, outcomes: list[Outcome], seed_chatbot: Chatbot
) -> None:
    odd = document([replace(outcomes[0], question="多少\ud800？")])
    page = write_report(tmp_path, odd, None, seed_chatbot.article)
    assert data_of(page.read_text("utf-8"))["rows"][0]["question"] == "多少?？"
    kept = RunDocument.read(tmp_path / "report.json")
    assert kept is not None
    assert kept.outcomes[0].question == "多少?？"


def test_a_run_without_a_question_or_without_a_failure_has_a_report(
    outcomes: list[Outcome], seed_chatbot: Chatbot
) -> None:
    assert "共 0 题" in page_of(document([]), seed_chatbot)
    assert "没有答错或引错的题" in page_of(document(outcomes[:1]), seed_chatbot)


# What it tells


def test_the_summary_says_in_words_how_it_went(run: RunDocument, seed_chatbot: Chatbot) -> None:
    page = page_of(run, seed_chatbot)
    assert "共 5 题。文中有答案的 4 题，答对 3 题。文中没有答案的 1 题，正确拒答 1 题。" in page


def test_a_card_tells_the_rate_its_count_and_its_interval(
    run: RunDocument, seed_chatbot: Chatbot
) -> None:
    page = page_of(run, seed_chatbot)
    assert "75.0%" in page
    assert "4 题中 3 题" in page
    # Wilson's interval of 3 in 4.
    assert "换一批同类的题，多半在 30.1% 到 95.4% 之间" in page


def test_causes_are_told_in_chinese_with_what_they_mean(
    run: RunDocument, seed_chatbot: Chatbot
) -> None:
    page = page_of(run, seed_chatbot)
    assert "引对了但答错了 <b>1</b>" in page
    assert "引用落在证据上，但回答里没有标准答案" in page


def test_figures_stand_beside_those_of_the_previous_run(
    outcomes: list[Outcome], run: RunDocument, seed_chatbot: Chatbot
) -> None:
    before = document([failed(outcomes[0]), *outcomes[1:]])
    page = page_of(run, seed_chatbot, before)
    assert "+25.0 个百分点（变好）" in page
    assert "新答对 1 题，新答错 0 题" in page
    back = page_of(before, seed_chatbot, run)
    assert "−25.0 个百分点（变差）" in back


def test_one_question_more_is_not_called_progress(
    outcomes: list[Outcome], run: RunDocument, seed_chatbot: Chatbot
) -> None:
    before = document([failed(outcomes[0]), *outcomes[1:]])
    assert "可能只是偶然（配对检验 p = 1.000）" in page_of(run, seed_chatbot, before)


def test_ten_questions_more_are(outcomes: list[Outcome], seed_chatbot: Chatbot) -> None:
    many = [replace(outcomes[0], id=str(i)) for i in range(10)]
    page = page_of(document(many), seed_chatbot, document([failed(one) for one in many]))
    assert "不像偶然（配对检验 p = 0.002），整体变好了" in page  # 2 / 2**10


def test_another_test_set_is_told(run: RunDocument, seed_chatbot: Chatbot) -> None:
    page = page_of(run, seed_chatbot, replace(run, set="别的.jsonl"))
    assert "上一次用的是另一个测试集（别的.jsonl）" in page


def test_questions_that_are_gone_are_named(
    outcomes: list[Outcome], run: RunDocument, seed_chatbot: Chatbot
) -> None:
    page = page_of(document(outcomes[1:]), seed_chatbot, run)
    assert "上一次有而这一次没有的 1 题：right" in page


@pytest.mark.parametrize(
    ("edit", "change"),
    [
        (lambda one: one, None),
        (failed, "newly_right"),
        (lambda one: replace(one, answer="别的说法：180亿元[1]。"), "changed"),
        (lambda one: replace(one, short_answer=None), "changed"),
        (lambda one: replace(one, milliseconds=9.0, confidence=0.1), None),
        (lambda one: replace(failed(one), golds=("99亿元",)), "edited"),
        (lambda one: replace(one, question="改过的题？"), "edited"),
    ],
)
def test_what_became_of_a_question(
    outcomes: list[Outcome], edit: Callable[[Outcome], Outcome], change: str | None
) -> None:
    assert change_of(outcomes[0], edit(outcomes[0])) == change


def test_a_question_may_be_newly_wrong_or_new(outcomes: list[Outcome]) -> None:
    assert change_of(failed(outcomes[0]), outcomes[0]) == "newly_wrong"
    assert change_of(outcomes[0], None) == "added"


# The rows


def packed(text: str) -> str:
    return "".join(text.split())


def test_citation_and_evidence_are_marked_in_the_paragraph(
    outcomes: list[Outcome], seed_chatbot: Chatbot
) -> None:
    data = rows(outcomes[:1], None, seed_chatbot.article)
    ((doc, text, _, _, marks),) = data["rows"][0]["sources"]
    assert data["docs"][doc][0] == DOC
    cut = {
        (citation, evidence): data["texts"][text][start:end]
        for start, end, citation, evidence in marks
    }
    assert packed(cut[0, 1]) == EVIDENCE
    assert packed(cut[1, 0]) == packed(outcomes[0].citations[0].quote)


def test_a_paragraph_is_kept_once_however_many_questions_cite_it(
    outcomes: list[Outcome], seed_chatbot: Chatbot
) -> None:
    one = rows(outcomes[:1], None, seed_chatbot.article)
    many = rows(outcomes[:1] * 50, None, seed_chatbot.article)
    assert many["texts"] == one["texts"]
    assert len(many["rows"]) == 50


def test_a_long_paragraph_is_cut_to_the_surroundings_of_its_marks(
    outcomes: list[Outcome], seed_chatbot: Chatbot
) -> None:
    article = seed_chatbot.article(DOC)
    assert article is not None
    whole = replace(article.blocks[0], span=replace(article.blocks[0].span, start=0, end=5000))
    one_block = replace(article, blocks=(whole,))
    data = rows(outcomes[:1], None, lambda _: one_block)
    ((_, text, before, after, marks),) = data["rows"][0]["sources"]
    assert (before, after) == (True, True)
    assert len(data["texts"][text]) < 600
    assert EVIDENCE in {packed(data["texts"][text][start:end]) for start, end, _, _ in marks}


def test_evidence_that_stands_nowhere_is_told(
    outcomes: list[Outcome], seed_chatbot: Chatbot
) -> None:
    row = rows(outcomes[4:], None, seed_chatbot.article)["rows"][0]
    assert [text for _, text in row["missing"]] == ["这句话文中没有"]


def test_a_document_that_the_index_does_not_hold_does_no_harm(outcomes: list[Outcome]) -> None:
    row = rows(outcomes[:1], None, lambda _: None)["rows"][0]
    assert "sources" not in row
    assert [text for _, text in row["missing"]] == [EVIDENCE]


def test_key_points_are_told_apart_by_what_the_answer_holds(
    outcomes: list[Outcome], seed_chatbot: Chatbot
) -> None:
    row = rows(outcomes[4:], None, seed_chatbot.article)["rows"][0]
    assert row["keypoints"] == [("180亿元", True), ("没有这一点", False)]


# Safety


def test_the_policy_lets_only_this_style_and_this_script_run(
    run: RunDocument, seed_chatbot: Chatbot
) -> None:
    elements = Elements(page_of(run, seed_chatbot))
    (policy,) = [a["content"] for tag, a in elements.tags if tag == "meta" and "http-equiv" in a]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for text in (elements.inline["style"][0], elements.inline["script"][1]):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_nothing_in_the_page_has_a_style_a_handler_or_an_address(
    run: RunDocument, seed_chatbot: Chatbot
) -> None:
    for tag, attributes in Elements(page_of(run, seed_chatbot)).tags:
        assert not {"style", "src", "action"} & set(attributes), (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("href") or "#").startswith(("#", "data:,"))


def test_ids_are_unique(run: RunDocument, seed_chatbot: Chatbot) -> None:
    tags = Elements(page_of(run, seed_chatbot)).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_hostile_text_adds_no_element_and_arrives_as_it_was(
    outcomes: list[Outcome], seed_chatbot: Chatbot
) -> None:
    attack = document(
        [hostile(failed(outcomes[0]))], name=HOSTILE, index_version=HOSTILE, code_version=HOSTILE
    )
    page = page_of(attack, seed_chatbot, replace(attack, set=f"{HOSTILE}2"))
    elements = Elements(page)
    assert [tag for tag, _ in elements.tags].count("script") == 2
    assert "img" not in {tag for tag, _ in elements.tags}
    data = data_of(page)
    assert data["rows"][0]["question"] == HOSTILE
    assert data["types"] == {HOSTILE: HOSTILE}
    assert [HOSTILE, HOSTILE] in data["docs"]


def test_plots_keep_their_text_as_text(run: RunDocument, seed_chatbot: Chatbot) -> None:
    page = page_of(run, seed_chatbot)
    assert re.search(r"<text[^>]*>引对了但答错了</text>", page)
    assert "DejaVu" not in page


# Size


def test_a_report_of_3500_questions_stays_below_10_megabytes(
    outcomes: list[Outcome], seed_chatbot: Chatbot
) -> None:
    many = [
        replace(outcomes[i % 2], id=f"q-{i}", answer=f"第{i}题的回答" * 18 + "[1]。")
        for i in range(3500)
    ]
    before = [replace(one, answer=one.answer + "（旧）") for one in many]
    page = page_of(document(many), seed_chatbot, document(before))
    assert len(page.encode()) < 10_000_000
