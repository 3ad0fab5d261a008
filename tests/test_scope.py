"""Questions that say which document to look in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from assemble import build_index, open_chatbot
from qa.chatbot import Chatbot
from qa.question import understand
from qa.scope import scoped
from schema import Answer
from settings import Settings

SPRING = """甲湖春季观鸟指南
——2021年观鸟季综述
记者 王小林
甲湖湿地今春飞来白鹭三千只，比往年更早。管理站在东岸新建了观鸟台。
"""
AUTUMN = """甲湖秋季水质报告
——2024年监测公报
记者 李大明
甲湖水质达到二类标准。管理站在西岸新建了监测站。
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Chatbot:
    folder: Path = tmp_path_factory.mktemp("lake")
    (folder / "spring.txt").write_text(SPRING, "utf-8")
    (folder / "autumn.txt").write_text(AUTUMN, "utf-8")
    settings = replace(Settings(), index_dir=str(folder / "index"))
    build_index(settings, [folder])
    return open_chatbot(settings)


@pytest.mark.parametrize(
    ("asked", "doc", "rest"),
    [
        ("观鸟季综述里管理站新建了什么？", "spring.txt", "管理站新建了什么？"),
        ("《甲湖秋季水质报告》一文中管理站新建了什么？", "autumn.txt", "管理站新建了什么？"),
        ("水质那篇写管理站新建了什么？", "autumn.txt", "写管理站新建了什么？"),
    ],
)
def test_a_document_named_by_title_or_subtitle_is_kept_to(
    lake: Chatbot, asked: str, doc: str, rest: str
) -> None:
    found = scoped(understand(asked, (), 1000), lake.generation)
    assert (found.doc, found.question.standalone) == (doc, rest)


@pytest.mark.parametrize(
    "asked",
    ["管理站新建了什么？", "甲湖那篇写了什么新建筑？", "乙河通讯里管理站新建了什么？"],
)
def test_a_question_that_names_none_or_several_is_asked_of_all(lake: Chatbot, asked: str) -> None:
    found = scoped(understand(asked, (), 1000), lake.generation)
    assert (found.doc, found.question.standalone) == (None, asked)


def test_each_part_is_answered_from_the_document_it_names(lake: Chatbot) -> None:
    asked = "观鸟季综述里管理站新建了什么，水质那篇里管理站又新建了什么？"
    reply = lake.ask(asked).reply
    assert isinstance(reply, Answer)
    assert [citation.doc for citation in reply.citations] == ["spring.txt", "autumn.txt"]
    assert "观鸟台" in reply.text
    assert "监测站" in reply.text


def test_the_author_of_a_named_document_is_its_own(lake: Chatbot) -> None:
    reply = lake.ask("《甲湖秋季水质报告》这篇报道的作者是谁？").reply
    assert isinstance(reply, Answer)
    assert reply.short_answer == "李大明"


def test_words_that_name_no_document_stay_in_the_question(lake: Chatbot) -> None:
    asked = "甲湖两篇报道里都有，观鸟季综述里管理站新建了什么？"
    found = scoped(understand(asked, (), 1000), lake.generation)
    assert found.doc == "spring.txt"
    assert found.question.standalone == "甲湖两篇报道里都有，管理站新建了什么？"


@pytest.mark.parametrize(
    "asked",
    [
        "管理站在观鸟季综述和水质报告里，分别新建了什么？",
        "两篇报道都写到管理站，各自说新建了什么？",
    ],
)
def test_a_question_about_two_documents_is_asked_of_each(lake: Chatbot, asked: str) -> None:
    reply = lake.ask(asked).reply
    assert isinstance(reply, Answer)
    assert {citation.doc for citation in reply.citations} == {"spring.txt", "autumn.txt"}
    assert "观鸟台" in reply.text
    assert "监测站" in reply.text
