"""A Ray cluster as the executor of a worker: one agent fronts all of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from muster.agents import Handlers, RayCluster, TaskManager, WorkerAgent, rehearse
from muster.agents.simulation.handler_endings import PLAIN_ENDINGS
from muster.agents.worker.ray_cluster import _RayFuture
from muster.messages import ExtraMissing, InvalidInput, Task

DEADLINE_S = 120.0

HEAD = """
import sys
import ray

ray.init(
    num_cpus=2,
    include_dashboard=False,
    log_to_driver=False,
    object_store_memory=80_000_000,
    _node_ip_address="127.0.0.1",
    _temp_dir=sys.argv[1],
)
print("address", ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""


class Head:
    """A cluster of one node with two processors, in processes of its own, on loopback."""

    def __init__(self) -> None:
        # On a busy machine Ray gives up after half a minute.
        for _ in range(5):
            self._start()
            if self.address:
                return
            self.end()
        pytest.fail("Ray did not start")

    def _start(self) -> None:
        # Its sockets need a short path.
        self._folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
        here = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
        self.process = subprocess.Popen(
            [sys.executable, "-c", HEAD, self._folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "RAY_AUTH_MODE": "disabled", "PYTHONPATH": here},
        )
        assert self.process.stdout is not None
        lines = (line.split() for line in self.process.stdout)
        self.address = next((words[1] for words in lines if words[:1] == ["address"]), "")

    def end(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.process.communicate("", timeout=DEADLINE_S)
        shutil.rmtree(self._folder, ignore_errors=True)


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    started = Head()
    yield started
    started.end()


@pytest.fixture
def front(head: Head) -> RayCluster:
    return RayCluster(head.address)


def tell_process(task: Task) -> int:
    time.sleep(0.3)
    return os.getpid()


def meet(task: Task) -> int:
    Path(task.data, str(task.id)).touch()
    while len(list(Path(task.data).iterdir())) < 2:
        time.sleep(0.02)
    return os.getpid()


def wait_for_file(task: Task) -> str:
    begun = Path(f"{task.data}-{task.id}-begun")
    begun.touch()
    try:
        while not Path(task.data).exists():
            time.sleep(0.02)
    except KeyboardInterrupt:
        begun.with_suffix(".interrupted").touch()
        raise
    return "waited"


def never_end(task: Task) -> None:
    Path(f"{task.data}-{task.id}-begun").write_text(str(os.getpid()))
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            time.sleep(60)


def die(task: Task) -> None:
    os._exit(1)


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


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "zombie" not in Path(f"/proc/{process}/status").read_text()


@pytest.mark.slow
@pytest.mark.processes
class TestInACluster:
    def test_one_agent_runs_its_tasks_on_all_processors_of_a_cluster(
        self, front: RayCluster, tmp_path: Path
    ) -> None:
        # Each waits for the other.
        tasks = [Task(task_id=n, type="meet", data=str(tmp_path)) for n in (1, 2)]
        assert front.count_cpus() == 2
        report = run(tasks, handlers_of(meet=meet), slots=2, executor=front)
        processes = {task.output for task in report.tasks}
        assert len(processes) == 2
        assert os.getpid() not in processes

    def test_functions_in_a_cluster_may_end_in_any_way(self, front: RayCluster) -> None:
        handlers = Handlers()
        for each in PLAIN_ENDINGS:
            handlers.task(each.__name__)(each)
        types = [each.__name__ for each in PLAIN_ENDINGS]
        tasks = [Task(task_id=number, type=way) for number, way in enumerate(types, 1)]
        report = run(tasks, handlers, slots=2, executor=front)
        succeeded = {
            way for task, way in zip(report.tasks, types, strict=True) if task.status == "completed"
        }
        assert succeeded == {"returns"}
        assert all(task.error_message for task in report.tasks[1:])

    def test_a_lost_process_fails_its_own_task_alone_and_says_so(self, front: RayCluster) -> None:
        tasks = [Task(task_id=1, type="die"), *(Task(task_id=n, type="tell") for n in (2, 3))]
        handlers = handlers_of(die=die, tell=tell_process)
        died, *told = run(tasks, handlers, slots=2, executor=front).tasks
        assert died.error_message.startswith("BrokenProcessPool: the Ray process or node that ran")
        assert [task.status for task in told] == ["completed"] * 2

    def test_a_cancel_drops_what_waits_in_the_cluster_and_interrupts_what_runs(
        self, front: RayCluster, tmp_path: Path
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
            await until(lambda: len(worker._shell.running) == 1)
            go_on.touch()
            await rehearsing
            return manager.get_all_task_status(), waiting, running

        states, waiting, running = asyncio.run(asyncio.wait_for(story(), DEADLINE_S))
        assert [states[int(waiting)], states[int(running)]] == ["Cancelled"] * 2
        assert list(states.values()).count("Completed") == 1
        assert waiting not in begun()
        interrupted = {path.name.split("-")[1] for path in tmp_path.glob("*.interrupted")}
        assert interrupted == {running}

    def test_a_function_that_goes_on_after_its_cancel_is_killed_with_its_process(
        self, front: RayCluster, tmp_path: Path
    ) -> None:
        async def story() -> tuple[Any, int]:
            worker = WorkerAgent(
                "Front", 5, handlers=handlers_of(never=never_end), executor=front, kill_after_s=1.0
            )
            task = Task(task_id=1, type="never", data=str(tmp_path / "it"))
            manager = TaskManager([task], 1, quiet=True)
            rehearsing = asyncio.ensure_future(rehearse(manager, [worker]))
            file = tmp_path / "it-1-begun"
            await until(lambda: file.exists() and file.read_text())
            manager.cancel_task(1)
            await until(lambda: not is_alive(int(file.read_text())))
            return await rehearsing, int(file.read_text())

        report, _ = asyncio.run(asyncio.wait_for(story(), DEADLINE_S))
        assert report.tasks[0].status == "cancelled"

    def test_a_process_is_connected_to_one_cluster_at_a_time(self, front: RayCluster) -> None:
        with front(), socket.create_server(("127.0.0.1", 0)) as other:
            address = f"127.0.0.1:{other.getsockname()[1]}"
            with pytest.raises(InvalidInput, match=r"can't connect to .* as well"):
                RayCluster(address)()

    def test_a_worker_that_lost_its_cluster_leaves_the_work_to_others(self) -> None:
        started = Head()

        async def story() -> Any:
            cluster = RayCluster(started.address, connecting_may_take_s=1.0)
            tasks = [Task(task_id=n, type="tell", data=str(n)) for n in range(1, 5)]
            fronting = WorkerAgent(
                "Front", 5, handlers=handlers_of(tell=never_end_in_cluster), executor=cluster
            )
            other = WorkerAgent("Other", 5, handlers=handlers_of(tell=lambda _: "by the other"))
            manager = TaskManager(tasks, ["Front", "Other"], policy="in_order", quiet=True)
            rehearsing = asyncio.ensure_future(rehearse(manager, [fronting, other]))
            await until(lambda: manager.get_task_status(1) == "In Progress")
            await asyncio.sleep(0)
            started.process.kill()
            return await rehearsing

        try:
            report = asyncio.run(asyncio.wait_for(story(), DEADLINE_S))
        finally:
            started.process.kill()
            started.end()
        lost, *others = report.tasks
        assert lost.error_message.startswith(("BrokenProcessPool: the Ray", "BrokenExecutor: the"))
        assert [task.output for task in others].count("by the other") >= 2


def never_end_in_cluster(task: Task) -> None:
    time.sleep(600)


def test_a_cancel_is_repeated_ever_more_seldom_until_the_function_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = list[bool]()
    monkeypatch.setattr(_RayFuture, "cancel_in_ray", lambda _, *, force: asked.append(force))
    future = _RayFuture(Any)
    future.repeat_cancel()
    assert asked == []
    future.cancel()
    for look in range(1, 40):
        before = len(asked)
        future.repeat_cancel()
        assert len(asked) - before == (look in {1, 2, 4, 8, 16, 32})
    assert not any(asked)


@pytest.mark.parametrize("address", ["127.0.0.1:9", "auto", "nowhere", "127.0.0.1:99999"])
def test_an_address_where_no_head_answers_is_told(address: str) -> None:
    with pytest.raises(InvalidInput, match=r"no Ray head answers at .*`ray start --head` prints"):
        RayCluster(address, connecting_may_take_s=0.3).count_cpus()


def test_without_ray_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muster.agents.worker.cluster.find_spec", lambda _: None)
    with pytest.raises(ExtraMissing, match=r"ceylon-muster\[ray\]"):
        RayCluster("127.0.0.1:6379")
