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


def asked_after(question: str, *earlier: str, answer: str = "约12个[1]。") -> str:
    history = [turn for text in earlier for turn in (Turn("user", text), Turn("assistant", answer))]
    return understand(question, history, 1000).standalone


@pytest.mark.parametrize(
    ("earlier", "question", "standalone"),
    [
        pytest.param(
            "青岭片区2024年产值是多少？",
            "那2023年呢？",
            "青岭片区2023年产值是多少？",
            id="year",
        ),
        pytest.param(
            "青岭片区2024年产值是多少？",
            "那白水片区呢？",
            "白水片区2024年产值是多少？",
            id="area",
        ),
        pytest.param("杭州去年新增企业多少家？", "那宁波呢", "宁波去年新增企业多少家？", id="city"),
        pytest.param(
            "磐石电子公司的产值是多少？",
            "换成青岭集团呢？",
            "青岭集团的产值是多少？",
            id="organisation",
        ),
        pytest.param(
            "无人叉车是哪家企业的？", "那智能路灯呢？", "智能路灯是哪家企业的？", id="product"
        ),
        pytest.param(
            "2024年上半年产值是多少？", "下半年呢？", "2024年下半年产值是多少？", id="half year"
        ),
        pytest.param("产值是多少？", "2022年呢？", "2022年产值是多少？", id="a year not yet given"),
        pytest.param("首批引进多少个项目？", "第二批呢？", "第二批引进多少个项目？", id="ordinal"),
    ],
)
def test_a_follow_up_changes_one_constraint(earlier: str, question: str, standalone: str) -> None:
    assert asked_after(question, earlier) == standalone


def test_a_constraint_is_changed_several_turns_back() -> None:
    earlier = ("青岭片区外贸额是多少？", "那白水片区呢？", "2023年呢？")
    assert asked_after("那红石片区呢？", *earlier) == "2023年红石片区外贸额是多少？"


@pytest.mark.parametrize(
    "question",
    ["青岭科学城总投资多少？", "白水片区有多少家企业？", "青岭产业园这个项目投资多少？"],
)
def test_a_question_with_a_subject_of_its_own_is_another_topic(question: str) -> None:
    assert asked_after(question, "红石港口的吞吐量是多少？") == question


def test_an_opening_word_is_no_part_of_a_question_that_stands_alone() -> None:
    asked = asked_after("那白水片区有多少家企业？", "青岭片区外贸额是多少？")
    assert asked == "白水片区有多少家企业？"


def test_a_pronoun_means_the_name_that_was_asked_for_and_answered() -> None:
    answer = "白水重工股份有限公司[1]。"
    asked = asked_after("该公司还做了什么？", "哪家企业研发了井盖？", answer=answer)
    assert asked == "白水重工股份有限公司还做了什么？"


def test_an_attribute_asked_next_does_not_keep_the_unit() -> None:
    history = (Turn("user", "首批引进多少个项目？"), Turn("assistant", "16个。"))
    understood = understand("总投资呢？", history, 1000)
    assert (understood.kind, understood.unit) == (Kind.NUMBER, None)


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("要花几块钱？", Kind.NUMBER),
        ("基地有多大？", Kind.NUMBER),
        ("建设要多久？", Kind.NUMBER),
        ("啥时候开工？", Kind.DATE),
        ("机器人是谁弄的？", Kind.PERSON),
        ("哪块儿最大？", Kind.PLACE),
        ("园区是干嘛的？", Kind.DEFINITION),
        ("这是个啥？", Kind.DEFINITION),
        ("咋办理？", Kind.MANNER),
        ("为啥要建？", Kind.REASON),
        ("甲和乙谁更大？", Kind.COMPARISON),
        ("甲片区比乙片区多多少家企业？", Kind.COMPARISON),
        ("甲和乙有什么不同？", Kind.COMPARISON),
        ("产值比上年增长多少？", Kind.NUMBER),
        ("产值同比增长多少？", Kind.NUMBER),
        ("与去年相比增长多少？", Kind.NUMBER),
    ],
)
def test_colloquial_and_comparing_questions_have_their_kind(question: str, kind: Kind) -> None:
    assert understand(question, (), 1000).kind is kind


@pytest.mark.parametrize(
    ("question", "yes_no"),
    [("有没有海关？", True), ("是否建成？", True), ("建成了吗？", True), ("何时建成？", False)],
)
def test_yes_or_no_is_recognised(question: str, yes_no: bool) -> None:
    assert understand(question, (), 1000).yes_no is yes_no


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("青岭科学城在哪一年成立，投资多少？", "青岭科学城投资多少？"),
        ("会议是什么时候开的以及在哪里开的？", "会议在哪里开的？"),
        ("依靠什么技术、实现了什么？", "依靠什么技术、实现了什么？"),
        ("从挂牌到建成，等了多少年？", "从挂牌到建成，等了多少年？"),
    ],
)
def test_clauses_that_both_ask_are_two_parts(question: str, expected: str) -> None:
    assert parts(understand(question, (), 1000))[-1].standalone == expected


def test_three_things_asked_respectively_are_three_questions() -> None:
    asked = parts(understand("甲区、乙区和丙区的面积分别是多少？", (), 1000))
    assert [part.text[:2] for part in asked] == ["甲区", "乙区", "丙区"]


@pytest.mark.parametrize("asked", ["平均每年涨多少？", "比上年同期多了几成？", "一共花了多少钱？"])
def test_words_of_time_and_measure_are_no_subject_of_a_follow_up(asked: str) -> None:
    told = [Turn("user", "甲港的吞吐量有多大？"), Turn("assistant", "400万标箱。")]
    assert understand(asked, told, 1000).standalone.startswith("甲港的吞吐量有多大？")


def test_a_question_word_names_nobody_whose_thing_is_asked_about() -> None:
    told = [Turn("user", "甲桥全长多少？"), Turn("assistant", "1670米。")]
    assert understand("它是谁设计的？", told, 1000).standalone == "甲桥全长多少？ 它是谁设计的？"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (
            "长山片区和其中大河区块，面积各是多少？",
            ["长山片区的面积是多少？", "大河区块的面积是多少？"],
        ),
        ("甲那张图和乙那张图，分别是谁拍的？", ["甲那张图是谁拍的？", "乙那张图是谁拍的？"]),
    ],
)
def test_two_things_before_a_comma_are_asked_about_one_by_one(
    asked: str, expected: list[str]
) -> None:
    assert [part.standalone for part in parts(understand(asked, (), 1000))] == expected
