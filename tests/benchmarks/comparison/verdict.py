"""What rounds come to: medians, how far they are spread, and how Muster stands in them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from .rounds import Round


class Figure(NamedTuple):
    """One thing that is measured.

    Args:
        key: its name in a round's figures.
        title: what it is, for people.
        unit: in what it is told.
        more_is_better: whether a larger one is the better one.
    """

    key: str
    title: str
    unit: str
    more_is_better: bool


class Spread(NamedTuple):
    """A figure over all rounds."""

    median: float
    lowest: float
    highest: float


class Standing(NamedTuple):
    """How many times better Muster is than the best peer of the same round; below 1 it is worse.

    Args:
        best_peer: the peer that was the best in the most rounds.
        times: over all rounds.
    """

    best_peer: str
    times: Spread


def figures_in(task_counts: Iterable[int]) -> tuple[Figure, ...]:
    """All that is measured, in the order in which it is told."""
    return (
        *(
            Figure(f"tasks_per_s_{count}", f"{count:,} tasks", "tasks/s", True)
            for count in task_counts
        ),
        Figure("p50_ms", "one task, p50", "ms", False),
        Figure("p99_ms", "one task, p99", "ms", False),
        Figure("echo_mb_per_s", "payload echoed", "MB/s", True),
        Figure("cold_start_s", "cold start", "s", False),
    )


def spread_of(values: Sequence[float]) -> Spread:
    """The median of values, with the lowest and the highest."""
    return Spread(statistics.median(values), min(values), max(values))


def summarize(rounds: Iterable[Round], figures: Iterable[Figure]) -> dict[str, dict[str, Spread]]:
    """Each competitor's figures over all its rounds; a figure that was never taken is left out."""
    values: dict[str, dict[str, list[float]]] = {}
    wanted = [figure.key for figure in figures]
    for played in rounds:
        taken = values.setdefault(played.competitor, {})
        for key in wanted:
            if key in played.figures:
                taken.setdefault(key, []).append(played.figures[key])
    return {
        name: {key: spread_of(values_of_key) for key, values_of_key in taken.items()}
        for name, taken in values.items()
    }


def standing_of(
    ours: str, peers: Iterable[str], rounds: Iterable[Round], figure: Figure
) -> Standing | None:
    """How one of ours stands against the best peer, round by round.

    Both are taken from the same round: what slows the machine down slows both.

    Returns:
        None if no round has the figure of ours and of a peer.
    """
    by_round: dict[int, dict[str, float]] = {}
    for played in rounds:
        if figure.key in played.figures:
            by_round.setdefault(played.number, {})[played.competitor] = played.figures[figure.key]
    names = set(peers)
    times: list[float] = []
    best: list[str] = []
    for taken in by_round.values():
        rivals = {name: value for name, value in taken.items() if name in names}
        if ours in taken and rivals:
            name = _best(rivals, figure)
            best.append(name)
            ratio = taken[ours] / rivals[name]
            times.append(ratio if figure.more_is_better else 1 / ratio)
    if not times:
        return None
    return Standing(statistics.mode(best), spread_of(times))


def _best(rivals: Mapping[str, float], figure: Figure) -> str:
    choose = max if figure.more_is_better else min
    return choose(rivals, key=lambda name: rivals[name])
