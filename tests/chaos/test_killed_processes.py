"""Managers and workers killed with SIGKILL in the middle of a run of two thousand tasks."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from .conftest import Tell, pause
from .crew import Crew
from .evidence import check_each_recorded_once, times_done
from .processes import Processes

pytestmark = [pytest.mark.ceylon, pytest.mark.processes, pytest.mark.slow]

TASKS = 2_000
NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eve", "Fay")
KILLS = 30
FEWEST_KILLS = 25
TAKES_S = (0.1, 0.15)
AWAY_S = 2
MANAGER_DIES_AT = (5, 14, 23)
"""Seconds into the half minute of kills."""


def start(crew: Crew) -> None:
    crew.start_manager()
    for name in NAMES:
        crew.start_worker(name)
    crew.wait_for_executions(1, within_s=120)


def kill_a_worker(crew: Crew, chance: random.Random) -> str:
    victim = crew.workers[chance.choice(NAMES)]
    victim.kill()
    victim.start()
    return victim.name


class ManagerKiller:
    """Kills the manager of a crew and starts it again, and knows what was in its store by then."""

    def __init__(self, crew: Crew, tell: Tell) -> None:
        self._crew = crew
        self._tell = tell
        self._done_at_death: list[tuple[set[int], Counter[int]]] = []

    def kill(self) -> None:
        crew = self._crew
        crew.manager.kill()
        completed = crew.completed_in_store()
        executions = crew.executions()
        self._done_at_death.append((completed, times_done(executions)))
        self._tell(
            f"manager killed; {len(completed):,} tasks completed, {len(executions):,} executions"
        )

    def bring_back(self) -> None:
        self._crew.manager.start()

    def check_nothing_was_done_again(self) -> None:
        """No task that was completed in the store when the manager died was begun after that."""
        finally_done = times_done(self._crew.executions())
        for completed, done_by_then in self._done_at_death:
            again = [task for task in completed if finally_done[task] != done_by_then[task]]
            assert again == []


def test_a_manager_killed_three_times_goes_on_with_the_same_workers(
    tmp_path: Path, processes: Processes, chance: random.Random, tell: Tell
) -> None:
    crew = Crew(
        *(processes, tmp_path),
        workers=NAMES,
        tasks=TASKS,
        takes_s=TAKES_S,
        chance=chance,
        durable=True,
    )
    start(crew)
    pids = {name: worker.pid for name, worker in crew.workers.items()}
    killer = ManagerKiller(crew, tell)
    for kill in (1, 2, 3):
        crew.wait_for_executions(kill * TASKS // 8, within_s=120)
        pause(chance.uniform(0.0, 1.0))
        killer.kill()
        pause(AWAY_S)
        killer.bring_back()
        begun = len(crew.executions())
        crew.wait_for_executions(begun + 1, within_s=120)
        tell("the first worker goes on")
    report = crew.finish(within_s=300)
    executions = crew.executions()
    tell(f"over; {len(executions):,} executions of {TASKS:,} tasks")
    check_each_recorded_once(report, executions, TASKS)
    killer.check_nothing_was_done_again()
    assert {execution.pid for execution in executions} == set(pids.values())
    assert {name: worker.pid for name, worker in crew.workers.items()} == pids
    assert set(report["workers"]) == set(NAMES)


def test_killing_managers_and_workers_together_costs_no_result(
    tmp_path: Path, processes: Processes, chance: random.Random, tell: Tell
) -> None:
    crew = Crew(
        *(processes, tmp_path),
        workers=NAMES,
        tasks=TASKS,
        takes_s=TAKES_S,
        chance=chance,
        durable=True,
    )
    start(crew)
    killer = ManagerKiller(crew, tell)
    for kill in range(1, KILLS + 1):
        if crew.is_over:
            assert kill > FEWEST_KILLS
            break
        if kill in MANAGER_DIES_AT:
            killer.kill()
        if kill - AWAY_S in MANAGER_DIES_AT:
            killer.bring_back()
        name = kill_a_worker(crew, chance)
        tell(f"kill {kill}: {name}; {len(crew.executions()):,} executions")
        pause(1.0)
    report = crew.finish(within_s=300)
    executions = crew.executions()
    tell(f"over; {len(executions):,} executions of {TASKS:,} tasks")
    check_each_recorded_once(report, executions, TASKS)
    killer.check_nothing_was_done_again()
