"""What an editor is told about why a question got its answer, on the two shipped articles."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qa.chatbot import Chatbot, Stopped
from qa.check import Failure, Fault
from qa.demands import DemandKind
from qa.explain import (
    COLUMNS,
    CONFIDENCE_MEANINGS,
    DEMAND_NAMES,
    FAULT_NAMES,
    FEATURE_NAMES,
    KIND_NAMES,
    explain,
    width,
)
from qa.question import Kind
from qa.ranker import FEATURES
from qa.refuse import CONFIDENCE_FEATURES
from schema import Turn

BOXES = "岳阳片区带动沿线港口年均新增集装箱量约多少标箱？"
TWO_PARTS = "长沙片区外贸年均增长多少？岳阳片区首创了什么模式？"
WRONG_YEAR = "郴州片区2019年有色产业产值是多少亿元？"


def explained(chatbot: Chatbot, question: str, *history: Turn) -> str:
    return explain(chatbot, chatbot.trace(question, history))


def section(text: str, name: str) -> str:
    """What stands under the first heading of that name."""
    return text.split(f"【{name}】")[1].split("【")[0]


def test_an_answer_names_its_passage_with_title_and_document(seed_chatbot: Chatbot) -> None:
    passages = section(explained(seed_chatbot, BOXES), "段落")
    assert "遇自贸区 创新促开放（000_633663b307547015.txt）" in passages
    assert "岳阳片区依托城陵矶港优势" in passages


def test_an_answer_names_its_sentence_around_what_was_read_in_it(seed_chatbot: Chatbot) -> None:
    first = section(explained(seed_chatbot, BOXES), "句子").splitlines()[1]
    assert "第 1 句" in first
    assert "12.5万标箱" in first


def test_a_sentence_names_what_weighed_most(seed_chatbot: Chatbot) -> None:
    trace = seed_chatbot.trace(BOXES)
    effects = {
        name: seed_chatbot.ranker.weights[name] * value
        for name, value in trace.findings[0].ranked[0].features.items()
    }
    strongest = max(effects, key=lambda name: abs(effects[name]))
    weighed = section(explain(seed_chatbot, trace), "句子").splitlines()[2]
    assert weighed.strip().startswith(f"{FEATURE_NAMES[strongest]} {effects[strongest]:+.1f}")


def test_an_answer_names_the_span_that_the_reader_is_sure_of(seed_chatbot: Chatbot) -> None:
    first, second = section(explained(seed_chatbot, BOXES), "片段").splitlines()[1:3]
    assert "很有把握" in first
    assert "12.5万" in first
    assert "很有把握" not in second


def test_what_is_asked_for_is_told_in_words(seed_chatbot: Chatbot) -> None:
    asked = section(explained(seed_chatbot, WRONG_YEAR), "问题")
    assert "一个数字，单位是“亿元”" in asked
    assert "2019年" in asked
    assert "与所写相同" in asked


def test_a_follow_up_is_told_as_it_was_understood(seed_chatbot: Chatbot) -> None:
    history = (Turn("user", "三一科学城由谁打造？"), Turn("assistant", "三一集团与长沙经开区。"))
    trace = seed_chatbot.trace("总投资呢？", history)
    told = section(explain(seed_chatbot, trace), "问题")
    assert trace.question.standalone in told
    assert "三一科学城" in told


def test_met_demands_are_told(seed_chatbot: Chatbot) -> None:
    demands = section(explained(seed_chatbot, BOXES), "要求")
    assert "地点“岳阳片区”" in demands
    assert "未满足" not in demands


def test_a_refusal_names_the_demand_that_is_not_met(seed_chatbot: Chatbot) -> None:
    told = explained(seed_chatbot, WRONG_YEAR)
    assert "年份“2019”：文中只给出2025年的数字，没有2019年" in section(told, "要求")
    assert "不答：" in section(told, "把握")
    assert "没有作答" in section(told, "核对")


def test_a_refusal_for_want_of_confidence_names_the_threshold(seed_chatbot: Chatbot) -> None:
    strict = replace(seed_chatbot.confidence, threshold=0.999)
    strict_chatbot = replace(seed_chatbot, confidence=strict)
    told = section(explained(strict_chatbot, BOXES), "把握")
    assert f"门槛 {strict_chatbot.confidence.threshold:.2f}" in told
    assert "不答：把握低于门槛" in told


def test_confidence_is_told_with_what_raised_it(seed_chatbot: Chatbot) -> None:
    trace = seed_chatbot.trace(BOXES)
    told = section(explain(seed_chatbot, trace), "把握")
    assert told.startswith(f"{trace.findings[0].confidence:.2f}")
    raised = told.splitlines()[1]
    assert raised.strip().startswith("提高")
    assert "阅读模型读出了答案" in raised
    assert "作答：把握达到门槛" in told


def test_a_statement_that_passed_is_told_with_its_marker(seed_chatbot: Chatbot) -> None:
    checked = section(explained(seed_chatbot, "每隔多少分钟完成一台泵车的总装？"), "核对")
    assert "通过     每隔45分钟，一台混凝土泵车完成总装" in checked
    assert checked.endswith("[1]")
    assert "未通过" not in checked


def test_a_stopped_statement_is_told_with_its_fault(seed_chatbot: Chatbot) -> None:
    stopped = Stopped("带动集装箱量约21.5万标箱", (Failure(Fault.NUMBER, "21.5万标箱"),))
    trace = replace(seed_chatbot.trace(BOXES), stopped=(stopped,))
    checked = section(explain(seed_chatbot, trace), "核对")
    assert "未通过" in checked
    assert "“带动集装箱量约21.5万标箱”——数字“21.5万标箱”与引文不符" in checked


def test_each_part_of_a_question_is_explained_by_itself(seed_chatbot: Chatbot) -> None:
    told = explained(seed_chatbot, TWO_PARTS)
    assert "分成     2 个部分" in told
    first, second = told.split("■ 第 2 部分：岳阳片区首创了什么模式？")
    assert "10.6%" in section(first, "片段")
    assert "长江经济带物流联动发展模式" in section(second, "片段")
    assert told.count("【核对】") == 1
    assert section(told, "核对").count("通过  ") == 2


def test_small_talk_explains_itself_in_one_line(seed_chatbot: Chatbot) -> None:
    assert explained(seed_chatbot, "谢谢") == "没有检索：这是招呼或客套，不是关于文章的问题。"


@pytest.mark.parametrize("question", [BOXES, WRONG_YEAR, "《蹄疾步稳，筑梦自贸》是谁写的？"])
def test_one_part_fits_sixty_lines_of_a_terminal(seed_chatbot: Chatbot, question: str) -> None:
    lines = explained(seed_chatbot, question).splitlines()
    assert len(lines) <= 60
    assert max(map(width, lines)) <= COLUMNS


def test_every_feature_has_a_chinese_name() -> None:
    assert set(FEATURE_NAMES) == set(FEATURES)
    assert len(set(FEATURE_NAMES.values())) == len(FEATURES)
    assert not any(character.isascii() for name in FEATURE_NAMES.values() for character in name)


def test_every_feature_of_the_confidence_has_a_meaning() -> None:
    assert set(CONFIDENCE_MEANINGS) == set(CONFIDENCE_FEATURES)


def test_every_kind_demand_and_fault_has_a_chinese_name() -> None:
    assert (set(KIND_NAMES), set(DEMAND_NAMES), set(FAULT_NAMES)) == (
        set(Kind),
        set(DemandKind),
        set(Fault),
    )
