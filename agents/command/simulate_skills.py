"""`muster simulate --skills`: compares policies where workers are not what they declare."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

from ..kernel.matching.policy_names import POLICIES
from ..simulation.estimate import Estimate
from ..simulation.hidden_skills import FALL_AT, mixed_cast, streaming_world
from ..simulation.hidden_skills_run import PlayedAttempt, play_world
from ..simulation.reference_policies import REFERENCE_POLICIES, make_policy
from .console.exit import EXIT_OK
from .output import write_line
from .simulate import map_in_processes

TASKS = 2 * FALL_AT

_ORACLE = "oracle"
_HEAD: tuple[str, ...] = (
    "policy",
    "successes / oracle",
    f"after task {FALL_AT}",
    "right at first try",
)


class SkillFigures(NamedTuple):
    """What a policy came to in one run.

    Args:
        successes: the expected successes: the sum of the true chances of its attempts.
        later: the same of the second half, in which a worker has become worse.
        right: the share of tasks that were completed.
    """

    successes: float
    later: float
    right: float


def compare_skills(first_seed: int, runs: int, processes: int) -> int:
    """Play the same tasks with each policy, and print what each came to.

    Args:
        first_seed: the seed of the first run; each next run adds 1.
        runs: the number of runs.
        processes: the number of processes that share the runs.

    Returns:
        The exit code.
    """
    last_seed = first_seed + runs - 1
    write_line(f"hidden skills: {TASKS} tasks, 8 workers, seeds {first_seed} to {last_seed}")
    started_at = time.monotonic()
    seeds = range(first_seed, first_seed + runs)
    played = list(map_in_processes(play_seed, seeds, processes))
    for line in _table(played):
        write_line(line)
    write_line(f"{runs} runs of each policy in {time.monotonic() - started_at:,.1f} s")
    return EXIT_OK


def play_seed(seed: int) -> dict[str, SkillFigures]:
    """Play the world of a seed with each policy."""
    logging.getLogger("muster").setLevel(logging.ERROR)
    world = streaming_world(seed, mixed_cast(), TASKS)
    second_half = {task.id for task in world.tasks[TASKS // 2 :]}
    found: dict[str, SkillFigures] = {}
    for name in (*POLICIES, *REFERENCE_POLICIES):
        played = play_world(world, make_policy(name, world))
        later = [each for each in played.attempts if each.task.id in second_half]
        found[name] = SkillFigures(
            _sum_chances(played.attempts), _sum_chances(later), len(played.done) / TASKS
        )
    return found


def _sum_chances(attempts: Sequence[PlayedAttempt]) -> float:
    return sum(attempt.chance for attempt in attempts)


def _table(played: Sequence[dict[str, SkillFigures]]) -> list[str]:
    lines = [_HEAD]
    for name in played[0]:
        pairs = [(run[name], run[_ORACLE]) for run in played]
        lines.append(
            (
                name,
                Estimate.of(own.successes / best.successes for own, best in pairs).text(3),
                Estimate.of(own.later / best.later for own, best in pairs).text(3),
                Estimate.of(own.right for own, _ in pairs).text(3),
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
