"""web.answers, web.sessions and web.recent: what all doors to the service have in common."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest

from errors import BadQuestionError, BusyError, TooManyRequestsError
from schema import Answer, AskResult, Refusal, Turn
from tests.fakes import FakeChatService
from tests.loops import in_own_loop
from web.answers import Answers, Asked, Given, Rates, StageBegun, Step, Waiting
from web.limit import AnswerLimit
from web.recent import RecentAnswers
from web.sessions import Sessions
from web.visitor import Visitor

VISITOR = Visitor("192.0.2.1")
QUESTION = "园区落户了多少家企业？"


class AsOftenAsTheyLike:
    def admit(self, visitor: Visitor) -> None:
        """Nothing to count."""


class OnceOnly:
    """Lets one request in."""

    def __init__(self) -> None:
        self._let_in = False

    def admit(self, visitor: Visitor) -> None:
        if self._let_in:
            raise TooManyRequestsError(7)
        self._let_in = True


class Stepwise(FakeChatService):
    """Waits at the first stage until it may go on, and notes how far it came."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.reached: list[str] = []
        self.ended = threading.Event()

    def ask(
        self,
        question: str,
        history: Sequence[Turn] = (),
        on_stage: Callable[[str], None] | None = None,
    ) -> AskResult:
        assert on_stage is not None
        try:
            for stage in ("understand", "retrieve", "read"):
                on_stage(stage)
                self.reached.append(stage)
                self.go_on.wait(5)
            return super().ask(question, history)
        finally:
            self.ended.set()


def answers_of(
    service: FakeChatService,
    told: list[Asked],
    rates: Rates | None = None,
    places: int = 2,
    *,
    takes_feedback: bool = False,
) -> Answers:
    return Answers(
        service,
        AnswerLimit(concurrent=1, waiting=places - 1),
        rates or AsOftenAsTheyLike(),
        RecentAnswers(3),
        [told.append],
        takes_feedback=takes_feedback,
    )


def test_the_stages_come_before_the_reply() -> None:
    async def events() -> list[Step | Given]:
        answers = answers_of(FakeChatService(), [])
        return [event async for event in answers.stream(QUESTION, (), VISITOR, "api")]

    *stages, given = in_own_loop(events())
    assert stages == [StageBegun(name) for name in ("understand", "retrieve", "read", "compose")]
    assert isinstance(given, Given)
    assert isinstance(given.result.reply, Answer)
    assert given.record["id"] == given.id


class Polite(FakeChatService):
    def ask(
        self,
        question: str,
        history: Sequence[Turn] = (),
        on_stage: Callable[[str], None] | None = None,
    ) -> AskResult:
        if question == "你好":
            return AskResult(question, Refusal("您好。", "small_talk"), {}, "v")
        return super().ask(question, history, on_stage)


@pytest.mark.parametrize(
    ("question", "takes_feedback", "rateable"),
    [
        pytest.param(QUESTION, True, True, id="an answer"),
        pytest.param("明天天气怎么样？", True, True, id="a refusal"),
        pytest.param("你好", True, False, id="a greeting"),
        pytest.param(QUESTION, False, False, id="nowhere to put it"),
    ],
)
def test_a_record_says_whether_it_can_be_rated(
    question: str, takes_feedback: bool, rateable: bool
) -> None:
    async def ask() -> Given:
        answers = answers_of(Polite(), [], takes_feedback=takes_feedback)
        return await answers.ask(question, (), VISITOR, "api")

    assert in_own_loop(ask()).record["rateable"] is rateable


def test_a_question_that_must_wait_is_told_so_at_once() -> None:
    service = Stepwise()

    async def second() -> list[Step | Given]:
        answers = answers_of(service, [])
        first = answers.stream(QUESTION, (), VISITOR, "api")
        assert await anext(first) == StageBegun("understand")
        stream = answers.stream(QUESTION, (), VISITOR, "api")
        told = [await anext(stream)]  # while the first is worked on
        service.go_on.set()
        told += [event async for event in stream]
        await first.aclose()
        return told

    waiting, *others, given = in_own_loop(second())
    assert waiting == Waiting(1)
    assert StageBegun("read") in others
    assert isinstance(given, Given)


def test_what_was_answered_is_remembered_until_newer_answers_push_it_out() -> None:
    async def ask() -> tuple[Answers, list[Given]]:
        answers = answers_of(FakeChatService(), [])
        return answers, [await answers.ask(QUESTION, (), VISITOR, "page") for _ in range(4)]

    answers, given = in_own_loop(ask())
    assert [answers.recent.get(one.id) is not None for one in given] == [False, True, True, True]
    assert answers.recent.get("made up") is None


def test_a_question_that_nobody_waits_for_any_more_stops_at_its_next_stage() -> None:
    service, told = Stepwise(), list[Asked]()

    async def leave() -> None:
        stream = answers_of(service, told).stream(QUESTION, (), VISITOR, "api")
        assert await anext(stream) == StageBegun("understand")
        await stream.aclose()
        service.go_on.set()

    in_own_loop(leave())
    assert service.ended.wait(5)
    assert service.reached == ["understand"]
    assert [asked.outcome for asked in told] == ["given_up"]


def test_its_place_is_free_again_only_when_the_work_has_ended() -> None:
    service = Stepwise()

    async def leave_and_ask() -> None:
        answers = answers_of(service, [], places=1)
        stream = answers.stream(QUESTION, (), VISITOR, "api")
        await anext(stream)
        await stream.aclose()
        with pytest.raises(BusyError):
            await answers.ask(QUESTION, (), VISITOR, "api")
        service.go_on.set()
        await asyncio.to_thread(service.ended.wait, 5)
        await asyncio.sleep(0.05)  # until the loop has heard of it
        await answers.ask(QUESTION, (), VISITOR, "api")

    in_own_loop(leave_and_ask())


@pytest.mark.parametrize(
    ("question", "outcome", "reply"),
    [
        pytest.param(QUESTION, "answered", Answer, id="answered"),
        pytest.param("明天天气怎么样？", "refused", Refusal, id="refused"),
        pytest.param("  ", "bad_question", BadQuestionError, id="empty"),
        pytest.param("让它崩溃", "failed", RuntimeError, id="a bug"),
    ],
)
def test_observers_are_told_how_each_question_ended(
    question: str, outcome: str, reply: type
) -> None:
    told: list[Asked] = []

    async def ask() -> object:
        try:
            return (
                await answers_of(FakeChatService(), told).ask(question, (), VISITOR, "api")
            ).result
        except (BadQuestionError, RuntimeError) as error:
            return error

    ended = in_own_loop(ask())
    assert isinstance(ended.reply if isinstance(ended, AskResult) else ended, reply)
    assert [(asked.outcome, asked.door, asked.visitor) for asked in told] == [
        (outcome, "api", VISITOR)
    ]
    assert told[0].seconds > 0
    assert (told[0].given is not None) == (outcome in {"answered", "refused"})


def test_one_who_asks_too_often_is_stopped_before_any_work() -> None:
    service, told = FakeChatService(), list[Asked]()

    async def ask() -> None:
        answers = answers_of(service, told, OnceOnly())
        await answers.ask(QUESTION, (), VISITOR, "api")
        with pytest.raises(TooManyRequestsError) as caught:
            await answers.ask(QUESTION, (), VISITOR, "api")
        assert caught.value.retry_after == 7
        assert "7 秒后" in caught.value.user_message
        with pytest.raises(TooManyRequestsError):
            await answers.search("园区", 3, VISITOR)

    in_own_loop(ask())
    assert len(service.histories) == 1
    assert [asked.outcome for asked in told] == ["answered", "limited", "limited"]


def test_a_search_without_a_word_is_a_bad_question() -> None:
    async def search(query: str) -> int:
        return len(await answers_of(FakeChatService(), []).search(query, 5, VISITOR))

    assert in_own_loop(search("园区")) == 1
    with pytest.raises(BadQuestionError, match="empty"):
        in_own_loop(search("？！"))


def test_a_session_goes_on_for_its_own_visitor_alone_and_not_for_ever() -> None:
    now = 0.0
    sessions = Sessions(most=2, idle_seconds=60, turns=4, clock=lambda: now)
    said = [Turn("user", "甲"), Turn("assistant", "乙")]
    sessions.add(VISITOR, "s", said)
    sessions.add(VISITOR, "s", said)
    sessions.add(VISITOR, "s", [Turn("user", "丙"), Turn("assistant", "丁")])
    assert [turn.content for turn in sessions.history(VISITOR, "s")] == ["甲", "乙", "丙", "丁"]
    assert sessions.history(Visitor("192.0.2.2"), "s") == ()
    assert sessions.history(Visitor("192.0.2.1", "https://portal.example"), "s") == ()
    now = 61.0
    assert sessions.history(VISITOR, "s") == ()


def test_the_session_unused_for_longest_makes_room_for_a_new_one() -> None:
    sessions = Sessions(most=2, idle_seconds=60, turns=4)
    for name in ("one", "two", "one", "three"):
        sessions.add(VISITOR, name, [Turn("user", name)])
    assert sessions.history(VISITOR, "two") == ()
    assert sessions.history(VISITOR, "one") != ()
