"""A board made from what a store kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ....messages import (
    DecodeError,
    Flaw,
    Payload,
    TaskResult,
    TaskStatus,
    WorkerProfile,
    decode_message,
)
from ....messages.codec import decode_task
from ....messages.values import unpack
from ..matching.explanation import Candidates, Decision
from ..matching.policies import POLICIES, MatchingPolicy
from ..model.events import Occurrence, OccurrenceKind
from ..model.records import (
    Attempt,
    AttemptOutcome,
    Rules,
    Snapshot,
    TaskRecord,
    WorkerRecord,
    WorkerStats,
)
from .board import Board
from .rows import NOTHING, PROFILE_FIELDS, RESULT_FIELDS, Rows, TaskRow, WorkerRow


def read_board(
    rows: Rows,
    rules: Rules | None = None,
    policy: MatchingPolicy | None = None,
    *,
    now: float,
) -> Board:
    """Make a board that stands where the run stood when the rows were written.

    It stands still, to be looked at, until `ListeningStarted`: then it takes the run over.

    Args:
        rows: all that a store has.
        rules: what the board is to go by; by default, for one that is only looked at, it waits for
            whom the run waited.
        policy: who gets which task; by default as in the run, or `best_fit` if that was of a
            user's own.
        now: the time in seconds.

    Raises:
        DecodeError: a row can't be read; says which and why.
    """
    if rows == NOTHING:
        return Board(rules, policy)
    snapshot = read_snapshot(rows)
    board = Board(rules or _rules_of(snapshot), policy or POLICIES.get(snapshot.policy))
    board.restore(snapshot, now)
    return board


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
        lineups: dict[bytes, Candidates] = {}
        for row in rows.tasks:
            told = f"task {row.task_id!r}"
            tasks.append(_read_task(row, workers, lineups))
        told = "the run"
        snapshot = Snapshot() if rows.run is None else _read_run(rows.run)
    except DecodeError as fault:
        raise DecodeError(fault.flaw, f"{told}: {fault.detail}") from None
    except (TypeError, ValueError, IndexError, AttributeError) as fault:
        raise DecodeError(Flaw.INVALID, f"{told}: {type(fault).__name__}: {fault}") from None
    snapshot.tasks.extend(tasks)
    snapshot.workers.extend(workers.values())
    return snapshot


def _rules_of(snapshot: Snapshot) -> Rules:
    waited_for = Rules(expected_workers=snapshot.expected_workers, roster=snapshot.roster)
    if snapshot.heartbeat_s is None or snapshot.lost_after_s is None:
        return waited_for
    return replace(waited_for, heartbeat_s=snapshot.heartbeat_s, lost_after_s=snapshot.lost_after_s)


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


def _read_task(
    row: TaskRow, workers: dict[str, WorkerRecord], lineups: dict[bytes, Candidates]
) -> TaskRecord:
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
        *timeout,
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
        decision=None if decision is None else _read_decision(decision, lineups),
    )
    if priority is not None:
        # It stands there if the task has changed at all; so does a timeout that has.
        record.task = task.model_copy(update={"priority": priority})
        if timeout:
            record.task.timeout = timeout[0]
    elif not row.status.is_final:
        record.packed = row.definition
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
                None if ending is None else AttemptOutcome(ending),
                is_reported,
                ended_at=ended[0] if ended else None,
            )
        )
    # What happened comes with the task's id, but for stores of version 1.
    for at, what, *_, attempt, worker, detail in story:
        record.tell(Occurrence(at, OccurrenceKind(what), row.task_id, attempt, worker, detail))
    record.forgotten = forgotten
    return record


def _read_result(kept: Payload) -> TaskResult:
    if not isinstance(kept, bytes):
        return TaskResult(**dict(zip(RESULT_FIELDS, kept, strict=False)))
    result = decode_message(kept)
    if not isinstance(result, TaskResult):
        raise DecodeError(Flaw.INVALID, f"its result is a {type(result).__name__}")
    return result


def _read_decision(kept: Payload, lineups: dict[bytes, Candidates]) -> Decision:
    attempt, packed, scored, scored_count = kept
    if isinstance(packed, bytes):
        # Many tasks share one.
        lineup = lineups.get(packed)
        if lineup is None:
            lineup = lineups[packed] = _read_lineup(unpack(packed))
    else:
        # In stores of version 1 each has its own.
        lineup = _read_lineup(packed)
    return Decision(attempt, lineup, _pairs(scored), scored_count)


def _read_lineup(kept: Payload) -> Candidates:
    able, failed, unable, is_recovery, in_all = kept
    return Candidates(_pairs(able), tuple(failed), _pairs(unable), is_recovery, in_all)


def _pairs(kept: Payload) -> Payload:
    return tuple((first, second) for first, second in kept)


_FIRST_WORKER_ROWS = 14
_LATER_IN_WORKER_ROWS: tuple[Payload, ...] = (0, None, {})
"""What the first stores had in a worker's row, and the rest where one lacks it."""


def _read_worker(row: WorkerRow) -> WorkerRecord:
    state = unpack(row.state)
    (
        worker_id,
        session,
        call,
        *profile,
        order,
        joined_at,
        last_heard_at,
        alive,
        lost_at,
        awaited_until,
        stats,
        failures_in_a_row,
        quarantined_until,
        added,
    ) = (*state, *_LATER_IN_WORKER_ROWS[max(len(state) - _FIRST_WORKER_ROWS, 0) :])
    return WorkerRecord(
        WorkerProfile(name=row.name, **dict(zip(PROFILE_FIELDS, profile, strict=True)), **added),
        worker_id,
        session,
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
        WorkerProfile(name=name, skill_level=0),
        *("", "", len(workers)),
        joined_at=0.0,
        last_heard_at=0.0,
        alive=False,
        lost_at=0.0,
    )
