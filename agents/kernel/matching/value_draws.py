"""Draws what workers are worth from the beliefs about their skills, so that all of them are tried.

Where costs count, the worker with the highest expected value would get every task, and nobody would
learn what the cheaper ones can do. So each task is offered to the worker that has the highest value
in a draw (Thompson 1933; Russo et al. 2018, "A Tutorial on Thompson Sampling"). The draws differ
less and less as results come. A hash of the task's id takes the place of chance, so that the same
task at the same worker always draws the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from statistics import NormalDist

from ....messages import Task
from .scorecards.sharpness import Sharpness
from .task_kinds import TaskKind

_BYTES = 6
_HASHES = 256**_BYTES
_NORMAL = NormalDist()


def draw_values(
    kind: TaskKind, task: Task, names: Sequence[str], sharpness: Sharpness
) -> Sequence[float]:
    """What each worker is worth for a task, by the index of the worker, in one draw.

    Args:
        kind: the kind of the task.
        task: the task.
        names: the names of the workers, by index.
        sharpness: how sharply success depends on skill.
    """
    figures, values = kind.figures, kind.values
    drawn = values.copy()
    for index in kind.worker_indices:
        margin = figures.skills[index] - task.difficulty
        luck = figures.deviations[index] * _draw_normal(f"{task.id}\n{names[index]}")
        chance = sharpness.chance(margin + luck, 0.0)
        drawn[index] += kind.gross_with(index, chance) - kind.gross[index]
    return drawn


def _draw_normal(seed: str) -> float:
    """A number from the standard normal distribution, which depends on nothing but the seed."""
    digest = blake2b(seed.encode("utf-8", "surrogatepass"), digest_size=_BYTES).digest()
    return _NORMAL.inv_cdf((int.from_bytes(digest, "big") + 0.5) / _HASHES)
