"""The classes that an agent inherits from, and a user's, keep out of each other's attributes."""

from __future__ import annotations

import ast
import asyncio
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import pytest
from muster.agents import (
    SpecializedWorker,
    TaskManager,
    WorkerAgent,
    rehearse,
    run_in_virtual_time,
)
from muster.messages import InvalidInput, Task, TaskAssignment, TaskResult


def own_private_attributes(cls: type) -> set[str]:
    """The private attributes that a class's own methods set."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
        and node.attr.startswith("_")
    }


@pytest.mark.parametrize("agent", [TaskManager, WorkerAgent, SpecializedWorker])
def test_no_two_classes_of_an_agent_set_the_same_private_attribute(agent: type) -> None:
    owner: dict[str, str] = {}
    for cls in agent.__mro__:
        if cls.__module__.startswith("muster."):
            for name in own_private_attributes(cls):
                assert owner.setdefault(name, cls.__name__) == cls.__name__, name
    assert owner


USUAL = [
    "_running",
    "_finished",
    "_failure",
    "_attempts",
    "_timers",
    "_counted",
    "_tasks",
    "_results",
    "_lock",
    "_stats",
    "_workers",
    "_queue",
    "_history",
    "_current_task",
    "_has_task",
    "_busy",
    "_state",
    "_status",
    "_log",
    "_logger",
    "_name",
    "_task",
    "_result",
    "_pending",
    "_completed",
    "_failed",
    "_errors",
    "_started",
    "_stopped",
    "_done",
    "_count",
    "_counter",
    "_start_time",
    "_data",
    "_cache",
    "_config",
    "_metrics",
    "_loop",
    "_event",
    "_events",
    "_stop_event",
    "_stop",
    "_active",
    "_started_at",
    "_retries",
]


class Manager(TaskManager):
    def __init__(self, tasks: list[Task], **given: Any) -> None:
        super().__init__(tasks, 1, quiet=True, **given)
        for name in USUAL:
            setattr(self, name, False)

    async def handle_result(self, data: TaskResult) -> None:  # type: ignore[override]
        await super().handle_result(data)


class Worker(WorkerAgent):
    def __init__(self, name: str, skill_level: int, **given: Any) -> None:
        super().__init__(name, skill_level, **given)
        for each in USUAL:
            setattr(self, each, False)

    async def handle_task(self, data: TaskAssignment) -> bool:  # type: ignore[override]
        return True


def over_memory(tasks: list[Task]) -> TaskManager:
    manager = Manager(tasks)
    run_in_virtual_time(rehearse(manager, [Worker("Ada", 9)]))
    return manager


def over_ceylon(tasks: list[Task]) -> TaskManager:
    manager = Manager(tasks, port=0)
    worker = Worker("Ada", 9, admin_peer=manager.details().id)
    asyncio.run(asyncio.wait_for(manager.start_agent(b"", [worker]), 60))
    return manager


@pytest.mark.parametrize("play", [over_memory, pytest.param(over_ceylon, marks=pytest.mark.ceylon)])
def test_a_subclass_may_give_its_own_attributes_the_usual_private_names(
    play: Callable[[list[Task]], TaskManager],
) -> None:
    manager = play([Task(1, "a", 1), Task(2, "b", 1)])
    assert [result.success for result in manager.task_results] == [True, True]


@pytest.mark.parametrize("attribute", ["tasks", "expected_workers", "task_results"])
def test_to_set_before_init_what_init_makes_says_what_to_do(attribute: str) -> None:
    class Early(TaskManager):
        def __init__(self) -> None:
            setattr(self, attribute, [])
            super().__init__()

    with pytest.raises(InvalidInput, match=r"call super\(\).__init__\(…\) first"):
        Early()


def test_what_no_manager_has_is_missed_as_ever() -> None:
    with pytest.raises(AttributeError, match="'TaskManager' object has no attribute 'nothing'"):
        TaskManager([]).nothing  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("kind", [set, list])
def test_a_subclass_may_keep_the_completed_tasks_itself(kind: type[Any]) -> None:
    class Keeping(Manager):
        def __init__(self, tasks: list[Task]) -> None:
            super().__init__(tasks)
            self.completed_tasks = kind()

        async def handle_result(self, data: TaskResult) -> None:  # type: ignore[override]
            add = self.completed_tasks.append if kind is list else self.completed_tasks.add
            add(data.task_id)

    manager = Keeping([Task(1, "a", 1), Task(2, "b", 1)])
    run_in_virtual_time(rehearse(manager, [Worker("Ada", 9)]))
    assert sorted(manager.completed_tasks) == [1, 2]
    assert manager.completed_tasks.__class__ is kind


USUAL_METHODS = (
    "_assign _begin _calculate _check _cleanup _close _do _do_work _execute _finish _go _handle "
    "_init _initialize _load _log _loop _main _notify _perform _pick _print _process _process_task "
    "_report _reset _retry _run _run_task _save _score _select _send _setup _simulate _sleep "
    "_start _step _summarize _time _update _validate _wait _work"
)


@pytest.mark.parametrize("agent", [TaskManager, WorkerAgent, SpecializedWorker])
def test_a_subclass_may_give_its_own_methods_the_usual_private_names(agent: type) -> None:
    taken = {name for cls in agent.__mro__ for name in vars(cls)}
    assert taken & set(USUAL_METHODS.split()) == set()
