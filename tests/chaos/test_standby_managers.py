"""Managers that stand by: the leading one is killed or hands over, and the workers go on."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
from muster.agents import Client
from muster.agents.kernel.board.restoration import read_snapshot
from muster.agents.store.managers import ManagerEntry
from muster.agents.store.places import managers_at, read_held
from muster.messages import Task, TaskStatus

from ..nats_server import NatsServer
from .conftest import Tell
from .evidence import check_each_recorded_once, read_executions
from .processes import Process, Processes, wait_until

pytestmark = [pytest.mark.ceylon, pytest.mark.processes, pytest.mark.slow]

MUSTER = (sys.executable, "-m", "muster.agents.command")
WORKERS = ("Ada", "Ben")
WITHIN_S = 120.0


def ways() -> Any:
    """Runs a test over a Ceylon workspace with a file as the store, and over NATS alone."""
    return pytest.mark.parametrize(
        "over_nats", [False, pytest.param(True, marks=pytest.mark.nats)], ids=["Ceylon", "NATS"]
    )


class Managers:
    """Managers of one store that all stand by at first, and two workers, in one folder.

    They meet in a Ceylon workspace and store in a file, or do both over a NATS server.
    """

    def __init__(
        self,
        processes: Processes,
        folder: Path,
        options: Sequence[str],
        server: NatsServer | None = None,
    ) -> None:
        self.folder = folder
        self.store = str(folder / "run.db")
        self._way: tuple[str, ...] = ("--port", "0")
        if server is not None:
            run = folder.name
            self.store = f"{server.url}/{run}"
            secret = subprocess.run([*MUSTER, "secret"], capture_output=True, check=True).stdout
            (folder / "secret").write_bytes(secret)
            (folder / "secret").chmod(0o600)
            self._way = ("--link", server.url, "--workspace", run)
            self._way += ("--secret-file", "secret", "--secret-in-ticket")
        self._list = managers_at(self.store)
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
                *("manager", "--standby", "--store", self.store, *self._way),
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

    def listed(self) -> list[ManagerEntry]:
        """The managers that the store names."""
        return self._list.read()

    def close(self) -> None:
        self._list.withdraw()

    def leader(self) -> Process | None:
        """The manager that has the store, if one has."""
        found = self.listed()
        pid = found[0].pid if found and found[0].leads else None
        return self.managers.get(pid or 0)

    def wait_for_leader(self, former: Process | None = None) -> Process:
        self.wait("a manager leads", lambda: self.leader() not in {None, former})
        found = self.leader()
        assert found is not None
        return found

    def completed(self) -> int:
        tasks = read_held(self.store)[0].tasks
        return sum(each.status is TaskStatus.COMPLETED for each in tasks)

    def results_after(self, at: float) -> list[float]:
        """When the results after a time were recorded; to notice one here takes longer."""
        tasks = read_snapshot(read_held(self.store)[0]).tasks
        return [each.finished_at for each in tasks if (each.finished_at or 0.0) > at]

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


@pytest.fixture
def make_crew(
    tmp_path: Path, processes: Processes, request: pytest.FixtureRequest
) -> Generator[Callable[..., Managers]]:
    """Makes the managers and workers of a test."""
    made: list[Managers] = []

    def make(*options: str, over_nats: bool = False) -> Managers:
        server = request.getfixturevalue("nats_server") if over_nats else None
        made.append(Managers(processes, tmp_path, options, server))
        return made[-1]

    yield make
    for crew in made:
        crew.close()


@ways()
def test_the_leading_manager_killed_three_times_costs_no_result(
    tmp_path: Path, make_crew: Callable[..., Managers], tell: Tell, *, over_nats: bool
) -> None:
    tasks = 1_200
    write_tasks(tmp_path / "tasks.jsonl", tasks)
    crew = make_crew("--tasks", "tasks.jsonl", "--workers", "2", over_nats=over_nats)
    crew.start(4)
    executions = tmp_path / "executions"
    for number in (1, 2, 3):
        # Early, since a machine that is busy with the tasks is slow to read the store.
        least = number * tasks // 20
        crew.wait("tasks are done", lambda least=least: len(read_executions(executions)) >= least)
        leader = crew.wait_for_leader()
        leader.kill()
        killed_at, found = time.time(), list[float]()
        crew.wait(
            "another result is recorded",
            lambda at=killed_at, found=found: found.extend(crew.results_after(at)) or found,
        )
        tell(f"kill {number}: the next result came after {min(found) - killed_at:.2f} s")
        crew.check_workers_run()
    last = crew.wait_for_leader()
    crew.wait("the run ends", lambda: last.code is not None)
    assert last.code == 0
    report = json.loads((tmp_path / f"report {last.name[-1]}.json").read_text(encoding="utf-8"))
    check_each_recorded_once(report, read_executions(executions), tasks)
    crew.wait("the workers end", lambda: all(each.code is not None for each in crew.workers))
    assert [worker.code for worker in crew.workers] == [0, 0]


@ways()
def test_a_run_is_handed_over_by_ticket_by_store_and_by_sigterm(
    tmp_path: Path, make_crew: Callable[..., Managers], tell: Tell, *, over_nats: bool
) -> None:
    crew = make_crew(over_nats=over_nats)
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
        for how in (("--join", "ticket"), ("--store", crew.store), ()):
            leader = crew.wait_for_leader()
            least = min(crew.completed() + 5, len(tasks))
            handed_at = time.monotonic()
            if how:
                ended = crew.call("handover", *how)
                # Most of it is the command's own start, on a busy machine.
                tell(f"`muster handover {how[0]}` took {time.monotonic() - handed_at:.2f} s")
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

    def ended() -> list[int | None]:
        return [each.code for each in crew.managers.values() if each.code is not None]

    crew.wait("the manager with SIGTERM ends", ended)
    assert ended() == [0]
    status = crew.call("status", "--join", "ticket", "--connect-timeout", f"{WITHIN_S:g}")
    assert status.stdout.count("leads: process") == 1, status.stderr
    assert status.stdout.count("stands by: process") == 1


def test_a_standby_ends_at_once_and_without_one_nothing_is_handed_over(
    make_crew: Callable[..., Managers],
) -> None:
    crew = make_crew()
    crew.start(2)
    leader = crew.wait_for_leader()
    (standby,) = (each for each in crew.managers.values() if each is not leader)
    crew.wait("it stands by", lambda: len(crew.listed()) == 2)
    standby.terminate()
    crew.wait("the standby ends", lambda: standby.code is not None)
    assert standby.code == 0
    for how in (("--join", "ticket"), ("--store", crew.store)):
        ended = crew.call("handover", *how)
        assert ended.returncode == 2
        assert "start one with `muster manager --standby" in ended.stderr
    assert leader.code is None
