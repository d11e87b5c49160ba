"""A run as users start it: `muster manager` and its `muster worker`s, each a process."""

from __future__ import annotations

import json
import random
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from muster.agents.store.sqlite import read_store
from muster.messages import TaskStatus

from .evidence import Execution, read_executions
from .processes import Process, Processes, wait_until

MUSTER = (sys.executable, "-m", "muster.agents.command")
SLOTS = 2


class Crew:
    """A manager and its workers in one folder.

    Args:
        processes: starts them, and ends them with the test.
        folder: where all their files are.
        workers: the workers' names.
        tasks: how many tasks there are, with ids from 1.
        takes_s: how long a task takes at least and at most, in seconds.
        chance: chooses how long each of them takes.
        durable: whether the manager keeps the run in a store.
    """

    def __init__(
        self,
        processes: Processes,
        folder: Path,
        *,
        workers: Sequence[str],
        tasks: int,
        takes_s: tuple[float, float],
        chance: random.Random,
        durable: bool = False,
    ) -> None:
        self.tasks = tasks
        self.names = list(workers)
        self.workers: dict[str, Process] = {}
        self.ticket_file = folder / "ticket"
        self.report_file = folder / "report.json"
        self.store = folder / "run.db" if durable else None
        self._processes = processes
        self._folder = folder
        self._tasks_file = folder / "tasks.jsonl"
        self._executions_file = folder / "executions"
        self._manager: Process | None = None
        scratch = folder / "scratch"
        scratch.mkdir()
        self._environment = {
            "EXECUTIONS": str(self._executions_file),
            # Who is killed cleans up nothing; the folder of the test is removed in the end.
            "TMPDIR": str(scratch),
        }
        shutil.copy(Path(__file__).with_name("counted_work.py"), folder)
        self._write_tasks(takes_s, chance)

    @property
    def manager(self) -> Process:
        assert self._manager is not None, "the manager was not started yet"
        return self._manager

    def start_manager(
        self,
        *,
        on: Sequence[str] = (),
        host: str = "127.0.0.1",
        port: int = 0,
        options: Sequence[str] = (),
    ) -> None:
        """Start the manager and wait for its ticket.

        Args:
            on: what the command begins with, to run on a host of a network.
            host: the address by which workers reach it.
            port: its port; 0 takes any.
            options: further options.
        """
        command = [
            *(*on, *MUSTER, "manager", "--tasks", str(self._tasks_file)),
            *("--workers", str(len(self.names)), "--host", host, "--port", str(port)),
            *("--ticket-file", str(self.ticket_file), "--report", str(self.report_file)),
            *options,
        ]
        if self.store is not None:
            command += ["--store", str(self.store)]
        self._manager = self._processes.start("manager", command, self._environment)
        self.wait_until(self.ticket_file.exists, within_s=120, what="the manager writes its ticket")

    def start_worker(
        self, name: str, *, on: Sequence[str] = (), ticket_file: Path | None = None
    ) -> None:
        """Start a worker.

        Args:
            name: its name.
            on: what the command begins with, to run on a host of a network.
            ticket_file: where its ticket is, if not where the manager put its own.
        """
        command = [
            *(*on, *MUSTER, "worker", "--join", str(ticket_file or self.ticket_file)),
            *("--name", name, "--skill", "5", "--slots", str(SLOTS)),
            *("--handlers", "counted_work"),
        ]
        self.workers[name] = self._processes.start(name, command, self._environment)

    def executions(self) -> list[Execution]:
        """Every beginning of every task's work, so far, in order."""
        return read_executions(self._executions_file)

    def wait_until(self, happens: Callable[[], bool], within_s: float, what: str) -> None:
        """Wait for something that happens before the run is over."""
        wait_until(lambda: happens() or self.is_over, within_s)
        if not happens():
            self.fail(f"this did not happen within {within_s:g} s: {what}")

    def wait_for_executions(self, count: int, within_s: float) -> None:
        """Wait until work was begun so many times."""
        self.wait_until(
            lambda: len(self.executions()) >= count, within_s, f"work is begun {count:,} times"
        )

    def completed_in_store(self) -> set[int]:
        """The tasks that are completed as far as the store knows."""
        assert self.store is not None
        rows = read_store(self.store).tasks
        return {int(row.task_id) for row in rows if row.status is TaskStatus.COMPLETED}

    @property
    def is_over(self) -> bool:
        """Whether the manager ended of its own accord."""
        return self.manager.code not in {None, -signal.SIGKILL}

    def finish(self, within_s: float) -> dict[str, Any]:
        """Wait for the end of the run; returns the report."""
        if not wait_until(lambda: self.is_over, within_s):
            self.fail(f"the run is not over after {within_s:g} s more")
        if self.manager.code != 0:
            self.fail("the manager did not end well")
        return json.loads(self.report_file.read_text(encoding="utf-8"))

    def fail(self, what: str) -> None:
        """Fail the test, and say how everything stands."""
        lines = [what, f"executions: {len(self.executions()):,}"]
        self.manager.end()
        if self.report_file.exists():
            report = json.loads(self.report_file.read_text(encoding="utf-8"))
            lines.append(f"tasks: {report['counts']}")
            open_tasks = [task for task in report["tasks"] if task["status"] != "completed"]
            lines += ["\n    ".join(task["why"]) for task in open_tasks[:3]]
        pytest.fail("\n".join((*lines, self._processes.last_lines())), pytrace=False)

    def _write_tasks(self, takes_s: tuple[float, float], chance: random.Random) -> None:
        with self._tasks_file.open("w", encoding="utf-8") as file:
            for number in range(1, self.tasks + 1):
                task = {
                    "id": number,
                    "description": f"count {number}",
                    "difficulty": 5,
                    "type": "count",
                    "data": {"takes_s": round(chance.uniform(*takes_s), 4)},
                }
                file.write(f"{json.dumps(task)}\n")
