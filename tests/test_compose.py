"""Evidence to statements: whole sentences, cut to fit, repeated ones merged."""

from __future__ import annotations

import pytest

from qa.compose import best_clauses, compose, same_statement, short_answer
from qa.question import Question, understand
from qa.ranker import Evidence, Terms
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
