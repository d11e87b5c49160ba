"""A manager's own `assign_tasks`: what it hands out is done once, and a fault is told."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from muster.agents import AgentDetail, TaskManager, WorkerAgent, on, rehearse, run_in_virtual_time
from muster.messages import (
    AssigningFailed,
    InvalidTask,
    MusterError,
    Task,
    TaskAssignment,
    TaskResult,
)

CREW = (("Ada", 9), ("Ben", 9), ("Cid", 9))


def tasks(count: int, **fields: Any) -> list[Task]:
    return [Task(id=number, description=f"t{number}", **fields) for number in range(1, count + 1)]


def play(
    manager: Callable[[], TaskManager],
    worker: Callable[[str, int], WorkerAgent] = WorkerAgent,
    crew: Any = CREW,
) -> TaskManager:
    async def go() -> TaskManager:
        made = manager()
        await rehearse(made, [worker(name, skill) for name, skill in crew])
        return made

    return run_in_virtual_time(go())


class Doing(WorkerAgent):
    """Takes part with Ceylon's decorator, and notes what it did."""

    did: list[tuple[str, int]] = []  # noqa: RUF012 - shared by all of them

    @on(TaskAssignment)
    async def handle_task(self, data: TaskAssignment, time: int, agent: AgentDetail) -> bool:  # type: ignore[override]
        self.did.append((self.name, data.task.id))
        await asyncio.sleep(1)
        return True


@pytest.fixture
def did() -> list[tuple[str, int]]:
    Doing.did.clear()
    return Doing.did


# ---------------------------------------------------------------------------- ways to hand out


async def by_pickle(manager: TaskManager, task: Task, _: AgentDetail) -> None:
    await manager.broadcast(pickle.dumps(TaskAssignment(task=task)))


async def by_newest_pickle(manager: TaskManager, task: Task, _: AgentDetail) -> None:
    assignment = TaskAssignment(task=task)
    await manager.broadcast(pickle.dumps(assignment, protocol=pickle.HIGHEST_PROTOCOL))


async def by_message(manager: TaskManager, task: Task, _: AgentDetail) -> None:
    await manager.broadcast_message(TaskAssignment(task=task))


async def by_name(manager: TaskManager, task: Task, worker: AgentDetail) -> None:
    await manager.broadcast_message(TaskAssignment(task=task, worker=worker.name))


async def to_one(manager: TaskManager, task: Task, worker: AgentDetail) -> None:
    await manager.send_message(worker.id, TaskAssignment(task=task))


async def to_one_by_pickle(manager: TaskManager, task: Task, worker: AgentDetail) -> None:
    await manager.send_direct(worker.id, pickle.dumps(TaskAssignment(task=task)))


async def without_a_pickle(manager: TaskManager, task: Task, _: AgentDetail) -> None:
    await manager.broadcast(TaskAssignment(task=task))  # type: ignore[arg-type]


async def to_one_without_a_pickle(manager: TaskManager, task: Task, worker: AgentDetail) -> None:
    await manager.send_direct(worker.id, TaskAssignment(task=task))  # type: ignore[arg-type]


WAYS = [
    by_pickle,
    by_newest_pickle,
    by_message,
    by_name,
    to_one,
    to_one_by_pickle,
    without_a_pickle,
    to_one_without_a_pickle,
]


class Sending(TaskManager):
    """Hands out in some way, a task to each worker, as long as there are both."""

    way: Any = by_pickle
    pause_s: float | None = None

    async def assign_tasks(self) -> None:
        if self.tasks_assigned:
            return
        self.tasks_assigned = True
        for task, worker in zip(self.tasks, await self.get_connected_agents(), strict=False):
            await type(self).way(self, task, worker)
            if self.pause_s is not None:
                await asyncio.sleep(self.pause_s)


@pytest.mark.parametrize("count", [1, 3, 7])
@pytest.mark.parametrize("pause_s", [None, 0.0, 3.0])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_handed_out_is_done_once_by_one_worker(
    way: Any, pause_s: float | None, count: int, did: list[tuple[str, int]]
) -> None:
    kind = type("Sending", (Sending,), {"way": way, "pause_s": pause_s})
    manager = play(lambda: kind(tasks(count), 3, quiet=True), Doing)
    assert sorted(task_id for _, task_id in did) == list(range(1, count + 1))
    assert set(manager.get_all_task_status().values()) == {"Completed"}
    if way in (by_name, to_one, to_one_by_pickle):
        by_id = {task_id: name for name, task_id in did}
        assert [by_id[each] for each in range(1, min(count, 3) + 1)] == ["Ada", "Ben", "Cid"][
            :count
        ]


class SomeOnly(TaskManager):
    async def assign_tasks(self) -> None:
        await self.broadcast_message(TaskAssignment(task=self.tasks[1]))


def test_what_it_leaves_is_handed_out_when_the_others_are_done(
    did: list[tuple[str, int]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "muster")
    play(lambda: SomeOnly(tasks(4), 3, quiet=True), Doing)
    assert did[0][1] == 2
    assert sorted(task_id for _, task_id in did[1:]) == [1, 3, 4]
    assert "assigning the tasks that assign_tasks left over" in caplog.text


class OneAfterTheOther(TaskManager):
    """Hands out the next task when the one before it is done."""

    async def assign_tasks(self) -> None:
        await self.broadcast_message(TaskAssignment(task=self.tasks[-1]))

    async def handle_result(self, data: TaskResult) -> None:  # type: ignore[override]
        await asyncio.sleep(1)
        if data.task_id > 1:
            await self.broadcast_message(TaskAssignment(task=self.tasks[data.task_id - 2]))


def test_handle_result_may_hand_out_what_comes_next(did: list[tuple[str, int]]) -> None:
    play(lambda: OneAfterTheOther(tasks(4), 3, quiet=True), Doing)
    assert [task_id for _, task_id in did] == [4, 3, 2, 1]


class Waiting(TaskManager):
    """Hands out in pairs, and waits for each pair in `assign_tasks`."""

    async def assign_tasks(self) -> None:
        for start in (0, 2, 4):
            for task in self.tasks[start : start + 2]:
                await self.broadcast_message(TaskAssignment(task=task))
            while len(self.completed_tasks) < start + 2:
                await asyncio.sleep(0.1)


def test_assign_tasks_may_wait_for_results(did: list[tuple[str, int]]) -> None:
    play(lambda: Waiting(tasks(6), 3, quiet=True), Doing)
    order = [task_id for _, task_id in did]
    assert [sorted(order[start : start + 2]) for start in (0, 2, 4)] == [[1, 2], [3, 4], [5, 6]]


class Twice(TaskManager):
    async def assign_tasks(self) -> None:
        for task in [*self.tasks, *self.tasks]:
            await self.broadcast(pickle.dumps(TaskAssignment(task=task)))
        await asyncio.sleep(0.5)
        for task in self.tasks:
            await self.broadcast(pickle.dumps(TaskAssignment(task=task)))

    async def handle_result(self, data: TaskResult) -> None:  # type: ignore[override]
        task = next(each for each in self.tasks if each.id == data.task_id)
        await self.broadcast(pickle.dumps(TaskAssignment(task=task)))


def test_what_is_handed_out_twice_is_done_once(did: list[tuple[str, int]]) -> None:
    play(lambda: Twice(tasks(4), 3, quiet=True), Doing)
    assert sorted(task_id for _, task_id in did) == [1, 2, 3, 4]


class WithUnknown(TaskManager):
    async def assign_tasks(self) -> None:
        for task in [*self.tasks, Task(id=99, description="new")]:
            await self.broadcast(pickle.dumps(TaskAssignment(task=task)))


def test_a_task_that_the_manager_does_not_know_is_added(did: list[tuple[str, int]]) -> None:
    manager = play(lambda: WithUnknown(tasks(2), 3, quiet=True), Doing)
    assert [task.id for task in manager.tasks] == [1, 2, 99]
    assert manager.get_task_status(99) == "Completed"


class Flagging(TaskManager):
    async def assign_tasks(self) -> None:
        self.tasks_assigned = True
        await super().assign_tasks()


class PlainMethod(TaskManager):
    def assign_tasks(self) -> None:  # type: ignore[override]
        loop = asyncio.get_running_loop()
        sending = [self.broadcast_message(TaskAssignment(task=task)) for task in self.tasks]
        self.sending = [loop.create_task(each) for each in sending]


class NotAwaiting(TaskManager):
    async def assign_tasks(self) -> None:
        self.sending = [
            asyncio.ensure_future(self.broadcast(pickle.dumps(TaskAssignment(task=task))))
            for task in self.tasks
        ]


class Gathering(TaskManager):
    async def assign_tasks(self) -> None:
        await asyncio.gather(
            *(self.broadcast(pickle.dumps(TaskAssignment(task=task))) for task in self.tasks)
        )


@pytest.mark.parametrize("kind", [Flagging, PlainMethod, NotAwaiting, Gathering])
def test_an_override_may_be_of_any_form(kind: type[TaskManager], did: list[Any]) -> None:
    play(lambda: kind(tasks(4), 3, quiet=True), Doing)
    assert sorted(task_id for _, task_id in did) == [1, 2, 3, 4]


class Limiting(TaskManager):
    async def assign_tasks(self) -> None:
        for task in self.tasks:
            timeout = 2 if task.id == 1 else None
            await self.broadcast(pickle.dumps(TaskAssignment(task=task, timeout=timeout)))


def test_the_timeout_of_the_assignment_is_the_tasks() -> None:
    manager = play(lambda: Limiting(tasks(2, difficulty=5), 3, quiet=True))
    assert manager.get_task_result(1).error_message == "timed out: after 2 s"
    assert manager.get_task_status(2) == "Completed"


def test_a_timeout_that_is_none_is_refused() -> None:
    async def go() -> None:
        await TaskManager(tasks(1)).broadcast_message(TaskAssignment(task=tasks(1)[0], timeout=0))

    with pytest.raises(InvalidTask, match="timeout 0"):
        run_in_virtual_time(go())


class Early(TaskManager):
    """Hands out as soon as it runs, before anybody has come, as a connection handler may."""

    async def assign_tasks(self) -> None:
        if self.tasks_assigned:
            return
        self.tasks_assigned = True
        for task in self.tasks:
            await self.broadcast(pickle.dumps(TaskAssignment(task=task)))


def test_what_is_handed_out_before_the_workers_have_come_waits_for_them(
    did: list[tuple[str, int]],
) -> None:
    async def go() -> TaskManager:
        manager = Early(tasks(5), 3, quiet=True)
        await manager.assign_tasks()
        await rehearse(manager, [Doing(name, skill) for name, skill in CREW])
        return manager

    run_in_virtual_time(go())
    assert sorted(task_id for _, task_id in did) == [1, 2, 3, 4, 5]
    assert {name for name, _ in did[:3]} == {"Ada", "Ben", "Cid"}


# ---------------------------------------------------------------------------- nothing handed out


class Nothing(TaskManager):
    async def assign_tasks(self) -> None:
        pass


class FlagOnly(TaskManager):
    async def assign_tasks(self) -> None:
        self.tasks_assigned = True


class Undecided(TaskManager):
    async def assign_tasks(self) -> None:
        if len(await self.get_connected_agents()) < 10:
            return
        await super().assign_tasks()


class PlainNothing(TaskManager):
    def assign_tasks(self) -> None:  # type: ignore[override]
        pass


class Raising(TaskManager):
    async def assign_tasks(self) -> None:
        raise LookupError("no list of tasks")


class RaisingAfterSome(TaskManager):
    async def assign_tasks(self) -> None:
        await self.broadcast_message(TaskAssignment(task=self.tasks[0]))
        await asyncio.sleep(0.1)
        raise LookupError("no list of tasks")


class PlainRaising(TaskManager):
    def assign_tasks(self) -> None:  # type: ignore[override]
        raise LookupError("no list of tasks")


class CancelledWithin(TaskManager):
    async def assign_tasks(self) -> None:
        raise asyncio.CancelledError


class AnotherTask(TaskManager):
    async def assign_tasks(self) -> None:
        other = Task(id=1, description="another of this id")
        await self.broadcast(pickle.dumps(TaskAssignment(task=other)))


FAILING = [
    (Nothing, "Nothing.assign_tasks returned, but 2 of 2 tasks are not assigned"),
    (FlagOnly, "FlagOnly.assign_tasks returned, but 2 of 2"),
    (Undecided, "Undecided.assign_tasks returned, but 2 of 2"),
    (PlainNothing, "PlainNothing.assign_tasks returned, but 2 of 2"),
    (Raising, "Raising.assign_tasks raised LookupError: no list of tasks; 2 of 2"),
    (RaisingAfterSome, "raised LookupError: no list of tasks; 1 of 2"),
    (PlainRaising, "PlainRaising.assign_tasks raised LookupError"),
    (CancelledWithin, "CancelledWithin.assign_tasks raised CancelledError"),
    (AnotherTask, "raised DifferentTask: the manager has another task under the id 1"),
]


@pytest.mark.parametrize(("kind", "told"), FAILING)
def test_one_that_hands_out_nothing_or_raises_ends_in_an_error(
    kind: type[TaskManager], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(AssigningFailed, match=told):
        play(lambda: kind(tasks(2), 3, quiet=True))
    assert "assign_tasks" in caplog.text


@pytest.mark.parametrize(("kind", "told"), FAILING[:1])
def test_a_service_that_cannot_assign_tells_whoever_stops_it(
    kind: type[TaskManager], told: str
) -> None:
    class Hall(kind):  # type: ignore[misc,valid-type]
        async def start_agent(self, *_: Any) -> None:
            await rehearse(self, [WorkerAgent("Ada", 5)])

    async def go() -> None:
        manager = Hall(tasks(2), 1, quiet=True)
        await manager.start()
        await manager.finished()
        await manager.stop()

    with pytest.raises(MusterError, match=told.removeprefix("Nothing")):
        run_in_virtual_time(go())


def test_a_manager_without_tasks_has_nothing_to_hand_out() -> None:
    async def go() -> Any:
        manager = Sending(expected_workers=1, quiet=True)
        manager._shell.driver.stay(reassigns_failed=False)
        running = asyncio.ensure_future(rehearse(manager, [WorkerAgent("Ada", 5)]))
        await asyncio.sleep(5)
        result = await manager.submit(tasks(1)[0])
        await manager.stop()
        await running
        return result

    assert run_in_virtual_time(go()).success
