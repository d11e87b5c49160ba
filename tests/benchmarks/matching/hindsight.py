"""What results tell at most: models fitted to all of them at once.

They show which part of a distance to a bound is due to the policy, and which to the few results.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from muster.agents.simulation.hidden_skills import HiddenWorker, HiddenWorld
from muster.agents.simulation.hidden_skills_run import PlayedAttempt
from muster.messages import Task
from scipy.optimize import minimize
from scipy.special import expit

from .bound import Chance

Result: TypeAlias = tuple[str, str, bool]
"""The type of a task, the name of the worker, and whether it succeeded."""

PRIOR_RESULTS = 6.0
"""How many results of a worker at a type weigh as much as what the fitted model says of it."""

_RIDGE = 0.1
_LEAST_SPREAD = 0.001
_QUESTIONS_BETWEEN = 50


def played_results(attempts: Sequence[PlayedAttempt]) -> list[Result]:
    """The results of attempts."""
    return [(each.task.type, each.worker.name, each.succeeded) for each in attempts]


def all_results(world: HiddenWorld, tasks: Sequence[Task]) -> list[Result]:
    """The results that all workers would have had at the tasks, of which a run sees one of each."""
    return [
        (task.type, worker.name, world.draw(worker, task, 1).succeeds)
        for task in tasks
        for worker in world.workers
    ]


def told_gaps(questions: Sequence[tuple[str, float, float]]) -> Iterator[float]:
    """How much more often the second of two workers is right at each question's type.

    It is expected by whoever has been told the outcomes of both at all earlier questions: the mean
    of the type, drawn to the mean of all as far as types differ by chance (empirical Bayes).

    Args:
        questions: the type of each, and whether the first and the second worker are right.
    """
    gaps: dict[str, list[float]] = defaultdict(list)
    expected: dict[str, float] = {}
    mean = 0.0
    for number, (task_type, first, second) in enumerate(questions, 1):
        yield expected.get(task_type, mean)
        gaps[task_type].append(second - first)
        if number % _QUESTIONS_BETWEEN:
            continue
        counts = np.array([len(each) for each in gaps.values()])
        means = np.array([sum(each) for each in gaps.values()]) / counts
        mean = float(counts @ means / counts.sum())
        every = np.concatenate([np.array(each) for each in gaps.values()])
        luck = float(every.var()) / counts
        spread = max(_LEAST_SPREAD, float(counts @ ((means - mean) ** 2 - luck) / counts.sum()))
        drawn = (means * spread + mean * luck) / (spread + luck)
        expected = dict(zip(gaps, map(float, drawn), strict=True))


def fitted_chance(results: Sequence[Result]) -> Chance:
    """The chances by a worker's general skill, a type's ease, and the results of each pair.

    Args:
        results: the outcomes that are known.
    """
    types = sorted({task_type for task_type, _, _ in results})
    names = sorted({name for _, name, _ in results})
    won, tried = np.zeros((len(types), len(names))), np.zeros((len(types), len(names)))
    for task_type, name, succeeded in results:
        place = types.index(task_type), names.index(name)
        tried[place] += 1
        won[place] += succeeded

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        chance = expit(parameters[: len(types), None] + parameters[None, len(types) :])
        likely = won * np.log(chance + 1e-9) + (tried - won) * np.log(1 - chance + 1e-9)
        slope = won - tried * chance
        return (
            float(_RIDGE * parameters @ parameters / 2 - likely.sum()),
            _RIDGE * parameters - np.concatenate([slope.sum(1), slope.sum(0)]),
        )

    start = np.zeros(len(types) + len(names))
    found = minimize(loss, start, jac=True, method="L-BFGS-B").x
    model = expit(found[: len(types), None] + found[None, len(types) :])
    chances = (won + PRIOR_RESULTS * model) / (tried + PRIOR_RESULTS)

    def chance(worker: HiddenWorker, task: Task) -> float:
        if task.type not in types or worker.name not in names:
            return float(model.mean())
        return float(chances[types.index(task.type), names.index(worker.name)])

    return chance
