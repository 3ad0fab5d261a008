"""What people said of answers, as a test set: the store in, a file that `eval` reads out."""

from __future__ import annotations

from pathlib import Path

import pytest

from app import main
from eval.case import Case, CaseSet
from eval.sets import load_set
from schema import Answer, AskResult, Refusal, Turn
from tests.fakes import FIRMS, PARK, PARK_DOC, PORT, PORT_DOC, ROUTES, FakeChatService, cite
from web.feedback import Feedback, FeedbackStore, Rating

SERVICE = FakeChatService()
FIRMS_QUESTION = "园区落户了多少家企业？"


@pytest.fixture
def store(tmp_path: Path) -> FeedbackStore:
    return FeedbackStore(tmp_path / "feedback.sqlite")


@pytest.fixture(params=[".jsonl", ".csv", ".xlsx"])
def out(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    suffix: str = request.param
    return tmp_path / f"said{suffix}"


def exported(out: Path) -> CaseSet:
    assert (
        main(["feedback", "--feedback", str(out.parent / "feedback.sqlite"), "--out", str(out)])
        == 0
    )
    return load_set(out)


def only(cases: CaseSet) -> Case:
    assert len(cases.cases) == 1, cases
    return cases.cases[0]


def test_an_answer_that_helped_is_gold_with_its_citations(store: FeedbackStore, out: Path) -> None:
    store.add(Feedback("a" * 32, "up"), SERVICE.ask(FIRMS_QUESTION))
    case = only(exported(out))
    assert (case.question, case.type, case.answerable) == (FIRMS_QUESTION, "number", True)
    assert case.answers == ("231家",)
    assert case.evidence == ((PARK_DOC, FIRMS),)


def test_without_a_short_answer_the_whole_is_gold_less_its_markers(
    store: FeedbackStore, out: Path
) -> None:
    reply = Answer("因为产业园把政务窗口搬到车间旁边[1]。", None, 0.9, (cite(1, PARK, FIRMS),))
    store.add(Feedback("a" * 32, "up"), AskResult("为什么企业办证不出园？", reply, {}, "v1"))
    case = only(exported(out))
    assert case.answers == ("因为产业园把政务窗口搬到车间旁边。",)
    assert case.type == "howwhy"


def test_a_refusal_that_was_right_has_no_answer(store: FeedbackStore, out: Path) -> None:
    store.add(Feedback("a" * 32, "up"), SERVICE.ask("明天天气怎么样？"))
    case = only(exported(out))
    assert (case.type, case.answerable, case.answers) == ("unanswerable", False, ())


@pytest.mark.parametrize("rating", ["up", "down"])
def test_a_word_on_the_reply_to_a_greeting_is_no_case(
    store: FeedbackStore, out: Path, rating: Rating
) -> None:
    store.add(
        Feedback("a" * 32, rating), AskResult("你好", Refusal("您好。", "small_talk"), {}, "v")
    )
    store.add(Feedback("b" * 32, "up"), SERVICE.ask(FIRMS_QUESTION))
    assert only(exported(out)).question == FIRMS_QUESTION


def test_a_follow_up_is_asked_as_it_was_understood(store: FeedbackStore, out: Path) -> None:
    result = SERVICE.ask("那园区呢？", [Turn("user", "港口呢？"), Turn("assistant", "很忙。")])
    store.add(Feedback("a" * 32, "up"), result)
    assert only(exported(out)).question == "园区去年落户了多少家企业？"


def test_what_was_wrong_is_a_draft_that_counts_only_once_a_person_has_mended_it(
    store: FeedbackStore, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.add(Feedback("a" * 32, "up"), SERVICE.ask(FIRMS_QUESTION))
    store.add(Feedback("b" * 32, "down", None, "数字\n是旧的"), SERVICE.ask("港口有哪些航线？"))
    store.add(Feedback("c" * 32, "down", "citation"), SERVICE.ask(FIRMS_QUESTION))
    cases = exported(out)
    assert only(cases).question == FIRMS_QUESTION
    assert [fault.reason for fault in cases.faults] == 2 * ["标为可回答，却没有答案"]
    printed = capsys.readouterr().out
    assert "评价 3 条，写出 3 题" in printed
    assert "其中 2 题是草稿" in printed


def test_the_draft_says_what_was_said_and_what_had_been_answered(
    store: FeedbackStore, tmp_path: Path
) -> None:
    store.add(
        Feedback("b" * 32, "down", "citation", "不是\n这一句"), SERVICE.ask("港口有哪些航线？")
    )
    out = tmp_path / "said.jsonl"
    main(["feedback", "--feedback", str(tmp_path / "feedback.sqlite"), "--out", str(out)])
    row = out.read_text("utf-8")
    assert "草稿：有人说这个回答引用错误（“不是 这一句”）" in row
    assert "港口开通近洋航线14条" in row


def test_the_same_gold_is_written_once(store: FeedbackStore, out: Path) -> None:
    for name in "abc":
        store.add(Feedback(name * 32, "up"), SERVICE.ask(FIRMS_QUESTION))
    assert only(exported(out)).id == "feedback-aaaaaaaaaaaa"


def test_evidence_in_several_documents_comes_back_whole(store: FeedbackStore, out: Path) -> None:
    reply = Answer("甲[1]。乙[2]。", "甲", 0.9, (cite(1, PORT, ROUTES), cite(2, PARK, FIRMS)))
    store.add(Feedback("a" * 32, "up"), AskResult("问哪个？", reply, {}, "v1"))
    assert only(exported(out)).evidence == ((PORT_DOC, ROUTES), (PARK_DOC, FIRMS))


@pytest.mark.parametrize(
    ("name", "said"), [("said.jsonl", "里还没有评价"), ("said.doc", "的后缀不认识")]
)
def test_what_cannot_be_exported_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    database, out = tmp_path / "none.sqlite", tmp_path / name
    assert main(["feedback", "--feedback", str(database), "--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not out.exists()
    assert not database.exists()
