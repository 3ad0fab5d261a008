"""Typos, pinyin and Chinese numerals, mended towards what the documents hold."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from assemble import build_index
from index.generation import Generation
from qa.numerals import spelled_numbers
from qa.question import Kind, understand
from qa.spelling import correct
from schema import Turn
from settings import Settings

TEXT = """青岭先进制造产业园建设简报。
青岭先进制造产业园位于衡阳市，由磐石电子公司建设，首期总投资36亿元。
园区已形成109项管理创新成果，贸易额同比增长65%。
磐石电子公司的跨境物流平台服务衡阳片区2.5万家企业，自贸区挂牌后引进冰箱生产线12条。
"""


@pytest.fixture(scope="module")
def generation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generation]:
    folder: Path = tmp_path_factory.mktemp("spelling")
    (folder / "a.txt").write_text(TEXT, "utf-8")
    settings = replace(Settings(), index_dir=str(folder / "index"))
    build_index(settings, [folder / "a.txt"])
    with Generation.open(folder / "index") as opened:
        yield opened


def read(question: str, generation: Generation) -> str:
    return correct(understand(question, (), 1000), generation).standalone


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        pytest.param("青岭先进制造产业圆在哪里？", "青岭先进制造产业园在哪里？", id="same sound"),
        pytest.param("跨境物流平抬有多少企业？", "跨境物流平台有多少企业？", id="look-alike"),
        pytest.param("管里创新成果有多少项？", "管理创新成果有多少项？", id="in a longer run"),
        pytest.param("自贸去挂牌后引进了什么？", "自贸区挂牌后引进了什么？", id="a common word"),
    ],
)
def test_a_typo_becomes_what_the_document_has(
    typed: str, meant: str, generation: Generation
) -> None:
    assert read(typed, generation) == meant


@pytest.mark.parametrize(
    "question",
    [
        "衡阳片区有多少家企业？",
        "今天天气怎么样？",
        "怎么办？",
        "湖北先进制造产业园在哪里？",
        "泰州片区有多少家企业？",
        "常州市由谁建设？",
        "小米公司的总投资是多少？",
    ],
)
def test_what_is_well_formed_or_known_stays(question: str, generation: Generation) -> None:
    assert read(question, generation) == question


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("zimaoqu 什么时候挂牌？", "自贸区 什么时候挂牌？"),
        ("zi mao qu 什么时候挂牌？", "自贸区 什么时候挂牌？"),
        ("Hengyang 片区有多少企业？", "衡阳 片区有多少企业？"),
        ("引进了几条 bingxiang 生产线", "引进了几条 冰箱 生产线"),
        ("园区有 duoshao 项成果", "园区有 多少 项成果"),
    ],
)
def test_pinyin_becomes_the_term_that_sounds_so(
    typed: str, meant: str, generation: Generation
) -> None:
    assert read(typed, generation) == meant


@pytest.mark.parametrize("typed", ["QFLP是什么？", "ChatGPT 怎么用", "china 有几个园区", "5G基站"])
def test_acronyms_and_english_words_stay(typed: str, generation: Generation) -> None:
    assert read(typed, generation) == typed


def test_the_question_as_typed_is_kept(generation: Generation) -> None:
    understood = correct(understand("青岭先进制造产业圆在哪里？", (), 1000), generation)
    assert understood.text == "青岭先进制造产业圆在哪里？"
    assert not understood.is_follow_up


def test_a_mended_word_that_asks_is_understood(generation: Generation) -> None:
    assert correct(understand("成果 duoshao", (), 1000), generation).kind is Kind.NUMBER


def test_a_follow_up_is_mended_with_its_history(generation: Generation) -> None:
    history = (Turn("user", "青岭先进制造产业圆在哪里？"), Turn("assistant", "衡阳市。"))
    understood = correct(understand("总投资呢？", history, 1000), generation)
    assert understood.standalone == "青岭先进制造产业园在哪里？ 总投资呢？"
    assert understood.is_follow_up


def test_a_numeral_is_read_as_the_document_writes_it(generation: Generation) -> None:
    assert read("一百零九项成果是什么？", generation) == "109项成果是什么？"
    assert read("增长百分之六十五的是什么？", generation) == "增长65%的是什么？"


def test_a_numeral_that_no_document_has_stays(generation: Generation) -> None:
    assert read("三百零七项成果是什么？", generation) == "三百零七项成果是什么？"


@pytest.mark.parametrize(
    ("written", "digits"),
    [
        ("一百零九项", "109项"),
        ("百分之六十五", "65%"),
        ("百分之十点六", "10.6%"),
        ("三点五亿元", "3.5亿元"),
        ("五万四千家", "5.4万家"),
        ("一千万元", "1000万元"),
        ("二〇二四年", "2024年"),
        ("一百五十个", "150个"),
        ("二十四小时", "24小时"),
        ("三家", "3家"),
        ("６５％", "65%"),
    ],
)
def test_numerals_that_count_are_spelled_in_digits(written: str, digits: str) -> None:
    assert spelled_numbers(written) == digits


@pytest.mark.parametrize(
    "name",
    ["三一集团", "十四五规划", "第十二条", "一个机制", "一带一路", "千万元", "三五年", "十几家"],
)
def test_names_plans_and_ordinals_are_no_counts(name: str) -> None:
    assert spelled_numbers(name) == name
