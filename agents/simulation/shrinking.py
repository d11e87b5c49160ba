"""Looks for the least that still makes a simulated run break the same invariant."""

from __future__ import annotations

from dataclasses import replace

from .runner import Conditions, Outcome, Workload, simulate

_HALVINGS = 5


def shrink(workload: Workload, outcome: Outcome) -> Outcome:
    """Leave out kinds of faults, and let the storm end earlier, as long as the run goes wrong.

    Args:
        workload: what was simulated.
        outcome: how it went wrong.

    Returns:
        The outcome of the smallest run found that breaks the same invariant; perhaps the same.
    """
    for kind in outcome.conditions.kinds:
        fewer = tuple(each for each in outcome.conditions.kinds if each is not kind)
        outcome = _try(workload, outcome, replace(outcome.conditions, kinds=fewer))
    outcome = _try(workload, outcome, replace(outcome.conditions, storm_s=0.0))
    step_s = outcome.conditions.storm_s / 2
    for _ in range(_HALVINGS):
        storm_s = round(outcome.conditions.storm_s - step_s, 3)
        outcome = _try(workload, outcome, replace(outcome.conditions, storm_s=storm_s))
        step_s /= 2
    return outcome


def _try(workload: Workload, outcome: Outcome, conditions: Conditions) -> Outcome:
    tried = simulate(workload, conditions)
    same = (
        tried.breach is not None
        and outcome.breach is not None
        and tried.breach.invariant == outcome.breach.invariant
    )
    return tried if same else outcome
