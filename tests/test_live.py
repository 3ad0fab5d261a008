"""qa.live: the index changes while people ask."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from assemble import Models, build_index, live_chatbot, open_chatbot, open_models
from errors import DamagedIndexError, NotReadyError
from index import generation
from index.chunk_table import SqliteChunkTable
from index.generation import CURRENT, generation_names, generation_path, pointer_stamp
from qa.chatbot import Chatbot
from qa.live import LiveChatbot
from schema import Answer, AskResult
from settings import Settings

QUESTION = "甲园区共有企业多少家？"
COUNTS = ("392家", "400家")


@pytest.fixture(scope="module")
def models() -> Models:
    return open_models(Settings())


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An index of two generations, which differ in one number."""
    folder = tmp_path_factory.mktemp("live")
    settings = replace(Settings(), index_dir=str(folder / "index"))
    (folder / "source").mkdir()
    for count in COUNTS:
        text = f"园区年报\n\n甲园区共有企业{count}，均已投产。\n"
        (folder / "source" / "甲.txt").write_text(text, "utf-8")
        build_index(settings, [folder / "source"])
    return settings


@pytest.fixture
def published(settings: Settings) -> Iterator[list[str]]:
    """Names of the two generations, oldest first; the newest serves, afterwards too."""
    names = generation_names(Path(settings.index_dir))[::-1]
    assert len(names) == 2
    yield names
    publish(settings, names[1])


def publish(settings: Settings, name: str) -> None:
    """What a build does last."""
    fresh = Path(settings.index_dir) / "CURRENT.new"
    fresh.write_text(name + "\n")
    fresh.replace(Path(settings.index_dir) / CURRENT)


def live(settings: Settings, models: Models, poll_seconds: float = 3600) -> LiveChatbot:
    """Looks when the test says so, unless a shorter time is given."""
    return LiveChatbot(
        lambda: pointer_stamp(Path(settings.index_dir)),
        lambda: open_chatbot(settings, models=models),
        poll_seconds=poll_seconds,
    )


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.01)


def count_said(result: AskResult) -> str:
    """The one number that the answer and its quotation tell."""
    assert isinstance(result.reply, Answer), result.reply
    said = {
        count
        for count in COUNTS
        for text in (result.reply.text, result.reply.citations[0].quote)
        if count in text
    }
    assert len(said) == 1
    return said.pop()


def is_closed(chatbot: Chatbot) -> bool:
    table = chatbot.generation.table
    assert isinstance(table, SqliteChunkTable)
    try:
        table.counts()
    except sqlite3.ProgrammingError:
        return True
    return False


def test_a_published_generation_is_served_without_a_restart(
    settings: Settings, models: Models, published: list[str]
) -> None:
    publish(settings, published[0])
    with live(settings, models, poll_seconds=0.05) as chatbot:
        assert count_said(chatbot.ask(QUESTION)) == "392家"
        publish(settings, published[1])
        wait_until(lambda: chatbot.index_version == published[1])
        assert count_said(chatbot.ask(QUESTION)) == "400家"


def test_answers_during_swaps_are_wholly_of_one_generation(
    settings: Settings, models: Models, published: list[str]
) -> None:
    count_of = dict(zip(published, COUNTS, strict=True))
    stop = threading.Event()

    def keep_asking(chatbot: LiveChatbot) -> list[AskResult]:
        results = []
        while not stop.is_set():
            results.append(chatbot.ask(QUESTION))
        return results

    with live(settings, models) as chatbot, ThreadPoolExecutor(4) as people:
        asked = [people.submit(keep_asking, chatbot) for _ in range(4)]
        try:
            for swap in range(20):
                publish(settings, published[swap % 2])
                chatbot.look()
                assert chatbot.index_version == published[swap % 2]
        finally:
            stop.set()
        results = [result for person in asked for result in person.result()]
    assert {result.index_version for result in results} == set(published)
    assert all(count_said(result) == count_of[result.index_version] for result in results)


def test_what_is_under_way_ends_on_the_generation_it_began_with(
    settings: Settings, models: Models, published: list[str]
) -> None:
    publish(settings, published[0])
    with live(settings, models) as chatbot:
        with chatbot.pinned() as first, chatbot.pinned() as again:
            assert first is again
            publish(settings, published[1])
            chatbot.look()
            assert chatbot.index_version == published[1]
            assert first.index_version == published[0]
            assert count_said(first.ask(QUESTION)) == "392家"
        assert is_closed(first)


def test_the_old_generation_is_closed_at_once_where_nobody_uses_it(
    settings: Settings, models: Models, published: list[str]
) -> None:
    publish(settings, published[0])
    with live(settings, models) as chatbot:
        with chatbot.pinned() as first:
            pass
        publish(settings, published[1])
        chatbot.look()
        assert is_closed(first)
        with chatbot.pinned() as second:
            assert not is_closed(second)
    assert is_closed(second)


def test_a_damaged_generation_is_reported_and_the_old_one_serves_on(
    settings: Settings,
    models: Models,
    published: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    publish(settings, published[0])
    terms = generation_path(Path(settings.index_dir), published[1]) / "terms.json"
    whole = terms.read_bytes()
    with live(settings, models) as chatbot:
        terms.write_bytes(b"[")
        try:
            publish(settings, published[1])
            with caplog.at_level(logging.ERROR):
                chatbot.look()
        finally:
            terms.write_bytes(whole)
        assert chatbot.index_version == published[0]
        assert count_said(chatbot.ask(QUESTION)) == "392家"
        assert "已损坏" in caplog.text
        publish(settings, published[1])  # the next build
        chatbot.look()
        assert chatbot.index_version == published[1]


@pytest.mark.parametrize(
    "problem",
    [
        pytest.param(DamagedIndexError(Path("index"), "缺少文件"), id="expected"),
        pytest.param(RuntimeError("a bug"), id="unexpected"),
    ],
)
def test_what_cannot_be_opened_is_logged_once_and_tried_again_with_the_next_one(
    settings: Settings,
    models: Models,
    published: list[str],
    caplog: pytest.LogCaptureFixture,
    problem: Exception,
) -> None:
    problems = [None, problem]

    def open_generation() -> Chatbot:
        trouble = problems.pop(0) if problems else None
        if trouble is not None:
            raise trouble
        return open_chatbot(settings, models=models)

    publish(settings, published[0])
    with (
        LiveChatbot(
            lambda: pointer_stamp(Path(settings.index_dir)), open_generation, poll_seconds=3600
        ) as chatbot,
        caplog.at_level(logging.ERROR),
    ):
        publish(settings, published[1])
        chatbot.look()
        chatbot.look()
        assert chatbot.index_version == published[0]
        assert len(caplog.records) == 1
        publish(settings, published[1])
        chatbot.look()
        assert chatbot.index_version == published[1]


@pytest.mark.parametrize("exists", [True, False])
def test_without_an_index_it_is_not_ready_until_one_appears(
    models: Models, tmp_path: Path, exists: bool
) -> None:
    settings = replace(Settings(), index_dir=str(tmp_path / "index"))
    if exists:
        (tmp_path / "index").mkdir()
    with live(settings, models, poll_seconds=0.05) as chatbot:
        with pytest.raises(NotReadyError) as caught:
            chatbot.ask(QUESTION)
        assert caught.value.user_message == "资料库还没有建好，请稍后再试。"
        with pytest.raises(NotReadyError):
            chatbot.search(QUESTION, 3)
        assert (chatbot.documents(), chatbot.article("甲.txt"), chatbot.origins()) == ([], None, {})
        assert (chatbot.index_version, chatbot.examples, chatbot.serving_since) == ("", (), None)
        source = tmp_path / "甲.txt"
        source.write_text("甲园区共有企业392家，均已投产。", "utf-8")
        build_index(settings, [source])
        wait_until(lambda: chatbot.index_version != "")
        assert count_said(chatbot.ask(QUESTION)) == "392家"
        assert chatbot.origins() == {"甲.txt": str(tmp_path.resolve())}
        assert chatbot.serving_since is not None


def test_an_index_that_cannot_be_used_is_said_at_the_start(models: Models, tmp_path: Path) -> None:
    (tmp_path / CURRENT).write_text("000001-00000000\n")
    settings = replace(Settings(), index_dir=str(tmp_path))
    with pytest.raises(DamagedIndexError), live(settings, models):
        pass


def test_a_lost_pointer_does_not_keep_a_server_from_starting(
    settings: Settings, models: Models, published: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    (Path(settings.index_dir) / CURRENT).unlink()
    with caplog.at_level(logging.ERROR), live(settings, models) as chatbot:
        assert chatbot.index_version == published[1]
        assert "缺少文件 CURRENT" in caplog.text
        publish(settings, published[0])
        chatbot.look()
        assert count_said(chatbot.ask(QUESTION)) == "392家"


def test_a_server_hashes_beside_the_answering_what_opening_left_unread(
    settings: Settings,
    published: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(generation, "MAX_HASHED_BYTES", 0)
    path = generation_path(Path(settings.index_dir), published[1]) / "sentence_vectors.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        with caplog.at_level(logging.ERROR), live_chatbot(settings) as chatbot:
            assert chatbot.index_version == published[1]
            wait_until(lambda: "文件 sentence_vectors.npy 与清单不符" in caplog.text)
    finally:
        path.write_bytes(whole)


def test_each_generation_brings_its_own_examples(seed_settings: Settings) -> None:
    with live_chatbot(seed_settings) as chatbot:
        assert chatbot.examples
        reply = chatbot.ask(chatbot.examples[0]).reply
        assert isinstance(reply, Answer)
