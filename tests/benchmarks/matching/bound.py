"""The linear programme's bound: how many successes can be expected in the time that there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from muster.agents.simulation.hidden_skills import HiddenWorld
from muster.messages import Task
from scipy.optimize import linprog
from scipy.sparse import coo_matrix


def most_successes(world: HiddenWorld, tasks: Sequence[Task], window_s: float) -> float:
    """The expected successes of the best assignment of all tasks within a time.

    Args:
        world: the world that knows the chances and the durations.
        tasks: the tasks; each is assigned once, whole or in parts.
        window_s: for how long each slot may work, in seconds. If the tasks can't be done in this
            time, all of them are spread as evenly as they can.
    """
    kinds = Counter((world.kind(task), world.era(task)) for task in tasks)
    samples = {(world.kind(task), world.era(task)): task for task in tasks}
    workers, count = world.workers, len(kinds)
    width = len(workers)
    pairs = [(kind, worker) for kind in kinds for worker in workers]
    lasting = [world.expected_s(worker, samples[kind]) for kind, worker in pairs]
    chances = [world.chance(worker, samples[kind]) for kind, worker in pairs]
    columns = np.arange(count * width)
    by_worker = coo_matrix((lasting, (columns % width, columns)))
    by_kind = coo_matrix((np.ones(count * width), (columns // width, columns)))
    room = np.array([window_s * worker.slots for worker in workers])
    for slack in (1.0, 1.02, 1.1, 1.5, 100.0):
        solved = linprog(
            -np.array(chances),
            A_ub=by_worker,
            b_ub=room * slack,
            A_eq=by_kind,
            b_eq=np.array(list(kinds.values()), dtype=float),
            method="highs",
        )
        if solved.success:
            return float(-solved.fun)
    raise AssertionError(solved.message)
