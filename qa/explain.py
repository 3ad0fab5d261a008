"""Why this answer: a trace in, Chinese text for a terminal of 80 columns out.

Written for an editor who is no programmer: how the question was understood, what was read, which
sentences and spans were weighed, which demands and checks held, and what the confidence rests on.
Decides nothing; every figure is one that the answer itself rests on.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from index.protocols import Generation
from qa.chatbot import Chatbot, Finding, Stopped, Trace
from qa.check import Failure, Fault
from qa.compose import supporting
from qa.demands import Demand, DemandKind, Severity, demands, unmet
from qa.question import Kind, Question
from qa.ranker import Evidence
from qa.refuse import Confidence, confidence_features
from schema import UNSURE, Answer, BlockKind, Passage, Reply

COLUMNS = 80
_PASSAGES = 5
_SENTENCES = 5
_READ_SENTENCES = 3  # of these, how many show the spans that the reader considered
_SPANS = 3
_WEIGHTIEST = 4  # features shown for a sentence
_STRONGEST = 3  # features shown as raising or lowering the confidence

FEATURE_NAMES = {  # of qa.ranker.FEATURES; five characters at most, so that four fit a line
    "passage": "段落检索分",
    "cosine": "意思相近",
    "words": "词语相符",
    "bigrams": "短语相符",
    "near": "连上句相符",
    "around": "全段相符",
    "focus": "所问新词",
    "type": "有所问类型",
    "short": "句子很短",
    "asks": "本身是问句",
    "target": "正是所问处",
    "furniture": "标题或署名",
    "reader": "模型读出",
}

# Of qa.refuse.CONFIDENCE_FEATURES: the value that tells nothing, what a higher one means, and what
# a lower one means. A demand counts as met where nothing is demanded, so it can only lower.
CONFIDENCE_MEANINGS: dict[str, tuple[float, str, str]] = {
    "bias": (1.0, "", ""),
    "cosine": (0.0, "句子与问题意思很近", "句子与问题意思不够近"),
    "words": (0.5, "句中有问题里的多数词", "句中缺少问题里的许多词"),
    "bigrams": (0.5, "句中有问题里的多数短语", "句中缺少问题里的许多短语"),
    "near": (0.5, "连同上句，问题里的词多数都有", "连同上句，问题里的词仍缺很多"),
    "around": (0.5, "全段有问题里的多数词", "全段缺少问题里的许多词"),
    "type": (0.5, "句中有所问类型的内容", "句中没有所问类型的内容"),
    "target": (0.0, "正是所问的署名、图注或标题", ""),
    "lead": (1.0, "最佳句明显好过其他句", "最佳句与其他句难分高下"),
    "reader": (0.0, "阅读模型读出了答案", "阅读模型没有读出答案"),
    "reader_lead": (0.0, "阅读模型最看好这一句", "阅读模型更看好别的句子"),
    "names_sentence": (1.0, "", "句中缺少所问的名称"),
    "names_passage": (1.0, "", "段中缺少所问的名称"),
    "names_article": (1.0, "", "全文缺少所问的名称"),
    "names_index": (1.0, "", "所有文章都没有所问的名称"),
    "no_rival": (1.0, "", "句中说的是同类的另一个名称"),
    "together": (1.0, "", "并提的名称没有一同出现"),
    "beside": (1.0, "", "数字不在所问名称旁边"),
    "year": (1.0, "", "句中没有所问的年份"),
    "action": (1.0, "", "句中没有所问的动作"),
    "not_contrary": (1.0, "", "文中说的是相反的动作"),
    "scope": (1.0, "", "范围（全国、全省等）不符或没说"),
    "unit": (1.0, "", "句中没有所问单位的数字"),
}

KIND_NAMES = {
    Kind.NUMBER: "一个数字",
    Kind.DATE: "一个时间",
    Kind.PERSON: "人名",
    Kind.ORGANISATION: "机构名",
    Kind.PLACE: "地点",
    Kind.LIST: "列举几项",
    Kind.DEFINITION: "说明是什么",
    Kind.REASON: "原因",
    Kind.MANNER: "做法、方式或作用",
    Kind.COMPARISON: "比较",
    Kind.OTHER: "没有限定类型",
}
_TARGETS: dict[BlockKind, str] = {"byline": "署名", "caption": "图片说明", "title": "标题"}
DEMAND_NAMES = {
    DemandKind.YEAR: "年份",
    DemandKind.PLACE: "地点",
    DemandKind.ORGANISATION: "机构",
    DemandKind.PERSON: "人物",
    DemandKind.NAME: "名称",
    DemandKind.ACTION: "动作",
    DemandKind.SCOPE: "范围",
    DemandKind.UNIT: "单位",
    DemandKind.CREDIT: "图片",
}
FAULT_NAMES = {
    Fault.NUMBER: "数字",
    Fault.UNIT: "单位",
    Fault.HEDGE: "约、超、近一类的词",
    Fault.DATE: "日期",
    Fault.NAME: "名称",
    Fault.WORDING: "措辞",
    Fault.NEGATION: "否定词",
    Fault.ORDER: "前后次序",
    Fault.COMPUTED: "算出的数",
}
_UNSEARCHED = {
    "no_words": "输入里没有文字",
    "small_talk": "这是招呼或客套，不是关于文章的问题",
    "not_a_question": "这是要代写、翻译或聊天，不是关于文章的问题",
}
_WHY_REFUSED = {
    "nothing_found": "把握低于门槛",
    "off_topic": "追问里的新词，最好的段落里一个也没有",
    "no_expression": "最好的句子里没有所问的数字或时间",
}
_SURE, _LIKELY = 3.0, 0.0  # log odds: 20 to 1, and even


def explain(chatbot: Chatbot, trace: Trace) -> str:
    """Several lines without a final line feed; one line where nothing was searched.

    Args:
        chatbot: the one that made the trace; its weights, threshold and index are told.
        trace: of one question.
    """
    reply = trace.result.reply
    if not trace.findings:
        reason = "" if isinstance(reply, Answer) else reply.reason
        return f"没有检索：{_UNSEARCHED.get(reason, '这不是关于文章的问题')}。"
    lines = ["为什么这样回答", *_question(trace)]
    several = len(trace.findings) > 1
    for number, finding in enumerate(trace.findings, start=1):
        if several:
            lines += ["", *_folded(f"■ 第 {number} 部分：{finding.question.standalone}", COLUMNS)]
            lines += _asked(finding.question)
        lines += _evidence(chatbot, finding)
        lines += _met(chatbot.generation, finding)
        lines += _confidence(chatbot.confidence, finding, chatbot.generation)
        lines += _row("结论", _conclusion(finding, chatbot.confidence.threshold, reply))
    if several:
        lines.append("")
    return "\n".join([*lines, *_checked(reply, trace.stopped)])


# --- the question -------------------------------------------------------------------------------


def _question(trace: Trace) -> Iterator[str]:
    question = trace.question
    yield "【问题】"
    mended = question.standalone != question.text
    yield from _row("理解为", question.standalone if mended else "与所写相同")
    if len(trace.findings) > 1:
        yield from _row("分成", f"{len(trace.findings)} 个部分，逐一作答")
    else:
        yield from _asked(trace.findings[0].question)


def _asked(question: Question) -> Iterator[str]:
    """What would answer it."""
    wanted = [KIND_NAMES[question.kind]]
    if question.unit:
        wanted.append(f"单位是“{question.unit}”")
    if question.target in _TARGETS:
        wanted.append(f"先看{_TARGETS[question.target]}")
    if question.yes_no:
        wanted.append("是或否也算回答")
    yield from _row("要的是", "，".join(wanted))
    if question.years:
        yield from _row("年份", "、".join(f"{year}年" for year in question.years))


# --- passages, sentences, spans -----------------------------------------------------------------


def _evidence(chatbot: Chatbot, finding: Finding) -> Iterator[str]:
    if not finding.ranked:
        yield "【段落】没有检索到任何段落"
        return
    passages = _passages(finding.ranked)
    best = finding.ranked[:_SENTENCES]
    places = {passage.chunk_id: place for place, passage in enumerate(passages, start=1)}
    read = min(chatbot.read, len(passages))
    yield f"【段落】检索到 {len(passages)} 段，阅读模型细读前 {read} 段；数是检索分"
    for passage in _shown(passages, best):
        yield from _passage(places[passage.chunk_id], passage)
    yield f"【句子】得分最高的 {len(best)} 句，和各自影响最大的因素（+ 加分，- 减分）"
    for number, evidence in enumerate(best, start=1):
        yield from _sentence(
            number, evidence, places[evidence.passage.chunk_id], chatbot.ranker.weights
        )
    yield "【片段】阅读模型在最好的句子里考虑过的答案；数是对数几率，0 是一半对一半"
    for number, evidence in enumerate(best[:_READ_SENTENCES], start=1):
        yield from _spans(number, evidence)


def _passages(ranked: Sequence[Evidence]) -> list[Passage]:
    """Each passage once, in the order of retrieval."""
    passages = {evidence.passage.chunk_id: evidence.passage for evidence in ranked}
    return sorted(passages.values(), key=lambda passage: -passage.score)


def _shown(passages: Sequence[Passage], best: Sequence[Evidence]) -> list[Passage]:
    """Those of the best sentences, filled up with the first ones; in the order of retrieval."""
    used = {evidence.passage.chunk_id for evidence in best}
    for passage in passages:
        if len(used) < _PASSAGES:
            used.add(passage.chunk_id)
    return [passage for passage in passages if passage.chunk_id in used]


_LABEL = 9  # columns: 第 10 段, and a blank
_FIGURE = 7  # columns: a score, and a blank
_INDENT = 2


def _passage(place: int, passage: Passage) -> Iterator[str]:
    source = passage.chunk.doc
    if passage.title:
        room = COLUMNS - _INDENT - _LABEL - _FIGURE - width(f"（{source}）")
        source = f"{_clipped(passage.title, max(16, room))}（{source}）"
    yield _figures(f"第 {place} 段", passage.score, source)
    yield _below(_clipped(passage.chunk.text, COLUMNS - _INDENT - _LABEL - _FIGURE))


def _sentence(
    number: int, evidence: Evidence, place: int, weights: dict[str, float]
) -> Iterator[str]:
    source = f"第 {place} 段："
    room = COLUMNS - _INDENT - _LABEL - _FIGURE - width(source)
    yield _figures(f"第 {number} 句", evidence.score, source + _around_answer(evidence, room))
    effects = {name: weights[name] * value for name, value in evidence.features.items()}
    strongest = sorted(effects, key=lambda name: -abs(effects[name]))[:_WEIGHTIEST]
    yield _below(
        "  ".join(
            f"{FEATURE_NAMES[name]} {effects[name]:+.1f}"
            for name in strongest
            if abs(effects[name]) >= _SMALLEST_SHOWN
        )
    )


def _around_answer(evidence: Evidence, columns: int) -> str:
    """The sentence; of one too long, the part with what the reader took for the answer."""
    if width(evidence.text) <= columns or not evidence.spans:
        return evidence.text
    best = evidence.spans[0]
    start = max(0, best.span.end - columns // 2 + _CONTEXT)
    if best.score < _LIKELY or start == 0:
        return evidence.text
    clause = _CLAUSE_EDGE.search(evidence.text, start, best.span.start)
    start = clause.end() if clause else min(start, best.span.start)
    return f"…{evidence.text[start:]}"


_CLAUSE_EDGE = re.compile("[，；：]")
_CONTEXT = 4  # characters behind the answer, and room for two marks of omission
_SMALLEST_SHOWN = 0.05  # less is written 0.0


def _figures(label: str, figure: float, text: str, sign: str = "") -> str:
    head = " " * _INDENT + _padded(label, _LABEL) + f"{figure:{sign}{_FIGURE - 2}.1f}  "
    return head + _clipped(text, COLUMNS - width(head))


def _below(text: str) -> str:
    """Under the text of the line before."""
    return " " * (_INDENT + _LABEL + _FIGURE) + text


def _spans(number: int, evidence: Evidence) -> Iterator[str]:
    label = f"第 {number} 句"
    if not evidence.spans:
        yield from _row(label, "没有读出片段，或没有细读")
    for one in evidence.spans[:_SPANS]:
        text = f"{_sureness(one.score)}  {one.span.cut(evidence.text)}"
        yield _figures(label, one.score, text, sign="+")
        label = ""


def _sureness(log_odds: float) -> str:
    if log_odds >= _SURE:
        return "很有把握"
    return "较有把握" if log_odds >= _LIKELY else "没有把握"


# --- demands and checks -------------------------------------------------------------------------


def _met(generation: Generation, finding: Finding) -> Iterator[str]:
    yield "【要求】问题里点明的，答案所在的句子、段落或文章里必须有"
    asked = demands(finding.question, generation.tokenizer)
    if not asked or not finding.ranked:
        yield from _row("没有", "没有点明名称、年份、单位之类" if not asked else "无从核对")
        return
    missing = unmet(finding.question, supporting(finding.question, finding.ranked), generation)
    lacking = [one.demand for one in missing]
    if met := [_demand(demand) for demand in asked if demand not in lacking]:
        yield from _row("满足", "、".join(met))
    for one in missing:
        weight = "确定，因此拒答" if one.severity is Severity.HARD else "不能确定，只影响把握"
        yield from _row("未满足", f"{_demand(one.demand)}：{one.reason_zh}（{weight}）")


def _demand(demand: Demand) -> str:
    return f"{DEMAND_NAMES[demand.kind]}“{demand.text}”"


# A statement of an answer ends with its markers, a computed one with the word for that.
_STATEMENT = re.compile(r"(.+?)((?:\[\d+\])+|(?<=计算）))[；。]")


_TWO_LINES = 2 * (COLUMNS - _INDENT - _LABEL) - 12  # columns; the rest is for markers


def _checked(reply: Reply, stopped: Sequence[Stopped]) -> Iterator[str]:
    passed = _STATEMENT.findall(reply.text) if isinstance(reply, Answer) else []
    yield "【核对】每句话的数字、日期、名称和措辞，都要能在引文里找到"
    for statement, markers in passed:
        yield from _row("通过", _clipped(statement, _TWO_LINES) + markers)
    for one in stopped:
        faults = "；".join(_fault(failure) for failure in one.failures)
        yield from _row("未通过", f"“{_clipped(one.text, 60)}”——{faults}，所以没有说出来")
    if not passed and not stopped:
        yield from _row("没有", "没有作答，所以没有要核对的话")


def _fault(failure: Failure) -> str:
    piece = f"{FAULT_NAMES[failure.fault]}“{failure.text}”"
    if failure.fault is Fault.ORDER:
        return f"{piece}与引文不同"
    if failure.fault is Fault.COMPUTED:
        return f"{piece}由引文算不出来"
    return f"{piece}与引文不符"


# --- confidence ---------------------------------------------------------------------------------


def _confidence(confidence: Confidence, finding: Finding, generation: Generation) -> Iterator[str]:
    yield f"【把握】{finding.confidence:.2f}（0 到 1），门槛 {confidence.threshold:.2f}"
    if not finding.ranked:
        return
    features = confidence_features(finding.question, finding.ranked, generation)
    effects = {
        name: confidence.weights[name] * (value - CONFIDENCE_MEANINGS[name][0])
        for name, value in features.items()
    }
    for label, sign in (("提高", 1), ("降低", -1)):
        strongest = sorted(effects, key=lambda name: -sign * effects[name])[:_STRONGEST]
        told = [
            f"{_meaning(name, features[name])}（{_strength(effects[name])}）"
            for name in strongest
            if sign * effects[name] >= _SLIGHT
        ]
        yield from _row(label, "；".join(told) or "没有明显的因素")


_SLIGHT, _SOME, _MUCH = 0.25, 0.5, 1.0  # log odds added to the confidence


def _meaning(name: str, value: float) -> str:
    neutral, higher, lower = CONFIDENCE_MEANINGS[name]
    return higher if value > neutral else lower


def _strength(effect: float) -> str:
    if abs(effect) >= _MUCH:
        return "很多"
    return "一些" if abs(effect) >= _SOME else "略微"


def _conclusion(finding: Finding, threshold: float, reply: Reply) -> str:
    if finding.grounds is not None:
        why = _WHY_REFUSED.get(finding.grounds.reason, "有一项要求确定没有满足")
        if finding.confidence >= threshold:
            why = f"把握虽达到门槛，但{why}"
        return f"不答：{why}。给出的理由是：{finding.grounds.text}"
    if not isinstance(reply, Answer):
        return "不答：把握达到门槛，但没有一句话通过核对。"
    if finding.confidence < UNSURE:
        return f"作答：把握达到门槛，但不到 {UNSURE}，所以提醒读者核对来源。"
    return "作答：把握达到门槛，也没有确定落空的要求。"


# --- lines --------------------------------------------------------------------------------------

# What stays on one line: a figure or Latin word, or a character, with the marks that close it.
_UNBROKEN = re.compile(r"(?:[!-~]{1,24}|.)[，。；：、！？）》”’」』…]{0,3}")


def _row(label: str, text: str) -> Iterator[str]:
    """A labelled text, folded under its own beginning."""
    head = " " * _INDENT + _padded(label, _LABEL)
    for line in _folded(text, COLUMNS - width(head)):
        yield head + line
        head = " " * width(head)


def _folded(text: str, columns: int) -> list[str]:
    """Lines of at most `columns`."""
    lines = [""]
    for piece in _UNBROKEN.findall(text):
        if lines[-1] and width(lines[-1]) + width(piece) > columns:
            lines.append("")
        lines[-1] += piece
    return lines


def _clipped(text: str, columns: int) -> str:
    """The beginning of a text on one line, with … where something is left out."""
    text = " ".join(text.split())
    if width(text) <= columns:
        return text
    while width(text) > columns - 2:
        text = text[:-1]
    return f"{text}…"


def _padded(text: str, columns: int) -> str:
    return text + " " * (columns - width(text))


def width(text: str) -> int:
    """Columns on a terminal; marks such as “ and … may take one or two and count as two."""
    return sum(1 + (unicodedata.east_asian_width(character) in "WFA") for character in text)
