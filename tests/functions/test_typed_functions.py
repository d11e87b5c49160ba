"""Typed functions: what arrives is what was given, and what does not fit is refused by name."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any, Optional

import numpy as np
import pytest
from muster.agents import (
    Handlers,
    MemoryNetwork,
    Muster,
    ProcessPool,
    TaskContext,
    TaskManager,
    WorkerAgent,
    rehearse,
    run_in_virtual_time,
)
from muster.messages import EncodeError, InvalidInput, PriorityTask, Task, WrongCall

from .typed_handlers import (
    OF_ALL_KINDS,
    ORDER,
    VALUES,
    Leaf,
    Order,
    Receipt,
    Scale,
    add,
    attempt_of,
    echo_of,
    handlers,
    lie,
    sell,
)


def play(
    story: Callable[[TaskManager], Coroutine[Any, Any, Any]],
    served: Handlers = handlers,
    **options: Any,
) -> Any:
    """Play a story with a manager that has one worker, over a memory network."""

    async def run() -> Any:
        manager = TaskManager(quiet=True)
        manager.stay()
        worker = WorkerAgent("Ada", 5, handlers=served, **options)
        network = MemoryNetwork()
        serving = [
            asyncio.ensure_future(each.serve_over(network.join(each.name, each.receive)))
            for each in (manager, worker)
        ]
        try:
            return await story(manager)
        finally:
            for each in serving:
                each.cancel()
            await asyncio.gather(*serving, return_exceptions=True)

    return asyncio.run(run())


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    return type(one) is type(other) and one == other


def test_values_of_all_types_come_back_as_what_they_are() -> None:
    served = Handlers()
    seen: list[Any] = []
    echoes = [
        served.task(f"echo {number}")(echo_of(declared, seen))
        for number, (declared, _) in enumerate(VALUES)
    ]

    async def story(manager: TaskManager) -> list[Any]:
        calls = zip(echoes, VALUES, strict=True)
        return [await manager.submit(echo, value) for echo, (_, value) in calls]

    for result, (declared, value) in zip(play(story, served), VALUES, strict=True):
        assert same(result.unwrap(), value), declared
    assert seen == [type(value) for _, value in VALUES]


@pytest.mark.parametrize(
    "options",
    [{}, pytest.param({"executor": lambda: ProcessPool(1)}, marks=pytest.mark.processes)],
    ids=["in threads", "in processes"],
)
def test_functions_of_all_kinds_are_called_with_their_arguments(options: Any) -> None:
    served = Handlers()
    served.update(handlers)

    async def story(manager: TaskManager) -> Any:
        results = [await manager.submit(function, *given) for function, given, _ in OF_ALL_KINDS]
        receipt = await manager.submit(sell, ORDER)
        wrong = await manager.submit(lie, [{"grams": "x"}])
        refused = await manager.submit(Task(type="add", data={"x": "one"}))
        attempt = await manager.submit(attempt_of)
        return results, receipt.unwrap(), wrong, refused, attempt.unwrap()

    results, receipt, wrong, refused, attempt = play(story, served, **options)
    assert [each.unwrap() for each in results] == [expected for _, _, expected in OF_ALL_KINDS]
    assert isinstance(receipt, Receipt)
    assert (receipt.total, receipt.orders) == (Decimal("3.00"), [ORDER])
    assert attempt == (None if options else 1)
    assert refused.gives_up
    assert refused.error_message.startswith("WrongCall: add(): x: 'one': Input should be a valid")
    assert not wrong.success
    assert wrong.error_message.startswith(
        "WrongOutput: lie() declares to return list[Order]: "
        "output.0.grams: 'x': Input should be a valid decimal"
    ), wrong.error_message


def test_a_registered_function_is_still_the_function() -> None:
    assert add(1, 2) == 3 + 0
    assert inspect.isfunction(add)
    assert str(inspect.signature(add)).startswith("(x: 'int', y: 'int' = 3, *rest")
    assert pickle.loads(pickle.dumps(add)) is add
    assert Handlers().task(handlers.task("other add", replace=True)(add)) is add
    bound = Handlers().task("scale")(Scale(3).scale)
    assert bound(Decimal(1)) == 3
    again = Handlers().task("again")(bound)
    assert again.task(Decimal(1)).type == "again"


MAIN_PROGRAM = """
from __future__ import annotations

from decimal import Decimal
from enum import Enum

from muster.agents import Handlers

handlers = Handlers()


class Leaf(Enum):
    FINE = "fine"


@handlers.task
def sell(grams: Decimal, leaf: Leaf = Leaf.FINE) -> Decimal:
    return grams * 2
"""


def test_a_function_of_the_main_program_is_called_where_it_was_pickled_by_value() -> None:
    """As in the workers of a Dask cluster, which do not have that program."""
    cloudpickle = pytest.importorskip("cloudpickle")
    program: dict[str, Any] = {"__name__": "__main__"}
    exec(MAIN_PROGRAM, program)
    task = program["sell"].task("1.5")
    planned = program["handlers"]._by_type["sell"].function
    function, called = pickle.loads(cloudpickle.dumps((program["sell"], planned)))
    assert called(task) == "3.0"
    assert function.task("1.5", leaf="fine").data["leaf"] == "fine"


def test_the_data_of_a_task_are_the_arguments_by_name() -> None:
    def move(x: int, /, leaf: Leaf, *rest: Decimal, fast: bool = False, **named: Order) -> None: ...

    typed: Any = Handlers().task(move)
    assert typed.task(1, Leaf.FINE).data == {"x": 1, "leaf": "fine"}
    data = typed.task(1, Leaf.FINE, Decimal(2), x=ORDER, fast=True).data
    order = {"grams": "1.50", "leaf": "fine", "due": "2026-05-01", "tags": ["a"], "parent": None}
    assert data == {"x": 1, "leaf": "fine", "rest": ["2"], "fast": True, "named": {"x": order}}
    assert typed.type if hasattr(typed, "type") else typed.task(1, leaf=Leaf.FINE).type == "move"


@pytest.mark.parametrize(
    ("data", "output"),
    [
        ({"x": 1}, 4),
        ({"x": "1", "y": 2.0}, 3),
        ({"x": 1, "rest": [1, 2]}, 7),
        ({"x": 1, "other": 5, "named": {"more": 1}}, 10),
        (None, "WrongCall: add() needs 'x'; it takes x: int, y: int = 3, *rest: int, **named: int"),
        ([1, 2], "WrongCall: add() gets its arguments by name, as an object, not [1, 2]; it takes"),
        ({1: 2}, "WrongCall: add() gets its arguments by name, as an object, not {1: 2}; it"),
        ({"x": "one", "y": None}, "WrongCall: add(): x: 'one': Input should be a valid integer, "),
        ({"x": 1, "rest": 5}, "WrongCall: add(): rest: 5: Input should be a valid list"),
        ({"x": 1, "rest": [1, "a"]}, "WrongCall: add(): rest.1: 'a': Input should be a valid int"),
        ({"x": 1, "named": 5}, "WrongCall: add(): named: 5: Input should be a valid dictionary"),
    ],
)
def test_a_task_that_was_made_elsewhere_is_checked_by_its_worker(data: Any, output: Any) -> None:
    async def story(manager: TaskManager) -> Any:
        result = await manager.submit(Task(type="add", data=data))
        return result.output if result.success else result.error_message

    outcome = play(story)
    assert outcome == output or str(outcome).startswith(str(output)), outcome


def test_wrong_data_are_tried_once_and_are_not_held_against_the_worker() -> None:
    async def story() -> None:
        tasks = [
            *(Task(type="add", data={"x": n}, max_attempts=5) for n in ("one", "two", "three")),
            Task(type="add", data={"x": 1}),
        ]
        manager = TaskManager(
            tasks, 1, quiet=True, reassign_failed=True, quarantine_after=1, quarantine_s=1000
        )
        await rehearse(manager, [WorkerAgent(name, 5, handlers=handlers) for name in ("Ada", "Bo")])
        records = [manager.board.tasks[task.id] for task in tasks]
        assert [len(record.attempts) for record in records] == [1, 1, 1, 1]
        assert [record.status.value for record in records] == ["failed"] * 3 + ["completed"]

    run_in_virtual_time(story())


# ------------------------------------------------------------------------------ what is refused


def plain(x: int, /, y: Decimal = Decimal(3), *, leaf: Leaf | None = None) -> None: ...


async def with_context(order: Order, context: TaskContext) -> None: ...


def no_arguments() -> None: ...


PLAIN = "it takes x: int, y: Decimal = Decimal('3'), leaf: "


@pytest.mark.parametrize(
    ("function", "given", "named", "words"),
    [
        (plain, (), {}, f"plain() needs 'x'; {PLAIN}"),
        (plain, (), {"x": 1}, f"plain() takes 'x' by position only; {PLAIN}"),
        (plain, (1, 2, 3), {}, f"plain() takes 2 arguments by position, not 3; {PLAIN}"),
        (plain, (1, 2), {"y": 3}, f"plain() got 'y' twice, by position and by name; {PLAIN}"),
        (plain, (1,), {"z": 3, "a": 1}, f"plain() has no parameter 'z', 'a'; {PLAIN}"),
        (plain, ("abc",), {}, "plain(): x: 'abc': Input should be a valid integer"),
        (plain, (1.5,), {"leaf": "green"}, "plain(): x: 1.5: Input should be a valid integer, got"),
        (plain, (1,), {"leaf": "green"}, "plain(): leaf: 'green': Input should be 'fine' or 'coa"),
        (with_context, (ORDER,), {"context": 1}, "with_context() gets 'context' from its worker"),
        (with_context, (), {}, "with_context() needs 'order'; it takes order: "),
        (with_context, ({"grams": 1},), {}, "with_context(): order.leaf: "),
        (
            no_arguments,
            (1,),
            {},
            "no_arguments() takes 0 arguments by position, not 1; it takes no",
        ),
        (no_arguments, (), {"x": 1}, "no_arguments() has no parameter 'x'; it takes no arguments"),
    ],
)
def test_wrong_arguments_are_refused_where_they_are_submitted(
    function: Any, given: Any, named: Any, words: str
) -> None:
    registered: Any = Handlers().task(function)
    with pytest.raises(WrongCall) as caught:
        registered.task(*given, **named)
    assert str(caught.value).startswith(words), caught.value
    assert isinstance(caught.value, TypeError)

    async def story(manager: TaskManager) -> None:
        with pytest.raises(WrongCall):
            await manager.submit(registered, *given, **named)
        with pytest.raises(WrongCall):
            manager.submit_nowait(registered, *given, **named)

    if given == ("abc",):
        play(story)


async def test_a_function_is_submitted_to_the_innermost_client_or_manager() -> None:
    class Desk(TaskManager):
        async def start(self, *_: Any) -> None: ...

        async def stop(self, **_: Any) -> None: ...

        async def submit(self, /, *task: Any, **named: Any) -> Any:
            return self.name, task[1:], named

    async with Desk(name="outer"):
        async with Desk(name="inner"):
            assert await add.submit(1, y=2) == ("inner", (1,), {"y": 2})
            assert await asyncio.create_task(add.submit(1)) == ("inner", (1,), {})
        assert (await add.with_options(priority=5).submit(1))[0] == "outer"
    with pytest.raises(InvalidInput, match="no client to submit"):
        add.submit(1)


def test_an_argument_without_a_plain_form_is_refused_by_name() -> None:
    registered: Any = Handlers().task(with_context)
    with pytest.raises(EncodeError, match=r"^order: <object object .* has no plain form"):
        registered.task(object())


class Unknown:
    """A class that pydantic does not know."""


def of_unknown(value: Unknown) -> None: ...


def gives_unknown(x: int) -> list[Unknown]: ...  # type: ignore[empty-body]


def both(x: int, task: Task) -> None: ...


def missing_class(value: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (of_unknown, r"^of_unknown\(\): value: values of the type Unknown can't be made of plain"),
        (gives_unknown, r"^gives_unknown\(\): its output: values of the type list.*Unknown"),
        (both, "handler both takes `x: int` and a task; take the task alone, .* or no task"),
        (Scale.scale, "takes 'self', so it is a method without its object; register the method"),
    ],
)
def test_what_can_not_be_a_typed_function_is_refused_where_it_is_registered(
    function: Any, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        Handlers().task("type")(function)


def test_a_class_that_is_never_defined_is_named_where_the_function_is_used() -> None:
    registered: Any = Handlers().task(missing_class)
    words = "declares value as 'Missing', which tests.functions.test_typed_functions does not def"
    with pytest.raises(InvalidInput, match=words):
        registered.task(1)


def test_what_to_do_is_told_where_a_function_can_not_be_submitted() -> None:
    async def story(manager: TaskManager) -> None:
        for function in (with_context_alone, Scale(1).scale, len, lambda: None):
            with pytest.raises(InvalidInput, match=r"is not registered as a typed function.*decor"):
                await manager.submit(function)
        with pytest.raises(WrongCall, match="takes one task, or a typed function and its argum"):
            await manager.submit(Task(type="add"), 1)  # type: ignore[call-overload]
        with pytest.raises(WrongCall, match="only a function takes several arguments"):
            [each async for each in manager.map("add", [1], [2])]
        assert (await manager.submit(task=Task(type="add", data={"x": 1}))).output == 4

    play(story)
    with pytest.raises(InvalidInput, match=r"no client to submit add\(\) to; .*Client.connect"):
        add.submit(1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prio": 5}, "a task has no option 'prio'; .*known: description, .*priority"),
        ({"type": "x", "id": 5}, "a task has no option 'type', 'id'"),
        ({"priority": "high"}, r"the options of add\(\): priority: 'high': Input should be a vali"),
    ],
)
def test_wrong_options_are_refused(options: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        add.with_options(**options)


def test_options_are_those_of_the_tasks() -> None:
    task = add.with_options(priority=5).with_options(timeout=2).task(1, y=2)
    assert (task.type, task.data, task.priority, task.timeout) == ("add", {"x": 1, "y": 2}, 5, 2)


# --------------------------------------------------------------------- which functions are typed


def count(task: Any) -> Any: ...


def subclass(work: PriorityTask) -> Any: ...


def optional(work: Optional[Task], factor: int = 2) -> Any: ...  # noqa: UP045


def unannotated(x, y) -> int: ...  # type: ignore[no-untyped-def, empty-body]


def with_context_alone(context: TaskContext) -> Any: ...


def any_arguments(*arguments: Any) -> Any: ...


def of_a_base_class(work: object, factor: int = 2) -> Any: ...


def half(x, y: int) -> Any: ...  # type: ignore[no-untyped-def]


def defaults(x=1, y=2) -> Any: ...  # type: ignore[no-untyped-def]


def rest_of_numbers(*numbers: int) -> Any: ...


def named_task(task: str) -> Any: ...


def text_context(prompt: str, context: str = "") -> Any: ...


def only_names(**named: Any) -> Any: ...


@pytest.mark.parametrize(
    "function",
    [count, subclass, optional, unannotated, with_context_alone, any_arguments, of_a_base_class],
)
def test_a_handler_of_a_task_is_as_before(function: Any) -> None:
    served = Handlers()
    assert served.task(function) is function
    assert not hasattr(function, "submit")
    served.check(Task(type=function.__name__, data=5))


@pytest.mark.parametrize(
    "function",
    [half, defaults, rest_of_numbers, named_task, text_context, only_names, no_arguments],
)
def test_a_function_of_anything_else_takes_arguments(function: Any) -> None:
    served = Handlers()
    assert served.task(function) is function
    with pytest.raises(WrongCall, match=f"^{function.__name__}"):
        served.check(Task(type=function.__name__, data=5))


def test_a_parameter_called_context_of_another_type_is_an_argument() -> None:
    registered: Any = Handlers().task(text_context)
    assert registered.task("a", context="b").data == {"prompt": "a", "context": "b"}


def test_a_muster_calls_a_typed_function_as_it_is() -> None:
    with Muster(threads=1) as muster:
        assert add.submit(1, 2).result() == 3
        assert muster.submit(add.with_options(priority=5), 1).result() == 4
        assert list(muster.map(add, [1, 2], [3, 4])) == [4, 6]
        tasks = muster.manager.board.tasks.values()
        assert [record.task.priority for record in tasks] == [0, 5, 0, 0]
