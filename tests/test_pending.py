"""Questions to an index in which some chunks still wait for their vectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from assemble import build_index, open_chatbot
from index import vectors
from qa.chatbot import Chatbot
from qa.record import answer_record
from schema import Answer
from settings import Settings

OLD = "白鹭科学城总投资46亿元。项目由甲市承建。甲市还在城北修建体育馆。"
NEW = "青川港口去年新增12个泊位。港口由乙市管理。乙市的渡轮每天开行。"


class Stopped(Exception):  # noqa: N818
    """The build ends here, after it has published the words."""


def stop(chunks: int) -> None:
    raise Stopped


@pytest.fixture(scope="module")
def chatbot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chatbot]:
    """One article has its vectors, one has none yet."""
    folder = tmp_path_factory.mktemp("pending")
    settings = replace(Settings(), index_dir=str(folder / "index"))
    (folder / "old.txt").write_text(OLD, "utf-8")
    build_index(settings, [folder / "old.txt"])
    (folder / "new.txt").write_text(NEW, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors, "_WORDS_FIRST", 1)
        with pytest.raises(Stopped):
            build_index(settings, [folder / "new.txt"], on_words_first=stop)
    chatbot = open_chatbot(settings)
    with chatbot.generation:
        yield chatbot


def test_a_new_article_answers_before_its_vectors_are_made(chatbot: Chatbot) -> None:
    result = chatbot.ask("青川港口新增了多少个泊位？")
    assert isinstance(result.reply, Answer)
    assert result.reply.short_answer == "12个"
    assert result.reply.citations[0].doc == "new.txt"


def test_the_others_answer_as_before(chatbot: Chatbot) -> None:
    reply = chatbot.ask("白鹭科学城总投资多少？").reply
    assert isinstance(reply, Answer)
    assert reply.short_answer == "46亿元"


def test_the_record_says_how_many_chunks_wait(chatbot: Chatbot) -> None:
    result = chatbot.ask("青川港口新增了多少个泊位？")
    assert answer_record(result, "1")["pending_chunks"] == 1


def test_dense_search_never_returns_what_has_no_vector(chatbot: Chatbot) -> None:
    alone = replace(chatbot.retriever, word_weight=0.0, bigram_weight=0.0)
    found = alone.search("青川港口新增了多少个泊位？", 10).passages
    assert [passage.chunk.doc for passage in found] == ["old.txt"]


def test_what_has_no_vector_counts_as_near_as_the_mean(chatbot: Chatbot) -> None:
    retrieved = chatbot.retriever.search("乙市和甲市的港口", 10)
    docs = [passage.chunk.doc for passage in retrieved.passages]
    assert sorted(docs) == ["new.txt", "old.txt"]
    cosines = dict(zip(docs, retrieved.cosines, strict=True))
    assert np.allclose(cosines["new.txt"], cosines["old.txt"].mean())
    assert len(cosines["new.txt"]) == 3
