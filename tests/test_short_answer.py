"""The shortest complete answer: the reader's hint made whole, or the words of the question."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qa.ranker import Evidence, Terms
from qa.reader import ReadSpan
from qa.short_answer import completed, counted_off, items_of, short_answer, whole_list
from schema import BlockKind, Span
from tests.test_compose import evidence, question

NO_TERMS = Terms({})


def read(text: str, *hints: str, score: float = 2.0, kind: BlockKind = "body") -> Evidence:
    """A sentence in which the reader found `hints`, best first."""
    spans = [
        ReadSpan(Span(text.index(hint), text.index(hint) + len(hint)), score - i)
        for i, hint in enumerate(hints)
    ]
    return replace(evidence(text, kind=kind), spans=tuple(spans))


@pytest.mark.parametrize(
    ("asked", "text", "hint", "expected"),
    [
        pytest.param(
            "新建工厂多少家？", "新建工厂6家，改造工厂9家。", "9", "9家", id="reader decides"
        ),
        pytest.param(
            "总投资多少？", "总投资超5.4亿元。", "5.4亿", "超5.4亿元", id="hedge and unit"
        ),
        pytest.param(
            "什么时候开工？", "2023年5月6日开工，2025年完工。", "5月6日", "2023年5月6日", id="date"
        ),
        pytest.param(
            "什么时候起施行？", "3月1日起施行。", "3月1日起", "3月1日", id="from a day on"
        ),
        pytest.param("负责人是谁？", "负责人王小林介绍了情况。", "王小林", "王小林", id="person"),
        pytest.param(
            "出台了什么文件？",
            "园区出台《人才十条》，反响热烈。",
            "人才十条",
            "《人才十条》",
            id="title",
        ),
        pytest.param(
            "涉及哪些领域？",
            "成果涉及投资贸易、政府管理、金融开放等领域。",
            "投资贸易",
            "投资贸易、政府管理、金融开放",
            id="all items of a list",
        ),
        pytest.param(
            "由哪两方共建？",
            "项目由甲市和乙县共同建设。",
            "甲市和乙县",
            "甲市、乙县",
            id="two parties",
        ),
    ],
)
def test_what_the_reader_found_is_completed(
    asked: str, text: str, hint: str, expected: str
) -> None:
    assert short_answer(question(asked), read(text, hint), NO_TERMS) == expected


def test_a_span_without_the_type_asked_for_gives_way_to_the_next() -> None:
    text = "青松园引进企业46家，成为全省首个示范园。"
    assert (
        short_answer(question("引进企业多少家？"), read(text, "青松园", "46"), NO_TERMS) == "46家"
    )


@pytest.mark.parametrize("asked", ["为什么要改革？", "怎样降低成本？", "园区有没有食堂？"])
def test_reasons_manners_and_yes_or_no_have_no_short_form(asked: str) -> None:
    assert (
        short_answer(question(asked), read("因为成本高，园区有食堂。", "成本高"), NO_TERMS) is None
    )


def test_a_span_that_the_reader_does_not_believe_in_is_no_short_answer() -> None:
    found = read("负责人王小林介绍了情况。", "王小林", score=-9.0)
    assert short_answer(question("负责人是谁？"), found, NO_TERMS) is None


def test_neighbouring_spans_that_the_reader_believes_in_are_one_name() -> None:
    found = read("地处青松湖大湾区。", "青松湖", "大湾区", score=5.0)
    assert short_answer(question("地处什么地方？"), found, NO_TERMS) == "青松湖大湾区"


def test_a_title_is_given_whole() -> None:
    found = read("春风化雨，润物无声", "润物无声", kind="title")
    assert short_answer(question("文章的标题是什么？"), found, NO_TERMS) == "春风化雨，润物无声"


@pytest.mark.parametrize(
    ("text", "hint", "expected"),
    [
        pytest.param("成为“保税ERP”企业", "RP", "ERP", id="a Latin word is whole"),
        pytest.param("成为“先锋港”企业", "先锋港", "“先锋港”", id="quotation marks"),
        pytest.param("发布《十条（试行）》后", "十条（试行", "《十条（试行）》", id="nested marks"),
    ],
)
def test_edges_do_not_cut_words_and_marks(text: str, hint: str, expected: str) -> None:
    start = text.index(hint)
    assert completed(text, Span(start, start + len(hint))).cut(text) == expected


def test_a_list_reaches_back_to_its_first_item_and_ends_with_its_clause() -> None:
    text = "包括芯片、整车和软件，带动就业。"
    start = text.index("整车")
    assert whole_list(text, Span(start, start + 2)).cut(text) == "芯片、整车和软件"


def test_titles_without_a_joint_between_them_are_items() -> None:
    text = "出台《人才十条》《园区办法》等政策。"
    found = read(text, "《人才十条》")
    assert (
        short_answer(question("出台了哪些政策？"), found, NO_TERMS) == "《人才十条》、《园区办法》"
    )


def test_two_that_act_together_are_named_without_the_word_for_it() -> None:
    found = read("由甲市与乙县联合打造。", "甲市与乙县联合")
    assert short_answer(question("由谁打造？"), found, NO_TERMS) == "甲市与乙县"


def test_joints_inside_marks_separate_no_items() -> None:
    assert items_of("“芯片、软件”园、港口和车站") == ["“芯片、软件”园", "港口", "车站"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("新桥夜景。王小林 摄", "王小林"),
        ("②甲港码头。乙开发区供图", "乙开发区"),
        ("新桥夜景。摄影：王小林", "王小林"),
    ],
)
def test_whose_picture_it_is_stands_at_the_end_of_its_caption(text: str, expected: str) -> None:
    asked = question("新桥夜景的照片是谁拍的？")
    assert short_answer(asked, read(text, text[:2], kind="caption"), NO_TERMS) == expected


def test_a_place_is_told_with_the_part_of_town_that_is_named_behind_it() -> None:
    text = "博览会连续三届在甲城会展中心举办，人气很旺。"
    asked = question("博览会在哪里举办？")
    assert short_answer(asked, read(text, "甲城"), NO_TERMS) == "甲城会展中心"
    plain = read("博览会在甲城举办，会展中心很忙。", "甲城")
    assert short_answer(asked, plain, NO_TERMS) == "甲城"


def test_a_number_counts_what_stands_before_the_next_number() -> None:
    text = "带动12个县24个联动区共同发展。"
    asked = question("带动了多少个联动区？")
    assert short_answer(asked, read(text, "12个县24个"), NO_TERMS) == "24个"


def test_growth_against_an_earlier_time_is_a_rate() -> None:
    text = "上半年产值149亿元，同比增长65%。"
    asked = question("上半年产值比上年同期高出多少？")
    assert short_answer(asked, read(text, "149亿元"), NO_TERMS) == "65%"


def test_items_counted_off_behind_a_colon_are_told_by_their_first_clauses() -> None:
    text = "园区形成“三改”模式：窗口改平台，不用来回跑；纸件改电子，不用交；串联改并联，不用等。"
    asked = question("“三改”改了哪三样？")
    expected = "窗口改平台、纸件改电子、串联改并联"
    assert short_answer(asked, read(text, "“三改”"), NO_TERMS) == expected


def test_another_number_of_items_than_asked_for_is_no_answer() -> None:
    text = "园区形成“三改”模式：窗口改平台，不用来回跑；纸件改电子，不用交；串联改并联，不用等。"
    assert counted_off(question("改了哪两样？"), text) == []
