"""What a quotation bears out, and what it does not."""

from __future__ import annotations

import time
from statistics import median

import pytest

from qa.check import Failure, Fault, check_statement

PARK = (
    "截至目前，蓝湖科技园共引进企业109家，其中51家为高新技术企业，带动投资4700余万元，"
    "货物通关时间压缩40%以上。"
)
TRADE = "去年，青禾公司（01234）向白石银行贷款3亿元，同比增长5%，利润增长7%。"
DATES = "2020年3月，云台港获批开建，同年10月9日开港，今年1月起试运行。"


def faults(statement: str, *quotes: str, date: str | None = "2025-07-20") -> list[Fault]:
    found = check_statement(statement, quotes, article_dates=[date] * len(quotes))
    return [failure.fault for failure in found]


@pytest.mark.parametrize(
    ("statement", "quote"),
    [
        pytest.param(PARK, PARK, id="the whole sentence"),
        pytest.param("其中51家为高新技术企业[1]。", PARK, id="a clause with its marker"),
        pytest.param("109家", PARK, id="a bare number"),
        pytest.param("蓝湖科技园共引进企业109家，带动投资4700余万元", PARK, id="a clause dropped"),
        pytest.param("青禾公司向白石银行贷款3亿元", TRADE, id="brackets dropped"),
        pytest.param("标题：蓝湖科技园共引进企业109家", PARK, id="a label"),
        pytest.param("蓝湖科技园引进企业一百零九家", PARK, id="a word dropped, Chinese numerals"),
        pytest.param("货物通关时间压缩百分之四十以上", PARK, id="a percentage in words"),
        pytest.param("带动投资０.47余亿元", PARK, id="full width and another scale"),
        pytest.param("蓝湖科技园的企业为109家", PARK, id="worded freely"),
        pytest.param("园区引进两家企业", "园区引进2家企业。", id="two"),
        pytest.param("園區引進兩家企業", "园区引进2家企业。", id="traditional characters"),
        pytest.param("产值1,200万元", "产值1200万元。", id="thousands"),
        pytest.param("人口三万五千人", "人口35000人。", id="a long numeral"),
        pytest.param("投资1亿3000万元", "投资1.3亿元。", id="two scales"),
        pytest.param("12个项目", "双方签约12个项目。", id="a word that ends like a hedge"),
    ],
)
def test_what_a_quotation_says_in_any_form_is_borne_out(statement: str, quote: str) -> None:
    assert faults(statement, quote) == []


@pytest.mark.parametrize(
    ("statement", "quote", "fault"),
    [
        pytest.param("共引进企业108家", PARK, Fault.NUMBER, id="a digit"),
        pytest.param("共引进企业10家", PARK, Fault.NUMBER, id="part of a number"),
        pytest.param("共引进企业109项", PARK, Fault.UNIT, id="a unit"),
        pytest.param("带动投资4700余亿元", PARK, Fault.NUMBER, id="a scale"),
        pytest.param("带动投资4700万元", PARK, Fault.HEDGE, id="a hedge dropped"),
        pytest.param("带动投资近4700万元", PARK, Fault.HEDGE, id="another bound"),
        pytest.param("时间压缩40%左右", PARK, Fault.HEDGE, id="a hedge behind"),
        pytest.param("引进二批企业", "引进第二批企业。", Fault.NUMBER, id="an ordinal is no count"),
        pytest.param("捐赠十亿元", "捐赠数十亿元。", Fault.HEDGE, id="several tens"),
        pytest.param("收益率3.5%", "收益率-3.5%。", Fault.NUMBER, id="a sign"),
    ],
)
def test_a_number_needs_the_same_value_unit_and_hedge(
    statement: str, quote: str, fault: Fault
) -> None:
    assert faults(statement, quote) == [fault]


@pytest.mark.parametrize("over", ["超4700万元", "逾4700万元", "4700多万元", "超过4700万元"])
def test_words_for_the_same_bound_are_equal(over: str) -> None:
    assert faults(f"带动投资{over}", PARK) == []


@pytest.mark.parametrize(
    ("statement", "quote"),
    [
        pytest.param("蓝湖科技园共引进企业51家，其中109家为高新技术企业", PARK, id="exchanged"),
        pytest.param("蓝湖科技园共引进企业51家", PARK, id="the other number"),
        pytest.param("向白石银行贷款3亿元，同比增长7%", TRADE, id="of the next clause"),
        pytest.param("税率从5%降到3%", "税率从3%降到5%。", id="inside a clause"),
        pytest.param("高新技术企业109家", PARK, id="worded freely"),
    ],
)
def test_a_number_belongs_to_what_it_counts(statement: str, quote: str) -> None:
    assert faults(statement, quote) != []


@pytest.mark.parametrize(
    "statement",
    [
        "2020年3月，云台港获批开建",
        "2020年10月9日开港",
        "2025年1月起试运行",
        "今年（2025年）1月起试运行",
        "同年10月9日开港",
        "云台港2020年获批开建",
    ],
)
def test_a_date_may_be_resolved_and_be_less_precise(statement: str) -> None:
    assert faults(statement, DATES) == []


@pytest.mark.parametrize(
    "statement",
    ["2021年3月，云台港获批开建", "2025年10月9日开港", "2024年1月起试运行", "2020年3月5日获批开建"],
)
def test_another_date_is_a_fault(statement: str) -> None:
    assert Fault.DATE in faults(statement, DATES)


def test_dates_that_stand_in_the_quotation_cannot_change_places() -> None:
    assert faults("2020年10月9日，云台港获批开建", DATES) != []


@pytest.mark.parametrize("date", [None, "2024"])
def test_a_year_is_resolved_with_the_date_of_its_own_article_only(date: str | None) -> None:
    assert faults("2025年1月起试运行", DATES, date=date) == [Fault.DATE]


def test_this_month_needs_an_article_dated_to_the_month() -> None:
    quote = "展会本月27日开幕。"
    assert faults("展会2025年7月27日开幕", quote, date="2025-07-20") == []
    assert faults("展会2025年7月27日开幕", quote, date="2025") == [Fault.DATE]


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        pytest.param("黄石银行向青禾公司贷款3亿元", Fault.WORDING, id="a name nowhere"),
        pytest.param("白石银行向青禾公司贷款3亿元", Fault.WORDING, id="two names exchanged"),
        pytest.param("青禾公司向湖南白石银行贷款3亿元", Fault.NAME, id="a place nowhere"),
        pytest.param("青禾公司向“白石”国际贷款3亿元", Fault.WORDING, id="more than the name"),
        pytest.param("青禾公司向AB银行贷款3亿元", Fault.NAME, id="a Latin word"),
        pytest.param("《青禾》向白石银行贷款3亿元", None, id="a name that is there"),
        pytest.param("《青禾银行》", Fault.NAME, id="a name put together"),
    ],
)
def test_a_name_stands_where_the_quotation_has_it(statement: str, fault: Fault | None) -> None:
    found = faults(statement, TRADE)
    assert (fault in found) if fault else not found


def test_a_name_cannot_take_the_place_of_another_one_of_the_same_quotation() -> None:
    quote = "清溪大学教授李明远说，东山大学校长周立文出席会议。"
    assert faults("东山大学校长周立文出席会议", quote) == []
    assert faults("东山大学校长李明远出席会议", quote) != []
    assert faults("清溪大学校长周立文出席会议", quote) != []


@pytest.mark.parametrize(
    ("statement", "quote", "fault"),
    [
        pytest.param("项目已经叫停", "项目已经开工。", Fault.WORDING, id="a word nowhere"),
        pytest.param("项目没有开工", "项目已经开工。", Fault.WORDING, id="a negation added"),
        pytest.param("完成验收", "项目尚未完成验收。", Fault.NEGATION, id="a negation dropped"),
    ],
)
def test_other_words_come_from_the_quotation(statement: str, quote: str, fault: Fault) -> None:
    assert faults(statement, quote) == [fault]


def test_a_statement_may_rest_on_two_quotations() -> None:
    statement = "蓝湖科技园共引进企业109家，青禾公司向白石银行贷款3亿元"
    assert faults(statement, PARK, TRADE) == []
    assert faults(statement, PARK) != []


@pytest.mark.parametrize(
    ("statement", "right"),
    [
        ("甲区有109项，乙区有106项，相差3项（由[1]和[2]计算）", True),
        ("相差3项（由[1]和[2]计算）", True),
        ("甲区有109项，乙区有106项，多3项（由[1]和[2]计算）", True),
        ("合计215项（由[1]和[2]计算）", True),
        ("相差4项（由[1]和[2]计算）", False),
        ("相差3家（由[1]和[2]计算）", False),
        ("甲区有109项，乙区有106项，少3项（由[1]和[2]计算）", False),
        ("相差3项", False),
    ],
)
def test_a_computed_number_is_marked_and_computed_again(statement: str, right: bool) -> None:
    assert (faults(statement, "甲区有一百零九项。", "乙区有106项。") == []) is right


def test_nothing_exact_is_computed_from_a_hedged_number() -> None:
    found = faults("相差3项（由[1]和[2]计算）", "甲区有近109项。", "乙区有106项。")
    assert found == [Fault.COMPUTED]


def test_a_failure_shows_the_piece() -> None:
    found = check_statement("共引进企业108家", [PARK], article_dates=[None])
    assert found == [Failure(Fault.NUMBER, "108家")]


def test_without_quotations_nothing_is_borne_out() -> None:
    assert faults("园区引进两家企业") != []


def test_every_quotation_needs_a_date_or_none() -> None:
    with pytest.raises(ValueError, match="shorter"):
        check_statement("开工", ["项目开工。"], article_dates=[])


def test_a_usual_statement_takes_less_than_two_milliseconds() -> None:
    faults("蓝湖科技园引进企业109家", PARK)  # loads what normalising needs
    took = []
    for n in range(50):
        quote = PARK + "甲" * n  # none is remembered from the time before
        started = time.process_time()
        assert not faults(f"蓝湖科技园引进企业109家，带动投资4700余万元[{n}]", quote)
        took.append(time.process_time() - started)
    assert median(took) < 0.002
