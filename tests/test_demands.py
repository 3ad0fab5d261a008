"""What a question demands, on two small articles made up for these tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from index.generation import Generation
from index.words import WordTokenizer
from qa.demands import (
    DEMAND_FEATURES,
    DemandKind,
    Severity,
    Unmet,
    demand_features,
    demands,
    has_credit,
    names_in,
    unmet,
    years_of,
)
from qa.question import Question, understand
from qa.ranker import Evidence, cut
from schema import Chunk, Passage, Sentence, Span, Turn
from tests.index_parts import build, make_entry

TITLE = "浙江自贸试验区建设纪实"
HARBOUR = "宁波片区2022年新增企业310家。同年引进外资8亿美元，建成浙江省首个跨境仓库。"
SISTER = "杭州片区2021年新增企业270家。"
TALKS = "新锦集团与远达公司共同建厂，新锦集团投资12亿元，产量增长三成。"
QUIET = "舟山港区的吞吐量达到400万标箱。"


@pytest.fixture(scope="module")
def generation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generation]:
    index_dir = tmp_path_factory.mktemp("demands") / "index"
    build(index_dir, make_entry("a.txt", HARBOUR, SISTER, TALKS, QUIET, title=TITLE))
    with Generation.open(index_dir) as opened:
        yield opened


def sentence(generation: Generation, paragraph: int, place: int = 0) -> Evidence:
    """A sentence of the article as evidence; its article is dated March 2025."""
    passage = generation.table.passages([paragraph])[0]
    chosen = passage.chunk.sentences[place]
    return Evidence(passage, chosen, cut(passage, chosen), {}, 0.0)


def asked(text: str, *earlier: str) -> Question:
    return understand(text, [Turn("user", turn) for turn in earlier], 1000)


def missing(generation: Generation, question: str, paragraph: int, place: int = 0) -> list[Unmet]:
    return unmet(asked(question), [sentence(generation, paragraph, place)], generation)


def hard(found: list[Unmet]) -> list[str]:
    return [one.reason_zh for one in found if one.severity is Severity.HARD]


def kinds(text: str) -> set[tuple[DemandKind, str]]:
    return {(one.kind, one.text) for one in demands(asked(text), WordTokenizer())}


@pytest.mark.parametrize(
    ("question", "demand"),
    [
        ("2022年新增多少家企业？", (DemandKind.YEAR, "2022")),
        ("宁波片区有多少家企业？", (DemandKind.PLACE, "宁波片区")),
        ("越南进口了多少吨？", (DemandKind.PLACE, "越南")),
        ("新锦集团投资多少亿元？", (DemandKind.ORGANISATION, "新锦集团")),
        ("约翰·斯坦贝克何时来访？", (DemandKind.PERSON, "约翰·斯坦贝克")),
        ("“银帆计划”是什么？", (DemandKind.NAME, "银帆计划")),
        ("QFLP基金何时落地？", (DemandKind.NAME, "qflp")),
        ("新锦集团为什么退出？", (DemandKind.ACTION, "退出")),
        ("全国首个跨境仓库在哪里？", (DemandKind.SCOPE, "全国首个")),
        ("投资多少亿元？", (DemandKind.UNIT, "元")),
        ("这张照片是谁拍的？", (DemandKind.CREDIT, "署名")),
    ],
)
def test_a_question_demands_what_it_names(question: str, demand: tuple[DemandKind, str]) -> None:
    assert demand in kinds(question)


@pytest.mark.parametrize("question", ["有多少家公司？", "哪个城市最早建成？", "这家银行在哪里？"])
def test_what_is_asked_for_is_not_demanded_by_name(question: str) -> None:
    named = {DemandKind.PLACE, DemandKind.ORGANISATION, DemandKind.PERSON, DemandKind.NAME}
    assert not [text for kind, text in kinds(question) if kind in named]


def test_a_place_inside_a_longer_name_is_not_demanded_twice() -> None:
    assert [one.text for one in names_in("宁波片区的面积", WordTokenizer())] == ["宁波片区"]


def test_a_follow_up_demands_its_own_place_instead_of_the_earlier_one() -> None:
    question = asked("那杭州片区呢？", "宁波片区2022年新增多少家企业？")
    found = demands(question, WordTokenizer())
    assert [one.text for one in found if one.kind is DemandKind.PLACE] == ["杭州片区"]


def test_a_name_carried_from_an_earlier_turn_never_refuses(generation: Generation) -> None:
    question = asked("那投资呢？", "雅图集团在做什么？")
    found = unmet(question, [sentence(generation, 2)], generation)
    assert [one.demand.text for one in found if one.demand.carried] == ["雅图集团"]
    assert not hard(found)


@pytest.mark.parametrize(
    ("question", "paragraph", "place"),
    [
        pytest.param("宁波片区2022年新增多少家企业？", 0, 0, id="all in the sentence"),
        pytest.param("宁波片区2022年引进外资多少亿美元？", 0, 1, id="place and year just before"),
        pytest.param("浙江自由贸易试验区引进外资多少？", 0, 1, id="the title, in other words"),
        pytest.param("新锦集团投资多少亿元？", 2, 0, id="organisation"),
        pytest.param("舟山港吞吐量多少？", 3, 0, id="another suffix of the same place"),
        pytest.param("2025年舟山港区的吞吐量是多少？", 3, 0, id="the article's own year"),
        pytest.param("浙江首个跨境仓库何时建成？", 0, 1, id="the same scope"),
    ],
)
def test_what_the_evidence_meets_is_not_reported(
    generation: Generation, question: str, paragraph: int, place: int
) -> None:
    assert missing(generation, question, paragraph, place) == []


@pytest.mark.parametrize(
    ("question", "paragraph", "reason"),
    [
        (
            "宁波片区2020年新增多少家企业？",
            0,
            "文中只给出2022年的数字，没有2020年",
        ),
        (
            "杭州片区新增多少家企业？",
            0,
            "文中给出的是宁波片区，没有杭州片区的数字",
        ),
        ("温州片区新增多少家企业？", 0, "文中没有提到“温州片区”"),
        ("新锦集团为什么退出？", 2, "文中没有提到新锦集团“退出”"),
        ("“银帆计划”投资多少亿元？", 2, "文中没有提到“银帆计划”"),
        ("雅图集团投资多少亿元？", 2, "文中没有提到“雅图集团”"),
        ("这张照片是谁拍的？", 3, "文中的这张图片没有署名，看不出是谁拍摄的"),
    ],
)
def test_a_near_miss_is_refused_with_its_reason(
    generation: Generation, question: str, paragraph: int, reason: str
) -> None:
    assert hard(missing(generation, question, paragraph)) == [reason]


def test_first_in_the_province_does_not_answer_first_in_the_country(
    generation: Generation,
) -> None:
    found = missing(generation, "全国首个跨境仓库何时建成？", 0, 1)
    assert hard(found) == ["文中说的是“浙江省首个”，不是“全国首个”"]


def test_a_year_reckoned_from_another_is_doubted_but_not_refused(tmp_path: Path) -> None:
    build(tmp_path, make_entry("b.txt", "2015年动工，三年后建成12座码头。"))
    with Generation.open(tmp_path) as opened:
        found = missing(opened, "2018年建成多少座码头？", 0)
    assert [one.severity for one in found] == [Severity.SOFT]


def test_a_sentence_without_a_year_goes_on_with_the_year_before_it(
    generation: Generation,
) -> None:
    assert not hard(missing(generation, "2021年舟山港区的吞吐量是多少？", 3))


def test_a_slip_of_the_pen_in_a_name_is_not_refused(generation: Generation) -> None:
    assert not hard(missing(generation, "新绵集团投资多少亿元？", 2))


def test_why_something_grew_is_no_false_premise(generation: Generation) -> None:
    assert missing(generation, "新锦集团产量为什么增长？", 2) == []


def test_a_reason_for_a_fall_is_not_found_where_growth_is_told(generation: Generation) -> None:
    question = "新锦集团产量为什么下降？"
    assert hard(missing(generation, question, 2)) == ["文中没有提到新锦集团“下降”"]
    features = demand_features(asked(question), [sentence(generation, 2)], generation)
    assert (features["action"], features["not_contrary"]) == (0.0, 0.0)


def test_without_evidence_nothing_is_compared(generation: Generation) -> None:
    assert unmet(asked("温州片区2020年新增多少家企业？"), [], generation) == []


def test_features_are_one_where_nothing_is_demanded(generation: Generation) -> None:
    features = demand_features(asked("怎么样了？"), [sentence(generation, 0)], generation)
    assert tuple(features) == DEMAND_FEATURES
    assert set(features.values()) == {1.0}


def test_features_tell_how_wide_one_must_look_for_a_name(generation: Generation) -> None:
    question = asked("杭州片区新增多少家企业？")

    def at(paragraph: int) -> tuple[float, ...]:
        features = demand_features(question, [sentence(generation, paragraph)], generation)
        return tuple(
            features[name] for name in ("names_sentence", "names_article", "no_rival", "unit")
        )

    assert at(1) == (1.0, 1.0, 1.0, 1.0)
    assert at(0) == (0.0, 1.0, 0.0, 1.0)


def test_a_value_belongs_to_the_organisation_named_last_before_it(
    generation: Generation,
) -> None:
    def beside(question: str) -> float:
        return demand_features(asked(question), [sentence(generation, 2)], generation)["beside"]

    assert beside("新锦集团投资多少亿元？") == 1.0
    assert beside("远达公司投资多少亿元？") == 0.0


def test_two_names_that_the_question_binds_are_wanted_together(generation: Generation) -> None:
    def together(question: str) -> float:
        return demand_features(asked(question), [sentence(generation, 2)], generation)["together"]

    assert together("新锦集团与远达公司投资多少亿元？") == 1.0
    assert together("新锦集团与雅图集团投资多少亿元？") == 0.5


def evidence(text: str, *, kind: str = "body", date: str | None = None) -> Evidence:
    """A sentence alone in its passage."""
    span = Span(0, len(text))
    only = Sentence(span, "caption" if kind == "caption" else "body")
    chunk = Chunk("c.txt", 0, span, text, "", (only,))
    return Evidence(Passage(0, chunk, None, date), only, text, {}, 0.0)


@pytest.mark.parametrize(
    ("text", "date", "years"),
    [
        ("2019年至2021年完成", None, {"2019", "2020", "2021"}),
        ("去年完成", "2025-03", {"2024", "2025"}),
        ("二〇一九年完成", None, {"2019"}),
        ("2019年开工，次年完成", None, {"2019", "2020"}),
        ("投资2019万元", None, set()),
    ],
)
def test_years_are_written_resolved_or_within_a_range(
    text: str, date: str | None, years: set[str]
) -> None:
    assert years_of(evidence(text, date=date)) == years


def test_only_a_caption_with_a_name_has_a_credit() -> None:
    assert has_credit(evidence("码头夜景。张三 摄", kind="caption"))
    assert not has_credit(evidence("码头夜景", kind="caption"))
    assert not has_credit(evidence("张三 摄"))


def test_where_no_year_is_told_at_all_the_year_asked_about_is_only_doubted(tmp_path: Path) -> None:
    article, chunks = make_entry("c.txt", "本月园区新增企业310家。", title="园区快讯")
    build(tmp_path, (replace(article, date=None, date_inferred=False), chunks))
    with Generation.open(tmp_path) as opened:
        found = missing(opened, "2023年园区新增企业多少家？", 0)
    assert [one.severity for one in found] == [Severity.SOFT]
