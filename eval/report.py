"""The report of a run: one HTML file for people, and the run document for the next comparison.

The page asks for nothing from elsewhere: style, script, plots and data stand in it, and its content
policy lets no other run. What comes from documents and questions reaches it escaped by the template
or as text nodes made by its script, never as markup.
"""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from eval.case import TYPES_ZH
from eval.document import RunDocument
from eval.figures import Figure, Figures
from eval.intervals import mcnemar
from eval.outcome import CAUSES_ZH, Cause
from eval.plots import count_bars, rate_bars, reliability_plot, risk_coverage_plot
from eval.report_rows import Change, GetArticle, change_of, rows

_CAUSES_HELP: dict[Cause, str] = {
    "not_retrieved": "检索到的段落没有一段在证据上：看提问与原文的用词差多远，文档是否已入库。",
    "not_read": "证据在检索到的段落里，但回答和引用都没有取自那里。",
    "wrong_span": "引用落在证据上，但回答里没有标准答案，或回答太长。",
    "wrongly_refused": "证据已检索到，却说文中没有。",
    "should_have_refused": "文档里没有答案，却给出了回答。",
    "badly_cited": "回答正确，但没有一条引用落在证据上。",
}
_CHANGES_ZH: dict[Change, str] = {
    "newly_right": "新答对",
    "newly_wrong": "新答错",
    "changed": "回答变了，对错未变",
    "edited": "题目或标准答案改过",
    "added": "上次没有的题",
}
_REASONS_ZH = {
    "nothing_found": "没有找到依据",
    "nothing_quotable": "没有可以引用的句子",
    "off_topic": "与文档无关",
    "other_subject": "文中说的是另一个对象",
    "no_expression": "没有所问的数字或时间",
    "no_person": "没有所问的人名",
    "no_currency": "没有所问的币种",
    "no_words": "提问里没有文字",
    "small_talk": "闲谈",
    "not_a_question": "不是提问",
    "bad_question": "提问不合要求",
    "unmet_year": "年份不符",
    "unmet_place": "地点不符",
    "unmet_organisation": "机构不符",
    "unmet_person": "人物不符",
    "unmet_name": "名称不符",
    "unmet_action": "所问的事不符",
    "unmet_scope": "范围不符",
    "unmet_unit": "单位不符",
    "unmet_credit": "没有图片署名",
}
_DIFFICULTIES_ZH = {"hard": "难", "mid": "中", "easy": "易"}
_LESS_IS_BETTER = {
    "answerable_refused",
    "risk_coverage_area",
    "calibration_error",
    "latency_p50",
    "latency_p95",
}
_SIGNIFICANT = 0.05  # p-value below which a difference is not put down to chance
_SHOWN = 20  # rows of a list before a button shows the rest

_FOLDER = Path(__file__).parent / "templates"
_TEMPLATES = Environment(
    loader=FileSystemLoader(_FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def write_report(
    folder: Path, run: RunDocument, previous: RunDocument | None, article: GetArticle
) -> Path:
    """Write report.html and report.json; each appears only when it is whole.

    Args:
        folder: made if it is not there.
        run: what to report.
        previous: the run to compare with; read it before, since report.json is replaced.
        article: a document of the index by name, for the paragraphs around citations and evidence.

    Returns:
        The path of report.html.

    Raises:
        OSError: the folder cannot be written to.
    """
    html, document = report_page(run, previous, article), run.to_json()
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "report.html"
    _write(page, html)
    _write(folder / "report.json", document)
    return page


def report_page(run: RunDocument, previous: RunDocument | None, article: GetArticle) -> str:
    """The page as text; arguments as `write_report`."""
    before = None if previous is None else {one.id: one for one in previous.outcomes}
    data = rows(run.outcomes, before, article)
    style = Markup((_FOLDER / "report.css").read_text("utf-8"))
    script = Markup((_FOLDER / "report.js").read_text("utf-8"))
    changes = _changes(run, previous)
    return _TEMPLATES.get_template("report.html.jinja").render(
        run=run,
        when=_moment(run.when),
        previous=previous,
        previous_when=_moment(previous.when) if previous else "",
        policy=_policy(style, script),
        style=style,
        script=script,
        data=htmlsafe_json_dumps(data | _labels(run), ensure_ascii=False, separators=(",", ":")),
        summary=_summary(run, changes),
        cards=_cards(run.figures, previous.figures if previous else None),
        causes=_causes(run),
        types=_types(run.figures),
        documents=_documents(run, data["docs"]),
        figure_rows=_figure_rows(run.figures, previous.figures if previous else None),
        changes=changes,
        plots=_plots(run),
        reliability=run.figures.reliability,
        risks=_risks(run.figures.risk_coverage),
        shown=_SHOWN,
        percent=_percent,
    )


def _write(path: Path, text: str) -> None:
    """Replace a file by a whole one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    partial = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text)
        partial.chmod(0o644)  # mkstemp's are for their owner alone
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _policy(style: str, script: str) -> str:
    """The content policy: this style and this script by their hashes, and nothing else."""

    def source(text: str) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"

    return (
        f"default-src 'none'; style-src {source(style)}; script-src {source(script)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _labels(run: RunDocument) -> dict[str, Any]:
    """Chinese names of the codes in the rows."""
    kinds = dict.fromkeys(outcome.type for outcome in run.outcomes)
    return {
        "types": {kind: TYPES_ZH.get(kind, kind) for kind in kinds},
        "causes": {cause: [label, _CAUSES_HELP[cause]] for cause, label in CAUSES_ZH.items()},
        "changes": _CHANGES_ZH,
        "reasons": _REASONS_ZH,
        "difficulties": _DIFFICULTIES_ZH,
    }


@dataclass(frozen=True)
class _Card:
    label: str
    value: str
    counted: str  # what it is over
    certainty: str  # the interval in words
    delta: str  # against the previous run; "" without one
    better: bool | None


def _cards(figures: Figures, before: Figures | None) -> list[_Card]:
    """The headline figures that this run has."""
    named = _by_name(figures.overall)
    old = _by_name(before.overall) if before else {}
    labels = {
        "answer_right": "答对（可回答的题）",
        "unanswerable_refused": "该拒答的拒答了",
        "some_cited": "引用落在证据上",
        "verbatim": "引文与原文逐字一致",
        "latency_p50": "一题用时（中位数）",
    }
    return [
        _card(label, named[name], old.get(name), named)
        for name, label in labels.items()
        if name in named and named[name].value is not None
    ]


def _card(label: str, now: Figure, before: Figure | None, named: Mapping[str, Figure]) -> _Card:
    timed = now.unit == "milliseconds"
    hits = round((now.value or 0) * now.count)
    what, unit = ("条引文", "条") if now.name == "verbatim" else ("题", "题")
    slow = named.get("latency_p95")
    counted = f"{now.count} {what}中 {hits} {unit}"
    if timed and slow is not None and slow.value is not None:
        counted = f"95 % 的题不超过 {_shown(slow)}"
    delta, better = _difference(now, before)
    return _Card(
        label=label,
        value=_shown(now),
        counted=counted,
        certainty=_certainty(now),
        delta=f"比上次{delta}" if delta else "",
        better=better,
    )


def _certainty(figure: Figure) -> str:
    """The interval in words."""
    if figure.low is None or figure.high is None:
        return ""
    low, high = _interval(figure)
    if figure.unit == "milliseconds":
        return f"真实值多半在 {low} 到 {high} 之间"
    return f"换一批同类的题，多半在 {low} 到 {high} 之间"


def _summary(run: RunDocument, changes: Mapping[str, Any] | None) -> list[str]:
    """The run in a few sentences."""
    answerable = [one for one in run.outcomes if one.answerable]
    unanswerable = [one for one in run.outcomes if not one.answerable]
    said = [f"共 {len(run.outcomes)} 题。"]
    if answerable:
        right = sum(one.right for one in answerable)
        said.append(f"文中有答案的 {len(answerable)} 题，答对 {right} 题。")
    if unanswerable:
        right = sum(one.right for one in unanswerable)
        said.append(f"文中没有答案的 {len(unanswerable)} 题，正确拒答 {right} 题。")
    causes = Counter(one.cause for one in run.outcomes if one.cause)
    for cause, count in causes.most_common(1):
        said.append(f"最多的问题是“{CAUSES_ZH[cause]}”（{count} 题）。")
    if changes:
        right, wrong = (len(changes["groups"][key]) for key in ("newly_right", "newly_wrong"))
        said.append(f"与上一次相比，新答对 {right} 题，新答错 {wrong} 题。")
    return said


def _causes(run: RunDocument) -> list[dict[str, Any]]:
    counts = Counter(one.cause for one in run.outcomes if one.cause)
    return [
        {"cause": cause, "label": CAUSES_ZH[cause], "help": _CAUSES_HELP[cause], "count": count}
        for cause, count in counts.most_common()
    ]


def _types(figures: Figures) -> list[tuple[str, str, Figure]]:
    """(code, label, share of questions right) of each type."""
    found = []
    for kind, own in figures.by_type.items():
        figure = _by_name(own).get("all_right")
        if figure is not None and figure.value is not None:
            found.append((kind, TYPES_ZH.get(kind, kind), figure))
    return found


def _documents(run: RunDocument, docs: Sequence[Sequence[str | None]]) -> list[dict[str, Any]]:
    """A row for each document that evidence comes from, the most wrong answers first."""
    titles = {doc: (place, title) for place, (doc, title) in enumerate(docs)}
    table = []
    for doc, figures in run.figures.by_document.items():
        named = _by_name(figures)
        right = named.get("all_right")
        if right is None or right.value is None:
            continue
        place, title = titles.get(doc, (-1, None))
        table.append(
            {
                "doc": doc,
                "place": place,
                "title": title,
                "count": right.count,
                "wrong": right.count - round(right.value * right.count),
                "right": _shown(right),
                "interval": "–".join(_interval(right)),
                "cited": _shown(named.get("some_cited")),
                "refused": _shown(named.get("answerable_refused")),
            }
        )
    return sorted(table, key=lambda row: -row["wrong"])


def _figure_rows(figures: Figures, before: Figures | None) -> list[dict[str, Any]]:
    """Every figure with its interval and the difference from the previous run."""
    old = _by_name(before.overall) if before else {}
    table = []
    for one in figures.overall:
        delta, better = _difference(one, old.get(one.name))
        table.append(
            {
                "label": one.label,
                "value": _shown(one),
                "interval": "–".join(_interval(one)),
                "count": one.count,
                "before": _shown(old.get(one.name)),
                "delta": delta,
                "better": better,
            }
        )
    return table


def _changes(run: RunDocument, previous: RunDocument | None) -> dict[str, Any] | None:
    """Question by question against the previous run."""
    if previous is None:
        return None
    before = {one.id: one for one in previous.outcomes}
    groups: dict[Change, list[tuple[int, str, str]]] = {change: [] for change in _CHANGES_ZH}
    for place, one in enumerate(run.outcomes):
        change = change_of(one, before.get(one.id))
        if change is not None:
            groups[change].append((place, one.id, one.question))
    kept = {one.id for one in run.outcomes}
    return {
        "groups": groups,
        "labels": _CHANGES_ZH,
        "gone": [one.id for one in previous.outcomes if one.id not in kept],
        "same_set": run.set == previous.set,
        "verdict": _verdict(len(groups["newly_right"]), len(groups["newly_wrong"])),
    }


def _verdict(won: int, lost: int) -> str:
    """Whether chance explains that more questions were won than lost, or fewer."""
    if won == lost:
        return "新答对和新答错的一样多。"
    p = mcnemar(lost, won)
    told = f"配对检验 p = {p:.3f}" if p >= 0.001 else "配对检验 p < 0.001"
    if p >= _SIGNIFICANT:
        return f"这样的差别可能只是偶然（{told}）。"
    return f"这样的差别不像偶然（{told}），整体{'变好' if won > lost else '变差'}了。"


def _plots(run: RunDocument) -> dict[str, Markup]:
    """The plots that this run has something to show in."""
    causes, types = _causes(run), _types(run.figures)
    made = {}
    if causes:
        pairs = [(one["label"], one["count"]) for one in causes]
        made["causes"] = count_bars("causes", pairs, "答错和引错的题，按原因")
    if types:
        pairs_of_rates = [(label, figure) for _, label, figure in types]
        made["types"] = rate_bars("types", pairs_of_rates, "各类题答对的比例和 95% 区间")
    if run.figures.reliability:
        made["reliability"] = reliability_plot(
            "reliability", run.figures.reliability, "把握与实际答对的比例"
        )
    if run.figures.risk_coverage:
        made["risk"] = risk_coverage_plot(
            "risk", run.figures.risk_coverage, "只回答把握大的题时，答错的比例"
        )
    return {name: Markup(svg) for name, svg in made.items()}


def _risks(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The curve at every tenth, as a table for those who cannot see it."""
    steps = [i / 10 for i in range(1, 11)]
    reached = ((step, [one for one in points if one[0] <= step + 1e-9]) for step in steps)
    table = [below[-1] for _, below in reached if below]
    return list(dict.fromkeys([*table, *points[-1:]]))


def _by_name(figures: Sequence[Figure]) -> dict[str, Figure]:
    return {one.name: one for one in figures}


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _time(milliseconds: float) -> str:
    if milliseconds >= 10_000:
        return f"{milliseconds / 1000:.1f} 秒"
    return f"{milliseconds:.0f} 毫秒"


def _format(value: float, figure: Figure) -> str:
    if figure.unit == "milliseconds":
        return _time(value)
    if figure.unit == "count":
        return f"{value:.0f}"
    return _percent(value) if figure.unit == "rate" else f"{value:.3f}"


def _shown(figure: Figure | None) -> str:
    if figure is None or figure.value is None:
        return "–"
    return _format(figure.value, figure)


def _interval(figure: Figure) -> tuple[str, ...]:
    """Both ends; nothing where there is no interval."""
    if figure.low is None or figure.high is None:
        return ()
    return _format(figure.low, figure), _format(figure.high, figure)


def _difference(now: Figure, before: Figure | None) -> tuple[str, bool | None]:
    """The signed difference from the previous run, and whether it is for the better."""
    if now.value is None or before is None or before.value is None:
        return "", None
    change = now.value - before.value
    sign = "+" if change > 0 else "−" if change < 0 else "±"
    size = abs(change)
    points = f"{size * 100:.1f} 个百分点"
    text = sign + (points if now.unit == "rate" else _format(size, now))
    if change == 0:
        return text, None
    return text, (change > 0) != (now.name in _LESS_IS_BETTER)


def _moment(when: str) -> str:
    """A moment as a person writes it."""
    return f"{datetime.fromisoformat(when):%Y-%m-%d %H:%M %Z}".strip()
