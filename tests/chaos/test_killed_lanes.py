"""Twelve workers on three lanes, of whom some are killed, and then their manager."""

from __future__ import annotations

import random
import signal
from collections import Counter
from pathlib import Path

import pytest
from muster.agents.runtime.ports import claim_port

from .conftest import Tell
from .crew import MUSTER, Crew
from .evidence import check_each_recorded_once
from .processes import Processes, wait_until

pytestmark = [pytest.mark.ceylon, pytest.mark.processes, pytest.mark.slow]

TASKS = 900
AGENTS = 4


class CrewOnLanes(Crew):
    """A crew whose workers live four to a process, and have no more than the line of a ticket."""

    line = ""

    def start_manager_at(self, port: int, secret: Path) -> None:
        command = [
            *(*MUSTER, "manager", "--tasks", str(self._tasks_file), "--workers", "12"),
            *("--port", str(port), "--secret-file", str(secret)),
            *("--ticket-file", str(self.ticket_file), "--report", str(self.report_file)),
            *("--store", str(self.store)),
        ]
        self._manager = self._processes.start("manager", command, self._environment)
        self.wait_until(self.ticket_file.exists, within_s=120, what="the manager writes its ticket")

    def start_workers(self, name: str, secret: Path) -> None:
        command = [
            *(*MUSTER, "worker", "--join", self.line, "--secret-file", str(secret)),
            *("--name", name, "--skill", "5", "--slots", "2", "--agents", str(AGENTS)),
            *("--handlers", "counted_work"),
        ]
        self.workers[name] = self._processes.start(name, command, self._environment)


def test_workers_of_all_lanes_come_back_to_a_manager_that_was_killed_by_an_old_ticket(
    processes: Processes, tmp_path: Path, chance: random.Random, tell: Tell
) -> None:
    crew = CrewOnLanes(
        processes,
        tmp_path,
        workers=[],
        tasks=TASKS,
        takes_s=(0.2, 0.4),
        chance=chance,
        durable=True,
    )
    secret = tmp_path / "secret"
    making = processes.start("secret", [*MUSTER, "secret", "--file", str(secret)])
    assert wait_until(lambda: making.code == 0, within_s=120)
    port = claim_port()
    crew.start_manager_at(port, secret)
    crew.line = crew.ticket_file.read_text(encoding="utf-8").strip()
    for name in ("Ada", "Ben", "Cleo"):
        crew.start_workers(name, secret)
    crew.wait_for_executions(TASKS // 4, within_s=120)
    tell("kill -9: the four workers of Ben")
    crew.workers["Ben"].kill()
    crew.wait_for_executions(TASKS // 3, within_s=120)
    crew.start_workers("Ben", secret)
    tell("kill -9: the manager")
    crew.manager.kill()
    assert crew.manager.code == -signal.SIGKILL
    crew.ticket_file.unlink()
    crew.start_manager_at(port, secret)
    assert crew.ticket_file.read_text(encoding="utf-8").strip() != crew.line
    report = crew.finish(within_s=300)
    check_each_recorded_once(report, crew.executions(), TASKS)
    names = {f"{name}-{number}" for name in ("Ada", "Ben", "Cleo") for number in range(1, 5)}
    assert set(report["workers"]) == names
    tell(f"{Counter(task['attempts'] for task in report['tasks'])} attempts")
