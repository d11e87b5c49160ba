"""The comparison as a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import StringIO

from rich import box
from rich.console import Console
from rich.table import Table

from .verdict import Figure, Spread, Standing

WIDTH = 180


def show(value: float) -> str:
    """A figure with as many digits as mean something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def show_spread(spread: Spread | None) -> str:
    """A median with the lowest and the highest behind it."""
    if spread is None:
        return "-"
    if spread.lowest == spread.highest:
        return show(spread.median)
    return f"{show(spread.median)} ({show(spread.lowest)} to {show(spread.highest)})"


def render(
    figures: Sequence[Figure],
    summary: Mapping[str, Mapping[str, Spread]],
    standings: Mapping[str, Mapping[str, Standing | None]],
) -> str:
    """A row for each competitor, and one for how each of ours stands.

    Args:
        figures: the columns.
        summary: the competitors' figures.
        standings: how each of ours stands, by the figures' keys.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("")
    for figure in figures:
        table.add_column(f"{figure.title},\n{figure.unit}", justify="right")
    for name, taken in summary.items():
        table.add_row(name, *(show_spread(taken.get(figure.key)) for figure in figures))
    table.add_section()
    for name, by_figure in standings.items():
        cells = [_show_standing(by_figure.get(figure.key)) for figure in figures]
        table.add_row(f"{name}:\ntimes the best peer", *cells)
    page = StringIO()
    console = Console(file=page, width=WIDTH, color_system=None, legacy_windows=False)
    console.print(table)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines())


def _show_standing(standing: Standing | None) -> str:
    return "-" if standing is None else f"{show_spread(standing.times)}\n{standing.best_peer}"
