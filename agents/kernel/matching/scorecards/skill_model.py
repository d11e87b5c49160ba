"""Beliefs about skills: what is general to a worker, special to a type, and common to a type."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

from .additive_belief import AdditiveCell, SharedBelief
from .sharpness import Sharpness

if TYPE_CHECKING:
    from ...model.records import WorkerRecord

MIDDLE = 5.5
"""The middle of the scale of difficulties, to which declared skills are drawn."""

DECLARED_WEIGHT = 0.5
"""How far a declared skill is believed before the first result."""

GENERAL_DEVIATION = 2.2
"""How uncertain a worker's general skill is before its first result, in units of skill."""

SPECIAL_DEVIATION = 0.8
"""How much a worker's skill for one type differs from its general skill."""

EASE_DEVIATION = 1.5
"""How much easier or harder than its tasks' difficulty says a type is."""

COMMON_EASE_DEVIATION = 2.0
"""How much easier or harder all types together are than their tasks' difficulty says."""

SPECIALTY_SKILL = 1.0
"""How much more skill is expected for a specialty."""

REMEMBERED = 200.0
"""Evidence fades as if only about this many results of a worker and type counted."""

_LARGEST_STEP = 0.25
_FADING = 1.0 - 1.0 / REMEMBERED
_HIGHEST = 10.0


def new_skill(
    worker: SharedBelief, ease: SharedBelief, worker_name: str, type_name: str, special: float
) -> AdditiveCell:
    """The belief about a worker's skill for a type before its first result.

    Args:
        worker: its general skill.
        ease: the type's ease.
        worker_name: the name of the worker.
        type_name: the name of the type.
        special: how much its skill for the type is expected to differ from its general skill.
    """
    return AdditiveCell(
        worker, ease, worker_name, type_name, special=special, special_deviation=SPECIAL_DEVIATION
    )


def observe_outcomes(
    cell: AdditiveCell, sharpness: Sharpness, difficulty: float, success: float, count: float
) -> None:
    """Take outcomes of attempts at tasks of one difficulty, and tell nobody yet.

    Many equal outcomes are taken in steps, each small enough that it hardly moves the belief on
    which it is computed.

    Args:
        cell: the skill of the worker for the type.
        sharpness: how sharply success depends on skill.
        difficulty: the difficulty of the tasks.
        success: the share of success of each, 0 to 1.
        count: the number of attempts; each may count in part.
    """
    while count > 0.0:
        mean, variance = cell.belief()
        margin = mean - difficulty
        slope = bend = 0.0
        if success > 0.0:
            up, up_bend = sharpness.slopes(margin, variance, success=True)
            slope, bend = success * up, success * up_bend
        if success < 1.0:
            down, down_bend = sharpness.slopes(margin, variance, success=False)
            slope += (1.0 - success) * down
            bend += (1.0 - success) * down_bend
        # The posterior has mean m + v·a and variance v - v²·b. Divided by the prior, it is an
        # observation of precision b / (1 - v·b).
        told = variance * bend
        step = min(count, max(1.0, _LARGEST_STEP / max(abs(told), 1e-9)))
        per_remaining = step / max(1.0 - told, 0.02)
        sharpness.learn(margin, variance, success, step)
        cell.gain(bend * per_remaining, (slope + mean * bend) * per_remaining, _FADING**step)
        count -= step


def believe_declared(level: float) -> float:
    """The mean skill of a worker that declares this level, before its first result.

    A level on the scale of difficulties counts half. Levels above it, which only named skills need,
    count by their logarithm.
    """
    if level <= _HIGHEST:
        return MIDDLE + DECLARED_WEIGHT * (level - MIDDLE)
    return MIDDLE + DECLARED_WEIGHT * (_HIGHEST - MIDDLE) + scale_level(level) - _HIGHEST


def scale_level(level: float) -> float:
    """A level on the scale of the model: itself up to 10, then 10 · (1 + log(level / 10))."""
    return level if level <= _HIGHEST else _HIGHEST * (1.0 + log(level / _HIGHEST))


def expect_special(worker: WorkerRecord, task_type: str) -> float:
    """How much a worker's skill for a type is expected to differ from its general skill."""
    special = SPECIALTY_SKILL if task_type in worker.specialties else 0.0
    declared = worker.skills.get(task_type)
    if declared is not None:
        special += believe_declared(declared) - believe_general(worker)
    return special


def believe_general(worker: WorkerRecord) -> float:
    """The mean general skill of a worker before its first result, by what it declares."""
    return believe_declared(min(worker.skill_level, _HIGHEST))
