"""What a store keeps of a run: rows that a board is written to, and made from again.

The rows are opaque to stores but for what they are told apart by, so that a store need not change
when the board learns something new.
"""

from __future__ import annotations

from typing import NamedTuple

from ...messages import TaskId, TaskStatus


class TaskRow(NamedTuple):
    """A task as it stands; it replaces the earlier row of the same id.

    Args:
        task_id: the task's id: an integer or a text; 1 and "1" are two tasks.
        sequence: its place in the order of adding, from 0; never changes.
        status: where it stands.
        definition: the task as it was added; None if it has been written before.
        state: all the rest.
    """

    task_id: TaskId
    sequence: int
    status: TaskStatus
    definition: bytes | None
    state: bytes


class WorkerRow(NamedTuple):
    """A worker as it stands; it replaces the earlier row of the same name."""

    name: str
    state: bytes


class Rows(NamedTuple):
    """What is to be written, all of it or nothing; or all that there is.

    Args:
        run: what concerns the run as a whole; None if it is as before, or if there is none yet.
        tasks: tasks; when they are read, in the order of their adding, each with its definition.
        workers: workers; when they are read, in the order of their first writing.
    """

    run: bytes | None = None
    tasks: tuple[TaskRow, ...] = ()
    workers: tuple[WorkerRow, ...] = ()
