"""Managers that stand by: the leading one is killed or hands over, and the workers go on."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from muster.agents import Client
from muster.agents.store.manager_files import ManagerFiles
from muster.messages import Task

from .conftest import Tell
from .evidence import check_each_recorded_once, read_executions
from .processes import Process, Processes, wait_until

pytestmark = [pytest.mark.ceylon, pytest.mark.processes, pytest.mark.slow]

MUSTER = (sys.executable, "-m", "muster.agents.command")
WORKERS = ("Ada", "Ben")
WITHIN_S = 120.0


class Managers:
    """Managers of one store that all stand by at first, and two workers, in one folder."""

    def __init__(self, processes: Processes, folder: Path, options: Sequence[str]) -> None:
        self.folder = folder
        self.store = folder / "run.db"
        self.ticket = folder / "ticket"
        self._processes = processes
        self._options = options
        self._environment = {"EXECUTIONS": str(folder / "executions")}
        self.managers: dict[int, Process] = {}
        self.workers: list[Process] = []
        shutil.copy(Path(__file__).with_name("counted_work.py"), folder)

    def start(self, managers: int) -> None:
        for number in range(1, managers + 1):
            process = self._start(
                f"manager {number}",
                *("manager", "--standby", "--store", "run.db", "--port", "0"),
                *("--ticket-file", "ticket", "--report", f"report {number}.json", *self._options),
            )
            self.managers[process.pid] = process
        self.wait("the ticket is written", self.ticket.exists)
        for name in WORKERS:
            options = ("--name", name, "--skill", "5", "--slots", "2")
            command = ("worker", "--join", "ticket", *options, "--handlers", "counted_work")
            self.workers.append(self._start(name, *command))

    def _start(self, name: str, *command: str) -> Process:
        return self._processes.start(name, [*MUSTER, *command], self._environment)

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*MUSTER, *command], cwd=self.folder, capture_output=True, text=True, check=False
        )

    def leader(self) -> Process | None:
        """The manager that has the store, if one has."""
        found = ManagerFiles(self.store).read()
        pid = found[0].pid if found and found[0].leads else None
        return self.managers.get(pid or 0)

    def wait_for_leader(self, former: Process | None = None) -> Process:
        self.wait("a manager leads", lambda: self.leader() not in {None, former})
        found = self.leader()
        assert found is not None
        return found

    def completed(self) -> int:
        with closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True)) as connection:
            question = "SELECT count(*) FROM task_state WHERE status = 'completed'"
            return int(connection.execute(question).fetchone()[0])

    def wait(self, what: str, happens: Any) -> None:
        if not wait_until(happens, WITHIN_S):
            pytest.fail(f"not within {WITHIN_S:g} s: {what}\n{self._processes.last_lines()}")

    def check_workers_run(self) -> None:
        """No worker was ended, nor ended by itself."""
        assert [worker.code for worker in self.workers] == [None] * len(WORKERS)


def write_tasks(file: Path, tasks: int) -> None:
    task = {"description": "count", "difficulty": 5, "type": "count", "data": {"takes_s": 0.05}}
    lines = (json.dumps({"id": number, **task}) for number in range(1, tasks + 1))
    file.write_text("\n".join(lines))


def test_the_leading_manager_killed_three_times_costs_no_result(
    tmp_path: Path, processes: Processes, tell: Tell
) -> None:
    tasks = 2_000
    write_tasks(tmp_path / "tasks.jsonl", tasks)
    crew = Managers(processes, tmp_path, ("--tasks", "tasks.jsonl", "--workers", "2"))
    crew.start(4)
    for number in (1, 2, 3):
        crew.wait("tasks are done", lambda least=number * tasks // 5: crew.completed() >= least)
        leader = crew.wait_for_leader()
        leader.kill()
        killed_at, done = time.monotonic(), crew.completed()
        crew.wait("another result is recorded", lambda done=done: crew.completed() > done)
        tell(f"kill {number}: the next result came after {time.monotonic() - killed_at:.2f} s")
        crew.check_workers_run()
    last = crew.wait_for_leader()
    crew.wait("the run ends", lambda: last.code is not None)
    assert last.code == 0
    report = json.loads((tmp_path / f"report {last.name[-1]}.json").read_text(encoding="utf-8"))
    check_each_recorded_once(report, read_executions(tmp_path / "executions"), tasks)
    crew.wait("the workers end", lambda: all(each.code is not None for each in crew.workers))
    assert [worker.code for worker in crew.workers] == [0, 0]


def test_a_run_is_handed_over_by_ticket_by_store_and_by_sigterm(
    tmp_path: Path, processes: Processes, tell: Tell
) -> None:
    crew = Managers(processes, tmp_path, ())
    crew.start(3)
    tasks = [
        Task(id=each, description="count", difficulty=5, type="count", data={"takes_s": 0.2})
        for each in range(1, 501)
    ]

    async def submit_and_hand_over() -> list[bool]:
        async with Client(crew.ticket, connect_timeout_s=WITHIN_S) as client:
            waiting = asyncio.ensure_future(client.gather(tasks))
            await asyncio.to_thread(hand_over_thrice)
            return [each.success for each in await asyncio.wait_for(waiting, WITHIN_S)]

    def hand_over_thrice() -> None:
        crew.wait("tasks are done", lambda: crew.completed() >= 5)
        for how in (("--join", "ticket"), ("--store", "run.db"), ()):
            leader = crew.wait_for_leader()
            least = min(crew.completed() + 5, len(tasks))
            handed_at = time.monotonic()
            if how:
                ended = crew.call("handover", *how)
                assert (ended.returncode, ended.stderr) == (0, "")
                assert "process" in ended.stdout
            else:
                assert leader.code is None
                leader.terminate()
            crew.wait_for_leader(leader)
            crew.wait("another result is recorded", lambda least=least: crew.completed() >= least)
            tell(f"handover {how}: results after {time.monotonic() - handed_at:.2f} s")
            crew.check_workers_run()

    assert asyncio.run(submit_and_hand_over()) == [True] * len(tasks)
    # Nothing was begun again, since what ran went on.
    begun = Counter(each.task_id for each in read_executions(tmp_path / "executions"))
    assert begun == Counter(task.id for task in tasks)
    ended = [each for each in crew.managers.values() if each.code is not None]
    assert [each.code for each in ended] == [0]
    told = crew.call("status", "--join", "ticket").stdout
    assert told.count("leads: process") == 1
    assert told.count("stands by: process") == 1


def test_a_standby_ends_at_once_and_without_one_nothing_is_handed_over(
    tmp_path: Path, processes: Processes
) -> None:
    crew = Managers(processes, tmp_path, ())
    crew.start(2)
    leader = crew.wait_for_leader()
    (standby,) = (each for each in crew.managers.values() if each is not leader)
    crew.wait("it stands by", lambda: len(ManagerFiles(crew.store).read()) == 2)
    standby.terminate()
    crew.wait("the standby ends", lambda: standby.code is not None)
    assert standby.code == 0
    for how in (("--join", "ticket"), ("--store", "run.db")):
        ended = crew.call("handover", *how)
        assert ended.returncode == 2
        assert "start one with `muster manager --standby" in ended.stderr
    assert leader.code is None
