"""Where costs count, workers that would get no tasks otherwise are tried, and earn theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import pytest
from muster.agents.kernel.matching.adaptive import AdaptivePolicy
from muster.agents.kernel.matching.market import Market
from muster.agents.kernel.matching.task_kinds import TaskKind
from muster.agents.simulation.hidden_skills import HiddenWorker, HiddenWorld, Wave, seeded
from muster.agents.simulation.hidden_skills_run import PlayedAttempt, play_world
from muster.messages import Task

HARD = tuple(f"hard {number}" for number in range(6))
EASY = ("easy 0", "easy 1")
THRIFT = 0.01
"""The strong worker costs 20 more, which is worth 0.2 of a success."""


@dataclass(frozen=True)
class _Chances(HiddenWorld):
    chances: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def era(self, task: Task) -> int:
        return 0

    def chance(self, worker: HiddenWorker, task: Task) -> float:
        return self.chances[worker.name][task.type]


def world(seed: int) -> _Chances:
    """A cheap worker that is poor at most types of task, and as good as the dear one at two."""
    luck = seeded(seed, "types")
    tasks = tuple(
        Task(id=number, type=luck.choice((*HARD, *EASY, *EASY)), difficulty=5)
        for number in range(1, 601)
    )
    workers = (
        HiddenWorker("cheap", 7, 0.0, slots=16, cost_per_task=1.0),
        HiddenWorker("dear", 7, 0.0, slots=16, cost_per_task=21.0),
    )
    chances = {
        "cheap": dict.fromkeys(HARD, 0.2) | dict.fromkeys(EASY, 0.9),
        "dear": dict.fromkeys((*HARD, *EASY), 0.9),
    }
    return _Chances(seed, workers, (Wave(tasks, rate=1.0),), chances=chances)


def play(seed: int) -> tuple[PlayedAttempt, ...]:
    return play_world(world(seed), AdaptivePolicy(), thrift=THRIFT).attempts


played = cache(play)


def test_a_cheap_worker_gets_the_types_it_is_good_at_though_it_is_poor_at_most() -> None:
    shares: dict[bool, list[bool]] = {True: [], False: []}
    for seed in range(2):
        for attempt in played(seed):
            if int(attempt.task.id) > 300:
                shares[attempt.task.type in EASY].append(attempt.worker.name == "cheap")
    assert sum(shares[True]) / len(shares[True]) > 0.8
    assert sum(shares[False]) / len(shares[False]) < 0.15


@pytest.mark.parametrize(("max_attempts", "are_drawn"), [(1, True), (3, False)])
def test_values_are_drawn_unless_a_failure_brings_others_results_anyway(
    max_attempts: int, are_drawn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Task] = []

    def note(_: Market, kind: TaskKind, task: Task) -> Sequence[float]:
        drawn.append(task)
        return kind.values

    monkeypatch.setattr(Market, "draw_values", note)
    whole = world(0)
    tasks = [task.model_copy(update={"max_attempts": max_attempts}) for task in whole.tasks[:40]]
    play_world(
        replace(whole, waves=(Wave(tuple(tasks), rate=1.0),)), AdaptivePolicy(), thrift=THRIFT
    )
    assert bool(drawn) is are_drawn


def test_the_same_seed_gives_the_same_run_with_costs() -> None:
    first, second = (
        [(each.task.id, each.worker.name) for each in attempts] for attempts in (played(0), play(0))
    )
    assert first == second
