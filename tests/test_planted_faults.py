"""A fault planted in real replies moves the measures that should catch it, and no other.

Twelve questions over the two shipped articles are asked once; each test spoils the replies in one
way, scores them again and compares the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from eval.case import Case
from eval.figures import Figure, figure, figures_of
from eval.outcome import Outcome, score
from qa.chatbot import Chatbot, Trace
from schema import Answer, Citation, Passage, Refusal, Reply

REVIEW = "000_633663b307547015.txt"
SCAN = "004_43073762742753e7.txt"
RETRIEVAL = {"recall_at_1", "recall_at_3", "recall_at_5", "recall_at_10", "mrr", "ndcg_at_10"}


def case(
    name: str, question: str, gold: str, doc: str, text: str, items: tuple[str, ...] = ()
) -> Case:
    kind = "list" if items else "number"
    return Case(name, question, kind, True, (gold,), items, evidence=((doc, text),))


def unanswerable(name: str, question: str, difficulty: str) -> Case:
    return Case(name, question, "unanswerable", False, (), difficulty=difficulty)


CASES = (
    case(
        "barter",
        "2024年长沙片区完成了多少单对非新型易货贸易试点？",
        "89单",
        REVIEW,
        "2024年完成对非新型易货贸易试点89单共计1.12亿元",
    ),
    case(
        "pump",
        "三一集团长沙18号工厂每隔多少分钟总装一台混凝土泵车？",
        "45分钟",
        REVIEW,
        "每隔45分钟，一台混凝土泵车完成总装",
    ),
    case(
        "growth",
        "2025年上半年郴州片区有色产业规模以上企业产值同比增长多少？",
        "65%",
        REVIEW,
        "2025年上半年实现有色产业规模以上企业产值149亿元，同比增长65%",
    ),
    case(
        "bay",
        "郴州片区引进的大湾区项目占比超过多少？",
        "80%",
        REVIEW,
        "引进大湾区项目占比超80%",
    ),
    case(
        "containers",
        "岳阳片区带动沿线港口年均新增多少集装箱？",
        "12.5万标箱",
        REVIEW,
        "带动沿线港口年均新增集装箱量约12.5万标箱",
    ),
    case(
        "area",
        "长沙经开区区块纳入湖南自贸试验区范围的面积有多少平方公里？",
        "47.17平方公里",
        SCAN,
        "纳入中国(湖南)自贸试验区范围的面积有47.17平方公里",
    ),
    case(
        "proposals",
        "长沙经开区向企业收集整理了多少条意见建议？",
        "200余条",
        SCAN,
        "收集整理意见建议200余条",
    ),
    case(
        "parks",
        "岳阳片区高标准规划建设了哪些特色园区？",
        "紫光建广半导体科技园、新型储能材料产业园、大数据产业园",
        REVIEW,
        "高标准规划建设紫光建广半导体科技园、新型储能材料产业园、大数据产业园等特色园区",
        items=("紫光建广半导体科技园", "新型储能材料产业园", "大数据产业园"),
    ),
    unanswerable("other-year", "2019年长沙片区完成了多少单对非新型易货贸易试点？", "hard"),
    unanswerable("other-zone", "浙江自贸试验区的面积是多少平方公里？", "mid"),
    unanswerable("peak", "珠穆朗玛峰有多高？", "easy"),
    unanswerable("dinner", "番茄炒蛋要放多少糖？", "easy"),
)
Spoil = Callable[[Trace], Trace]
Traced = tuple[tuple[Case, Trace], ...]


@pytest.fixture(scope="module")
def traced(seed_chatbot: Chatbot) -> Traced:
    return tuple((one, seed_chatbot.trace(one.question)) for one in CASES)


@pytest.fixture(scope="module")
def sound(traced: Traced, seed_chatbot: Chatbot) -> list[Outcome]:
    return scored(traced, seed_chatbot)


def scored(traced: Traced, chatbot: Chatbot, spoil: Spoil = lambda trace: trace) -> list[Outcome]:
    return [score(one, spoil(trace), chatbot.article) for one, trace in traced]


def value(outcomes: Sequence[Outcome], name: str) -> float | None:
    return figure(figures_of(outcomes).overall, name).value


def moved(before: Sequence[Outcome], after: Sequence[Outcome]) -> dict[str, tuple[Figure, Figure]]:
    """The figures whose value is another, each before and after."""
    pairs = zip(figures_of(before).overall, figures_of(after).overall, strict=True)
    return {old.name: (old, new) for old, new in pairs if old.value != new.value}


def fell(change: tuple[Figure, Figure]) -> bool:
    old, new = change
    return old.value is not None and new.value is not None and new.value < old.value


def with_reply(trace: Trace, reply: Reply) -> Trace:
    return replace(trace, result=replace(trace.result, reply=reply))


def on_answers(change: Callable[[Answer], Answer]) -> Spoil:
    """Spoils answers and leaves refusals as they are."""

    def spoil(trace: Trace) -> Trace:
        reply = trace.result.reply
        return with_reply(trace, change(reply)) if isinstance(reply, Answer) else trace

    return spoil


def test_the_sound_replies_leave_room_to_fall(sound: list[Outcome]) -> None:
    assert [outcome.id for outcome in sound if outcome.answerable and not outcome.some_cited] == []
    for name in ("answer_right", "first_cited", "verbatim", "citation_recall"):
        assert value(sound, name) == 1.0
    assert value(sound, "answerable_refused") == 0.0
    assert (value(sound, "unanswerable_refused") or 0) >= 0.75
    assert (value(sound, "area_under_curve") or 0) > 0.9


def test_wrong_offsets_move_verbatim_alone(
    traced: Traced, sound: list[Outcome], seed_chatbot: Chatbot
) -> None:
    def shift(answer: Answer) -> Answer:
        first, *rest = answer.citations
        return replace(answer, citations=(replace(first, span=first.span.moved(1)), *rest))

    changes = moved(sound, scored(traced, seed_chatbot, on_answers(shift)))
    assert set(changes) == {"verbatim"}
    assert fell(changes["verbatim"])


def test_swapped_citations_move_the_measures_of_citation_alone(
    traced: Traced, sound: list[Outcome], seed_chatbot: Chatbot
) -> None:
    answers = [reply for one, trace in traced if isinstance(reply := trace.result.reply, Answer)]
    swapped = {
        id(one): other for one, other in zip(answers, answers[1:] + answers[:1], strict=True)
    }

    def swap(answer: Answer) -> Answer:
        return replace(answer, citations=swapped[id(answer)].citations)

    changes = moved(sound, scored(traced, seed_chatbot, on_answers(swap)))
    assert set(changes) == {"first_cited", "some_cited", "citation_precision", "citation_recall"}
    assert all(map(fell, changes.values()))


def test_one_swapped_citation_of_several_moves_precision_but_not_recall(
    traced: Traced, sound: list[Outcome], seed_chatbot: Chatbot
) -> None:
    strange = citations_of(traced, "area")

    def add(trace: Trace) -> Trace:
        return on_answers(lambda answer: replace(answer, citations=answer.citations + strange))(
            trace
        )

    others = tuple(pair for pair in traced if pair[0].id != "area")
    before = [outcome for outcome in sound if outcome.id != "area"]
    changes = moved(before, scored(others, seed_chatbot, add))
    assert set(changes) == {"citation_precision"}
    assert fell(changes["citation_precision"])


def citations_of(traced: Traced, name: str) -> tuple[Citation, ...]:
    reply = next(trace.result.reply for one, trace in traced if one.id == name)
    assert isinstance(reply, Answer)
    return reply.citations


def test_answers_that_dump_a_page_are_not_right_though_they_hold_the_gold(
    traced: Traced, sound: list[Outcome], seed_chatbot: Chatbot
) -> None:
    def dump(answer: Answer) -> Answer:
        source = seed_chatbot.article(answer.citations[0].doc)
        assert source is not None
        return replace(answer, text=source.text)

    spoiled = scored(traced, seed_chatbot, on_answers(dump))
    changes = moved(sound, spoiled)
    # Being right is what confidence is held against.
    assert set(changes) == {"answer_right", "all_right", "risk_coverage_area", "calibration_error"}
    assert value(spoiled, "answer_right") == 0.0
    assert value(spoiled, "item_recall") == 1.0


def test_refusing_everything_is_seen_though_all_of_it_is_refused_rightly(
    traced: Traced, sound: list[Outcome], seed_chatbot: Chatbot
) -> None:
    def refuse(trace: Trace) -> Trace:
        reply = trace.result.reply
        return with_reply(trace, Refusal("文中没有答案。", "nothing_found", reply.confidence))

    spoiled = scored(traced, seed_chatbot, refuse)
    assert value(spoiled, "answer_right") == 0.0
    assert value(spoiled, "answerable_refused") == 1.0
    assert value(spoiled, "unanswerable_refused") == 1.0
    for name in ("verbatim", "citation_precision", "risk_coverage_area", "calibration_error"):
        assert value(spoiled, name) is None  # there is nothing left to be wrong
    assert not set(moved(sound, spoiled)) & {*RETRIEVAL, "area_under_curve"}


def answer_all(traced: Traced) -> Spoil:
    """Every refusal becomes an answer, as sure as the refusal was, with a true quotation."""
    citations = citations_of(traced, "barter")

    def spoil(trace: Trace) -> Trace:
        reply = trace.result.reply
        if isinstance(reply, Answer):
            return trace
        return with_reply(trace, Answer("89单[1]。", "89单", reply.confidence, citations))

    return spoil


def test_answering_everything_moves_the_refusals_and_what_rests_on_them(
    traced: Traced, sound: list[Outcome], seed_chatbot: Chatbot
) -> None:
    spoiled = scored(traced, seed_chatbot, answer_all(traced))
    changes = moved(sound, spoiled)
    assert value(spoiled, "unanswerable_refused") == 0.0
    assert fell(changes["all_right"])
    assert not fell(changes["risk_coverage_area"])
    refusals = {"unanswerable_refused", "refused_hard", "refused_mid", "refused_easy", "all_right"}
    assert set(changes) <= refusals | {"risk_coverage_area", "calibration_error"}


def test_a_reversed_order_of_retrieval_moves_the_measures_of_ranking_alone(
    traced: Traced, sound: list[Outcome], seed_chatbot: Chatbot
) -> None:
    def reverse(passage: Passage) -> Passage:
        return replace(passage, score=-passage.score)

    def spoil(trace: Trace) -> Trace:
        findings = tuple(
            replace(
                finding,
                ranked=[replace(one, passage=reverse(one.passage)) for one in finding.ranked],
            )
            for finding in trace.findings
        )
        return replace(trace, findings=findings)

    changes = moved(sound, scored(traced, seed_chatbot, spoil))
    assert {"mrr", "ndcg_at_10", "recall_at_1"} <= set(changes) <= RETRIEVAL - {"recall_at_10"}
    assert all(map(fell, changes.values()))


def test_reversed_confidences_move_the_measures_of_confidence_alone(
    traced: Traced, seed_chatbot: Chatbot
) -> None:
    everything = answer_all(traced)

    def reverse(trace: Trace) -> Trace:
        reply = everything(trace).result.reply
        return with_reply(trace, replace(reply, confidence=1 - reply.confidence))

    before = scored(traced, seed_chatbot, everything)
    changes = moved(before, scored(traced, seed_chatbot, reverse))
    assert set(changes) == {"area_under_curve", "risk_coverage_area", "calibration_error"}
    assert fell(changes["area_under_curve"])
    assert not fell(changes["risk_coverage_area"])
    assert not fell(changes["calibration_error"])
