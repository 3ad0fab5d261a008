"""Forms that only one thing can answer: a person's name, an amount in one currency."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from assemble import build_index, open_chatbot
from qa.chatbot import Chatbot
from schema import Answer, Refusal, Turn
from settings import Settings

NEWS = """甲镇开出首家海外仓
5月8日，甲镇新锦公司的海外仓开业，负责人在现场接过执照。仓库耗资300万欧元，可存货2万件。
乙镇的冷库6月开业，负责人王小林介绍，冷库投资900万元。
"""


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> Chatbot:
    folder: Path = tmp_path_factory.mktemp("towns")
    (folder / "news.txt").write_text(NEWS, "utf-8")
    settings = replace(Settings(), index_dir=str(folder / "index"))
    build_index(settings, [folder])
    return open_chatbot(settings)


def test_a_name_that_is_not_given_is_said_to_be_missing(towns: Chatbot) -> None:
    reply = towns.ask("甲镇新锦公司海外仓的负责人姓什么？").reply
    assert isinstance(reply, Refusal)
    assert "人名" in reply.text


def test_a_name_that_is_given_is_told(towns: Chatbot) -> None:
    reply = towns.ask("乙镇冷库的负责人叫什么名字？").reply
    assert isinstance(reply, Answer)
    assert "王小林" in reply.text


def test_no_amount_is_converted(towns: Chatbot) -> None:
    told = [Turn("user", "甲镇海外仓耗资多少？"), Turn("assistant", "300万欧元。")]
    reply = towns.ask("折合成人民币是多少？", told).reply
    assert isinstance(reply, Refusal)
    assert "人民币" in reply.text


def test_an_amount_that_is_given_in_the_currency_is_told(towns: Chatbot) -> None:
    reply = towns.ask("乙镇冷库的投资折合人民币是多少？").reply
    assert isinstance(reply, Answer)
    assert reply.short_answer == "900万元"


def test_we_are_no_company_that_the_documents_must_name(towns: Chatbot) -> None:
    reply = towns.ask("我们公司也想建冷库，乙镇的冷库投资了多少钱？").reply
    assert isinstance(reply, Answer)
    assert reply.short_answer == "900万元"


def test_everyday_words_of_a_follow_up_need_not_stand_in_the_text(towns: Chatbot) -> None:
    told = [Turn("user", "乙镇冷库啥时候开的？"), Turn("assistant", "6月。")]
    reply = towns.ask("砸了多少钱进去？", told).reply
    assert isinstance(reply, Answer)
    assert reply.short_answer == "900万元"
