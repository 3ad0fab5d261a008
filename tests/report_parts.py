"""Runs to report on: real questions to the real chatbot over the shipped articles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from eval.case import Case
from eval.document import RunDocument
from eval.figures import figures_of
from eval.outcome import Outcome, cause_of
from eval.run import run
from qa.chatbot import Chatbot
from schema import Turn

DOC = "004_43073762742753e7.txt"
EVIDENCE = "总投资180亿元"
QUESTION = "三一科学城总投资多少亿元？"
ELSEWHERE = ("000_633663b307547015.txt", "吸引392家再制造维修企业入驻")
HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>$x_1$"

CASES = [
    Case("right", QUESTION, "number", True, ("180亿元",), evidence=((DOC, EVIDENCE),)),
    Case("wrong", QUESTION, "number", True, ("80亿元",), evidence=((DOC, EVIDENCE),)),
    Case("elsewhere", QUESTION, "entity", True, ("180亿元",), evidence=(ELSEWHERE,)),
    Case("refused", "《西游记》的作者是谁？", "unanswerable", False, (), difficulty="easy"),
    Case(
        "follow-up",
        "它总投资多少亿元？",
        "followup",
        True,
        ("180亿元",),
        keypoints=("180亿元", "没有这一点"),
        evidence=((DOC, EVIDENCE), (DOC, "这句话文中没有")),
        history=(Turn("user", "三一科学城在哪里？"), Turn("assistant", "在长沙。")),
    ),
]


def outcomes_of(chatbot: Chatbot) -> list[Outcome]:
    """What comes of `CASES`."""
    return run(chatbot, CASES)


def document(
    outcomes: Sequence[Outcome],
    name: str = "示例.jsonl",
    index_version: str = "000001-ab",
    code_version: str = "0.1.0",
) -> RunDocument:
    """A run of these outcomes."""
    return RunDocument(
        set=name,
        index_version=index_version,
        code_version=code_version,
        when="2026-03-05T08:30:00+08:00",
        figures=figures_of(outcomes),
        outcomes=tuple(outcomes),
    )


def failed(outcome: Outcome) -> Outcome:
    """The same question answered wrongly."""
    wrong = replace(outcome, right=False, answer="总投资99亿元[1]。", short_answer="99亿元")
    return replace(wrong, cause=cause_of(wrong))


def hostile(outcome: Outcome) -> Outcome:
    """The same outcome with markup and script wherever text may stand."""
    return replace(
        outcome,
        id=HOSTILE,
        type=HOSTILE,
        question=HOSTILE,
        answer=f"javascript:window.hacked=1 {HOSTILE}",
        short_answer=HOSTILE,
        standalone=f"即{HOSTILE}",
        golds=(HOSTILE,),
        evidence=((f"{HOSTILE}.txt", HOSTILE),),
        history=(("user", HOSTILE),),
        citations=tuple(
            replace(one, title=HOSTILE, doc=HOSTILE, quote=HOSTILE) for one in outcome.citations
        ),
    )
