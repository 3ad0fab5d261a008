"""Cost against the number of articles: kept results in, one SVG picture out.

Text stays text, so that the reader's own fonts draw the Chinese.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.bench import OURS
from benchmarks.names import LABELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLORS = {OURS: "#0b6bcb", "langchain-500": "#c4532d", "langchain-180": "#8a6d1f"}
_OTHER = "#4f7a4b"
_PANEL = (3.5, 3.0)  # inches


@dataclass(frozen=True)
class Panel:
    """One cost; a line a system through (articles, cost)."""

    title: str
    lines: Mapping[str, Sequence[tuple[int, float]]]


def panels_of(parts: Mapping[str, Any]) -> list[Panel]:
    """Those for which there are results."""
    costs: tuple[tuple[str, str, Callable[[Mapping[str, Any]], float]], ...] = (
        ("latency", "检索，中位（毫秒）", lambda own: own["stages"]["retrieve"]["p50"]),
        ("startup", "启动到第一次检索（秒）", lambda own: own["p50"]),
        ("memory", "答过问题后的内存（MB）", lambda own: own["last"]),
    )
    panels = []
    for part, title, cost in costs:
        lines: dict[str, list[tuple[int, float]]] = {}
        for size in parts.get(part, {}).get("result", {}).get("sizes", ()):
            for name, own in size["systems"].items():
                lines.setdefault(name, []).append((size["articles"], cost(own)))
        if lines:
            panels.append(Panel(title, lines))
    return panels


def picture(panels: Sequence[Panel]) -> str:
    """The panels side by side, at least one, with one legend; articles run logarithmically."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    width, height = _PANEL
    figure = Figure(figsize=(width * len(panels), height), layout="constrained")
    for place, panel in enumerate(panels, start=1):
        _draw(figure.add_subplot(1, len(panels), place), panel)
    known = dict.fromkeys(name for panel in panels for name in panel.lines)
    figure.legend(
        [Line2D([], [], marker="o", color=_color(name)) for name in known],
        [LABELS[name] for name in known],
        loc="outside lower center",
        ncols=len(known) if len(panels) > 1 else 1,  # one panel is narrower than all the names
        frameon=False,
    )
    file = io.StringIO()
    with (
        mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "cost"}),
        warnings.catch_warnings(),
    ):
        # Text is measured with a font that has no Chinese; the browser draws it with one that has.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def _draw(axes: Axes, panel: Panel) -> None:
    for name, points in panel.lines.items():
        across, up = zip(*points, strict=True)
        axes.plot(across, up, "o-", color=_color(name))
    axes.set_xscale("log")
    ticks = sorted({articles for points in panel.lines.values() for articles, _ in points})
    axes.set_xticks(ticks, [f"{articles:,}" for articles in ticks])
    axes.set_xticks([], minor=True)
    axes.set_ylim(0, 1.08 * max(cost for points in panel.lines.values() for _, cost in points))
    axes.set_xlabel("文章数")
    axes.set_title(panel.title, fontsize=11)
    axes.grid(color="#dddddd", lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _color(name: str) -> str:
    return _COLORS.get(name, _OTHER)
