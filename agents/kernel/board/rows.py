"""The rows that a store writes for a run: encodes tasks, workers and the run.

A store knows only the keys of the rows; their content is opaque. So a store does not change when
the board saves an additional value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple

from ....messages import Payload, TaskId, TaskResult, TaskStatus, encode_message
from ....messages.codec import encode_task
from ....messages.plain import is_plain
from ....messages.question import QuestionText
from ....messages.values import pack_scalars
from ..model.config import Rules
from ..model.decision import Candidates, Decision
from ..model.occurrences import Occurrence, OccurrenceKind, ProgressFacts
from ..model.questions import TaskQuestion
from ..model.records import Attempt, TaskRecord, WorkerRecord
from ..model.second_opinions import needs_second_opinion
from ..model.worker_stats import WorkerStats
from .state import BoardState


class TaskRow(NamedTuple):
    """The current state of a task; it replaces the earlier row with the same id.

    Args:
        task_id: the task's id, an integer or a string; 1 and "1" are different tasks.
        sequence: its number in the order of adding, from 0; never changes.
        status: its status.
        definition: the task as it was added; None if it was written before.
        state: everything else.
    """

    task_id: TaskId
    sequence: int
    status: TaskStatus
    definition: bytes | None
    state: bytes


class WorkerRow(NamedTuple):
    """The current state of a worker; it replaces the earlier row with the same name."""

    name: str
    state: bytes


class LearnedRow(NamedTuple):
    """A part of what a policy has learned; it replaces the earlier row with the same two names.

    Args:
        policy: the name of the policy.
        part: the name of the part: a worker's name, or another one that the policy chose.
        state: the part; None deletes the row. When read, never None.
    """

    policy: str
    part: str
    state: bytes | None


class ScheduleRow(NamedTuple):
    """The current state of a schedule; it replaces the earlier row with the same name.

    Args:
        name: the schedule's name.
        state: its state; None deletes the row. When read, never None.
    """

    name: str
    state: bytes | None


class Rows(NamedTuple):
    """The rows of one atomic write, or all rows of a store.

    Args:
        run: the state of the run itself; None if it has not changed or there is no run yet.
        tasks: tasks; when read, in the order of adding, each with its definition.
        workers: workers; when read, in the order in which they were first written.
        forgotten: tasks whose rows are deleted before these are written; when read, none.
        learned: what policies have learned; when read, in the order of policy and part.
        schedules: schedules; when read, in the order of their names.
    """

    run: bytes | None = None
    tasks: tuple[TaskRow, ...] = ()
    workers: tuple[WorkerRow, ...] = ()
    forgotten: tuple[TaskId, ...] = ()
    learned: tuple[LearnedRow, ...] = ()
    schedules: tuple[ScheduleRow, ...] = ()


NOTHING = Rows()


def changed_rows(
    board: BoardState, instructions: Iterable[object], heard: Iterable[str] = ()
) -> Rows:
    """The rows that must be written before a board's instructions may be carried out.

    Every change has an occurrence. Progress is not stored, except for the notes with which attempts
    begin: if one is lost with its manager, they tell what may have happened.

    Args:
        board: the board, after it has returned these instructions.
        instructions: the instructions since the last rows were written; only occurrences matter.
        heard: the names of workers whose `last_heard_at` has changed, which has no occurrence.
    """
    known = board.tasks
    tasks: dict[TaskId, TaskRecord] = {}
    workers: dict[str, None] = dict.fromkeys(heard)
    added: set[TaskId] = set()
    forgotten: dict[TaskId, None] = {}
    run_changed = False
    last_kind: OccurrenceKind | None = None
    is_progress = is_added = is_forgotten = False
    for each in instructions:
        if not isinstance(each, Occurrence):
            continue
        _, what, task_id, _, worker, facts = each
        if what is not last_kind:
            # Many of one kind come in a row, and comparing enum members takes time.
            last_kind = what
            is_progress = what is OccurrenceKind.TASK_PROGRESSED
            is_added = what is OccurrenceKind.TASK_ADDED
            is_forgotten = what is OccurrenceKind.TASK_FORGOTTEN
            run_changed = run_changed or what in _OF_THE_RUN
        is_kept = not is_progress or _tells_begin(facts)
        if task_id is not None and is_kept:
            record = known.get(task_id)
            if is_forgotten:
                tasks.pop(task_id, None)
                forgotten[task_id] = None
            elif record is not None:
                tasks[task_id] = record
            if is_added:
                added.add(task_id)
        if worker and is_kept:
            workers[worker] = None
    to_row = _TaskRows().to_row
    return Rows(
        _run_state(board) if run_changed else None,
        tuple([to_row(record, task_id in added) for task_id, record in tasks.items()]),
        tuple(_worker_row(board.workers[name]) for name in workers if name in board.workers),
        tuple(forgotten),
    )


def _tells_begin(facts: object) -> bool:
    return isinstance(facts, ProgressFacts) and not facts.percent and bool(facts.note)


_OF_THE_RUN = frozenset(
    {
        OccurrenceKind.TASK_ADDED,
        OccurrenceKind.ASSIGNING_BEGUN,
        OccurrenceKind.RUN_RESUMED,
        OccurrenceKind.RUN_PAUSED,
        OccurrenceKind.RUN_UNPAUSED,
        OccurrenceKind.RUN_ENDED,
        OccurrenceKind.RESULT_IGNORED,
        OccurrenceKind.TASK_FORGOTTEN,
        OccurrenceKind.ATTEMPT_CHARGED,
        OccurrenceKind.BUDGET_CHANGED,
    }
)


NO_COSTS: list[Payload] = [0.0, {}, None, Rules().cost_unit]
"""What a run without costs has spent on forgotten tasks and in other units, its budget and unit."""


def _run_state(board: BoardState) -> bytes:
    rules, spending = board.rules, board.spending
    state: list[Payload] = [
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
    costs = [
        spending.on_forgotten,
        dict(spending.in_other_units),
        rules.budget,
        rules.cost_unit,
    ]
    more: dict[str, Payload] = {}
    if board.pause.since is not None:
        more["paused_since"] = board.pause.since
    if any(board.forgotten.values()):
        more["forgotten"] = {status.value: n for status, n in board.forgotten.items() if n}
    begins = board.context.forgotten_begins.export()
    if begins:
        more["forgotten_begins"] = begins
    if forgotten_sums := spending.forgotten_sums.export():
        more["forgotten_sums"] = forgotten_sums
    # Most rows lack these, and so do the rows of older stores.
    if more:
        state += [*costs, more]
    elif costs != NO_COSTS:
        state += costs
    return pack_scalars(state)


_ATTEMPT = attrgetter(
    "number",
    "worker.name",
    "started_at",
    "timeout_s",
    "deadline",
    "outcome",
    "is_reported",
    "ended_at",
    "cost",
    "quality",
)

_SUSPENSION = attrgetter("suspended_for", "suspended_at", "left_s", "suspended_s")

NO_SUSPENSION: tuple[Payload, ...] = ("", None, None, 0.0)
"""The same of an attempt that never was."""

RESULT_FIELDS = tuple(TaskResult.model_fields)
"""The fields of a result, in the order of their values in a row."""

_RESULT = attrgetter(*RESULT_FIELDS)


class _TaskRows:
    """Creates the rows of one write. This must be fast: each task is written three times.

    Tuples are packed without conversion. Values that many tasks share are packed once.
    """

    def __init__(self) -> None:
        # By identity, since all of them live as long as this object.
        self._candidates: dict[int, bytes] = {}

    def to_row(self, record: TaskRecord, is_new: bool) -> TaskRow:
        task, result, decision = record.task, record.result, record.decision
        state = (
            record.added_at,
            record.failures,
            record.losses,
            tuple(sorted(record.failed_by)),
            record.error_message,
            record.finished_at,
            None if result is None else _result_state(result),
            None if task is record.added else task.priority,
            _attempts_state(record),
            record.story,
            record.forgotten,
            None if decision is None else self._decision_state(decision),
        )
        opinions = _opinions_state(record) if needs_second_opinion(task) else ()
        # The row of a settled task has the traceback in its result.
        traceback = record.error_traceback if result is None else None
        # Most rows lack these, and so do the rows of older stores.
        if record.wait_until is not None or record.returns_to or record.questions:
            begun = (record.retried_at, record.former_attempts)
            delay = (record.wait_until, record.wait_reason, record.returns_to)
            state = (*state, task.timeout, opinions, begun, traceback, delay)
            state = (*state, _questions_state(record)) if record.questions else state
        elif traceback is not None or record.retried_at is not None:
            state = (*state, task.timeout, opinions, (record.retried_at, record.former_attempts))
            state = state if traceback is None else (*state, traceback)
        elif opinions or task.timeout != record.added.timeout:
            state = (*state, task.timeout, opinions) if opinions else (*state, task.timeout)
        definition = (record.packed or encode_task(record.added)) if is_new else None
        return TaskRow(
            record.task_id, record.sequence, record.status, definition, pack_scalars(state)
        )

    def _decision_state(self, decision: Decision) -> Payload:
        attempt, candidates, scored, scored_count, figures = decision
        packed = self._candidates.get(id(candidates)) or self._pack(candidates)
        state = (attempt, packed, scored, scored_count)
        return (*state, figures) if figures else state

    def _pack(self, candidates: Candidates) -> bytes:
        packed = self._candidates[id(candidates)] = pack_scalars(candidates)
        return packed


def _attempts_state(record: TaskRecord) -> tuple[Payload, ...]:
    attempts = tuple(map(_ATTEMPT, record.attempts))
    runs = record.status is TaskStatus.IN_PROGRESS
    if not any(
        each.usage or (runs and (each.suspended_s or each.suspended_for or each.grant != "kept"))
        for each in record.attempts
    ):
        return attempts
    return tuple(
        (*state, *_later_in_attempt(each))
        for state, each in zip(attempts, record.attempts, strict=True)
    )


def _later_in_attempt(attempt: Attempt) -> tuple[Payload, ...]:
    """The last values of an attempt, which most rows lack."""
    suspension = _suspension_state(attempt)
    if attempt.usage is not None:
        return suspension, attempt.usage
    return () if suspension is NO_SUSPENSION else (suspension,)


def _suspension_state(attempt: Attempt) -> tuple[Payload, ...]:
    """What a row has of an attempt that is or was suspended."""
    if attempt.outcome is not None:
        return NO_SUSPENSION
    state = _SUSPENSION(attempt)
    return state if attempt.grant == "kept" else (*state, attempt.grant)


def _opinions_state(record: TaskRecord) -> tuple[Payload, ...]:
    """The reviews among a task's attempts, and the results that wait for a review or a vote."""
    return tuple(
        (each.number, each.is_review, None if each.result is None else _result_state(each.result))
        for each in record.attempts
        if each.is_review or each.result is not None
    )


_QUESTION = attrgetter(
    "number", "asked", "attempt", "asked_at", "expires_at", "answer", "answered_by", "answered_at"
)


def _questions_state(record: TaskRecord) -> tuple[Payload, ...]:
    """The questions of a task as its row has them."""
    return tuple(map(_QUESTION, (record.questions or {}).values()))


def read_questions(kept: Sequence[Sequence[Payload]]) -> dict[str, TaskQuestion] | None:
    """The questions that a row has, by key; None for none."""
    read: dict[str, TaskQuestion] = {}
    for number, asked, *later in kept:
        text, choices, expires_s, default, key = asked
        question = QuestionText(text, tuple(choices), expires_s, default, key)
        read[key] = TaskQuestion(number, question, *later)
    return read or None


def _result_state(result: TaskResult) -> Payload:
    if type(result) is TaskResult and is_plain(result.output):
        return _RESULT(result)
    return encode_message(result)


def _stats_state(stats: WorkerStats) -> list[float]:
    state = [stats.completed_tasks, stats.successful_tasks, stats.total_time, stats.busy_time]
    # Most rows lack the cost, and so do the rows of older stores.
    return [*state, stats.cost] if stats.cost else state


PROFILE_FIELDS = ("skill_level", "specialties", "slots", "task_types")
"""The profile fields of the first row format; later fields are at the end of the row."""


def _worker_row(worker: WorkerRecord) -> WorkerRow:
    profile, stats = worker.profile, worker.stats
    state = [
        worker.worker_id,
        worker.session,
        worker.call,
        *[getattr(profile, name) for name in PROFILE_FIELDS],
        worker.order,
        worker.joined_at,
        worker.last_heard_at,
        worker.alive,
        worker.lost_at,
        worker.awaited_until,
        _stats_state(stats),
        worker.failures_in_a_row,
        worker.quarantined_until,
    ]
    added = profile.added("name", *PROFILE_FIELDS)
    if worker.drain is not None:
        state += [added, worker.drain.value]
    elif added:
        state.append(added)
    return WorkerRow(worker.name, pack_scalars(state))
