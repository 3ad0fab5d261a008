"""Evidence to statements: whole sentences, cut to fit, repeated ones merged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qa.compose import best_clauses, compose, difference, same_statement
from qa.question import Question, understand
from qa.ranker import Evidence, Terms
from qa.reader import ReadSpan
from qa.short_answer import short_answer
from schema import BlockKind, Chunk, Passage, Sentence, Span

NO_TERMS = Terms({})


def evidence(
    text: str, score: float = 1.0, *, at: int = 0, kind: BlockKind = "body", doc: str = "a.txt"
) -> Evidence:
    span = Span(at, at + len(text))
    sentence = Sentence(span, kind)
    passage = Passage(0, Chunk(doc, 0, span, text, "", (sentence,)), None, None)
    return Evidence(passage, sentence, text, {}, score)


def question(text: str) -> Question:
    return understand(text, (), 1000)


def test_a_fact_is_one_sentence_without_its_stop() -> None:
    ranked = [evidence("吸引392家企业入驻。", 3), evidence("成效显著，领跑全省。", 2.9, at=50)]
    draft = compose(question("吸引了多少家企业？"), ranked, NO_TERMS, 160)
    assert [statement.text for statement in draft.statements] == ["吸引392家企业入驻"]
    assert draft.short_answer == "392家"


def test_a_sentence_that_two_documents_share_is_one_statement_with_two_sources() -> None:
    text = "全国首创内河运费不征关税机制，为293家企业节约税款2056万元。"
    ranked = [evidence(text, 3), evidence(text, 2.9, doc="b.txt")]
    draft = compose(question("为多少家企业节约税款？"), ranked, NO_TERMS, 160)
    assert len(draft.statements) == 1
    assert [e.passage.chunk.doc for e in draft.statements[0].evidence] == ["a.txt", "b.txt"]


def test_sentences_that_differ_in_what_matters_are_not_merged() -> None:
    one = "甲港四期码头工程总投资10亿元，年内开工建设。"
    assert same_statement(one, "甲港四期码头工程总投资10亿元，年内开工建设")
    assert not same_statement(one, one.replace("甲港", "乙港"))
    assert not same_statement(one, one.replace("10", "12"))


def test_an_explanation_goes_on_with_the_sentence_that_points_back() -> None:
    first = "针对营商环境的痛点，园区逐步形成了五改审批服务新模式并向全省推广。"
    second = "该模式完成了集中行政许可权改革。"
    ranked = [evidence(first, 3), evidence(second, 1, at=len(first))]
    draft = compose(question("新模式取得了什么成效？"), ranked, NO_TERMS, 160)
    assert [statement.text for statement in draft.statements] == [first[:-1], second[:-1]]


def test_a_sentence_from_elsewhere_does_not_continue_the_answer() -> None:
    first = "针对营商环境的痛点，园区逐步形成了五改审批服务新模式并向全省推广。"
    ranked = [evidence(first, 3), evidence("该模式另有说明。", 1, at=500)]
    draft = compose(question("新模式取得了什么成效？"), ranked, NO_TERMS, 160)
    assert len(draft.statements) == 1


def test_an_answer_is_never_longer_than_allowed() -> None:
    clause = "这里有一个不长不短的分句，"
    ranked = [evidence(clause * 30, 3), evidence(clause * 20, 2.9, at=600)]
    for limit in (160, 80):
        draft = compose(question("为什么会这样？"), ranked, NO_TERMS, limit)
        assert len("；".join(statement.text for statement in draft.statements)) <= limit


def test_a_long_sentence_is_cut_to_the_whole_clauses_that_answer() -> None:
    text = "园区绿树成荫，道路宽阔，吸引392家再制造企业入驻，节约成本4700余万元，居民安居乐业"
    terms = Terms({"再制造": 3.0, "企业": 1.0, "节约": 2.0})
    assert best_clauses(text, terms, 28) == "吸引392家再制造企业入驻，节约成本4700余万元"


def test_the_clause_with_the_short_answer_is_never_cut_away() -> None:
    text = "4月1日，" + "为加快培育企业，" * 12 + "园区出台集成电路产业发展办法"
    ranked = [evidence(text + "。", 3)]
    terms = Terms({"出台": 2.0, "集成电路": 3.0})
    draft = compose(question("什么时候出台集成电路办法？"), ranked, terms, 60)
    assert draft.short_answer == "4月1日"
    assert "4月1日" in draft.statements[0].text


def test_one_endless_clause_is_cut_rather_than_dumped() -> None:
    assert len(best_clauses("字" * 500, NO_TERMS, 160)) == 160


def test_a_by_line_reads_as_a_statement_and_gives_the_names() -> None:
    ranked = [evidence("熊远帆 黄姿", 3, kind="byline")]
    draft = compose(question("这篇报道的作者是谁？"), ranked, NO_TERMS, 160)
    assert draft.statements[0].text == "作者：熊远帆 黄姿"
    assert draft.short_answer == "熊远帆、黄姿"


@pytest.mark.parametrize(
    ("asked", "text", "expected"),
    [
        ("吸引了多少家企业？", "节约成本4700余万元，吸引392家企业入驻。", "392家"),
        ("节约成本多少万元？", "吸引392家企业入驻，节约成本4700余万元。", "4700余万元"),
        ("压缩了多少？", "三地监管互认，压缩货物运输时间40%以上。", "40%以上"),
        ("什么时候批量发货？", "2020年10月9日，遥控挖掘机首次批量发货。", "2020年10月9日"),
        ("吸引了多少家企业？", "节约成本4700余万元。", None),
        ("为什么？", "因为有392家企业。", None),
    ],
)
def test_the_short_answer_is_the_expression_asked_for_or_nothing(
    asked: str, text: str, expected: str | None
) -> None:
    assert short_answer(question(asked), evidence(text), NO_TERMS) == expected


def test_of_two_fitting_numbers_the_one_beside_the_words_of_the_question_is_taken() -> None:
    terms = Terms({"标杆": 2.0, "工厂": 2.0})
    text = "建立4家工业互联网平台，建设6家标杆工厂。"
    assert short_answer(question("建设几家标杆工厂？"), evidence(text), terms) == "6家"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param("16个", "13个", "3个", id="counts"),
        pytest.param("3.5亿元", "5000万元", "3亿元", id="scales"),
        pytest.param("2000年9月", "2020年", "20年", id="years"),
        pytest.param("16个", "13家", None, id="two units"),
        pytest.param("超16个", "13个", None, id="a bound is no number to compute with"),
        pytest.param("16个", None, None, id="one is missing"),
    ],
)
def test_a_difference_is_computed_from_plain_numbers_of_one_unit(
    first: str, second: str | None, expected: str | None
) -> None:
    assert difference([first, second]) == expected


def dated(text: str, date: str, *, at: int = 0, score: float = 1.0) -> Evidence:
    one = evidence(text, score, at=at)
    return replace(one, passage=replace(one.passage, date=date))


def test_last_year_is_told_with_the_date_of_the_article() -> None:
    ranked = [dated("去年3月1日，大桥通车。", "2021-05")]
    draft = compose(question("大桥什么时候通车？"), ranked, NO_TERMS, 160)
    assert draft.statements[0].text == "去年3月1日，大桥通车（去年即2020年）"
    assert draft.short_answer == "2020年3月1日"


def test_the_same_year_is_told_from_the_sentence_before_which_is_cited_too() -> None:
    before = "去年，大桥开工。"
    ranked = [
        dated("同年7月，大桥通车。", "2021", at=len(before), score=2),
        dated(before, "2021"),
    ]
    draft = compose(question("大桥哪年通车？"), ranked, NO_TERMS, 160)
    assert draft.statements[0].text == "同年7月，大桥通车（同年即2020年）"
    assert [one.text for one in draft.statements[0].evidence] == [ranked[0].text, before]
    assert draft.short_answer == "2020年7月"


def test_an_article_without_a_date_leaves_last_year_as_it_is() -> None:
    draft = compose(question("何时通车？"), [evidence("去年3月，大桥通车。")], NO_TERMS, 160)
    assert draft.statements[0].text == "去年3月，大桥通车"
    assert draft.short_answer == "去年3月"


def test_steps_that_sentences_count_off_come_together() -> None:
    texts = ["园区采取三项措施。", "一是减税。", "二是降费。", "三是放权。"]
    starts = [sum(map(len, texts[:i])) for i in range(4)]
    ranked = [
        evidence(text, 3 - i, at=at) for i, (text, at) in enumerate(zip(texts, starts, strict=True))
    ]
    draft = compose(question("园区采取了哪些措施？"), ranked, NO_TERMS, 160)
    assert [one.text for one in draft.statements] == ["一是减税", "二是降费", "三是放权"]


def read(text: str, hint: str, *, at: int = 0, doc: str = "a.txt") -> Evidence:
    one = evidence(text, 3.0 - at / 1000, at=at, doc=doc)
    start = text.index(hint)
    span = ReadSpan(Span(start, start + len(hint)), 5.0)
    return replace(one, spans=(span,), features={"words": 0.9, "reader": 0.5})


def test_sources_that_disagree_are_shown_side_by_side() -> None:
    ranked = [
        read("园区建成5个重大功能性平台。", "5个"),
        read("园区的六大功能性平台逐渐成型。", "六大", at=300, doc="b.txt"),
    ]
    draft = compose(question("园区有几个重大功能性平台？"), ranked, NO_TERMS, 160)
    assert [one.text for one in draft.statements] == [
        "园区建成5个重大功能性平台",
        "另一处写的是：园区的六大功能性平台逐渐成型",
    ]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param("园区的五大功能性平台逐渐成型。", id="the same number"),
        pytest.param("园区引进6个先进制造项目。", id="another thing is counted"),
        pytest.param("2019年园区有六大功能性平台。", id="another year"),
    ],
)
def test_what_does_not_disagree_is_not_shown_as_if_it_did(other: str) -> None:
    hint = next(h for h in ("五大", "6个", "六大") if h in other)
    ranked = [read("2020年园区建成5个功能性平台。", "5个"), read(other, hint, at=300)]
    draft = compose(question("园区有几个功能性平台？"), ranked, NO_TERMS, 160)
    assert len(draft.statements) == 1


def test_the_day_of_the_same_day_is_told_by_the_sentence_before_it() -> None:
    first, second, third = "3月30日，会议审议了意见。", "同一天，签约仪式举行。", "25个项目签约。"
    ranked = [
        evidence(third, 3, at=len(first + second)),
        evidence(second, 2, at=len(first)),
        evidence(first, 1),
    ]
    draft = compose(question("25个项目是哪天签约的？"), ranked, NO_TERMS, 160)
    assert draft.short_answer == "3月30日"
    assert [s.text for s in draft.statements] == ["25个项目签约", "3月30日，会议审议了意见"]


def test_no_item_of_a_list_gives_way_to_what_follows_it() -> None:
    items = "、".join(f"第{n}类先进装备制造企业" for n in "甲乙丙丁戊己庚辛")
    first, second = f"园区引进了{items}等。", "该园区的营商环境持续改善，获得了企业一致好评。"
    ranked = [evidence(first, 3), evidence(second, 1, at=len(first))]
    draft = compose(question("园区引进了哪些企业？"), ranked, NO_TERMS, 110)
    assert [statement.text for statement in draft.statements] == [first[:-1]]


def test_things_that_the_question_marks_by_a_quotation_are_gathered_from_all_sentences() -> None:
    first, second = "甲港建成全省首个智能码头，年吞吐百万箱。", "乙港开通全省首个夜航班轮。"
    third = "丙港也在建设智能码头。"
    ranked = [
        evidence(second, 3, at=len(first)),
        evidence(third, 2, at=len(first + second)),
        evidence(first, 1),
    ]
    draft = compose(question("明确写“全省首个”的做法有哪两个？"), ranked, NO_TERMS, 160)
    assert [s.text for s in draft.statements] == [first[:-1], second[:-1]]


def test_items_come_whole_before_the_clauses_that_explain_them() -> None:
    text = "园区形成“三改”模式：窗口改平台，不用来回跑；纸件改电子，不用交；串联改并联，不用等。"
    draft = compose(question("“三改”改了哪三样？"), [evidence(text, 3)], NO_TERMS, 40)
    assert [s.text for s in draft.statements] == ["窗口改平台；纸件改电子；串联改并联"]
