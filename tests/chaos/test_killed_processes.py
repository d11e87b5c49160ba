"""Managers and workers killed with SIGKILL in the middle of a run of two thousand tasks."""

from __future__ import annotations

import random
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
# Twelve slots need at least 33 s for these, whatever the machine: longer than thirty kills take.
LONG_S = (0.15, 0.25)


def test_a_worker_killed_each_second_costs_no_result(
    tmp_path: Path, processes: Processes, chance: random.Random, tell: Tell
) -> None:
    crew = Crew(processes, tmp_path, workers=NAMES, tasks=TASKS, takes_s=LONG_S, chance=chance)
    crew.start_manager()
    for name in NAMES:
        crew.start_worker(name)
    crew.wait_for_executions(1, within_s=30)
    for kill in range(1, KILLS + 1):
        if crew.is_over:
            crew.fail(f"the run was over after {kill - 1} kills; it should take longer")
        victim = crew.workers[chance.choice(NAMES)]
        victim.kill()
        victim.start()
        tell(f"kill {kill}: {victim.name}; {len(crew.executions()):,} executions")
        pause(1.0)
    report = crew.finish(within_s=60)
    executions = crew.executions()
    tell(f"over; {len(executions):,} executions of {TASKS:,} tasks")
    check_each_recorded_once(report, executions, TASKS)
    assert len(times_done(executions)) == TASKS
