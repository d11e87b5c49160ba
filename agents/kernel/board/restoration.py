"""Restores a run from the rows of a store."""

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
from ....messages.usage import ModelUsage
from ....messages.values import unpack
from ..matching.policies import BestFit, MatchingPolicy
from ..matching.policy_names import POLICIES
from ..model.config import Rules
from ..model.decision import Candidates, Decision, WorkerFigures
from ..model.events import TasksAdded
from ..model.failed_attempt import FailedAttempt
from ..model.instructions import Instruction
from ..model.occurrence_text import facts_from_values
from ..model.occurrences import Occurrence, OccurrenceKind
from ..model.records import Attempt, AttemptOutcome, Drain, TaskRecord, WorkerRecord
from ..model.second_opinions import open_attempts, wants_vote
from ..model.snapshot import Snapshot
from ..model.worker_stats import WorkerStats
from .board import Board
from .delays import DelayEnd
from .learned_rows import restore_learned
from .rows import (
    NO_SUSPENSION,
    NOTHING,
    PROFILE_FIELDS,
    RESULT_FIELDS,
    Rows,
    TaskRow,
    WorkerRow,
    read_questions,
)
from .run_row import read_run
from .schedule_rows import restore_schedules
from .task_checks import check_same
from .worker_registry import Quarantine


def read_board(
    rows: Rows,
    rules: Rules | None = None,
    policy: MatchingPolicy | None = None,
    *,
    now: float,
) -> Board:
    """Create a board with the run as it was when the rows were written.

    The run is suspended, and can only be read, until `ListeningStarted` resumes it.

    Args:
        rows: all rows of a store.
        rules: the board's configuration; the default, for a board that is only read, contains the
            expected workers of the run.
        policy: the matching policy; by default that of the run, or `best_fit` if the run had a
            custom policy.
        now: the time in seconds.

    Raises:
        DecodeError: a row can't be read; the message names it and the reason.
    """
    if rows == NOTHING:
        return Board(rules, policy)
    if rows._replace(schedules=()) == NOTHING:
        board = Board(rules, policy)
        restore_schedules(board.schedules, rows.schedules)
        return board
    snapshot = read_snapshot(rows)
    make_policy = POLICIES.get(snapshot.policy, BestFit)
    board = Board(rules or _rules_of(snapshot), policy or make_policy())
    restore_learned(board.queue.policy, rows.learned)
    restore_schedules(board.schedules, rows.schedules)
    _restore(board, snapshot, now)
    return board


def restore_into(board: Board, rows: Rows, now: float) -> list[Instruction]:
    """Restore a run on a board to which only tasks have been added so far.

    The run is suspended until `ListeningStarted` resumes it. The board's own tasks are added to it,
    unless it has them. Where there is no run yet, the board's own run stays as it is.

    Args:
        board: the board.
        rows: all rows of a store.
        now: the time in seconds.

    Returns:
        The rows that the store lacks.

    Raises:
        DecodeError: a row can't be read; the message names it and the reason. The board is
            unchanged.
        DifferentTask: the run has a different task with the id of a task of the board. The board is
            unchanged.
    """
    own = list(board.tasks.values())
    if rows._replace(learned=(), schedules=()) == NOTHING:
        restore_learned(board.queue.policy, rows.learned)
        restore_schedules(board.schedules, rows.schedules)
        return [occurrence for record in own for occurrence in record.story]
    snapshot = read_snapshot(rows)
    known = {record.task_id: record for record in snapshot.tasks}
    for record in own:
        if record.task_id in known:
            check_same(known[record.task_id].added, record.added)
    restore_learned(board.queue.policy, rows.learned)
    restore_schedules(board.schedules, rows.schedules)
    for record in own:
        board.queue.remove(record)
    board.task_registry.clear()
    board.timers.clear()
    board.start_barrier.opened_at = None
    _restore(board, snapshot, now)
    tasks = tuple(record.added for record in own)
    return board.handle(TasksAdded(tasks, tuple(record.packed for record in own)), now)


def _restore(board: Board, snapshot: Snapshot, now: float) -> None:
    """Load a run into a board without tasks and workers; the run is suspended at first."""
    tasks, timers, workers = board.task_registry, board.timers, board.worker_registry
    board.context.now = now
    board.is_suspended = True
    board.former_policy = snapshot.policy
    board.began_at = snapshot.began_at
    board.ended_at = snapshot.ended_at
    board.failure = snapshot.failure
    board.start_barrier.is_over = snapshot.began_at is not None
    tasks.ignored.update(snapshot.ignored)
    tasks.by_id.update((record.task_id, record) for record in snapshot.tasks)
    for worker in snapshot.workers:
        silence = workers.restore(worker)
        if silence is not None:
            timers.set(silence)
        timers.set(Quarantine(worker))
        if worker.alive:
            board.draining.note_joined(worker)
    for record in snapshot.tasks:
        tasks.restore(record)
        record.retry = board.rules.retry_of(record.task)
        for needed in board.lifecycle.dependents.link_named(record):
            if needed.dependents is None:
                needed.dependents = []
            needed.dependents.append(record)
        for attempt in open_attempts(record):
            if board.prefetch.restore(attempt):
                timers.set(board.prefetch.recall)
            timers.set(attempt)
        if record.wait_until is not None:
            tasks.delayed[record.task_id] = record
            if record.wait_until > now:
                timers.set(DelayEnd(record, record.wait_until))
            else:
                # The end of a wait is not written.
                tasks.end_delay(record)
        is_pending = record.status is TaskStatus.PENDING
        is_waiting = is_pending and not record.unfinished and record.wait_until is None
        if is_waiting or wants_vote(record):
            board.queue.push(record, now)
        board.lifecycle.watch_expiry(record)
        board.lifecycle.watch_deadline(record)
        board.questions.restore(record)
    board.prefetch.restore_displaced(board.workers.values())
    board.context.forgotten_begins.restore(snapshot.forgotten_begins)
    board.count_begun(is_restored=True)
    for worker in workers.present.values():
        board.queue.add_worker(worker)
    board.pause.restore(snapshot.paused_since)
    board.spending.in_other_units.update(snapshot.spent_in_other_units)
    attempts = [attempt for record in snapshot.tasks for attempt in record.attempts]
    board.spending.restore(attempts, snapshot.spent_on_forgotten, snapshot.forgotten_sums)
    tasks.forgotten.update(snapshot.forgotten)
    if tasks.settled is not None:
        tasks.list_settled()
    with_result = [record for record in snapshot.tasks if record.result is not None]
    with_result.sort(key=lambda record: record.finished_at or 0.0)
    tasks.results.update(
        (record.task_id, record.result) for record in with_result if record.result is not None
    )


def read_snapshot(rows: Rows) -> Snapshot:
    """Make a snapshot of a run from its rows.

    Raises:
        DecodeError: a row can't be read, for example because a task's class is not known here.
    """
    workers: dict[str, WorkerRecord] = {}
    place = "the run"
    try:
        for worker_row in rows.workers:
            place = f"worker {worker_row.name!r}"
            workers[worker_row.name] = _read_worker(worker_row)
        tasks: list[TaskRecord] = []
        candidates_by_bytes: dict[bytes, Candidates] = {}
        for row in rows.tasks:
            place = f"task {row.task_id!r}"
            tasks.append(_read_task(row, workers, candidates_by_bytes))
        place = "the run"
        snapshot = Snapshot() if rows.run is None else read_run(rows.run)
    except DecodeError as fault:
        raise DecodeError(fault.flaw, f"{place}: {fault.detail}") from None
    except (TypeError, ValueError, IndexError, AttributeError) as fault:
        raise DecodeError(Flaw.INVALID, f"{place}: {type(fault).__name__}: {fault}") from None
    snapshot.tasks.extend(tasks)
    snapshot.workers.extend(workers.values())
    return snapshot


def _rules_of(snapshot: Snapshot) -> Rules:
    waited_for = Rules(
        expected_workers=snapshot.expected_workers,
        roster=snapshot.roster,
        budget=snapshot.budget,
        cost_unit=snapshot.cost_unit,
    )
    if snapshot.heartbeat_s is None or snapshot.lost_after_s is None:
        return waited_for
    return replace(waited_for, heartbeat_s=snapshot.heartbeat_s, lost_after_s=snapshot.lost_after_s)


_LATER_IN_ATTEMPTS: tuple[Payload, ...] = (None, 0.0, None, NO_SUSPENSION, None)
"""The defaults of the last values of an attempt, which older stores lack."""


_LATER_IN_TASKS: tuple[Payload, ...] = (None, (), (None, 0), None, (None, "", ""), ())
"""The defaults of the last values of a task, which most rows lack."""


def _read_task(
    row: TaskRow, workers: dict[str, WorkerRecord], candidates_by_bytes: dict[bytes, Candidates]
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
        *later,
    ) = unpack(row.state)
    timeout, opinions, retried, traceback, delay, questions = (
        *later,
        *_LATER_IN_TASKS[len(later) :],
    )
    retried_at, former_attempts = retried
    wait_until, wait_reason, returns_to = delay
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
        failure=None if traceback is None else FailedAttempt(error_message, traceback),
        finished_at=finished_at,
        progress=100.0 if row.status is TaskStatus.COMPLETED else 0.0,
        decision=None if decision is None else _read_decision(decision, candidates_by_bytes),
        retried_at=retried_at,
        former_attempts=former_attempts,
        wait_until=wait_until,
        wait_reason=wait_reason,
        questions=read_questions(questions),
        returns_to=returns_to,
    )
    if priority is not None:
        # The row contains the task if it has changed, and the timeout if it has changed.
        record.task = task.model_copy(update={"priority": priority})
        if later:
            record.task.timeout = timeout
    elif not row.status.is_final:
        record.packed = row.definition
    for number, worker, started_at, timeout_s, deadline, outcome, is_reported, *later in attempts:
        ended_at, cost, quality, suspension, usage = (*later, *_LATER_IN_ATTEMPTS[len(later) :])
        suspended_for, suspended_at, left_s, suspended_s, *grant = suspension
        record.attempts.append(
            Attempt(
                number,
                workers.get(worker) or _forgotten(worker, workers),
                record,
                started_at,
                timeout_s,
                deadline,
                None if outcome is None else AttemptOutcome(outcome),
                is_reported,
                ended_at=ended_at,
                cost=cost,
                quality=quality,
                suspended_for=suspended_for,
                suspended_at=suspended_at,
                left_s=left_s,
                suspended_s=suspended_s,
                grant=grant[0] if grant else "kept",
                usage=None if usage is None else ModelUsage(*usage),
            )
        )
    _read_opinions(record, opinions)
    # An occurrence includes the task's id, except in stores of version 1.
    for at, kind, *_, attempt, worker, kept in story:
        what = OccurrenceKind(kind)
        facts = facts_from_values(what, kept)
        record.add_occurrence(Occurrence(at, what, row.task_id, attempt, worker, facts))
    record.forgotten = forgotten
    record.declined_by = frozenset(
        attempt.worker.name
        for attempt in record.current_attempts
        if attempt.outcome is AttemptOutcome.DECLINED
    )
    return record


def _read_opinions(record: TaskRecord, kept: Payload) -> None:
    by_number = {attempt.number: attempt for attempt in record.attempts}
    for number, is_review, result in kept:
        attempt = by_number[number]
        attempt.is_review = is_review
        attempt.result = None if result is None else _read_result(result)


def _read_result(kept: Payload) -> TaskResult:
    if not isinstance(kept, bytes):
        return TaskResult(**dict(zip(RESULT_FIELDS, kept, strict=False)))
    result = decode_message(kept)
    if not isinstance(result, TaskResult):
        raise DecodeError(Flaw.INVALID, f"its result is a {type(result).__name__}")
    return result


def _read_decision(kept: Payload, candidates_by_bytes: dict[bytes, Candidates]) -> Decision:
    # Only decisions of learning policies have figures.
    attempt, packed, scored, scored_count, *figures = kept
    if isinstance(packed, bytes):
        # Many tasks share the same candidates.
        candidates = candidates_by_bytes.get(packed)
        if candidates is None:
            candidates = candidates_by_bytes[packed] = _read_candidates(unpack(packed))
    else:
        # In stores of version 1 each task has its own.
        candidates = _read_candidates(packed)
    told = tuple(WorkerFigures(*each) for each in figures[0]) if figures else ()
    return Decision(attempt, candidates, _pairs(scored), scored_count, told)


def _read_candidates(kept: Payload) -> Candidates:
    able, failed, unable, is_recovery, in_all = kept
    return Candidates(_pairs(able), tuple(failed), _pairs(unable), is_recovery, in_all)


def _pairs(kept: Payload) -> Payload:
    return tuple((first, second) for first, second in kept)


_FIRST_WORKER_ROWS = 14
_LATER_IN_WORKER_ROWS: tuple[Payload, ...] = (0, None, {}, None)
"""The length of a worker's row in the first format, and the defaults of the later values."""


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
        drain,
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
        drain=None if drain is None else Drain(drain),
    )


def _forgotten(name: str, workers: Mapping[str, WorkerRecord]) -> WorkerRecord:
    """Create a placeholder for a lost worker that the board had already forgotten."""
    return WorkerRecord(
        WorkerProfile(name=name, skill_level=0),
        *("", "", len(workers)),
        joined_at=0.0,
        last_heard_at=0.0,
        alive=False,
        lost_at=0.0,
    )
