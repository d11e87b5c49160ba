"""The rows of the page's list of tasks: what each contains, and which are sent."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import cast

from pydantic import JsonValue

from ...messages import TaskId, TaskStatus
from ..kernel.board.state import BoardState
from ..kernel.board.task_explanation import describe_delay_of, describe_suspension
from ..kernel.model.error_kind import error_kind
from ..kernel.model.records import TaskRecord
from ..report.sums import cost_of
from .page_times import PageTimes
from .task_addresses import write_task_id

MAX_LISTED = 100_000
"""How many tasks the page lists: the latest. All are counted."""

MAX_DEPENDENCIES = 100
"""How many of the tasks that a task depends on its row names."""

_COST_PLACE = 10
"""Where the cost stands in a row; what the task itself waits for, and until when, follow it."""

_MAX_DESCRIPTION_CHARACTERS = 160
_MAX_REASON_CHARACTERS = 120


class TaskRows:
    """Makes rows, and knows which tasks and workers the open pages have been told of.

    Args:
        times: the page's times.
    """

    def __init__(self, times: PageTimes) -> None:
        self._times = times
        self._next_number = 0
        self._named: set[int] = set()

    def begin(self, board: BoardState) -> None:
        """The first page was opened: it is sent all tasks that there are."""
        self._next_number = _next_number(board)

    def forget(self) -> None:
        """Forget what was sent: the last page was closed."""
        self._named.clear()

    def listed(self, board: BoardState) -> list[TaskId]:
        """The ids of the tasks that the page lists, in the order in which they were added."""
        tasks = cast("dict[TaskId, TaskRecord]", board.tasks)
        latest = list(islice(reversed(tasks), MAX_LISTED))
        latest.reverse()
        return latest

    def change(self, board: BoardState, task_ids: Iterable[TaskId]) -> dict[str, JsonValue]:
        """The rows of tasks that have changed; only the parts that are not empty."""
        first_listed = listed_from(board)
        added: list[JsonValue] = []
        rows: list[JsonValue] = []
        forgotten: list[JsonValue] = []
        names: dict[str, JsonValue] = {}
        for task_id in task_ids:
            record = board.tasks.get(task_id)
            if record is None:
                forgotten.append(write_task_id(task_id))
                continue
            if record.attempts:
                worker = record.attempts[-1].worker
                if worker.order not in self._named:
                    self._named.add(worker.order)
                    names[str(worker.order)] = worker.name
            number = record.sequence
            if number >= self._next_number:
                self._next_number = number + 1
                added.append(self.whole_row(board, record))
            elif number >= first_listed:
                rows.append(self.row(record))
        parts = {"added": added, "rows": rows, "forgotten": forgotten, "names": names}
        change: dict[str, JsonValue] = {name: part for name, part in parts.items() if part}
        change["listed_from"] = first_listed
        return change

    def whole_row(self, board: BoardState, record: TaskRecord) -> list[JsonValue]:
        """What never changes of a task, and its row."""
        task = record.task
        description = task.description[:_MAX_DESCRIPTION_CHARACTERS]
        row: list[JsonValue] = [
            write_task_id(task.id),
            description,
            task.difficulty,
            task.type,
            self.row(record),
        ]
        if task.depends_on:
            row.append(self._numbers_of(board, task.depends_on))
        return row

    def _numbers_of(self, board: BoardState, task_ids: Iterable[TaskId]) -> list[JsonValue]:
        records = (board.tasks.get(task_id) for task_id in islice(task_ids, MAX_DEPENDENCIES))
        return [record.sequence for record in records if record is not None]

    def row(self, record: TaskRecord) -> list[JsonValue]:
        """The state of a task, which says what it waits for if that is a time, or it is suspended.

        Number, status, attempts, worker, start and end, priority, percent, error, kind, cost, what
        it waits for, and until when.
        """
        status, attempts, priority = record.status, record.attempts, record.task.priority
        moment = self._times.moment
        error = record.error_message
        if not attempts:
            row: list[JsonValue] = [record.sequence, _number_of(status), 0]
            if priority or error is not None:
                row += (None, None, moment(record.finished_at), priority, 0)
        else:
            last = attempts[-1]
            ended_at = record.finished_at
            if status is TaskStatus.PENDING:
                # It waits again; its last attempt is over.
                ended_at = record.story[-1].at
            row = [
                record.sequence,
                _number_of(status),
                len(attempts),
                last.worker.order,
                # An attempt that waits for a slot has not started.
                None if last.is_prefetched else moment(last.started_at),
                moment(ended_at),
            ]
            percent = int(record.progress) if status is TaskStatus.IN_PROGRESS else 0
            if priority or percent or error is not None:
                row += (priority, percent)
        if error is not None:
            row.append(error[:_MAX_REASON_CHARACTERS])
        wait = _wait_of(record)
        if not attempts and error is None and wait is None:
            return row
        cost = cost_of(record)
        if error is not None and status is TaskStatus.FAILED:
            row.append(error_kind(error))
        if cost or wait is not None:
            row += (None,) * (_COST_PLACE - len(row))
            row.append(round(cost, 6))
        if wait is not None:
            row += (wait[:_MAX_REASON_CHARACTERS], moment(record.wait_until))
        return row


def _wait_of(record: TaskRecord) -> str | None:
    """What a task waits for that does not depend on other tasks; None if there is no such thing."""
    if record.wait_until is not None:
        return describe_delay_of(record, record.story[-1].at)
    if record.attempts and record.attempts[-1].suspended_for:
        return describe_suspension(record, record.attempts[-1], record.story[-1].at)
    return None


def listed_from(board: BoardState) -> int:
    """The number of the first task that the page lists."""
    return max(_next_number(board) - MAX_LISTED, 0)


def _next_number(board: BoardState) -> int:
    tasks = cast("dict[TaskId, TaskRecord]", board.tasks)
    return tasks[next(reversed(tasks))].sequence + 1 if tasks else 0


def _number_of(status: TaskStatus) -> int:
    # A lookup in a dict would take as long as the rest of the row: enums hash slowly.
    if status is TaskStatus.COMPLETED:
        return 2
    if status is TaskStatus.IN_PROGRESS:
        return 1
    if status is TaskStatus.PENDING:
        return 0
    return 3 if status is TaskStatus.FAILED else 4
