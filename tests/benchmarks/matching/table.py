"""The table of the benchmark, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from muster.agents.simulation.estimate import Estimate

from .row import Figure, Row


def render_row(
    row: Row, estimates: Mapping[str, Mapping[str, Estimate]], measured: Sequence[str]
) -> str:
    """A row of the benchmark: a line for each policy, and whether those measured reach the target.

    Args:
        row: the row.
        estimates: by policy and figure.
        measured: the policies that are to reach the targets.
    """
    head = [row.name, *(figure.label for figure in row.figures)]
    lines = [head]
    if any(figure.today for figure in row.figures):
        lines.append(["  (best_fit elsewhere)", *(figure.today for figure in row.figures)])
    if any(figure.target is not None for figure in row.figures):
        lines.append(["  (target)", *(_target(figure) for figure in row.figures)])
    for policy, by_key in estimates.items():
        is_measured = any(policy.startswith(each) for each in measured)
        cells = [_cell(figure, by_key, is_measured=is_measured) for figure in row.figures]
        lines.append([f"  {policy}", *cells])
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([f"\n{row.title}", *text])


class Verdict(NamedTuple):
    """Whether a policy reaches the targets of a row.

    Args:
        row: the name of the row.
        policy: the policy, with its setting if there are several.
        missed: the labels and the figures that do not reach their targets.
    """

    row: str
    policy: str
    missed: tuple[str, ...]


def verdicts_of(
    row: Row, estimates: Mapping[str, Mapping[str, Estimate]], measured: Sequence[str]
) -> list[Verdict]:
    """The verdict on each measured policy; of several settings, the best counts."""
    verdicts: list[Verdict] = []
    for policy in measured:
        found = [
            Verdict(row.name, name, _missed(row, by_key))
            for name, by_key in estimates.items()
            if name.startswith(policy)
        ]
        if found:
            verdicts.append(min(found, key=lambda each: len(each.missed)))
    return verdicts


def render_verdict(verdicts: Sequence[Verdict]) -> str:
    """The rows whose targets are reached, and what is missed."""
    lines = [
        f"  {each.row}, {each.policy}: "
        + ("reached" if not each.missed else "missed: " + ", ".join(each.missed))
        for each in verdicts
    ]
    return "\n".join(["\ntargets", *lines]) if lines else ""


def _missed(row: Row, by_key: Mapping[str, Estimate]) -> tuple[str, ...]:
    # A figure that could not be made, such as a saving at a bearable loss, is missed too.
    return tuple(
        f"{figure.label} {by_key[figure.key].text(figure.digits) if figure.key in by_key else '-'}"
        for figure in row.figures
        if figure.target is not None
        and (figure.key not in by_key or not figure.is_met(by_key[figure.key].mean))
    )


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    return f"{'≤' if figure.at_most else '≥'} {figure.target:g}"


def _cell(figure: Figure, by_key: Mapping[str, Estimate], *, is_measured: bool) -> str:
    if figure.key not in by_key:
        return ""
    estimate = by_key[figure.key]
    met = figure.is_met(estimate.mean) if is_measured else None
    mark = "" if met is None else (" ✓" if met else " ✗")
    return estimate.text(figure.digits) + mark
