"""docs/benchmarks.md from the kept results: tables in Chinese, each with its machine and day."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bench import OURS
from benchmarks.names import LABELS, STAGES
from benchmarks.parts.load import ANSWERS

# What stays the same: how to run it, and how it was measured.
_FRAME = Path(__file__).with_name("page.md")
_MARK = "<!-- results -->"
# Beyond this share of the processor taken by others, figures are marked: PyTorch's threads wait for
# each other at every step, so that a core taken away costs the others many times what it costs us.
QUIET = 0.1


def page(parts: Mapping[str, Any], picture: str | None) -> str:
    """Markdown.

    Args:
        parts: what store.read gives; parts that were never measured are left out.
        picture: file of the plot, beside the page; None where there is nothing to plot.
    """
    written = [section(name, parts[name]) for name in _SECTIONS if name in parts]
    plotted = [f"![检索、启动、内存随文章数的变化]({picture})"] if picture else []
    frame = _FRAME.read_text("utf-8").strip()
    results = "\n\n".join([*plotted, *written]) or "还没有量过。"
    return "\n\n".join([frame.replace(_MARK, results), *_versions(parts)]) + "\n"


def section(name: str, part: Mapping[str, Any]) -> str:
    """Heading, circumstances and tables of one part."""
    title, write = _SECTIONS[name]
    return "\n".join([f"## {title}", "", _measured(part), "", *write(part["result"])])


def _measured(part: Mapping[str, Any]) -> str:
    machine = part["machine"]
    others = part["others_percent"]
    noisy = "；**机器不空闲，比值偏向问据，不宜采用**" if others > 100 * QUIET else ""
    return (
        f"量于 {part['when']}（{part['commit']}），{machine['processor']}，"
        f"{machine['cores']} 核，{machine['memory_gigabytes']} GB，无显卡，"
        f"Python {machine['python']}；其间别的任务占用 {others:.0f} % 的处理器{noisy}。"
    )


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of Markdown; the first column is text, the others are numbers."""
    lines = [_line(headings), _line(["---", *["---:"] * (len(headings) - 1)])]
    return [*lines, *(_line(row) for row in rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def times(ratio: Mapping[str, float]) -> str:
    """Such as 3.4 倍（3.1–3.8）; the range only where there was more than one round."""
    middle, least, most = (ratio[key] for key in ("middle", "least", "most"))
    within = "" if least == most else f"（{least:.2f}–{most:.2f}）"
    return f"{middle:.2f} 倍{within}"


def _times_of(name: str, ratio: Mapping[str, float]) -> str:
    return "1" if name == OURS else times(ratio)


def _pair(spread: Mapping[str, float], digits: int) -> str:
    return f"{spread['p50']:.{digits}f}／{spread['p95']:.{digits}f}"


def _build(result: Mapping[str, Any]) -> list[str]:
    headings = (
        *("", "段", "向量化的字", "用时（秒）", "处理器时间（核秒）", "内存峰值（MB）"),
        *("用时之比", "处理器时间之比", "每字用时之比"),
    )
    rows = [
        (
            LABELS[name],
            f"{own['pieces']:,}",
            f"{own['chars']:,}",
            f"{own['seconds']:.1f}",
            f"{own['core_seconds']:.1f}",
            f"{own['peak_megabytes']:.0f}",
            *(
                _times_of(name, own[key])
                for key in ("times_ours", "times_ours_core", "times_ours_a_char")
            ),
        )
        for name, own in result["systems"].items()
    ]
    about = (
        f"{result['articles']:,} 篇新闻，{result['chars']:,} 字，"
        f"轮流各建 {result['rounds']} 次，中位数。"
    )
    return [about, "", *table(headings, rows)]


def _embedding(result: Mapping[str, Any]) -> list[str]:
    return [
        f"{result['chunks']:.0f} 段 200 字的新闻，250 段一组轮流：问据每秒 "
        f"{result['fast_rate']:.1f} 段，float32 的 sentence-transformers 每秒 "
        f"{result['reference_rate']:.1f} 段，**{result['ratio']:.2f} 倍**；"
        f"两者的余弦平均 {result['cosine_mean']:.4f}，最小 {result['cosine_least']:.4f}。"
    ]


def _archive(result: Mapping[str, Any]) -> list[str]:
    headings = (
        *("篇", "段", "用时（秒）", "每秒段", "处理器时间（核秒）", "内存峰值（MB）", "硬盘（MB）"),
    )
    rows = [
        (
            f"{size['articles']:,}",
            f"{size['chunks']:,}",
            f"{size['seconds']:.0f}",
            f"{size['chunks_a_second']:.1f}",
            f"{size['core_seconds']:.0f}",
            f"{size['peak_megabytes']:.0f}",
            f"{size['disk_megabytes']:.0f}",
        )
        for size in result["sizes"]
    ]
    lines = table(headings, rows)
    if changed := result["changed"]:
        seconds = "、".join(f"{one['seconds']:.1f}" for one in changed["rounds"])
        peak = max(one["peak_megabytes"] for one in changed["rounds"])
        lines += [
            "",
            f"其中 {changed['articles']:,} 篇新闻的索引，改一篇再建库、改回来再建库："
            f"{seconds} 秒，内存峰值 {peak:.0f} MB。",
        ]
    return lines


def _latency(result: Mapping[str, Any]) -> list[str]:
    sizes = result["sizes"]
    rows = [
        (
            f"{size['articles']:,} 篇，{LABELS[name]}{_given(size, name)}",
            _pair(own["stages"]["retrieve"], 1),
            _times_of(name, own["times_ours"]),
        )
        for size in sizes
        for name, own in size["systems"].items()
    ]
    grown = "，".join(
        f"{size['articles']:,} 篇时检索 {times(size['times_smallest']['retrieve'])}、"
        f"回答 {times(size['times_smallest']['answer'])}"
        for size in sizes[1:]
    )
    about = (
        f"{result['questions']} 题，{result['rounds']} 遍，每题 {result['depth']} 段。"
        "毫秒，中位／p95。"
    )
    lines = [about, "", *table(("检索", "毫秒", "与问据之比"), rows)]
    if grown:
        lines += [
            "",
            f"问据与它自己在 {sizes[0]['articles']:,} 篇时相比（同一次运行轮流）：{grown}。",
        ]
    return [*lines, "", "问据的各步，毫秒，中位／p95：", "", *_stages(sizes)]


def _given(size: Mapping[str, Any], name: str) -> str:
    return "" if name == OURS or size["embedded_by_peers"] else "（收下现成的向量）"


def _stages(sizes: Sequence[Mapping[str, Any]]) -> list[str]:
    headings = ("", *(f"{size['articles']:,} 篇，{size['chunks']:,} 段" for size in sizes))
    found = [size["systems"][OURS]["stages"] for size in sizes]
    rows = [
        (label, *(_pair(own[stage], 2) if stage in own else "–" for own in found))
        for stage, label in STAGES.items()
        if any(stage in own for own in found)
    ]
    return table(headings, rows)


def _startup(result: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            f"{size['articles']:,} 篇，{LABELS[name]}",
            f"{own['p50']:.2f}",
            _times_of(name, own["times_ours"]),
        )
        for size in result["sizes"]
        for name, own in size["systems"].items()
    ]
    labels = {"ask": "wenju ask 到答案", "alive": "wenju serve 到 /healthz", "ready": "到 /readyz"}
    own_rows = [
        (f"{size['articles']:,} 篇", *(f"{size['ours'][name]['p50']:.2f}" for name in labels))
        for size in result["sizes"]
    ]
    return [
        f"从启动进程到第一次检索的结果，秒，轮流各 {result['rounds']} 次，中位数。",
        "",
        *table(("", "秒", "与问据之比"), rows),
        "",
        *table(("问据，秒", *labels.values()), own_rows),
    ]


def _memory(result: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            f"{size['articles']:,} 篇，{LABELS[name]}",
            *(f"{own[key]:.0f}" for key in ("first", "last", "last_private")),
            "1" if name == OURS else f"{own['last'] / size['systems'][OURS]['last']:.2f} 倍",
        )
        for size in result["sizes"]
        for name, own in size["systems"].items()
    ]
    last = f"{result['questions']} 题后"
    return [
        "常驻内存，MB。",
        "",
        *table(("", "第一题后", last, f"{last}，其中私有", "与问据之比"), rows),
    ]


def _load(result: Mapping[str, Any]) -> list[str]:
    trials = [(size, trial) for size in result["sizes"] for trial in size["trials"]]
    answers = [
        (
            f"{size['articles']:,} 篇，{trial['people']} 人",
            *_crowd(own := trial["systems"][ANSWERS]),
            f"{100 * own['per_second'] / size['answers_a_second_at_most']:.0f} %",
            f"{own['megabytes']:.0f}",
        )
        for size, trial in trials
    ]
    retrievals = [
        (
            f"{size['articles']:,} 篇，{trial['people']} 人，{LABELS[name]}",
            *_crowd(own),
            "1" if name == OURS else _fewer(trial["systems"][OURS], own),
        )
        for size, trial in trials
        for name, own in trial["systems"].items()
        if name != ANSWERS
    ]
    most = "，".join(
        f"{size['articles']:,} 篇时一个回答 {size['answer_core_ms']:.0f} 核毫秒，"
        f"每秒至多 {size['answers_a_second_at_most']:.1f} 个"
        for size in result["sizes"]
    )
    columns = ("每秒", "中位／p95（秒）", "每次核毫秒", "请稍后再试", "丢失")
    return [
        f"每人答完即再问，每次 {result['seconds']:.0f} 秒。",
        "",
        f"回答（{result['cores']} 核能做到的按单人时的处理器时间算：{most}）：",
        "",
        *table(("", *columns, "占能做到的", "内存（MB）"), answers),
        "",
        "只检索（比值是问据每秒的次数 ÷ 别家的）：",
        "",
        *table(("", *columns, "每秒之比"), retrievals),
    ]


def _crowd(own: Mapping[str, Any]) -> tuple[str, ...]:
    spread = own["answer_seconds"]
    return (
        f"{own['per_second']:.1f}",
        _pair(spread, 3) if spread else "–",
        f"{own['core_ms_each']:.0f}",
        str(own["busy"]),
        str(own["lost"]),
    )


def _fewer(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    if not theirs["per_second"]:
        return "–"
    return f"{ours['per_second'] / theirs['per_second']:.2f} 倍"


def _flat(result: Mapping[str, Any]) -> list[str]:
    verdicts = {True: "**平**", False: "**不平，在增长**", None: "问得太少，不能判断"}
    percent = result["last_half_percent"]
    grown = "" if percent is None else f"，后一半问题里私有内存变化 {percent:.2f} %"
    asked = result["points"][-1][0]
    shown = result["points"][:: max(1, len(result["points"]) // 10)]
    rows = [(f"{n:,}", f"{private:.0f}", f"{mapped:.0f}") for n, private, mapped in shown]
    return [
        f"{result['articles']:,} 篇的索引，{result['people']} 人同时，连着问 {asked:,} 题"
        f"（一半是互不相同的句子），答完 {result['answered']:,} 题，丢失 {result['lost']}："
        f"{verdicts[result['flat']]}{grown}。",
        "",
        *table(("已问", "私有（MB）", "映射的文件（MB）"), rows),
    ]


def _versions(parts: Mapping[str, Any]) -> list[str]:
    """Of the libraries of both sides, where the builds told them."""
    if "build" not in parts:
        return []
    others: dict[str, str] = {}
    for own in parts["build"]["result"]["systems"].values():
        others |= own.get("versions", {})
    sides = {"问据": parts["build"]["versions"], "别家": others}
    told = [
        f"{side}：{'，'.join(f'{name} {version}' for name, version in versions.items())}"
        for side, versions in sides.items()
        if versions
    ]
    return ["版本。" + "。".join(told) + "。"]


_SECTIONS: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], list[str]]]] = {
    "build": ("整个建库", _build),
    "embedding": ("批量向量化", _embedding),
    "archive": ("建库的用时随文章数的变化", _archive),
    "latency": ("检索和回答的用时", _latency),
    "startup": ("启动", _startup),
    "memory": ("内存", _memory),
    "load": ("多人同时", _load),
    "flat": ("连着问很多题", _flat),
}
