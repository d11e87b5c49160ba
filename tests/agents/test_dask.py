"""A Dask cluster as the executor of a worker: one agent fronts all of it."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster
from muster.agents import Handlers, TaskContext, TaskManager, WorkerAgent, rehearse
from muster.agents.simulation.handler_endings import PLAIN_ENDINGS
from muster.agents.worker.dask_cluster import DaskCluster
from muster.messages import ExtraMissing, InvalidInput, Task

pytestmark = pytest.mark.processes

DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Two workers in processes of their own, of one thread each, on loopback."""
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs="CRITICAL",
    ) as started:
        yield started


@pytest.fixture
def front(cluster: LocalCluster) -> DaskCluster:
    return DaskCluster(cluster.scheduler_address)


def tell_process(task: Task) -> int:
    with Path(task.data).open("a") as told:
        told.write("x")
    time.sleep(0.2)
    return os.getpid()


def wait_for_file(task: Task) -> str:
    Path(f"{task.data}-{task.id}-begun").touch()
    while not Path(task.data).exists():
        time.sleep(0.02)
    return "waited"


def make_lock(task: Task) -> Any:
    return threading.Lock()


def fail(task: Task) -> None:
    raise ValueError("no such column")


def with_context(task: Task, context: TaskContext) -> None: ...


def handlers_of(**functions: Any) -> Handlers:
    handlers = Handlers()
    for task_type, function in functions.items():
        handlers.task(task_type)(function)
    return handlers


def run(tasks: list[Task], handlers: Handlers, **options: Any) -> Any:
    async def story() -> Any:
        worker = WorkerAgent("Front", 5, handlers=handlers, **options)
        return await rehearse(TaskManager(tasks, 1, quiet=True), [worker])

    return asyncio.run(asyncio.wait_for(story(), DEADLINE_S))


async def until(condition: Any) -> None:
    deadline = asyncio.get_running_loop().time() + DEADLINE_S
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it never came"
        await asyncio.sleep(0.02)


def wait_until_none_waits(cluster: LocalCluster) -> None:
    """Wait until the scheduler and its workers have dropped all but one call that runs."""
    deadline = time.monotonic() + DEADLINE_S
    with Client(cluster) as client:
        while len(cluster.scheduler.tasks) > 1 or "ready" in {
            state
            for states in client.run(
                lambda dask_worker: [each.state for each in dask_worker.state.tasks.values()]
            ).values()
            for state in states
        }:
            assert time.monotonic() < deadline, "a cancel did not come"
            time.sleep(0.02)


def test_one_agent_runs_its_tasks_on_all_workers_of_a_cluster_each_of_them_once(
    front: DaskCluster, cluster: LocalCluster, tmp_path: Path
) -> None:
    # Alike in all but their ids, which Dask would take for one without them.
    tasks = [Task(task_id=n, type="tell", data=str(tmp_path / "told")) for n in range(1, 7)]
    handlers = handlers_of(tell=tell_process)
    assert front.count_threads() == 2
    report = run(tasks, handlers, slots=front.count_threads(), executor=front)
    processes = {task.output for task in report.tasks}
    with Client(cluster) as client:
        assert processes == set(client.run(os.getpid).values())
    assert (tmp_path / "told").read_text() == "x" * 6


def test_the_same_task_runs_again_for_another_run_though_dask_would_know_its_result(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    tasks = [Task(task_id=1, type="tell", data=str(tmp_path / "told"))]
    with Client(cluster) as client:
        # As Dask makes it unless told otherwise: it keeps and reuses results.
        executor = client.get_executor()
        for _ in range(2):
            (told,) = run(tasks, handlers_of(tell=tell_process), executor=executor).tasks
            assert (told.status, told.error_message) == ("completed", None)
    assert (tmp_path / "told").read_text() == "xx"


def test_what_fails_or_cannot_come_home_fails_its_task_alone(
    front: DaskCluster, tmp_path: Path
) -> None:
    tasks = [
        Task(task_id=1, type="lock"),
        Task(task_id=2, type="fail"),
        Task(task_id=3, type="tell", data=str(tmp_path / "told")),
    ]
    handlers = handlers_of(lock=make_lock, fail=fail, tell=tell_process)
    lock, failed, told = run(tasks, handlers, executor=front).tasks
    assert lock.error_message.startswith("EncodeError: output")
    assert failed.error_message == "ValueError: no such column"
    assert isinstance(told.output, int)


def test_a_cancel_reaches_the_cluster_and_frees_the_slot_at_once(
    front: DaskCluster, cluster: LocalCluster, tmp_path: Path
) -> None:
    go_on = tmp_path / "go on"

    def begun() -> set[str]:
        return {path.name.split("-")[1] for path in tmp_path.glob("*-begun")}

    async def story() -> Any:
        tasks = [Task(task_id=n, type="wait", data=str(go_on)) for n in (1, 2, 3)]
        worker = WorkerAgent(
            "Front", 5, slots=3, handlers=handlers_of(wait=wait_for_file), executor=front
        )
        manager = TaskManager(tasks, 1, quiet=True)
        rehearsing = asyncio.ensure_future(rehearse(manager, [worker]))
        await until(lambda: len(begun()) == 2 and len(worker._shell.running) == 3)
        (waiting,) = {"1", "2", "3"} - begun()
        running = min(begun())
        manager.cancel_task(int(waiting))
        manager.cancel_task(int(running))
        # Nothing has ended in the cluster.
        await until(lambda: len(worker._shell.running) == 1)
        await asyncio.to_thread(wait_until_none_waits, cluster)
        go_on.touch()
        await rehearsing
        return manager.get_all_task_status(), waiting, running

    states, waiting, running = asyncio.run(asyncio.wait_for(story(), DEADLINE_S))
    assert [states[int(waiting)], states[int(running)]] == ["Cancelled"] * 2
    assert list(states.values()).count("Completed") == 1
    assert waiting not in begun()


def test_a_handler_that_takes_a_context_is_refused(front: DaskCluster) -> None:
    with Client(front.address) as client, pytest.raises(InvalidInput, match="takes a context"):
        WorkerAgent(
            "Front", 5, handlers=handlers_of(context=with_context), executor=client.get_executor()
        )


@pytest.mark.slow
def test_a_worker_that_lost_its_cluster_leaves_the_work_to_others(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard"),
            *("--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file)),
        ],
        stderr=subprocess.DEVNULL,
    ) as scheduler:

        async def story() -> Any:
            # It is there before it is written.
            await until(lambda: file.exists() and bool(file.read_text()))
            cluster = DaskCluster(
                json.loads(file.read_text())["address"], connecting_may_take_s=0.5
            )
            tasks = [Task(task_id=n, type="tell", data=str(tmp_path / "told")) for n in range(1, 5)]
            fronting = WorkerAgent(
                "Front", 5, handlers=handlers_of(tell=tell_process), executor=cluster
            )
            other = WorkerAgent("Other", 5, handlers=handlers_of(tell=lambda _: "by the other"))
            manager = TaskManager(tasks, ["Front", "Other"], policy="in_order", quiet=True)
            rehearsing = asyncio.ensure_future(rehearse(manager, [fronting, other]))
            await until(lambda: manager.get_task_status(1) == "In Progress")
            scheduler.kill()
            return await rehearsing

        try:
            report = asyncio.run(asyncio.wait_for(story(), DEADLINE_S))
        finally:
            scheduler.kill()
    lost, *others = report.tasks
    assert lost.error_message.startswith("CancelledError: the executor dropped the call")
    # One may have been on its way to the cluster when that was found to be gone.
    assert [task.output for task in others].count("by the other") >= 2


CONNECT_AMONG_GARBAGE = """
import gc
from distributed.utils import LoopRunner
from muster.agents import DaskCluster
from muster.messages import InvalidInput

class Garbage:
    def __init__(self):
        self.me = self

    def __del__(self):
        # As a client does.
        with LoopRunner._lock:
            pass

start = LoopRunner._start_unlocked

def start_while_garbage_is_collected(self):
    # As if the collector, which runs at any time, ran now.
    if gc.isenabled():
        gc.collect()
    start(self)

gc.set_threshold(0)
Garbage()
LoopRunner._start_unlocked = start_while_garbage_is_collected
try:
    DaskCluster("tcp://127.0.0.1:9", connecting_may_take_s=0.2).count_threads()
except InvalidInput:
    print("no scheduler")
"""


@pytest.mark.slow
def test_a_client_that_is_garbage_does_not_block_the_next_connection() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", CONNECT_AMONG_GARBAGE],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert ran.stdout == "no scheduler\n", ran.stderr


def test_an_address_where_no_scheduler_answers_is_told() -> None:
    for address in ("tcp://127.0.0.1:9", "ftp://nowhere"):
        with pytest.raises(InvalidInput, match="no Dask scheduler answers at"):
            DaskCluster(address, connecting_may_take_s=0.3).count_threads()
        # One that is not closed would take Dask's lock when it is collected.
        clients = [each for each in gc.get_objects() if isinstance(each, Client)]
        assert {each.status for each in clients} <= {"closed"}


def test_without_dask_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muster.agents.worker.cluster.find_spec", lambda _: None)
    with pytest.raises(ExtraMissing, match=r"ceylon-muster\[dask\]"):
        DaskCluster("tcp://127.0.0.1:8786")


@pytest.mark.slow
def test_functions_in_a_cluster_may_end_in_any_way(front: DaskCluster) -> None:
    handlers = Handlers()
    for each in PLAIN_ENDINGS:
        handlers.task(each.__name__)(each)
    types = [each.__name__ for each in PLAIN_ENDINGS]
    tasks = [Task(task_id=number, type=way) for number, way in enumerate(types, 1)]

    async def story() -> Any:
        worker = WorkerAgent("Ada", 5, slots=2, handlers=handlers, executor=front)
        manager = TaskManager(tasks, 1, quiet=True)
        return await asyncio.wait_for(rehearse(manager, [worker]), DEADLINE_S)

    report = asyncio.run(story())
    succeeded = {
        way for task, way in zip(report.tasks, types, strict=True) if task.status == "completed"
    }
    assert succeeded == {"returns"}
    assert all(task.error_message for task in report.tasks[1:])
