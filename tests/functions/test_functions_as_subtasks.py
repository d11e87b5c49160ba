"""Typed functions that handlers submit as subtasks."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from muster.agents import Handlers, TaskContext, TaskManager
from muster.messages import TaskFailed, WrongCall

from .test_typed_functions import play

handlers = Handlers()


@handlers.task
def half(amount: Decimal, note: str = "") -> Decimal:
    return amount / 2


@handlers.task
def fail(text: str) -> None:
    raise ValueError(text)


@handlers.task
async def parent(amounts: list[Decimal], context: TaskContext) -> dict[str, Any]:
    task = half.with_options(priority=5).task(Decimal(3))
    outcome: dict[str, Any] = {
        "submitted": await context.submit(half, Decimal(1), note="a", key="first"),
        "by its function": await half.submit(Decimal(2)),
        "mapped": await context.map(half, amounts, ["x"] * len(amounts)),
        "result": (await context.submit(half, Decimal(5), unwrap=False)).output,
        "as a task": await context.submit(task),
    }
    assert all(isinstance(each, Decimal) for each in outcome["mapped"])
    assert isinstance(outcome["submitted"], Decimal)
    assert isinstance(outcome["by its function"], Decimal)
    assert isinstance(outcome["result"], Decimal)
    for wrong in (
        lambda: context.submit(half, "one"),
        lambda: context.submit("half", 1, 2),
        lambda: context.map("half", [1], [2]),
    ):
        try:
            wrong()
        except WrongCall as fault:
            outcome.setdefault("refused", []).append(str(fault).partition(";")[0][:30])
    try:
        await fail.submit("no")
    except TaskFailed as fault:
        outcome["failed"] = fault.error_message
    return outcome


@handlers.task
def parent_in_a_thread(amount: Decimal) -> Decimal:
    return half.submit(amount).result()


def test_a_handler_submits_functions_and_gets_what_they_declare() -> None:
    async def story(manager: TaskManager) -> Any:
        result = await manager.submit(parent, [Decimal(8), Decimal(9)])
        in_thread = await manager.submit(parent_in_a_thread, Decimal(4))
        ids = [task_id for task_id in manager.board.tasks if str(task_id).endswith(":first")]
        assert len(ids) == 1
        return result.unwrap(), in_thread.unwrap()

    outcome, in_thread = play(story, handlers, slots=2)
    assert outcome == {
        "submitted": "0.5",
        "by its function": "1",
        "mapped": ["4", "4.5"],
        "result": "2.5",
        "as a task": "1.5",
        "refused": [
            "half(): amount: 'one': Input s",
            "only a function takes several ",
            "only a function takes several ",
        ],
        "failed": "ValueError: no",
    }
    assert in_thread == Decimal(2)
