"""Comparisons become the questions about both sides."""

import pytest

from qa.comparison import compared


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("青松园和白鹭园的面积相差多少？", "青松园的面积是多少？", "白鹭园的面积是多少？"),
        (
            "青松园的产值比白鹭园多多少亿元？",
            "青松园的产值是多少亿元？",
            "白鹭园的产值是多少亿元？",
        ),
        ("青松园比白鹭园多几个项目？", "青松园有几个项目？", "白鹭园有几个项目？"),
        ("从大桥开工到通车用了多少年？", "大桥开工是哪一年？", "通车是哪一年？"),
        ("青松园与白鹭园哪个面积更大？", "青松园的面积是多少？", "白鹭园的面积是多少？"),
    ],
)
def test_both_sides_are_asked(text: str, first: str, second: str) -> None:
    assert compared(text) == [first, second]


@pytest.mark.parametrize(
    "text", ["青松园和白鹭园有什么不同？", "谁更早落户青松园？", "从甲地到乙地要几天？"]
)
def test_what_has_no_plain_sides_stays_one_question(text: str) -> None:
    assert compared(text) == [text]
