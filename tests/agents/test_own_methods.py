"""What a worker's subclass may write in place of ours, and what is made of it."""

from __future__ import annotations

import asyncio
import functools
import pickle
import threading
import time as wall_clock
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from muster.agents import (
    PeerMode,
    SpecializedWorker,
    TaskManager,
    WorkerAgent,
    on,
    rehearse,
    run_in_virtual_time,
)
from muster.messages import InvalidInput, Task, TaskAssignment, TaskResult

HARD = 9
EASY = 2


@dataclass
class OwnResult(TaskResult):
    """A user's own class of results."""

    note: str = ""


@dataclass
class NotOurs:
    """What a reader who types the documents' data models has in place of ours."""

    task_id: Any
    worker: str
    success: bool


def run(
    *workers: WorkerAgent, difficulties: tuple[int, ...] = (EASY,), **options: Any
) -> TaskManager:
    """Have workers do tasks of these difficulties, and see that each was done once."""
    tasks = [
        Task(number, f"task {number}", each, type="any")
        for number, each in enumerate(difficulties, 1)
    ]

    async def main() -> TaskManager:
        manager = TaskManager(
            tasks, expected_workers=len(workers), quiet=True, policy="in_order", **options
        )
        await rehearse(manager, workers)
        return manager

    manager = run_in_virtual_time(main())
    told = [each for worker in workers for each in worker.task_history]
    assert sorted(each.task_id for each in told) == [task.id for task in tasks]
    for worker in workers:
        assert (worker.has_task, worker.current_task) == (False, None)
        assert worker.get_worker_status() == "Stopped"
    return manager


def successes(manager: TaskManager) -> list[bool]:
    return [manager.get_task_status(task.id) == "Completed" for task in manager.tasks]


def error_of(worker: WorkerAgent) -> str:
    manager = run(worker)
    assert successes(manager) == [False]
    return manager.get_task_result(1).error_message or ""


# ---------------------------------------------------------------------------- guards and attributes


class Guarded(WorkerAgent):
    """Sets its attributes first, guards itself, notes and broadcasts its result, and cleans up."""

    cleans_up = True

    def __init__(self, name: str, skill_level: int, **options: Any) -> None:
        self.name = name
        self.skill_level = skill_level
        self.has_task = False
        self.current_task = None
        self.task_history = []
        self.seen: list[Any] = []
        super().__init__(name=name, mode=PeerMode.CLIENT, **options)

    @on(TaskAssignment)
    async def handle_task(self, data, time, agent):  # type: ignore[no-untyped-def,override]
        self.seen.append((data.task.id, self.has_task))
        if self.has_task:
            return
        try:
            self.has_task = True
            self.current_task = data.task
            began_at = time.time()
            await asyncio.sleep(data.task.difficulty)
            assert self.has_task
            assert self.current_task == data.task
            result = TaskResult(
                task_id=data.task.id,
                worker=self.name,
                success=self.skill_level >= data.task.difficulty,
                execution_time=time.time() - began_at,
            )
            self.task_history.append(result)
            self.task_history.append(result)
            assert result in self.task_history
            await self.broadcast(pickle.dumps(result))
        finally:
            if self.cleans_up:
                self.has_task = False
                self.current_task = None


class Careless(Guarded):
    """Never sets back what it set."""

    cleans_up = False


@pytest.mark.parametrize("kind", [Guarded, Careless])
@pytest.mark.parametrize("slots", [1, 3])
def test_a_guarded_handler_does_each_task_once(kind: Callable[..., Guarded], slots: int) -> None:
    worker = kind("Ada", 5, slots=slots)
    manager = run(worker, difficulties=(EASY, HARD, EASY))
    assert successes(manager) == [True, False, True]
    assert sorted(worker.seen) == [(1, False), (2, False), (3, False)]
    times = {each.task_id: each.execution_time for each in worker.task_history}
    assert times == pytest.approx({1: EASY, 2: HARD, 3: EASY})


def test_a_retried_tasks_attempts_each_have_their_place_in_the_history() -> None:
    worker = Guarded("Ada", 5)

    async def main() -> None:
        tasks = [Task(1, "too hard", HARD, max_attempts=3)]
        manager = TaskManager(tasks, expected_workers=1, quiet=True, policy="in_order")
        await rehearse(manager, [worker])

    run_in_virtual_time(main())
    assert [(each.attempt, each.success) for each in worker.task_history] == [
        (1, False),
        (2, False),
        (3, False),
    ]


def test_what_is_set_outside_of_an_attempt_is_read_there_and_never_hides_one() -> None:
    seen: list[Any] = []
    worker = Guarded("Ada", 5)

    async def main() -> None:
        running = asyncio.ensure_future(
            rehearse(TaskManager([Task(1, "a", 4)], expected_workers=1, quiet=True), [worker])
        )
        await asyncio.sleep(2)
        worker.has_task = False
        worker.current_task = None
        assert worker.current_task is not None
        seen.append((worker.has_task, worker.current_task.id, worker.get_worker_status()))
        await running

    run_in_virtual_time(main())
    assert seen == [(True, 1, "Busy")]
    worker.has_task, worker.current_task = True, Task(7, "mine")
    assert (worker.has_task, worker.current_task.id) == (True, 7)
    assert worker.get_worker_status() == "Stopped"


def test_results_that_were_set_before_stay_in_the_history() -> None:
    class Remembering(WorkerAgent):
        def __init__(self) -> None:
            self.task_history = [TaskResult(99, "Ada", True)]
            super().__init__("Ada", 5)

    async def main() -> Remembering:
        worker = Remembering()
        await rehearse(TaskManager([Task(1, "a")], expected_workers=1, quiet=True), [worker])
        return worker

    worker = run_in_virtual_time(main())
    assert [each.task_id for each in worker.task_history] == [99, 1]


# ---------------------------------------------------------------------------- what is returned


def method_of(body: Callable[..., Any], name: str = "handle_task") -> WorkerAgent:
    return type("Own", (WorkerAgent,), {name: body})("Ada", skill_level=5)


async def returns_true(self: Any, data: TaskAssignment) -> Any:
    return True


async def returns_a_result(self: Any, data: TaskAssignment) -> Any:
    return TaskResult(data.task.id, self.name, True)


async def returns_an_own_result(self: Any, data: TaskAssignment) -> Any:
    return OwnResult(data.task.id, self.name, True, note="hm")


async def broadcasts_a_result(self: Any, data: TaskAssignment) -> Any:
    await self.broadcast_message(TaskResult(data.task.id, self.name, True))


async def broadcasts_a_pickle(self: Any, data: TaskAssignment) -> Any:
    await self.broadcast(pickle.dumps(TaskResult(data.task.id, self.name, True)))


async def broadcasts_an_own_result(self: Any, data: TaskAssignment) -> Any:
    await self.broadcast(pickle.dumps(OwnResult(data.task.id, self.name, True, note="hm")))


async def sends_the_manager_a_result(self: Any, data: TaskAssignment, agent: Any) -> Any:
    await self.send_message(agent.id, TaskResult(data.task.id, self.name, True))


async def leaves_it_to_ours(self: Any, data: TaskAssignment) -> Any:
    await WorkerAgent.handle_task(self, data)


async def returns_what_ours_does(self: Any, data: TaskAssignment, time: int, agent: Any) -> Any:
    return await WorkerAgent.handle_task(self, data, time, agent)


async def executes_the_task(self: Any, data: TaskAssignment) -> Any:
    return await self.execute_task(data.task)


async def executes_and_ignores(self: Any, data: TaskAssignment) -> Any:
    await self.execute_task(data.task)


async def tells_from_a_task_of_its_own(self: Any, data: TaskAssignment) -> Any:
    await asyncio.create_task(broadcasts_a_result(self, data))


def is_not_async(self: Any, data: TaskAssignment) -> Any:
    assert threading.current_thread() is not threading.main_thread()
    return not self.has_task


def is_not_async_and_leaves_it_to_ours(self: Any, data: TaskAssignment) -> Any:
    return WorkerAgent.handle_task(self, data)


def _logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def logged(*arguments: Any, **options: Any) -> Any:
        asyncio.get_running_loop()
        return function(*arguments, **options)

    return logged


is_decorated = _logged(returns_true)


async def broadcasts_a_result_as_it_is(self: Any, data: TaskAssignment) -> None:
    await self.broadcast(TaskResult(data.task.id, self.name, True))


GOOD = [
    returns_true,
    returns_a_result,
    returns_an_own_result,
    broadcasts_a_result,
    broadcasts_a_pickle,
    broadcasts_a_result_as_it_is,
    broadcasts_an_own_result,
    sends_the_manager_a_result,
    leaves_it_to_ours,
    returns_what_ours_does,
    executes_the_task,
    executes_and_ignores,
    tells_from_a_task_of_its_own,
    is_not_async,
    is_not_async_and_leaves_it_to_ours,
    is_decorated,
]


@pytest.mark.parametrize("body", GOOD)
def test_each_way_to_say_that_it_went_well_is_understood(body: Callable[..., Any]) -> None:
    worker = method_of(body)
    assert successes(run(worker, difficulties=(EASY, 3))) == [True, True]
    assert {type(each) for each in worker.task_history} == {TaskResult}


@pytest.mark.parametrize(
    "body", [leaves_it_to_ours, returns_what_ours_does, executes_the_task, executes_and_ignores]
)
def test_what_ours_says_of_a_failure_is_not_lost(body: Callable[..., Any]) -> None:
    manager = run(method_of(body), difficulties=(HARD,))
    assert (
        manager.get_task_result(1).error_message == "too difficult: skill 5 is below difficulty 9"
    )


async def returns_nothing(self: Any, data: TaskAssignment) -> Any:
    pass


async def returns_text(self: Any, data: TaskAssignment) -> Any:
    return "done"


async def tells_of_another_task(self: Any, data: TaskAssignment) -> Any:
    await self.broadcast_message(TaskResult(99, self.name, True))


async def returns_false(self: Any, data: TaskAssignment) -> Any:
    return False


async def raises(self: Any, data: TaskAssignment) -> Any:
    raise ValueError("no such column")


async def fails_and_returns_true(self: Any, data: TaskAssignment) -> Any:
    await self.broadcast(pickle.dumps(TaskResult(data.task.id, "", False, 0.0, "told")))
    return True


def raises_in_its_thread(self: Any, data: TaskAssignment) -> Any:
    raise ValueError("no such column")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (returns_nothing, "no result: returns_nothing returned None and broadcast no result of"),
        (returns_text, "no result: returns_text returned 'done'"),
        (tells_of_another_task, "broadcast no result of task 1; it must return a TaskResult or"),
        (returns_false, "failed: it said so"),
        (raises, "ValueError: no such column"),
        (fails_and_returns_true, "told"),
        (raises_in_its_thread, "ValueError: no such column"),
    ],
)
def test_whatever_else_it_does_the_task_fails_and_says_why(
    body: Callable[..., Any], told: str
) -> None:
    assert told in error_of(method_of(body))


def test_a_pickle_of_another_class_is_named_as_what_was_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[bytes] = []

    async def take(self: Any, message: bytes) -> None:
        sent.append(message)

    monkeypatch.setattr("muster.agents.transport.ceylon_api.BaseAgent.broadcast", take)

    async def body(self: Any, data: TaskAssignment) -> None:
        await self.broadcast(pickle.dumps(NotOurs(data.task.id, self.name, True)))

    told = error_of(method_of(body))
    assert "are no pickle of a muster.messages.TaskResult" in told
    assert len(sent) == 1


def test_a_plain_override_blocks_nobody() -> None:
    class Slow(WorkerAgent):
        def handle_task(self, data: TaskAssignment) -> bool:  # type: ignore[override]
            wall_clock.sleep(0.2)
            return True

    async def main() -> float:
        tasks = [Task(number, "a") for number in range(1, 5)]
        manager = TaskManager(tasks, expected_workers=1, quiet=True)
        began_at = wall_clock.monotonic()
        await rehearse(manager, [Slow("Ada", 5, slots=4)])
        assert len(manager.completed_tasks) == 4
        return wall_clock.monotonic() - began_at

    assert asyncio.run(main()) < 0.75


@pytest.mark.processes
def test_a_plain_override_is_refused_where_there_are_no_threads() -> None:
    class Plain(WorkerAgent):
        def handle_task(self, data: TaskAssignment) -> bool:  # type: ignore[override]
            return True

    with ProcessPoolExecutor(1) as executor:
        told = error_of(Plain("Ada", 5, executor=executor))
    assert "Plain.handle_task is not async, so it runs in a thread" in told
    assert "make it async" in told


# ---------------------------------------------------------------------------- other methods


class Declares(WorkerAgent):
    @on(TaskAssignment)
    async def take_up(self, data: TaskAssignment) -> bool:
        return data.task.id == 1


def test_a_method_is_found_that_is_declared_after_it_was_looked_for() -> None:
    class Late(WorkerAgent):
        pass

    ada = Late("Ada", 5)
    assert ada.find_declared_handler(TaskResult) is None

    async def hear(self: Late, data: TaskResult) -> None:
        """Hear of a result."""

    hear.__qualname__ = "Late.hear"  # As Ceylon reads it.
    Late.hear = on(TaskResult)(hear)  # type: ignore[attr-defined]
    found = ada.find_declared_handler(TaskResult)
    assert getattr(found, "__func__", None) is vars(Late)["hear"]


def test_a_method_of_any_name_that_is_declared_for_assignments_does_them() -> None:
    manager = run(Declares("Ada", 5), difficulties=(EASY, EASY))
    assert successes(manager) == [True, False]


async def executes_well(self: Any, task: Task) -> Any:
    return f"did {task.id}"


def executes_plainly(self: Any, task: Task) -> Any:
    return f"did {task.id}"


async def executes_to_a_result(self: Any, task: Task) -> Any:
    return TaskResult(task.id, self.name, True, output=f"did {task.id}")


@pytest.mark.parametrize("body", [executes_well, executes_plainly, executes_to_a_result])
def test_an_override_of_execute_task_does_assigned_tasks_too(body: Callable[..., Any]) -> None:
    manager = run(method_of(body, "execute_task"), difficulties=(EASY, HARD))
    assert successes(manager) == [True, True]
    assert manager.get_task_result(2).output == "did 2"


async def raises_for_it(self: Any, task: Task) -> Any:
    raise ValueError("no such column")


async def says_false(self: Any, task: Task) -> Any:
    return False


async def asks_ours(self: Any, task: Task) -> Any:
    return await WorkerAgent.execute_task(self, task)


async def asks_ours_and_ignores(self: Any, task: Task) -> Any:
    await WorkerAgent.execute_task(self, task)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (raises_for_it, "ValueError: no such column"),
        (says_false, "failed: it said so"),
        (asks_ours, "too difficult: skill 5 is below difficulty 9"),
        (asks_ours_and_ignores, "too difficult: skill 5 is below difficulty 9"),
    ],
)
def test_an_override_of_execute_task_fails_tasks_as_it_says(
    body: Callable[..., Any], told: str
) -> None:
    manager = run(method_of(body, "execute_task"), difficulties=(HARD,))
    assert manager.get_task_result(1).error_message == told


def test_of_both_overrides_handle_task_does_assigned_tasks() -> None:
    class Both(WorkerAgent):
        async def handle_task(self, data: TaskAssignment) -> Any:  # type: ignore[override]
            return TaskResult(
                data.task.id, self.name, True, output=await self.execute_task(data.task)
            )

        async def execute_task(self, task: Task) -> Any:  # type: ignore[override]
            return "executed"

    manager = run(Both("Ada", 5))
    assert manager.get_task_result(1).output == "executed"


def test_ours_is_executed_with_all_that_came_with_the_assignment() -> None:
    class Leaning(WorkerAgent):
        async def execute_task(self, task: Task) -> TaskResult:
            return await super().execute_task(task)

    worker = Leaning("Ada", 5)

    @worker.task("sum")
    async def add_up(task: Task, context: Any) -> Any:
        context.progress(50)
        return [context.attempt, dict(context.inputs)]

    @worker.task("one")
    async def one(task: Task) -> int:
        return 1

    async def main() -> Any:
        tasks = [Task(1, "a", type="one"), Task(2, "b", type="sum", depends_on=(1,))]
        manager = TaskManager(tasks, expected_workers=1, quiet=True)
        await rehearse(manager, [worker])
        return manager.get_task_result(2).output

    assert run_in_virtual_time(main()) == [1, {1: 1}]


def test_called_by_the_program_ours_leans_on_an_override_of_handle_task() -> None:
    async def main() -> TaskResult:
        return await method_of(returns_true).execute_task(Task(1, "a", HARD))

    assert run_in_virtual_time(main()).success


# ---------------------------------------------------------------------------- handlers by type


@pytest.mark.parametrize("is_pickled", [False, True])
@pytest.mark.parametrize("returned", [None, "output", TaskResult(1, "Ada", True)])
def test_a_handler_that_broadcasts_a_failure_has_failed(is_pickled: bool, returned: Any) -> None:
    worker = WorkerAgent("Ada", 5)

    @worker.task("any")
    async def fail(task: Task) -> Any:
        result = TaskResult(task.id, "Ada", False, 0.0, "told")
        if is_pickled:
            await worker.broadcast(pickle.dumps(result))
        else:
            await worker.broadcast_message(result)
        return returned

    assert error_of(worker) == "told"


def test_a_handler_may_return_a_result() -> None:
    worker = WorkerAgent("Ada", 5)

    @worker.task("any")
    async def tell(task: Task) -> Any:
        return TaskResult(task.id, "Ada", task.id == 1, error_message=None)

    assert successes(run(worker, difficulties=(EASY, EASY))) == [True, False]


def test_an_assignment_that_is_not_ones_own_reaches_no_handler() -> None:
    heard: list[Any] = []

    class Eager(WorkerAgent):
        @on(TaskAssignment)
        async def handle_task(self, data: TaskAssignment) -> bool:  # type: ignore[override]
            heard.append((self.name, data.task.id))
            return True

    class Loud(WorkerAgent):
        async def handle_task(self, data: TaskAssignment) -> bool:  # type: ignore[override]
            await self.broadcast(pickle.dumps(TaskAssignment(Task(50, "mine"))))
            await asyncio.sleep(1)
            return True

    run(Eager("Ada", 5), Loud("Ben", 5), difficulties=(EASY, EASY))
    assert heard == [("Ada", 1)]


# ---------------------------------------------------------------------------- construction


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"mode": PeerMode.ADMIN}, "a worker is a client, so leave it out or pass PeerMode.CLIENT"),
        ({"role": "boss"}, "role is 'boss'; a worker's role is 'worker', so leave it out"),
        ({"skill_level": None}, "worker 'Ada' has no skill_level; pass it"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_write(options: Any, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        WorkerAgent("Ada", **{"skill_level": 5, **options})


def test_what_can_only_be_one_thing_may_be_said() -> None:
    assert WorkerAgent("Ada", 5, mode=PeerMode.CLIENT, role="worker").role == "worker"
    assert SpecializedWorker("Ada", 5, ["x"], mode=PeerMode.CLIENT).mode == PeerMode.CLIENT


@pytest.mark.parametrize("is_class_wide", [False, True])
def test_what_a_subclass_has_set_before_holds(is_class_wide: bool) -> None:
    class Before(WorkerAgent):
        if is_class_wide:
            skill_level = 7
            specialties = ["paint"]

        def __init__(self) -> None:
            if not is_class_wide:
                self.skill_level = 7
                self.specialties = ["paint"]
            super().__init__(name="Ada")

    worker = Before()
    assert (worker.skill_level, worker.specialties) == (7, ["paint"])
