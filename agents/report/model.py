"""The report of a run: the outcome of each task, the work of each worker, and all errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PlainSerializer, WithJsonSchema

from ...messages import Payload, TaskId, TaskStatus
from ..kernel.board.held_slots import held_slots
from ..kernel.board.prefetch import attempts_of
from ..kernel.board.state import BoardState
from ..kernel.model.error_kind import error_kind
from ..kernel.model.health import Health, health_of, silence_of
from ..kernel.model.occurrence_text import describe_held_slot
from ..kernel.model.records import Attempt, AttemptOutcome, TaskRecord, WorkerRecord
from .json_value import to_json_value

MAX_HISTORY = 20
"""How many attempts of a task are reported: the latest."""

_MAX_KIND_CHARACTERS = 80

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
# The schema of the enum itself would list `RUNNING`, an alias, as a value of its own.
Status = Annotated[
    TaskStatus,
    WithJsonSchema({"type": "string", "enum": [status.value for status in TaskStatus]}),
]
Output = Annotated[Payload, PlainSerializer(to_json_value, return_type=JsonValue, when_used="json")]


class _ReportPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class AttemptReport(_ReportPart):
    """One attempt of a task: which worker had it, and when."""

    number: Annotated[int, Field(ge=1)]
    """The number of the attempt, from 1."""

    worker: str
    """The worker's name."""

    started_at: float
    """When it was assigned, or got a slot if it waited for one, in seconds since 1970."""

    ended_at: float | None
    """When the attempt ended; None if it runs, or if that is not known."""

    outcome: AttemptOutcome | None
    """How it ended, such as "not begun" if its worker returned it; None if it runs."""


class TaskReport(_ReportPart):
    """The outcome of one task."""

    id: TaskId
    """The task's id."""

    description: str
    """The task's description."""

    type: str
    """The kind of work, or ""."""

    difficulty: int
    """The skill that it requires."""

    priority: int
    """Its last priority."""

    status: Status
    """Its status."""

    worker: str
    """The worker that it was last assigned to, or ""."""

    attempts: Count
    """How often it was assigned."""

    success: bool | None
    """True if it completed, False if it failed or was cancelled; None if it is not settled."""

    execution_time: Seconds | None
    """The duration of the recorded attempt in seconds; None without a result."""

    waited: Seconds | None
    """Seconds from when it was added, or the run started if that was later, to its last assignment;
    None if it was never assigned.
    """

    error_message: str | None
    """Why it failed or was cancelled, or why its last attempt failed; None if it completed."""

    output: Output
    """What the handler returned; `muster.agents.report.json_value` defines its form in JSON."""

    why: list[str]
    """Why it was assigned to this worker, or what it waits for, line by line."""

    depends_on: list[TaskId]
    """The ids of the tasks that it depends on."""

    parent_id: TaskId | None
    """The task it belongs to, or None."""

    expires_s: Seconds | None = None
    """Within how many seconds after it was added it had to start; None: no limit."""

    history: list[AttemptReport] = []
    """Its attempts, the oldest first; the latest 20."""


class HeldSlotReport(_ReportPart):
    """A slot of an attempt that was cancelled, timed out, or done elsewhere, but still runs."""

    task_id: TaskId
    """The task."""

    attempt: Annotated[int, Field(ge=1)]
    """The number of the attempt."""

    since: float
    """When it was told to stop, in seconds since 1970."""

    reason: str
    """Why, such as "it timed out"."""


class WorkerReport(_ReportPart):
    """The work of one worker."""

    skill_level: int
    """Its skill level."""

    specialties: list[str]
    """The types of task that its skill counts more for, in alphabetical order."""

    slots: int
    """How many tasks it can run at once."""

    completed: Count
    """How many attempts it finished, successful or not."""

    succeeded: Count
    """How many of them were successful."""

    success_rate: Share | None
    """The share of successful attempts, 0 to 1; None if it has finished none."""

    total_time: Seconds
    """The total duration of its attempts in seconds, as it reported them."""

    mean_time: Seconds | None
    """The mean duration of an attempt in seconds; None if it has finished none."""

    busy_share: Share
    """The share of its slots' time, while it was connected, in which they had tasks, 0 to 1."""

    lost: bool
    """Whether it left or was lost before the run's end."""

    health: Health | None = None
    """Whether it is healthy, late (missed some heartbeats) or lost, at the run's end or now."""

    silent_for: Seconds | None = None
    """For how many seconds it had not been heard from by then."""

    joined_at: float | None = None
    """When it first joined, in seconds since 1970."""

    left_at: float | None = None
    """When it was lost or left, in seconds since 1970; None if it stayed."""

    held_slots: list[HeldSlotReport] = []
    """The slots of handlers that did not stop when they were told to."""


class DifficultyReport(_ReportPart):
    """The outcome of the tasks of one difficulty."""

    tasks: Count
    """How many there are."""

    completed: Count
    """How many of them completed."""

    success_rate: Share
    """The share that completed, 0 to 1."""


class RunReport(_ReportPart):
    """A run so far, or as it ended."""

    name: str
    """The manager's name."""

    started_at: float
    """When the first tasks were assigned, or else when the manager began to wait for workers, in
    seconds since 1970.
    """

    duration: Seconds
    """Seconds from then to the run's end, or until now."""

    policy: str
    """The name of the matching policy."""

    success_rate: Share
    """The share of all tasks that completed, 0 to 1; 1 if there are no tasks."""

    counts: dict[Status, Count]
    """How many tasks have each status."""

    tasks: list[TaskReport]
    """The tasks, in the order in which they were added."""

    workers: dict[str, WorkerReport]
    """The workers by name, in the order in which they joined."""

    error_counts: dict[str, Count]
    """How many tasks failed or were cancelled, by kind of error, the most frequent first. The kind
    is the part of the error message before ": ".
    """

    total_time: Seconds
    """The total duration of the recorded attempts in seconds."""

    mean_time: Seconds | None
    """The mean duration of a recorded attempt in seconds; None if there are none."""

    ignored: dict[str, Count]
    """How many results were ignored, by reason, such as duplicates."""

    dropped: dict[str, Count]
    """How many frames could not be read, by reason."""

    failure: str | None
    """Why the run failed, or None."""

    by_difficulty: dict[int, DifficultyReport] = {}
    """The outcome of the tasks by their difficulty, the easiest first."""

    @property
    def held_slots(self) -> list[str]:
        """The slots of handlers that did not stop when they were told to, one line for each."""
        until = self.started_at + self.duration
        return [
            f"worker {name!r}: "
            + describe_held_slot(held.task_id, held.attempt, until - held.since, held.reason)
            for name, worker in self.workers.items()
            for held in worker.held_slots
        ]

    @property
    def exit_code(self) -> int:
        """0 if every task completed and the run did not fail, otherwise 1."""
        every_task_completed = self.counts.get(TaskStatus.COMPLETED, 0) == len(self.tasks)
        return 0 if every_task_completed and self.failure is None else 1


def build_report(
    board: BoardState, *, name: str, now: float, dropped: Mapping[str, int] | None = None
) -> RunReport:
    """Make the report of a run from its board.

    Args:
        board: the run's board; the run may still go on.
        name: the manager's name.
        now: the board's time, in seconds.
        dropped: how many frames could not be read, by reason.
    """
    ended_at = now if board.ended_at is None else board.ended_at
    began = (board.began_at, board.start_barrier.opened_at, ended_at)
    started_at = next(moment for moment in began if moment is not None)
    records = board.tasks.values()
    results = [record.result for record in records if record.result is not None]
    total_time = sum(result.execution_time for result in results)
    return RunReport(
        name=name,
        started_at=started_at,
        duration=max(ended_at - started_at, 0.0),
        policy=board.policy_name,
        success_rate=_success_rate(board),
        counts={status: board.counts.get(status, 0) for status in TaskStatus},
        tasks=[
            _report_task(record, board.explain(task_id).lines(), started_at)
            for task_id, record in board.tasks.items()
        ],
        workers={
            worker_name: _report_worker(board, worker, started_at, ended_at)
            for worker_name, worker in board.workers.items()
        },
        error_counts=_count_errors(records),
        total_time=total_time,
        mean_time=total_time / len(results) if results else None,
        ignored=dict(board.ignored),
        dropped=dict(dropped or {}),
        failure=board.failure,
        by_difficulty=_report_difficulties(records),
    )


def report_schema() -> dict[str, JsonValue]:
    """The JSON Schema of a report as JSON."""
    schema = RunReport.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _report_task(record: TaskRecord, why: Iterable[str], started_at: float) -> TaskReport:
    task, result = record.task, record.result
    completed = record.status is TaskStatus.COMPLETED
    waited = None
    if record.assigned_at is not None:
        waited = max(record.assigned_at - max(record.added_at, started_at), 0.0)
    return TaskReport(
        id=task.id,
        description=task.description,
        type=task.type,
        difficulty=task.difficulty,
        priority=task.priority,
        status=record.status,
        worker=record.worker,
        attempts=record.attempt,
        success=completed if record.status.is_final else None,
        execution_time=None if result is None else result.execution_time,
        waited=waited,
        error_message=None if completed else record.error_message,
        output=None if result is None else result.output,
        why=list(why),
        depends_on=list(task.depends_on),
        parent_id=task.parent_id,
        expires_s=task.expires_s,
        history=_report_attempts(record),
    )


def _report_attempts(record: TaskRecord) -> list[AttemptReport]:
    attempts: Sequence[Attempt] = record.attempts
    reports: list[AttemptReport] = []
    for attempt in attempts[-MAX_HISTORY:]:
        if attempt.is_prefetched:
            # It waits at its worker for a slot.
            continue
        ended_at = attempt.ended_at
        if ended_at is None and attempt.outcome is not None and attempt is attempts[-1]:
            # A store of an older version only has when the task was settled.
            ended_at = record.finished_at
        reports.append(
            AttemptReport(
                number=attempt.number,
                worker=attempt.worker.name,
                started_at=attempt.started_at,
                ended_at=ended_at,
                outcome=attempt.outcome,
            )
        )
    return reports


def _report_worker(
    board: BoardState, worker: WorkerRecord, started_at: float, ended_at: float
) -> WorkerReport:
    stats = worker.stats
    lost = worker.lost_at is not None and worker.lost_at < ended_at
    left_at = ended_at if worker.lost_at is None else min(worker.lost_at, ended_at)
    slots_time = worker.slots * (left_at - max(worker.joined_at, started_at))
    running = attempts_of(worker.running)
    busy_time = stats.busy_time + sum(left_at - attempt.started_at for attempt in running)
    return WorkerReport(
        skill_level=worker.skill_level,
        specialties=sorted(worker.specialties),
        slots=worker.slots,
        completed=stats.completed_tasks,
        succeeded=stats.successful_tasks,
        success_rate=stats.success_rate if stats.completed_tasks else None,
        total_time=stats.total_time,
        mean_time=stats.total_time / stats.completed_tasks if stats.completed_tasks else None,
        busy_share=min(busy_time / slots_time, 1.0) if slots_time > 0 else 0.0,
        lost=lost,
        health=Health.LOST if lost else _health_at_end(worker, ended_at, board.rules.heartbeat_s),
        silent_for=silence_of(worker, ended_at),
        joined_at=worker.joined_at,
        left_at=worker.lost_at if lost else None,
        held_slots=[HeldSlotReport(**each._asdict()) for each in held_slots(worker, board.tasks)],
    )


def _health_at_end(worker: WorkerRecord, ended_at: float, heartbeat_s: float) -> Health:
    health = health_of(worker, ended_at, heartbeat_s)
    # A worker that was dismissed at the end, or left after it, was not lost.
    return Health.HEALTHY if health is Health.LOST else health


def _report_difficulties(records: Iterable[TaskRecord]) -> dict[int, DifficultyReport]:
    tasks: Counter[int] = Counter()
    completed: Counter[int] = Counter()
    for record in records:
        tasks[record.task.difficulty] += 1
        completed[record.task.difficulty] += record.status is TaskStatus.COMPLETED
    return {
        difficulty: DifficultyReport(
            tasks=count,
            completed=completed[difficulty],
            success_rate=completed[difficulty] / count,
        )
        for difficulty, count in sorted(tasks.items())
    }


def _success_rate(board: BoardState) -> float:
    if not board.tasks:
        # Nothing was requested, and nothing failed.
        return 1.0
    return board.counts.get(TaskStatus.COMPLETED, 0) / len(board.tasks)


def _count_errors(records: Iterable[TaskRecord]) -> dict[str, int]:
    undone = (TaskStatus.FAILED, TaskStatus.CANCELLED)
    kinds = Counter(
        error_kind(record.error_message or record.status.value)[:_MAX_KIND_CHARACTERS]
        for record in records
        if record.status in undone
    )
    return dict(kinds.most_common())
