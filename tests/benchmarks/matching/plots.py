"""Draws the regret over tasks and the calibration as SVG."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from .measures import BINS

WIDTH, HEIGHT, MARGIN = 640, 400, 56
FONT = 'font-family="sans-serif" font-size="12"'
COLOURS = (
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#222255"
)  # fmt: skip
Line = tuple[str, Sequence[tuple[float, float]]]


def draw_plots(
    curves: Mapping[str, Mapping[str, Sequence[Mapping[str, Sequence[Any]]]]], folder: Path
) -> list[Path]:
    """Draw what the rows' curves have.

    Args:
        curves: by row and policy, the curves of each seed.
        folder: where the pictures are written; it is made if it is missing.

    Returns:
        The files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for row, by_policy in curves.items():
        regret = [
            (policy, list(enumerate(map(statistics.fmean, zip(*lists, strict=False)), 1)))
            for policy, seeds in by_policy.items()
            if (lists := [each["regret"] for each in seeds if "regret" in each])
        ]
        if regret:
            path = folder / f"regret_{row}.svg"
            title = f"{row}: successes lost against the oracle, mean of all seeds"
            path.write_text(draw(title, "task", "lost", regret), encoding="utf-8")
            written.append(path)
        reliability = [
            (policy, _bins([pair for each in seeds for pair in each.get("predicted", ())]))
            for policy, seeds in by_policy.items()
        ]
        reliability = [(policy, points) for policy, points in reliability if points]
        if reliability:
            path = folder / f"calibration_{row}.svg"
            lines = [("ideal", [(0.0, 0.0), (1.0, 1.0)]), *reliability]
            title = f"{row}: how often what was predicted came"
            path.write_text(draw(title, "predicted", "came", lines), encoding="utf-8")
            written.append(path)
    return written


def draw(title: str, x_label: str, y_label: str, lines: Sequence[Line]) -> str:
    """A picture of lines in one pair of axes, as SVG."""
    points = [point for _, each in lines for point in each]
    x_low, x_high = min(0.0, *(x for x, _ in points)), max(x for x, _ in points)
    y_low, y_high = min(0.0, *(y for _, y in points)), max(y for _, y in points)
    y_high = y_high if y_high > y_low else y_low + 1.0

    def place(x: float, y: float) -> str:
        across = MARGIN + (WIDTH - 2 * MARGIN) * (x - x_low) / (x_high - x_low or 1.0)
        down = HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (y - y_low) / (y_high - y_low)
        return f"{across:.1f},{down:.1f}"

    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {FONT}>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        text(MARGIN, 24, title, 'font-size="14"'),
        text(WIDTH / 2, HEIGHT - 10, x_label),
        text(8, MARGIN - 12, y_label),
    ]
    for step in range(5):
        x = x_low + (x_high - x_low) * step / 4
        y = y_low + (y_high - y_low) * step / 4
        left, bottom = place(x_low, y).split(","), place(x, y_low).split(",")
        drawn += [
            f'<path d="M{place(x_low, y)} L{place(x_high, y)}" stroke="#dddddd"/>',
            text(float(left[0]) - 6, float(left[1]) + 4, f"{y:.3g}", 'text-anchor="end"'),
            text(float(bottom[0]), float(bottom[1]) + 16, f"{x:.4g}", 'text-anchor="middle"'),
        ]
    for number, (name, each) in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        path = " L".join(place(x, y) for x, y in each)
        drawn += [
            f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
            text(MARGIN + 10, MARGIN + 14 + 15 * number, name, f'fill="{colour}"'),
        ]
    return "\n".join([*drawn, "</svg>", ""])


def text(x: float, y: float, words: str, attributes: str = "") -> str:
    """Words at a place of the picture."""
    return f'<text x="{x:.0f}" y="{y:.0f}" {attributes}>{escape(words)}</text>'


def _bins(pairs: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The mean prediction and the frequency of each tenth that has any."""
    by_bin: dict[int, list[tuple[float, float]]] = {}
    for predicted, came in pairs:
        by_bin.setdefault(min(int(predicted * BINS), BINS - 1), []).append((predicted, came))
    return [
        (statistics.fmean(p for p, _ in each), statistics.fmean(y for _, y in each))
        for _, each in sorted(by_bin.items())
    ]
