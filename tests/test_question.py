"""Understanding a question, with and without a history."""

import pytest

from errors import BadQuestionError
from qa.question import Kind, clean, parts, small_talk, understand
from schema import Turn

EARLIER = (
    Turn("user", "湘琼先进制造业共建产业园在哪里？"),
    Turn("assistant", "位于海南省东方市。"),
)


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("新设企业超过多少家？", Kind.NUMBER),
        ("投资占比是多少？", Kind.NUMBER),
        ("是哪一年正式挂牌的？", Kind.DATE),
        ("什么时候开始实行？", Kind.DATE),
        ("文章作者是谁？", Kind.PERSON),
        ("哪家企业研发的？", Kind.ORGANISATION),
        ("坐落在哪个市？", Kind.PLACE),
        ("涵盖哪三个片区？", Kind.LIST),
        ("有哪些平台？", Kind.LIST),
        ("什么是“一码”集成？", Kind.DEFINITION),
        ("为什么能压缩时间？", Kind.REASON),
        ("怎样推进？", Kind.MANNER),
        ("介绍一下园区", Kind.OTHER),
    ],
)
def test_the_kind_of_answer_is_recognised(question: str, kind: Kind) -> None:
    assert understand(question, (), 1000).kind is kind


def test_full_width_and_traditional_questions_are_of_the_same_kind() -> None:
    assert understand("新設企業有多少家？", (), 1000).unit == "家"
    assert understand("２０２３年有多少家？", (), 1000).years == ("2023",)


@pytest.mark.parametrize("typed", ["", "   ", "\n\t", "\u200b\x00\x07"])
def test_nothing_typed_is_said_in_chinese(typed: str) -> None:
    with pytest.raises(BadQuestionError) as caught:
        understand(typed, (), 1000)
    assert caught.value.user_message == "请先输入一个问题。"


def test_a_question_of_a_hundred_thousand_characters_is_refused_with_the_limit() -> None:
    with pytest.raises(BadQuestionError) as caught:
        understand("问" * 100_000, (), 1000)
    assert "1000" in caught.value.user_message


def test_cleaning_drops_control_characters_and_tags_but_no_words() -> None:
    assert clean("\x00<b>自贸\x1b区</b>\n\n有 5<6 吗？") == "自贸 区 有 5<6 吗？"


@pytest.mark.parametrize(
    "question", ["那岳阳片区呢？", "其中有多少项？", "它在哪里？", "总投资呢？"]
)
def test_an_elliptic_question_is_read_with_what_came_before(question: str) -> None:
    understood = understand(question, EARLIER, 1000)
    assert understood.is_follow_up
    assert understood.standalone == f"{EARLIER[0].content} {question}"


def test_a_question_that_stands_alone_ignores_the_history() -> None:
    question = "长沙经开区区块首批引进项目的总投资有多少亿元？"
    assert understand(question, EARLIER, 1000).standalone == question


def test_without_history_nothing_is_a_follow_up() -> None:
    assert not understand("那岳阳片区呢？", (), 1000).is_follow_up


def test_a_follow_up_without_a_kind_asks_what_was_asked_before() -> None:
    history = (Turn("user", "要引进多少家国际总部企业？"), Turn("assistant", "不少于20家。"))
    understood = understand("那行业协会呢？", history, 1000)
    assert (understood.kind, understood.unit) == (Kind.NUMBER, "家")


def test_a_chain_of_follow_ups_reaches_back_to_the_question_that_stands_alone() -> None:
    history = (
        Turn("user", "岳阳片区带动沿线港口年均新增集装箱多少？"),
        Turn("assistant", "约12.5万标箱。"),
        Turn("user", "郴州片区呢？"),
        Turn("assistant", "没有。"),
    )
    assert "集装箱" in understand("那长沙片区呢？", history, 1000).standalone


def test_a_greeting_before_is_no_part_of_a_follow_up() -> None:
    history = (Turn("user", "你好"), Turn("assistant", "您好。"), *EARLIER)
    assert "你好" not in understand("总投资呢？", history, 1000).standalone


def test_two_questions_in_one_are_answered_part_by_part() -> None:
    understood = understand("首批引进了多少个项目？总投资是多少？", (), 1000)
    first, second = parts(understood)
    assert first.standalone == "首批引进了多少个项目？"
    assert second.standalone == "首批引进了多少个项目？ 总投资是多少？"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("甲区的面积和乙区的人口分别是多少？", ("甲区的面积是多少？", "乙区的人口是多少？")),
        (
            "甲报道和乙综述这两篇稿子的作者分别是谁？",
            ("甲报道的作者是谁？", "乙综述这两篇稿子的作者是谁？"),
        ),
        ("三个案例分别是什么？", ("三个案例分别是什么？",)),
    ],
)
def test_two_things_asked_respectively_are_two_questions(
    first: str, second: tuple[str, ...]
) -> None:
    assert tuple(part.text for part in parts(understand(first, (), 1000))) == second


@pytest.mark.parametrize("text", ["你好", "您好！", "谢谢你", "Hello~", "你是谁？", "再见"])
def test_small_talk_is_recognised(text: str) -> None:
    assert small_talk(text)


@pytest.mark.parametrize("text", ["你好世界大会是哪年举办的？", "谢谢参与活动的企业有多少家？"])
def test_a_question_that_begins_like_a_greeting_is_a_question(text: str) -> None:
    assert not small_talk(text)
