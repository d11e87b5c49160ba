"""Handlers in all the forms in which people write functions: each is called right, or refused."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Annotated, Any, Optional

import pytest
from muster.agents import (
    Handlers,
    ProcessPool,
    TaskContext,
    TaskManager,
    WorkerAgent,
    rehearse,
)
from muster.messages import InvalidInput, PriorityTask, Task, TaskResult

if TYPE_CHECKING:
    from collections.abc import Sized as MissingAtRuntime


def told(task: object, context: object = None) -> Any:
    """What a handler got: the task's data, and the number of the attempt."""
    assert isinstance(task, Task)
    return [task.data, context.attempt if isinstance(context, TaskContext) else None]


# ------------------------------------------------------------------------------- what is called


def task_alone(task: Task) -> Any:
    return told(task)


async def async_task_alone(task: Task) -> Any:
    return told(task)


def with_context(task: Task, context: TaskContext) -> Any:
    return told(task, context)


def another_name(work: Task, ctx: TaskContext) -> Any:
    return told(work, ctx)


def no_annotations(t, c):  # type: ignore[no-untyped-def]
    return told(t, c)


def optional_context(task: Task, context: TaskContext | None = None) -> Any:
    return told(task, context)


def old_optional_context(task: Task, ctx: Optional[TaskContext] = None) -> Any:  # noqa: UP045
    return told(task, ctx)


def annotated_context(task: Task, ctx: Annotated[TaskContext, "of it"] = None) -> Any:  # type: ignore[assignment]
    return told(task, ctx)


def keyword_context(task: Task, *, context: TaskContext) -> Any:
    return told(task, context)


async def async_keyword_context(task: Task, *, context: TaskContext | None = None) -> Any:
    return told(task, context)


def keywords_only(*, task: Task, context: TaskContext) -> Any:
    return told(task, context)


def context_first(context: TaskContext, task: Task) -> Any:
    return told(task, context)


def context_alone(context: TaskContext) -> Any:
    return told(context.task, context)


def default_between(task: Task, factor: int = 1, context: TaskContext | None = None) -> Any:
    assert factor == 1
    return told(task, context)


def other_default(task: Task, factor: int = 1) -> Any:
    return [*told(task)[:1], None] if factor == 1 else None


def default_task(task: Task | None = None) -> Any:
    return told(task)


def any_arguments(*arguments: Any) -> Any:
    return told(*arguments)


def any_keywords(task: Task, **options: Any) -> Any:
    assert not options
    return told(task)


def broader_class(task: object) -> Any:
    return told(task)


def not_importable(task: Task, size: MissingAtRuntime | None = None) -> Any:
    assert size is None
    return told(task)


def by_position_only(task: Task, context: TaskContext, /) -> Any:
    return told(task, context)


class Callables:
    def __call__(self, task: Task, context: TaskContext) -> Any:
        return told(task, context)

    def method(self, task: Task, *, context: TaskContext) -> Any:
        return told(task, context)

    async def async_method(self, task: Task) -> Any:
        return told(task)

    @classmethod
    def class_method(cls, task: Task) -> Any:
        return told(task)

    @staticmethod
    def static_method(task: Task, context: TaskContext) -> Any:
        return told(task, context)


class AsyncCallable:
    async def __call__(self, task: Task, *, context: TaskContext | None = None) -> Any:
        await asyncio.sleep(0)
        return told(task, context)


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        return function(*arguments, **named)

    return wrapper


def decorated_without_wraps(function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(task: Task) -> Any:
        return function(task)

    return wrapper


class Later:
    def __init__(self, task: Task) -> None:
        self._task = task

    def __await__(self) -> Generator[Any, None, Any]:
        yield from asyncio.sleep(0).__await__()
        return told(self._task)


def makes_awaitable(task: Task) -> Awaitable[Any]:
    return Later(task)


def runs_a_loop(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(task: Task) -> Any:
        return asyncio.run(function(task))

    return wrapper


def scaled(factor: int, task: Task, context: TaskContext) -> Any:
    assert factor == 2
    return told(task, context)


def named_scaled(task: Task, factor: int, context: TaskContext) -> Any:
    assert factor == 2
    return told(task, context)


ALONE = [
    task_alone,
    async_task_alone,
    other_default,
    default_task,
    any_keywords,
    broader_class,
    not_importable,
    Callables().async_method,
    Callables.class_method,
    decorated(async_task_alone),
    decorated_without_wraps(async_task_alone),
    lambda task: async_task_alone(task),  # noqa: PLW0108
    runs_a_loop(async_task_alone),
    makes_awaitable,
    functools.partial(async_task_alone),
]
WITH_CONTEXT = [
    with_context,
    another_name,
    no_annotations,
    optional_context,
    old_optional_context,
    annotated_context,
    keyword_context,
    async_keyword_context,
    keywords_only,
    context_first,
    context_alone,
    default_between,
    any_arguments,
    by_position_only,
    Callables(),
    Callables().method,
    Callables.static_method,
    AsyncCallable(),
    functools.partial(AsyncCallable()),
    decorated(keyword_context),
    functools.partial(scaled, 2),
    functools.partial(named_scaled, factor=2),
    functools.partial(functools.partial(scaled, 2)),
]


def run(handlers: Handlers, **options: Any) -> dict[str, Any]:
    """Run a task of each type in virtual time; returns its output or its error by type."""

    async def story() -> dict[str, Any]:
        tasks = [Task(n, "d", type=each, data=n) for n, each in enumerate(handlers, start=1)]
        worker = WorkerAgent("Ada", 5, slots=2, handlers=handlers, **options)
        report = await rehearse(TaskManager(tasks, 1, quiet=True), [worker])
        return {task.type: task.output or task.error for task in report.tasks}

    return asyncio.run(story())


@pytest.mark.parametrize("way", ["collection", "worker"])
def test_a_handler_may_be_written_in_many_forms(way: str) -> None:
    handlers = Handlers()
    worker = WorkerAgent("Ada", 5, handlers=handlers)
    register = handlers.task if way == "collection" else worker.task
    for number, function in enumerate(ALONE + WITH_CONTEXT):
        assert register(f"form {number}")(function) is function
    outcomes = run(handlers)
    for number, function in enumerate(ALONE + WITH_CONTEXT):
        attempt = 1 if function in WITH_CONTEXT else None
        assert outcomes[f"form {number}"] == [number + 1, attempt], function


@pytest.mark.processes
def test_forms_that_can_do_without_a_context_work_in_processes() -> None:
    handlers = Handlers()
    forms: dict[str, Callable[..., Any]] = {
        "optional": optional_context,
        "any arguments": any_arguments,
        "default between": default_between,
        "async object": AsyncCallable(),
        "partial": functools.partial(other_default, factor=1),
        "method": Callables.class_method,
        "gives an awaitable": makes_awaitable,
        "gives a coroutine": functools.partial(call, async_task_alone),
    }
    for name, function in forms.items():
        handlers.task(name)(function)
    outcomes = run(handlers, executor=lambda: ProcessPool(1))
    expected = {
        name: [n, 1 if name == "async object" else None] for n, name in enumerate(forms, start=1)
    }
    assert outcomes == expected


def call(function: Callable[..., Any], task: Task) -> Any:
    return function(task)


@pytest.mark.parametrize("role", ["task", "review"])
def test_without_a_type_the_name_of_the_function_is_the_type(role: str) -> None:
    handlers = Handlers()
    worker = WorkerAgent("Ada", 5, handlers=handlers)

    def first(task: Task, result: TaskResult | None = None) -> float: ...  # type: ignore[empty-body]

    def second(task: Task, result: TaskResult | None = None) -> float: ...  # type: ignore[empty-body]

    def third(task: Task, result: TaskResult | None = None) -> float: ...  # type: ignore[empty-body]

    assert getattr(handlers, role)(first) is first
    assert getattr(worker, role)(second) is second
    assert getattr(worker, role)()(third) is third
    found = tuple(handlers) if role == "task" else handlers.review_types
    assert found == ("first", "second", "third")


def test_a_type_is_redefined_only_if_that_is_asked_for() -> None:
    handlers = Handlers()

    @handlers.task
    def weigh(task: Task) -> int:
        return 1

    with pytest.raises(InvalidInput, match=r"already: .*weigh; choose .*, or pass replace=True"):
        handlers.task(weigh)

    @handlers.task("weigh", replace=True)
    def other(task: Task) -> int:
        return 2

    assert run(handlers) == {"weigh": 2}
    more = Handlers()
    more.task("weigh")(weigh)
    with pytest.raises(InvalidInput, match="two handlers for tasks of type 'weigh'"):
        handlers.update(more)
    handlers.update(more, replace=True)
    assert run(handlers) == {"weigh": 1}


# ------------------------------------------------------------------------------ what is refused


def three(task: Task, context: TaskContext, other: int) -> None: ...


def keyword_left(task: Task, *, size: int) -> None: ...


def fits_nothing(x, y, z) -> None: ...  # type: ignore[no-untyped-def]


def task_after_gap(context: TaskContext, task: Task, /) -> None: ...


WRITE = r"write `def handler\(task\)` or `def handler\(task, context\)`"


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (three, f"handler three takes other too, for which there is no value; {WRITE}"),
        (keyword_left, f"handler keyword_left takes size too, .*{WRITE}"),
        (
            fits_nothing,
            f"handler fits_nothing takes z too, .*{WRITE}.*; or annotate all",
        ),
        (
            lambda task, x=0, *, y: None,
            f"takes y too, for which there is no value; {WRITE}, and give any other parameter",
        ),
        (task_after_gap, "takes 'task' by position only, at another place"),
        (Callables.method, "takes 'self', so it is a method without its object; register"),
        (Callables, f"Callables is a class, not a handler; {WRITE}, or register an object"),
        (int, "int is a class, not a handler"),
        (PriorityTask, "PriorityTask is a class, not a handler"),
        (5, f"5 can't be called, so it is no handler; {WRITE}"),
        (["weigh"], "can't be called, so it is no handler"),
        (classmethod(task_alone), "can't be called, so it is no handler"),
    ],
)
def test_what_can_not_be_a_handler_is_refused_with_what_to_write(function: Any, words: str) -> None:
    handlers = Handlers()
    worker = WorkerAgent("Ada", 5, handlers=handlers)
    for register in (handlers.task("type"), worker.task("type"), handlers.task, worker.task):
        with pytest.raises(InvalidInput, match=words):
            register(function)
    assert len(handlers) == 0


def test_a_coroutine_is_refused() -> None:
    coroutine = async_task_alone(Task(1, "d"))
    with pytest.raises(InvalidInput, match=r"async_task_alone\(\) is a coroutine, not a function"):
        Handlers().task("type")(coroutine)  # type: ignore[type-var]
    coroutine.close()


@pytest.mark.parametrize(
    "function", [lambda task: None, functools.partial(task_alone), Callables()]
)
def test_a_function_without_a_name_needs_a_type(function: Any) -> None:
    handlers = Handlers()
    with pytest.raises(InvalidInput, match=r"no name to take .* `handlers.task\(TYPE\)"):
        handlers.task(function)
    with pytest.raises(InvalidInput, match="not the blank"):
        handlers.task(" ")


def test_a_reviewer_may_be_written_in_the_same_forms() -> None:
    def keyword(task: Task, result: TaskResult, *, context: TaskContext) -> float:
        return float(isinstance(context, TaskContext))

    def named(*, result: TaskResult, task: Task, context: TaskContext | None = None) -> float:
        assert isinstance(result, TaskResult)
        assert isinstance(task, Task)
        return 1.0

    class Reviewing:
        async def __call__(self, task: Task, result: TaskResult) -> float:
            return 1.0

    for reviewer in (keyword, named, Reviewing()):

        async def story(reviewer: Any = reviewer) -> float | None:
            doing, reviewing = Handlers(), Handlers()
            doing.task("paint")(task_alone)
            reviewing.review("paint")(reviewer)
            manager = TaskManager([Task(1, "d", type="paint", data=1, review=True)], 2, quiet=True)
            workers = [
                WorkerAgent("Ada", 5, handlers=doing),
                WorkerAgent("Bo", 5, handlers=reviewing),
            ]
            await rehearse(manager, workers)
            return manager.task_results[0].quality

        assert asyncio.run(story()) == 1.0

    write = r"write `def reviewer\(task, result\)` or `def reviewer\(task, result, context\)`"
    with pytest.raises(InvalidInput, match=f"reviewer task_alone takes no result; {write}"):
        Handlers().review("paint")(task_alone)
