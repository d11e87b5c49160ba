"""What a store keeps of a run: rows that a board is written to, and made from again.

The rows are opaque to stores but for what they are told apart by, so that a store need not change
when the board learns something new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ...messages import (
    DecodeError,
    Flaw,
    Payload,
    Task,
    TaskId,
    TaskResult,
    TaskStatus,
    decode_message,
    encode_message,
)
from ...messages.codec import decode_task, encode_task
from ...messages.values import pack_scalars, unpack
from .board_state import BoardState
from .events import Instruction, Occurrence, What
from .explanation import Decision, Lineup
from .records import Attempt, Ending, Snapshot, TaskRecord, WorkerRecord, WorkerStats


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
        forgotten: tasks whose rows go before these are written; when they are read, none.
    """

    run: bytes | None = None
    tasks: tuple[TaskRow, ...] = ()
    workers: tuple[WorkerRow, ...] = ()
    forgotten: tuple[TaskId, ...] = ()


NOTHING = Rows()


def changed_rows(board: BoardState, said: Iterable[Instruction], heard: Iterable[str] = ()) -> Rows:
    """The rows that must be written before what a board said may be done.

    Whatever changes is told as an occurrence. Progress is not kept.

    Args:
        board: the board, as it stands after it said so.
        said: what it said since the last rows were written.
        heard: the names of workers of which something was heard, which no occurrence tells.
    """
    tasks: dict[TaskId, TaskRecord] = {}
    workers: dict[str, None] = dict.fromkeys(heard)
    added: set[TaskId] = set()
    forgotten: dict[TaskId, None] = {}
    run_changed = False
    for each in said:
        if not isinstance(each, Occurrence) or each.what is What.TASK_PROGRESSED:
            continue
        if each.task_id is not None:
            if each.what is What.TASK_FORGOTTEN:
                tasks.pop(each.task_id, None)
                forgotten[each.task_id] = None
            elif each.task_id in board.tasks:
                tasks[each.task_id] = board.tasks[each.task_id]
            if each.what is What.TASK_ADDED:
                added.add(each.task_id)
        if each.worker:
            workers[each.worker] = None
        run_changed = run_changed or each.what in _OF_THE_RUN
    return Rows(
        _run_state(board) if run_changed else None,
        tuple(_task_row(record, task_id in added) for task_id, record in tasks.items()),
        tuple(_worker_row(board.workers[name]) for name in workers if name in board.workers),
        tuple(forgotten),
    )


def read_snapshot(rows: Rows) -> Snapshot:
    """Make a run from its rows.

    Raises:
        DecodeError: a row can't be read, as when the class of a task is not known here.
    """
    workers: dict[str, WorkerRecord] = {}
    told = "the run"
    try:
        for worker_row in rows.workers:
            told = f"worker {worker_row.name!r}"
            workers[worker_row.name] = _read_worker(worker_row)
        tasks: list[TaskRecord] = []
        for row in rows.tasks:
            told = f"task {row.task_id!r}"
            tasks.append(_read_task(row, workers))
        told = "the run"
        snapshot = Snapshot() if rows.run is None else _read_run(rows.run)
    except DecodeError as fault:
        raise DecodeError(fault.flaw, f"{told}: {fault.detail}") from None
    except (TypeError, ValueError, IndexError, AttributeError) as fault:
        raise DecodeError(Flaw.INVALID, f"{told}: {type(fault).__name__}: {fault}") from None
    snapshot.tasks.extend(tasks)
    snapshot.workers.extend(workers.values())
    return snapshot


_OF_THE_RUN = frozenset(
    {
        What.TASK_ADDED,
        What.ASSIGNING_BEGUN,
        What.RUN_RESUMED,
        What.RUN_ENDED,
        What.RESULT_IGNORED,
    }
)


def _run_state(board: BoardState) -> bytes:
    rules = board.rules
    return pack_scalars(
        [
            board.began_at,
            board.ended_at,
            board.failure,
            dict(board.ignored),
            board.policy_name,
            rules.expected_workers,
            rules.roster,
            rules.heartbeat_s,
            rules.lost_after_s,
        ]
    )


def _task_row(record: TaskRecord, is_new: bool) -> TaskRow:
    priority = record.task.priority
    state = [
        record.added_at,
        record.failures,
        record.losses,
        list(record.failed_by),
        record.error_message,
        record.finished_at,
        None if record.result is None else encode_message(record.result),
        None if priority == record.added.priority else priority,
        [
            [
                attempt.number,
                attempt.worker.name,
                attempt.started_at,
                attempt.timeout_s,
                attempt.deadline,
                None if attempt.ending is None else attempt.ending.value,
                attempt.is_reported,
                attempt.ended_at,
            ]
            for attempt in record.attempts
        ],
        [[each.at, each.what.value, *each[3:]] for each in record.story],
        record.forgotten,
        record.decision,
    ]
    definition = (record.packed or encode_task(record.added)) if is_new else None
    return TaskRow(record.task_id, record.sequence, record.status, definition, pack_scalars(state))


def _worker_row(worker: WorkerRecord) -> WorkerRow:
    stats = worker.stats
    state = [
        worker.worker_id,
        worker.session,
        worker.call,
        worker.skill_level,
        list(worker.specialties),
        worker.slots,
        None if worker.task_types is None else list(worker.task_types),
        worker.order,
        worker.joined_at,
        worker.last_heard_at,
        worker.alive,
        worker.lost_at,
        worker.awaited_until,
        [stats.completed_tasks, stats.successful_tasks, stats.total_time, stats.busy_time],
        worker.failures_in_a_row,
        worker.quarantined_until,
    ]
    return WorkerRow(worker.name, pack_scalars(state))


def _read_run(state: bytes) -> Snapshot:
    began_at, ended_at, failure, ignored, policy, expected_workers, roster, *pace = unpack(state)
    # Stores of before health was told do without these two.
    heartbeat_s, lost_after_s = pace or (None, None)
    return Snapshot(
        began_at=began_at,
        ended_at=ended_at,
        failure=failure,
        ignored=ignored,
        policy=policy,
        expected_workers=expected_workers,
        roster=tuple(roster),
        heartbeat_s=heartbeat_s,
        lost_after_s=lost_after_s,
    )


def _read_task(row: TaskRow, workers: dict[str, WorkerRecord]) -> TaskRecord:
    if row.definition is None:
        raise DecodeError(Flaw.INVALID, "it has no definition")
    (
        added_at,
        failures,
        losses,
        failed_by,
        error_message,
        finished_at,
        result,
        priority,
        attempts,
        story,
        forgotten,
        decision,
    ) = unpack(row.state)
    task = decode_task(row.definition)
    record = TaskRecord(
        row.task_id,
        task,
        row.sequence,
        added_at,
        row.status,
        failures=failures,
        losses=losses,
        failed_by=frozenset(failed_by),
        result=None if result is None else _read_result(result),
        error_message=error_message,
        finished_at=finished_at,
        progress=100.0 if row.status is TaskStatus.COMPLETED else 0.0,
        decision=None if decision is None else _read_decision(decision),
    )
    if priority is not None:
        record.task = _with_priority(task, priority)
    # Stores of before there was a timeline do without the moment at which an attempt ended.
    for number, worker, started_at, timeout_s, deadline, ending, is_reported, *ended in attempts:
        record.attempts.append(
            Attempt(
                number,
                workers.get(worker) or _forgotten(worker, workers),
                record,
                started_at,
                timeout_s,
                deadline,
                None if ending is None else Ending(ending),
                is_reported,
                ended_at=ended[0] if ended else None,
            )
        )
    for at, what, attempt, worker, detail in story:
        record.tell(Occurrence(at, What(what), row.task_id, attempt, worker, detail))
    record.forgotten = forgotten
    return record


def _with_priority(task: Task, priority: int) -> Task:
    changed = task.model_copy()
    changed.priority = priority
    return changed


def _read_result(data: bytes) -> TaskResult:
    result = decode_message(data)
    if not isinstance(result, TaskResult):
        raise DecodeError(Flaw.INVALID, f"its result is a {type(result).__name__}")
    return result


def _read_decision(kept: Payload) -> Decision:
    attempt, (able, failed, unable, is_recovery, in_all), scored, scored_count = kept
    lineup = Lineup(_pairs(able), tuple(failed), _pairs(unable), is_recovery, in_all)
    return Decision(attempt, lineup, _pairs(scored), scored_count)


def _pairs(kept: Payload) -> Payload:
    return tuple((first, second) for first, second in kept)


def _read_worker(row: WorkerRow) -> WorkerRecord:
    (
        worker_id,
        session,
        call,
        skill_level,
        specialties,
        slots,
        task_types,
        order,
        joined_at,
        last_heard_at,
        alive,
        lost_at,
        awaited_until,
        stats,
        *standing,
    ) = unpack(row.state)
    # Stores of before there was a quarantine do without these two.
    failures_in_a_row, quarantined_until = standing or (0, None)
    return WorkerRecord(
        row.name,
        worker_id,
        session,
        skill_level,
        frozenset(specialties),
        slots,
        None if task_types is None else frozenset(task_types),
        order,
        joined_at,
        last_heard_at,
        alive,
        lost_at,
        awaited_until,
        call,
        stats=WorkerStats(*stats),
        failures_in_a_row=failures_in_a_row,
        quarantined_until=quarantined_until,
    )


def _forgotten(name: str, workers: Mapping[str, WorkerRecord]) -> WorkerRecord:
    """Stand in for a worker that the board had forgotten: one of too many that were lost."""
    return WorkerRecord(
        name, "", "", 0, frozenset(), 1, None, len(workers), 0.0, 0.0, alive=False, lost_at=0.0
    )
