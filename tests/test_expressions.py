"""Numbers and dates as newspapers write them."""

from decimal import Decimal

import pytest

from qa.expressions import FITS, find_dates, find_numbers, offers, value_of, wanted_units
from qa.question import understand


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("帮助企业节约成本4700余万元", ["4700余万元"]),
        ("超5.4万家新设企业活力奔涌，575个重大项目", ["超5.4万家", "575个"]),
        ("压缩货物运输时间40%以上", ["40%以上"]),
        ("总投资400多亿元", ["400多亿元"]),
        ("第二次重大项目集中签约", ["第二次"]),
        ("实现“五连增”", ["五连增"]),
        ("新引进不少于20家，占比超过20%", ["不少于20家", "超过20%"]),
        ("付汇89050.46欧元", ["89050.46欧元"]),
        ("1,200家企业", ["1,200家"]),
        ("一直坚持，一起前行", []),
    ],
)
def test_numbers_are_found_with_their_unit_and_their_hedge(text: str, expected: list[str]) -> None:
    assert [number.text for number in find_numbers(text)] == expected


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("4700余万元", 47_000_000),
        ("超5.4万家", 54_000),
        ("1,200家", 1200),
        ("３亿元", 300_000_000),
        ("2万亿元", 2_000_000_000_000),
        ("一百零九项", 109),
        ("十二个", 12),
        ("两家", 2),
        ("三万五千人", 35_000),
        ("一亿零三十万", 100_300_000),
        ("二〇二三年", 2023),
        ("第二批", 2),
        ("首次", 1),
        ("65%", 65),
        ("百分之六十五", 65),
        ("百分之六点五", "6.5"),
    ],
)
def test_a_number_has_the_same_value_however_it_is_written(written: str, value: int | str) -> None:
    assert value_of(written) == Decimal(value)


@pytest.mark.parametrize("written", ["若干家", "二三十只"])
def test_a_text_that_names_no_one_number_has_no_value(written: str) -> None:
    assert value_of(written) is None


def test_a_name_that_looks_like_a_numeral_is_no_number() -> None:
    assert find_numbers("三一集团与三一重工") == []


@pytest.mark.parametrize(
    "asked", ["多少年度预算", "多少天然气", "多少项目", "多少单位", "多少人才"]
)
def test_the_beginning_of_a_longer_word_is_no_unit(asked: str) -> None:
    assert understand(f"共有{asked}？", (), 1000).unit is None


def test_a_date_is_not_a_number() -> None:
    assert find_numbers("2020年10月9日") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("今年1月1日起", ["今年1月1日起"]),
        ("2020年10月9日，首次", ["2020年10月9日"]),
        ("2025年上半年实现", ["2025年上半年"]),
        ("同年7月，园区获批", ["同年7月"]),
        ("3月31日下午，长沙", ["3月31日下午"]),
        ("没有日期", []),
    ],
)
def test_dates_are_found_as_written(text: str, expected: list[str]) -> None:
    assert [written for _, written in find_dates(text)] == expected


@pytest.mark.parametrize(
    ("question", "unit"),
    [
        ("吸引了多少家企业？", "家"),
        ("投资达到多少亿元？", "元"),
        ("节约了多少税款？", "元"),
        ("贡献率超过多少？", "%"),
        ("有几项创新？", "项"),
        ("保税维修额占全省多少？", "%"),
        ("节省了多少税？", "元"),
    ],
)
def test_the_question_says_which_unit_it_wants(question: str, unit: str) -> None:
    assert wanted_units(understand(question, (), 1000))[0] == unit


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("平台分几部分？", "平台分为管理端、应用端两部分。"),
        ("涉及几个片区？", "涵盖三大片区。"),
        ("有几地海关互认？", "实现三地海关监管互认。"),
    ],
)
def test_a_number_in_words_answers_too(asked: str, text: str) -> None:
    assert offers(understand(asked, (), 1000), text) >= FITS


def test_how_many_and_which_one_in_order_are_different_questions() -> None:
    count, order = understand("有几支基金？", (), 1000), understand("是第几支基金？", (), 1000)
    for ordinal in ("全省首支基金落地", "这是第二支基金"):
        assert offers(order, ordinal) >= FITS > offers(count, ordinal)
    assert offers(count, "共有三支基金") >= FITS > offers(order, "共有三支基金")


def test_the_number_that_counts_the_right_thing_fits_best() -> None:
    question = understand("引进了多少个项目？", (), 1000)
    projects, tasks, money = "引进16个项目", "承接121项改革任务", "投资400亿元"
    assert offers(question, projects) > offers(question, tasks) > offers(question, money)


def test_a_sentence_with_the_wanted_unit_is_preferred_to_one_with_another() -> None:
    question = understand("吸引了多少家企业？", (), 1000)
    right, other, none = "吸引392家企业", "节约4700万元", "成效显著"
    assert offers(question, right) > offers(question, other) > offers(question, none)


@pytest.mark.parametrize(
    "date",
    [
        "1486年",
        "1859年",
        "2020年7月",
        "七月初十",
        "十月廿一",
        "三月五日",
        "腊月二十三日",
        "同年7月",
    ],
)
def test_dates_of_all_centuries_and_of_the_old_calendar_are_found(date: str) -> None:
    assert [text for _, text in find_dates(f"在{date}完成。")] == [date]


def test_how_long_asks_for_a_duration_whatever_else_the_question_names() -> None:
    question = understand("保税货物最长可以存放多久？", (), 1000)
    assert "元" not in wanted_units(question)
    assert "年" in wanted_units(question)


def test_opening_hours_answer_a_question_for_the_time_of_day() -> None:
    asked = understand("展馆几点到几点开放？", (), 1000)
    assert offers(asked, "展馆每天9:00至17:30开放。") == 1.0
    assert offers(asked, "展馆每天开放。") == 0.0
