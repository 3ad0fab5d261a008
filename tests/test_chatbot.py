"""The chatbot over the two shipped articles: what is answered, what is refused, and how."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from assemble import build_index, open_chatbot
from eval.metrics import is_verbatim
from qa.chatbot import Chatbot
from qa.check import check_statement
from qa.cite import cite
from qa.question import understand
from qa.record import answer_record
from schema import Answer, Refusal, Turn
from settings import Settings


def answered(chatbot: Chatbot, question: str, *history: Turn) -> Answer:
    reply = chatbot.ask(question, history).reply
    assert isinstance(reply, Answer), reply
    return reply


def refused(chatbot: Chatbot, question: str, *history: Turn) -> Refusal:
    reply = chatbot.ask(question, history).reply
    assert isinstance(reply, Refusal), reply
    return reply


def test_an_answer_quotes_its_sentence_and_marks_it(seed_chatbot: Chatbot) -> None:
    answer = answered(seed_chatbot, "磐石电子公司2024年的保税维修进出口额是多少？")
    assert "21亿元" in answer.text
    assert answer.text.endswith("[1]。")
    assert "21亿元" in answer.citations[0].quote


def test_markers_and_citations_agree(seed_chatbot: Chatbot) -> None:
    answer = answered(seed_chatbot, "首批引进了多少个项目？湖南自贸试验区是哪一年挂牌的？")
    markers = [int(n) for n in re.findall(r"\[(\d+)\]", answer.text)]
    assert sorted(set(markers)) == [citation.n for citation in answer.citations]
    assert [citation.n for citation in answer.citations] == list(
        range(1, len(answer.citations) + 1)
    )


def test_both_parts_of_a_question_are_answered_from_both_articles(seed_chatbot: Chatbot) -> None:
    answer = answered(seed_chatbot, "长沙片区外贸年均增长多少？三一科学城总投资多少亿元？")
    assert "10.6%" in answer.text
    assert "180亿元" in answer.text
    assert len({citation.doc for citation in answer.citations}) == 2


def test_a_part_that_is_not_answered_is_said(seed_chatbot: Chatbot) -> None:
    answer = answered(seed_chatbot, "三一科学城总投资多少亿元？上海自贸试验区的面积有多大？")
    assert "180亿元" in answer.text
    assert "文中没有答案" in answer.text


@pytest.mark.parametrize(
    ("question", "said"),
    [
        pytest.param("５年間形成三批制度創新成果共多少項？", "109项", id="traditional, full width"),
        pytest.param("三一科学成 总投资 多少", "180亿元", id="typo"),
        pytest.param("QFLP基金是全省第几支？", "首支", id="Latin"),
        pytest.param("谁拍的三一智联重卡项目的照片？", "曾诗怡", id="caption"),
        pytest.param("《蹄疾步稳，筑梦自贸》的作者有哪些人？", "黄姿", id="by-line"),
    ],
)
def test_odd_wordings_still_find_the_place(seed_chatbot: Chatbot, question: str, said: str) -> None:
    assert said in answered(seed_chatbot, question).text


def test_a_follow_up_is_understood_from_the_history(seed_chatbot: Chatbot) -> None:
    history = (Turn("user", "三一科学城由谁打造？"), Turn("assistant", "三一集团与长沙经开区。"))
    answer = answered(seed_chatbot, "总投资呢？", *history)
    assert "180亿元" in answer.text
    assert answer.standalone_question == "三一科学城由谁打造？ 总投资呢？"


@pytest.mark.parametrize("question", ["今天天气怎么样？", "股票会涨吗？"])
def test_a_short_question_on_another_subject_is_not_answered_from_the_history(
    seed_chatbot: Chatbot, question: str
) -> None:
    history = (Turn("user", "三一科学城总投资多少？"), Turn("assistant", "180亿元。"))
    refused(seed_chatbot, question, *history)


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        pytest.param("你好", "small_talk", id="greeting"),
        pytest.param("🎉🎉", "no_words", id="emoji"),
        pytest.param("帮我写一首诗", "not_a_question", id="a task"),
        pytest.param("请翻译成英文", "not_a_question", id="another task"),
        pytest.param("今天天气怎么样？", "nothing_found", id="weather"),
        pytest.param("红烧肉应该怎么做才好吃？", "nothing_found", id="cooking"),
        pytest.param("长沙今天下雨吗？", "nothing_found", id="a caption that nobody asked for"),
        pytest.param("浙江自贸试验区有几个片区？", "unmet_place", id="a place not in the text"),
        pytest.param("《红楼梦》的作者是谁？", "unmet_name", id="a title not in the text"),
        pytest.param("磐石电子公司2019年的保税维修进出口额是多少？", "unmet_year", id="year"),
        pytest.param("山河智能电动智能挖掘机下线的照片是谁拍的？", "unmet_credit", id="no credit"),
    ],
)
def test_what_the_documents_do_not_say_is_refused_with_the_reason(
    seed_chatbot: Chatbot, question: str, reason: str
) -> None:
    refusal = refused(seed_chatbot, question)
    assert refusal.reason == reason
    assert refusal.text.endswith("。")


def test_a_refusal_offers_at_most_three_passages_that_can_be_opened(seed_chatbot: Chatbot) -> None:
    refusal = refused(seed_chatbot, "磐石电子公司2019年的保税维修进出口额是多少？")
    assert 1 <= len(refusal.suggestions) <= 3
    for suggestion in refusal.suggestions:
        article = seed_chatbot.article(suggestion.doc)
        assert article is not None
        assert is_verbatim(article.original, suggestion.span, suggestion.quote)


def test_a_refusal_has_no_citations_in_the_record(seed_chatbot: Chatbot) -> None:
    record = answer_record(seed_chatbot.ask("今天天气怎么样？"), "x")
    assert (record["refused"], record["citations"], record["short_answer"]) == (True, [], None)


def test_the_same_question_gets_the_same_answer_from_many_threads(seed_chatbot: Chatbot) -> None:
    questions = [
        "三一科学城总投资多少亿元？",
        "法务区和自贸法庭有什么作用？",
        "今天天气怎么样？",
    ] * 8
    alone = [seed_chatbot.ask(question).reply for question in questions]
    with ThreadPoolExecutor(8) as pool:
        together = [result.reply for result in pool.map(seed_chatbot.ask, questions)]
    assert together == alone


def test_a_statement_that_its_source_does_not_bear_out_is_not_shown(seed_chatbot: Chatbot) -> None:
    question = "三一科学城总投资多少亿元？"
    understood = understand(question, (), 1000)
    retrieved = seed_chatbot.retriever.retrieve(understood, 3)
    best = seed_chatbot.ranker.rank(understood, retrieved, [])[0]
    assert cite(best, 1, seed_chatbot.generation.table) is not None
    forged = replace(best, text=best.text.replace("180", "280"))
    assert forged.text != best.text
    assert cite(forged, 1, seed_chatbot.generation.table) is None
    elsewhere = replace(best.passage.chunk, doc="none.txt")
    moved = replace(best, passage=replace(best.passage, chunk=elsewhere))
    assert cite(moved, 1, seed_chatbot.generation.table) is None


def test_repeated_text_is_cited_from_both_documents(tmp_path: Path) -> None:
    source = tmp_path / "documents"
    source.mkdir()
    shared = "绿谷产业园全年引进生物医药企业46家，总投资达38亿元。"
    (source / "a.txt").write_text(f"开发区年度工作总结。\n{shared}", "utf-8")
    (source / "b.txt").write_text(f"招商工作简报第九期。\n{shared}", "utf-8")
    settings = replace(Settings(), index_dir=str(tmp_path / "index"))
    build_index(settings, [source])
    answer = answered(open_chatbot(settings), "绿谷产业园引进了多少家生物医药企业？")
    assert answer.text.count("46家") == 1
    assert {citation.doc for citation in answer.citations} == {"a.txt", "b.txt"}
    assert answer.short_answer == "46家"


def test_a_sentence_about_another_thing_is_not_cited_for_it(tmp_path: Path) -> None:
    source = tmp_path / "documents"
    source.mkdir()
    for doc, port, amount in (("a", "甲港", 10), ("b", "乙港", 12)):
        text = f"港口建设简报。\n{port}四期码头工程总投资{amount}亿元，年内开工建设。"
        (source / f"{doc}.txt").write_text(text, "utf-8")
    settings = replace(Settings(), index_dir=str(tmp_path / "index"))
    build_index(settings, [source])
    answer = answered(open_chatbot(settings), "乙港四期码头工程总投资多少亿元？")
    assert [citation.doc for citation in answer.citations] == ["b.txt"]
    assert answer.short_answer == "12亿元"


def test_examples_are_questions_that_are_answered(seed_settings: Settings) -> None:
    chatbot = open_chatbot(seed_settings, with_examples=True)
    assert 3 <= len(chatbot.examples) <= 6
    for example in chatbot.examples:
        assert answered(chatbot, example).short_answer


@pytest.fixture(scope="module")
def two_parks(tmp_path_factory: pytest.TempPathFactory) -> Chatbot:
    folder = tmp_path_factory.mktemp("parks")
    texts = {
        "a": "青松产业园今年开工。\n青松产业园已有近30个产业项目签约，占地300亩。",
        "b": "白鹭科学城建设提速。\n白鹭科学城总投资180亿元，占地1200亩，明年建成。",
        "c": "云顶智造港建设提速。\n云顶智造港总投资60亿元，将建成五个车间。",
    }
    for name, text in texts.items():
        folder.joinpath(f"{name}.txt").write_text(text, "utf-8")
    settings = replace(Settings(), index_dir=str(folder / "index"))
    build_index(settings, [folder / f"{name}.txt" for name in texts])
    return open_chatbot(settings)


def test_a_number_of_another_subject_is_not_given_for_the_one_asked(two_parks: Chatbot) -> None:
    refusal = refused(two_parks, "青松产业园的总投资是多少？")
    assert refusal.reason in {"no_expression", "other_subject"}


def test_a_difference_is_computed_and_says_from_what(two_parks: Chatbot) -> None:
    answer = answered(two_parks, "白鹭科学城的总投资比云顶智造港多多少亿元？")
    assert answer.short_answer == "120亿元"
    assert answer.text.endswith("相差120亿元（由[1]和[2]计算）。")
    assert {citation.doc for citation in answer.citations} == {"b.txt", "c.txt"}


def test_a_typo_by_sound_is_read_as_what_the_documents_have(two_parks: Chatbot) -> None:
    answer = answered(two_parks, "白鹿科学城总投资多少？")
    assert answer.short_answer == "180亿元"
    assert answer.standalone_question == "白鹭科学城总投资多少？"


def test_every_statement_shown_is_borne_out_by_its_quotations(seed_chatbot: Chatbot) -> None:
    for question in ("三一科学城总投资多少亿元？", "湖南自贸试验区涵盖哪些片区？"):
        trace = seed_chatbot.trace(question)
        assert not trace.stopped
        answer = trace.result.reply
        assert isinstance(answer, Answer)
        quotes = [citation.quote for citation in answer.citations]
        dates = [citation.date for citation in answer.citations]
        assert check_statement(answer.text.rstrip("。"), quotes, article_dates=dates) == []
