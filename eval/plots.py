"""Plots of a report: numbers in, one <svg> element of text out, made by matplotlib.

Text stays text, so that the reader's fonts draw it and no Chinese font is needed here. Nothing in
an element carries a style: the page's content policy forbids that, and colours are classes (`f-ink`
fills, `s-ink` strokes), so that the page's style sheet gives them in light and in dark.
"""

from __future__ import annotations

import io
import re
import unicodedata
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import TYPE_CHECKING

from eval.figures import Figure, ReliabilityBin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

# Stand-ins that matplotlib draws with; the page's style sheet has the real ones.
_COLORS = {
    "ink": "#010101",
    "muted": "#020202",
    "line": "#030303",
    "accent": "#040404",
    "soft": "#050505",
    "bad": "#060606",
}
_NAMES = {color: name for name, color in _COLORS.items()}
_WIDTH = 4.6  # inches: 331 points, so that a phone shows the text at its size
_FONT = 11.0  # points
_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_PLACES_KEPT = 200  # of a curve; more cannot be told apart


def count_bars(name: str, rows: Sequence[tuple[str, int]], title: str) -> str:
    """Counts as horizontal bars, in the order given, the first on top.

    Args:
        name: prefix of the ids inside the element, unique on its page.
        rows: (label, count), at least one.
        title: what the plot shows, for those who cannot see it.
    """
    canvas, axes = _bars([label for label, _ in rows], right=0.7, below=0.05)
    counts = [count for _, count in rows]
    axes.barh(range(len(rows)), counts, height=0.6, color=_COLORS["bad"])
    axes.set_xlim(0, max([*counts, 1]))
    axes.set_xticks([])
    for place, count in enumerate(counts):
        _note(axes, count, place, f"{count} 题", offset=6)
    return _svg(canvas, name, title)


def rate_bars(name: str, rows: Sequence[tuple[str, Figure]], title: str) -> str:
    """Rates with their intervals as horizontal bars; arguments as `count_bars`."""
    canvas, axes = _bars([label for label, _ in rows], right=1.15, below=0.35)
    for place, (_, figure) in enumerate(rows):
        value = figure.value or 0.0
        axes.barh(place, value, height=0.6, color=_COLORS["soft"])
        if figure.low is not None and figure.high is not None:
            axes.plot([figure.low, figure.high], [place, place], color=_COLORS["accent"], lw=2)
        axes.plot([value], [place], "o", color=_COLORS["accent"], markersize=5, clip_on=False)
        _note(axes, 1.0, place, f"{value:.0%}  {figure.count} 题", offset=6)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0%", "50%", "100%"])
    axes.grid(axis="x", color=_COLORS["line"], lw=0.8)
    return _svg(canvas, name, title)


def reliability_plot(name: str, bins: Sequence[ReliabilityBin], title: str) -> str:
    """Accuracy against confidence; the size of a point tells how many answers it stands for."""
    canvas, axes = _square("把握", "答对的比例")
    axes.plot([0, 1], [0, 1], "--", color=_COLORS["muted"], lw=1)
    most = max((one.count for one in bins), default=1)
    drawn = [one for one in bins if one.count]
    axes.plot(
        [one.confidence for one in drawn],
        [one.accuracy for one in drawn],
        color=_COLORS["accent"],
        lw=0.7,
        clip_on=False,
    )
    for one in drawn:
        size = 3 + 11 * (one.count / most) ** 0.5
        axes.plot(
            [one.confidence],
            [one.accuracy],
            "o",
            color=_COLORS["accent"],
            markersize=size,
            clip_on=False,
        )
    return _svg(canvas, name, title)


def risk_coverage_plot(name: str, points: Sequence[tuple[float, float]], title: str) -> str:
    """Share of wrong answers against the share of questions answered, the surest first."""
    canvas, axes = _square("回答了的比例（把握大的先答）", "其中答错的比例")
    step = max(1, -(-len(points) // _PLACES_KEPT))
    kept = [*points[::step], *points[-1:]]
    axes.plot(
        [coverage for coverage, _ in kept],
        [risk for _, risk in kept],
        color=_COLORS["bad"],
        lw=2,
        clip_on=False,
    )
    top = max([risk for _, risk in kept], default=0.0)
    axes.set_ylim(0, 1 if top > 0.5 else 0.5 if top > 0.2 else 0.2)
    axes.set_yticks([tick for tick in (0, 0.1, 0.2, 0.5, 1) if tick <= axes.get_ylim()[1]])
    return _svg(canvas, name, title)


def _canvas(width: float, height: float, box: tuple[float, float, float, float]) -> Axes:
    """Axes inside margins of (left, bottom, right, top) inches."""
    from matplotlib.figure import Figure as Canvas

    left, bottom, right, top = box
    canvas = Canvas(figsize=(width, height))
    canvas.patch.set_visible(False)
    axes = canvas.add_axes(
        (
            left / width,
            bottom / height,
            (width - left - right) / width,
            (height - bottom - top) / height,
        )
    )
    axes.patch.set_visible(False)
    axes.tick_params(length=0, labelsize=_FONT, labelcolor=_COLORS["ink"], pad=5)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_axisbelow(True)
    return axes


def _bars(labels: Sequence[str], right: float, below: float) -> tuple[Canvas, Axes]:
    """Axes with one labelled place a row; the left margin is as wide as the longest label.

    `right` and `below` are margins in inches.
    """
    widest = max(sum(_em(character) for character in label) for label in labels)
    left = min(2.2, (widest * _FONT + 8) / 72)
    height = below + 0.1 + 0.31 * len(labels)
    axes = _canvas(_WIDTH, height, (left, below, right, 0.1))
    axes.set_yticks(range(len(labels)), [_literal(label) for label in labels])
    axes.set_ylim(len(labels) - 0.5, -0.5)
    return _owner(axes), axes


def _square(across: str, up: str) -> tuple[Canvas, Axes]:
    """Axes from 0 to 1 both ways, named; the name of the upward one stands on top of it."""
    axes = _canvas(_WIDTH, 3.4, (0.6, 0.62, 0.25, 0.42))
    ticks = [0, 0.25, 0.5, 0.75, 1]
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.tick_params(axis="x", pad=9)  # the two zeros meet in the corner
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(color=_COLORS["line"], lw=0.8)
    axes.set_xlabel(across, color=_COLORS["muted"], fontsize=_FONT, labelpad=7)
    axes.annotate(
        up,
        (0, 1),
        (0, 12),
        xycoords="axes fraction",
        textcoords="offset points",
        color=_COLORS["muted"],
        fontsize=_FONT,
        annotation_clip=False,
    )
    return _owner(axes), axes


def _owner(axes: Axes) -> Canvas:
    canvas = axes.get_figure(root=True)
    assert canvas is not None  # _canvas has made it
    return canvas


def _note(axes: Axes, x: float, y: float, text: str, offset: float) -> None:
    """Text right of a place in the plot."""
    axes.annotate(
        text,
        (x, y),
        (offset, 0),
        textcoords="offset points",
        va="center",
        color=_COLORS["ink"],
        fontsize=_FONT,
        annotation_clip=False,
    )


def _em(character: str) -> float:
    """About how wide a character is, as a share of the font size."""
    return 1.0 if unicodedata.east_asian_width(character) in "FW" else 0.6


def _literal(text: str) -> str:
    """Text that matplotlib takes as it stands; between two dollar signs it would read formulas."""
    visible = "".join(c if c.isprintable() else " " for c in text)
    return visible.replace("$", r"\$")


def _svg(canvas: Canvas, name: str, title: str) -> str:
    import matplotlib as mpl

    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}), warnings.catch_warnings():
        # Text is measured with a font that has no Chinese; the browser draws it with one that has.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        canvas.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    root = ET.fromstring(file.getvalue())
    return _plain(root, name, title)


def _plain(root: ET.Element, name: str, title: str) -> str:
    """The element without styles, metadata and foreign names; ids begin with `name`."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {f"{_SVG}metadata", f"{_SVG}style"}:
                parent.remove(child)
    for node in root.iter():
        _unstyle(node)
        if "id" in node.attrib:
            node.set("id", f"{name}-{node.attrib['id']}")
        if _XLINK in node.attrib:
            node.set("href", node.attrib.pop(_XLINK).replace("#", f"#{name}-"))
        if "clip-path" in node.attrib:
            node.set("clip-path", node.attrib["clip-path"].replace("#", f"#{name}-"))
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-label", title)
    ET.register_namespace("", _SVG.strip("{}"))
    return ET.tostring(root, encoding="unicode")


_KEPT = {
    "fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-dashoffset", "stroke-linecap",
    "stroke-linejoin", "stroke-miterlimit", "font-size", "text-anchor", "opacity", "fill-opacity",
    "stroke-opacity",
}  # fmt: skip


def _unstyle(node: ET.Element) -> None:
    """The style of a node as attributes, which the policy lets pass, and its colours as classes."""
    style = node.attrib.pop("style", "")
    classes = []
    for key, value in re.findall(r"([\w-]+)\s*:\s*([^;]+)", style):
        if key == "font":
            node.set("font-size", value.split()[0])
        elif key in {"fill", "stroke"} and value in _NAMES:
            classes.append(f"{key[0]}-{_NAMES[value]}")
        elif key in _KEPT:
            node.set(key, value)
    if classes:
        node.set("class", " ".join(classes))
