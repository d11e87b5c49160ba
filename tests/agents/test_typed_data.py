"""Data and results of declared types, from the program that submits them to handlers elsewhere."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from muster.agents import (
    Handlers,
    ProcessPool,
    TaskManager,
    WorkerAgent,
    rehearse,
)
from muster.agents.store.memory import MemoryStore, SharedRows
from muster.messages import EncodeError, Task, from_plain


class Leaf(Enum):
    FINE = "fine"


@dataclass
class Order:
    grams: Decimal
    leaf: Leaf
    due: dt.date
    tags: set[str] = field(default_factory=set)


@dataclass
class Receipt:
    total: Decimal
    took: dt.timedelta
    file: Path


class OrderTask(Task):
    data: Order


ORDER = Order(Decimal("1.50"), Leaf.FINE, dt.date(2026, 5, 1), {"a"})
RECEIPT = Receipt(Decimal("3.00"), dt.timedelta(seconds=2), Path("a/b"))


def sell(task: OrderTask) -> Receipt:
    """Takes the declared class, whatever class of task was submitted."""
    assert type(task) is OrderTask
    assert task.data == ORDER
    return Receipt(task.data.grams * 2, dt.timedelta(seconds=2), Path("a/b"))


def sell_plain(task: Task) -> Any:
    """Declares the type of the data at the call."""
    assert task.data["leaf"] == "fine"
    assert task.data_as(Order) == ORDER
    return {"receipts": [RECEIPT], "best": (RECEIPT.total, Leaf.FINE)}


async def sell_async(task: OrderTask) -> Receipt:
    return sell(task)


def sell_nothing(task: Task) -> Any:
    return {"items": [1, 2, 3, {"when": range(3)}]}


HANDLERS = Handlers()
for each in (sell, sell_plain, sell_async, sell_nothing):
    HANDLERS.task(each)


def results_of(tasks: list[Task], handlers: Handlers = HANDLERS, **options: Any) -> list[Any]:
    """Run tasks; returns their results, in the order of the tasks."""

    async def story() -> list[Any]:
        manager = TaskManager(tasks, 1, quiet=True)
        await rehearse(manager, [WorkerAgent("Ada", 5, handlers=handlers, **options)])
        return [manager.board.tasks[task.id].result for task in tasks]

    return asyncio.run(story())


def check_results(results: list[Any]) -> None:
    typed, plain, by_async, failed = results
    assert typed.output_as(Receipt) == by_async.output_as(Receipt) == RECEIPT
    assert typed.output == {"total": "3.00", "took": "PT2S", "file": "a/b"}
    assert from_plain(plain.output, dict[str, Any])["best"] == ["3.00", "fine"]
    assert from_plain(plain.output["receipts"], list[Receipt]) == [RECEIPT]
    assert not failed.success
    assert failed.error_message.startswith("EncodeError: ")
    assert "output.items[3].when: range(0, 3) is of the class range" in failed.error_message


def orders() -> list[Task]:
    return [
        # As plain data, such as from a file or the API; as an object; as a class of tasks.
        Task(1, "d", type="sell", data={**vars(ORDER), "grams": "1.50", "leaf": "fine"}),
        Task(2, "d", type="sell_plain", data=ORDER),
        OrderTask(3, "d", type="sell_async", data=ORDER),
        Task(4, "d", type="sell_nothing", data=ORDER),
    ]


def test_declared_types_arrive_where_handlers_run_in_threads() -> None:
    check_results(results_of(orders()))


@pytest.mark.processes
def test_declared_types_arrive_where_handlers_run_in_processes() -> None:
    check_results(results_of(orders(), executor=lambda: ProcessPool(1)))


@pytest.mark.ceylon
async def test_declared_types_arrive_over_ceylon_and_after_a_restart_from_the_store() -> None:
    rows = SharedRows()
    tasks = orders()
    manager = TaskManager(tasks, 1, port=0, quiet=True, store=MemoryStore(rows))
    await asyncio.wait_for(
        manager.start_agent(b"", [WorkerAgent("Ada", 5, handlers=HANDLERS)]), timeout=180
    )
    check_results([manager.board.tasks[task.id].result for task in tasks])
    # The same tasks are the same again, though the store has their plain form.
    again = TaskManager(tasks, 1, quiet=True, store=MemoryStore(rows))
    check_results([again.board.tasks[task.id].result for task in tasks])


def test_data_that_are_not_of_the_declared_type_fail_the_attempt_with_place_and_rule() -> None:
    (result,) = results_of([Task(1, "d", type="sell", data={"grams": "x"})])
    assert not result.success
    assert result.error_message.startswith("InvalidTask: it is no OrderTask: data.grams: 'x': ")


@pytest.mark.parametrize(
    "submit",
    [
        lambda task: TaskManager([task], 1, quiet=True),
        lambda task: TaskManager([], 1, quiet=True).add_task(task),
    ],
)
def test_data_without_a_plain_form_are_refused_where_they_are_submitted(submit: Any) -> None:
    task = Task(7, "d", type="sell", data={"items": [1, 2, 3, {"when": range(3)}]})
    words = r"task 7 can't be sent: data.items\[3\].when: range\(0, 3\) is of the class range"
    with pytest.raises(EncodeError, match=words):
        submit(task)


def test_numpy_arrays_arrive_as_they_were() -> None:
    numpy = pytest.importorskip("numpy")
    handlers = Handlers()

    @handlers.task
    def double(task: Task) -> Any:
        picture = from_plain(task.data["picture"], numpy.ndarray)
        assert picture.dtype == numpy.float32
        return {"picture": picture * 2, "mean": picture.mean()}

    picture = numpy.arange(6, dtype="f4").reshape(2, 3)
    (result,) = results_of([Task(1, "d", type="double", data={"picture": picture})], handlers)
    doubled = from_plain(result.output["picture"], numpy.ndarray)
    assert (doubled.dtype, doubled.tolist()) == (numpy.float32, (picture * 2).tolist())
    assert result.output["mean"] == 2.5
