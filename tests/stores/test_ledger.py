"""What the rows of a run tell is what the board knew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from muster.agents.kernel.board.board import Board
from muster.agents.kernel.board.restoration import read_snapshot
from muster.agents.kernel.board.rows import Rows, changed_rows
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import (
    AssigningBegun,
    PriorityChanged,
    ResultReceived,
    TasksAdded,
    WorkerJoined,
)
from muster.agents.kernel.model.instructions import Instruction
from muster.agents.store.memory import SharedRows
from muster.messages import EncodeError, Task, TaskResult, WorkerProfile


@pytest.fixture
def begun() -> Callable[..., tuple[Board, SharedRows]]:
    """Makes a run in which Ada has some tasks, and what is kept of it."""

    def begin(count: int = 1) -> tuple[Board, SharedRows]:
        board, memory = Board(Rules(expected_workers=1)), SharedRows()
        tasks = tuple(Task(id=number, description="any") for number in range(1, count + 1))
        said: list[Instruction] = []
        for event in (
            TasksAdded(tasks),
            WorkerJoined("at Ada", WorkerProfile("Ada", skill_level=9, slots=count)),
            AssigningBegun(),
        ):
            said += board.handle(event, 1.0)
        memory.keep(changed_rows(board, said))
        return board, memory

    return begin


@pytest.mark.parametrize(
    "told",
    [
        {"success": True},
        {"success": True, "output": False, "execution_time": 0.5},
        {"success": True, "output": "x" * 100_000},
        {"success": True, "output": {"of": 1, "bytes": b"\0\xff", "none": None}},
        {"success": True, "output": {1: {"deep": [[], {}, [1.5]]}}},
        {"success": True, "output": list(range(100))},
        {"success": True, "output": datetime(2026, 1, 5, tzinfo=timezone.utc)},
        {"success": False, "error_message": "ValueError: no ☂", "output": 2**64 - 1},
    ],
    ids=str,
)
def test_a_result_is_kept_as_it_came(begun: Any, told: dict[str, Any]) -> None:
    board, memory = begun()
    result = TaskResult(task_id=1, worker="Ada", **told)
    memory.keep(changed_rows(board, board.handle(ResultReceived("at Ada", result), 2.0)))
    (record,) = read_snapshot(memory.read()).tasks
    assert record.result == result
    assert type(record.result.output) is type(result.output)


def test_what_tasks_share_of_their_decisions_they_share_again(begun: Any) -> None:
    board, memory = begun(5)
    decisions = [record.decision for record in read_snapshot(memory.read()).tasks]
    assert decisions == [record.decision for record in board.tasks.values()]
    assert {id(each.candidates) for each in decisions} == {id(decisions[0].candidates)}


def test_a_task_that_waits_or_runs_is_packed_again_only_if_it_has_changed(begun: Any) -> None:
    board, memory = begun(2)
    more = tuple(Task(id=number, description="any") for number in (3, 4))
    said = board.handle(TasksAdded(more), 2.0)
    said += board.handle(PriorityChanged(4, -1), 2.0)
    result = TaskResult(task_id=1, worker="Ada", success=True)
    # The third goes to Ada then.
    said += board.handle(ResultReceived("at Ada", result), 2.0)
    memory.keep(changed_rows(board, said))
    rows = memory.read()
    done, running, taken, changed = read_snapshot(rows).tasks
    assert (running.packed, taken.packed) == (rows.tasks[1].definition, rows.tasks[2].definition)
    assert (done.packed, changed.packed, changed.task.priority) == (None, None, -1)


def test_what_msgpack_cannot_carry_is_told_as_an_error_of_ours(begun: Any) -> None:
    board, memory = begun()
    before: Rows = memory.read()
    board.tasks[1].failures = 2**70
    result = TaskResult(task_id=1, worker="Ada", success=True)
    with pytest.raises(EncodeError, match="OverflowError"):
        memory.keep(changed_rows(board, board.handle(ResultReceived("at Ada", result), 2.0)))
    assert memory.read() == before
