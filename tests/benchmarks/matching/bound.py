"""The linear programme's bound: how many successes can be expected in the time that there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from muster.agents.simulation.hidden_skills import HiddenWorker, HiddenWorld
from muster.messages import Task
from scipy.optimize import linprog
from scipy.sparse import coo_matrix

Chance: TypeAlias = Callable[[HiddenWorker, Task], float]
"""Tells the chance of a worker at a task."""


def most_successes(
    world: HiddenWorld, tasks: Sequence[Task], window_s: float, believed: Chance | None = None
) -> float:
    """The expected successes of the best assignment of all tasks within a time.

    Args:
        world: the world that knows the chances and the durations.
        tasks: the tasks; each is assigned once, whole or in parts.
        window_s: for how long each slot may work, in seconds. If the tasks can't be done in this
            time, all of them are spread as evenly as they can.
        believed: the chances by which the assignment is chosen; None: the true ones.
    """
    kinds = Counter((world.kind(task), world.era(task)) for task in tasks)
    samples = {(world.kind(task), world.era(task)): task for task in tasks}
    workers, count = world.workers, len(kinds)
    width = len(workers)
    pairs = [(kind, worker) for kind in kinds for worker in workers]
    lasting = [world.expected_s(worker, samples[kind]) for kind, worker in pairs]
    chances = np.array([world.chance(worker, samples[kind]) for kind, worker in pairs])
    chosen_by = chances
    if believed is not None:
        chosen_by = np.array([believed(worker, samples[kind]) for kind, worker in pairs])
    columns = np.arange(count * width)
    by_worker = coo_matrix((lasting, (columns % width, columns)))
    by_kind = coo_matrix((np.ones(count * width), (columns // width, columns)))
    room = np.array([window_s * worker.slots for worker in workers])
    for slack in (1.0, 1.02, 1.1, 1.5, 100.0):
        solved = linprog(
            -chosen_by,
            A_ub=by_worker,
            b_ub=room * slack,
            A_eq=by_kind,
            b_eq=np.array(list(kinds.values()), dtype=float),
            method="highs",
        )
        if solved.success:
            return float(chances @ solved.x)
    raise AssertionError(solved.message)
