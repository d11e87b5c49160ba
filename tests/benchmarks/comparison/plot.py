"""The comparison as a picture: a panel for each figure, a bar for each competitor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .table import show
from .verdict import Figure, Spread

ENDINGS = (".svg", ".png", ".pdf")
OURS_COLOUR = "#1b7f5c"
PEER_COLOUR = "#b8c4bf"
INK = "#26332e"
ROOM_FOR_NUMBERS = 6.0
"""How far the axis goes on beyond the longest bar: so many times its value."""


def draw(
    path: Path,
    figures: Sequence[Figure],
    summary: Mapping[str, Mapping[str, Spread]],
    ours: Sequence[str],
    note: Sequence[str],
) -> None:
    """Write the picture; the file's ending says in which format.

    Args:
        path: where to.
        figures: the panels.
        summary: the competitors' figures.
        ours: which of the competitors are Muster.
        note: the lines beneath: on which machine it was measured, and when.
    """
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    shown = [figure for figure in figures if any(figure.key in each for each in summary.values())]
    rows = (len(shown) + 1) // 2
    height = 1.1 + rows * (0.75 + 0.32 * len(summary))
    drawing, axes = plt.subplots(rows, 2, figsize=(10.5, height), squeeze=False)
    for panel, figure in zip(axes.flat, shown, strict=False):
        _draw_panel(panel, figure, summary, ours)
    for empty in list(axes.flat)[len(shown) :]:
        empty.set_visible(False)
    drawing.text(0.012, 0.1 / height, "\n".join(note), fontsize=8, color=INK)
    drawing.tight_layout(rect=(0, (0.2 + 0.15 * len(note)) / height, 1, 1), h_pad=1.6, w_pad=2.0)
    drawing.savefig(path, dpi=150)
    plt.close(drawing)


def _draw_panel(
    panel: object,
    figure: Figure,
    summary: Mapping[str, Mapping[str, Spread]],
    ours: Sequence[str],
) -> None:
    taken = {name: each[figure.key] for name, each in summary.items() if figure.key in each}
    names = list(taken)
    medians = [taken[name].median for name in names]
    below = [taken[name].median - taken[name].lowest for name in names]
    above = [taken[name].highest - taken[name].median for name in names]
    colours = [OURS_COLOUR if name in ours else PEER_COLOUR for name in names]
    places = range(len(names))
    panel.barh(places, medians, xerr=(below, above), color=colours, ecolor=INK, capsize=2.5)
    panel.set_xscale("log")
    panel.set_xlim(
        min(taken[name].lowest for name in names) / 2,
        max(taken[name].highest for name in names) * ROOM_FOR_NUMBERS,
    )
    for place, name in zip(places, names, strict=True):
        panel.annotate(
            show(taken[name].median),
            (taken[name].highest, place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            fontweight="bold" if name in ours else "normal",
            color=INK,
        )
    panel.set_yticks(places, names)
    panel.invert_yaxis()
    which = "more is better" if figure.more_is_better else "less is better"
    panel.set_title(f"{figure.title}, {figure.unit} ({which})", loc="left", fontsize=10, color=INK)
    panel.tick_params(axis="y", length=0, labelsize=9, colors=INK)
    panel.tick_params(axis="x", labelsize=8, colors=INK)
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)
