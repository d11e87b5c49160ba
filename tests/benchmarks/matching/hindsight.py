"""What a run's first results tell at most: a model fitted to all of them at once.

It shows which part of a distance to the bound is due to the policy, and which to the few results.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from muster.agents.simulation.hidden_skills import HiddenWorker
from muster.agents.simulation.hidden_skills_run import PlayedAttempt
from muster.messages import Task
from scipy.optimize import minimize
from scipy.special import expit

from .bound import Chance

PRIOR_RESULTS = 6.0
"""How many results of a worker at a type weigh as much as what the fitted model says of it."""

_RIDGE = 0.1


def fitted_chance(attempts: Sequence[PlayedAttempt]) -> Chance:
    """The chances by a worker's general skill, a type's ease, and the results of each pair.

    Args:
        attempts: the attempts whose outcomes are known.
    """
    types = sorted({each.task.type for each in attempts})
    names = sorted({each.worker.name for each in attempts})
    won, tried = np.zeros((len(types), len(names))), np.zeros((len(types), len(names)))
    for each in attempts:
        place = types.index(each.task.type), names.index(each.worker.name)
        tried[place] += 1
        won[place] += each.succeeded

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
