"""The fork server, which forks worker processes, mostly without a manager."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from muster.agents import TaskManager, Ticket
from muster.agents.worker_pool.fork_server import ForkServer
from muster.agents.worker_pool.processes import LocalProcess, LocalProcesses
from muster.agents.worker_pool.worker_spec import WorkerSpec
from muster.messages import Task, WorkerProfile

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it makes no workers"),
]

DEADLINE_S = 60.0
TICKET = Ticket("nowhere", "nobody", "127.0.0.1", 9, sealed=False)

TELLS = """
import json, os, pathlib, sys
from muster.agents import Handlers
handlers = Handlers()
pathlib.Path(os.environ["ANSWERS"]).write_text(json.dumps({
    "environment": dict(os.environ),
    "pid": os.getpid(),
    "parent": os.getppid(),
    "session": os.getsid(0),
    "stdin": sys.stdin.read(),
    "descriptors": len(os.listdir("/proc/self/fd")),
}))
sys.exit(3)
"""
"""A module with handlers that tells where it is, and ends its worker before that dials."""


@pytest.fixture
def fork_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    (tmp_path / "telling.py").write_text(TELLS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("ANSWERS", str(tmp_path / "answers.json"))
    with ForkServer() as fork_server:
        yield fork_server


def spawner(fork_server: ForkServer) -> LocalProcesses:
    return LocalProcesses(TICKET, 5, handlers=["telling"], fork_server=fork_server)


async def until(condition: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + DEADLINE_S
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it never came"
        await asyncio.sleep(0.01)


def answers() -> dict[str, object]:
    return json.loads(Path(os.environ["ANSWERS"]).read_text())


async def told_by(process: LocalProcess) -> dict[str, object]:
    await until(lambda: not process.is_alive)
    return answers()


def is_running(process_id: object) -> bool:
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


async def test_a_worker_is_a_child_of_the_fork_server_in_a_session_of_its_own(
    fork_server: ForkServer,
) -> None:
    process = await spawner(fork_server).spawn("Ada")
    assert process.is_alive
    told = await told_by(process)
    assert told["pid"] == told["session"] == process._process.pid
    assert told["parent"] == fork_server.pid
    assert told["stdin"] == ""


async def test_a_worker_has_the_environment_of_the_moment_and_its_ticket(
    fork_server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEA", "Uva")
    told = await told_by(await spawner(fork_server).spawn("Ada"))
    expected = {**os.environ, "MUSTER_TICKET": str(TICKET), "MUSTER_PARENT": str(fork_server.pid)}
    assert told["environment"] == expected
    monkeypatch.delenv("TEA")
    told = await told_by(await spawner(fork_server).spawn("Ben"))
    assert told["environment"] == {key: expected[key] for key in expected if key != "TEA"}


async def test_a_worker_holds_nothing_of_those_before_it(fork_server: ForkServer) -> None:
    first = await spawner(fork_server).spawn("Ada")
    alone = (await told_by(first))["descriptors"]
    staying = [
        fork_server.fork(WorkerSpec(WorkerProfile("stays", 5), handlers=("time",)), {})
        for _ in range(2)
    ]
    told = await told_by(await spawner(fork_server).spawn("Cyd"))
    assert told["descriptors"] == alone
    for forked in staying:
        assert forked is not None
        os.close(forked.pidfd)


async def test_what_it_can_not_hand_on_has_workers_started_as_without_it(
    fork_server: ForkServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    order = WorkerSpec(WorkerProfile("Ada", 5))
    with monkeypatch.context() as elsewhere:
        elsewhere.chdir(tmp_path)
        assert fork_server.fork(order, {}) is None
        told = await told_by(await spawner(fork_server).spawn("Ada"))
        assert told["parent"] == os.getpid()
    with monkeypatch.context() as otherwise:
        otherwise.setenv("PYTHONNODEBUGRANGES", "1")
        assert fork_server.fork(order, {}) is None
    told = await told_by(await spawner(fork_server).spawn("Ada"))
    assert told["parent"] == fork_server.pid


async def test_a_fork_server_that_is_gone_has_workers_started_as_without_it(
    fork_server: ForkServer,
) -> None:
    assert fork_server.pid is not None
    os.kill(fork_server.pid, signal.SIGKILL)
    told = await told_by(await spawner(fork_server).spawn("Ada"))
    assert told["parent"] == os.getpid()


async def test_without_descriptors_of_processes_there_is_no_fork_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(pid: int) -> int:
        raise OSError(pid)

    monkeypatch.setattr(os, "pidfd_open", refuse)
    with ForkServer() as fork_server:
        assert fork_server.pid is None
        assert fork_server.fork(WorkerSpec(WorkerProfile("Ada", 5)), {}) is None


async def test_a_closed_fork_server_ends_after_its_workers(
    fork_server: ForkServer,
) -> None:
    process = await waiting_for_a_manager(fork_server)
    fork_server._disconnect()
    await asyncio.sleep(0.1)  # So that it would have ended by now if it did not wait.
    assert process.is_alive
    assert is_running(fork_server.pid)
    await process.end()
    assert not process.is_alive
    await asyncio.to_thread(fork_server.close)
    assert not is_running(fork_server.pid)


async def test_a_worker_that_ignores_its_end_is_killed(
    fork_server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muster.agents.worker_pool.processes.EXIT_TIMEOUT_S", 0.1)
    process = await waiting_for_a_manager(fork_server)
    os.kill(process._process.pid, signal.SIGSTOP)
    await process.end()
    assert not process.is_alive
    # Its descriptor is closed, and nobody else's process is meant by its number.
    await process.end()


async def test_a_worker_that_nobody_waits_for_any_more_is_killed(fork_server: ForkServer) -> None:
    patient = LocalProcesses(TICKET, 5, fork_server=fork_server)
    spawning = asyncio.create_task(patient.spawn("Ada"))
    await asyncio.sleep(0)
    spawning.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await spawning
    children = Path(f"/proc/{fork_server.pid}/task/{fork_server.pid}/children")
    # The next is made after it.
    await told_by(await spawner(fork_server).spawn("Ben"))
    await until(lambda: not children.read_text().split())


def read_field(status: Path, name: str) -> str:
    lines = (line.partition(":") for line in status.read_text().splitlines())
    return next(value.strip() for key, _, value in lines if key == name)


async def waiting_for_a_manager(fork_server: ForkServer) -> LocalProcess:
    process = await LocalProcesses(TICKET, 5, fork_server=fork_server).spawn("Ada")
    status = Path(f"/proc/{process._process.pid}/status")
    caught = 1 << (signal.SIGTERM - 1)
    # By then it runs its loop, and heeds what it is told.
    await until(lambda: bool(int(read_field(status, "SigCgt"), 16) & caught))
    return process


def test_workers_and_fork_server_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from muster.agents.worker_pool.fork_server import ForkServer
fork_server = ForkServer()
from muster.agents import Ticket
from muster.agents.worker_pool.processes import LocalProcesses

async def main():
    ticket = Ticket("nowhere", "nobody", "127.0.0.1", 9, sealed=False)
    process = await LocalProcesses(ticket, 5, fork_server=fork_server).spawn("Ada")
    print(fork_server.pid, process._process.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as started:
        assert started.stdout is not None
        pids = started.stdout.readline().split()
        assert [is_running(pid) for pid in pids] == [True, True]
        started.kill()
    deadline = time.monotonic() + DEADLINE_S
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline, "they outlive the process that started them"
        time.sleep(0.05)


@pytest.mark.ceylon
async def test_workers_of_a_fork_server_join_and_work(fork_server: ForkServer) -> None:
    manager = TaskManager(expected_workers=2, port=0, quiet=True)
    patient = LocalProcesses(manager.ticket(), 5, time_scale=0.01, fork_server=fork_server)
    processes = [await patient.spawn(name) for name in ("Ada", "Ben")]
    await manager.start()
    results = await asyncio.gather(*(manager.submit(Task(task_id=n)) for n in (1, 2, 3, 4)))
    assert [result.success for result in results] == [True] * 4
    assert {result.worker for result in results} == {"Ada", "Ben"}
    await manager.stop()
    for process in processes:
        await until(lambda process=process: not process.is_alive)
