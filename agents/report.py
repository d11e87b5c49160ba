"""The report of a run: what became of each task, what each worker did, and what went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PlainSerializer

from ..messages import Payload, TaskId, TaskStatus
from .board import Board
from .json_value import to_json_value
from .records import TaskRecord, WorkerRecord

_MAX_KIND_CHARACTERS = 80

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Output = Annotated[Payload, PlainSerializer(to_json_value, return_type=JsonValue, when_used="json")]


class _ReportPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TaskReport(_ReportPart):
    """What became of one task.

    Args:
        id: the task's id.
        description: what was to be done.
        type: the kind of work, or "".
        difficulty: the skill it takes.
        priority: how urgent it was, in the end.
        status: where it stands.
        worker: the name of the worker that had it last, or "".
        attempts: how often it was assigned.
        success: True if it completed, False if it failed or was cancelled, None until then.
        execution_time: seconds that the recorded attempt took, None without a result.
        waited: seconds from its adding, or the run's start if that came later, to its last
            assignment; None if it was never assigned.
        error_message: why it is not done, or why its last attempt failed; None once completed.
        output: what the handler returned; in JSON as `muster.agents.json_value` says.
        why: why it was given to this worker, or what it waits for, line by line.
        depends_on: ids of the tasks it depends on.
        parent_id: the task it belongs to, or None.
    """

    id: TaskId
    description: str
    type: str
    difficulty: int
    priority: int
    status: TaskStatus
    worker: str
    attempts: Count
    success: bool | None
    execution_time: Seconds | None
    waited: Seconds | None
    error_message: str | None
    output: Output
    why: list[str]
    depends_on: list[TaskId]
    parent_id: TaskId | None


class WorkerReport(_ReportPart):
    """What one worker did.

    Args:
        skill_level: what it can do.
        specialties: types of task for which its skill counts more, in alphabetical order.
        slots: how many tasks it runs at once.
        completed: how many attempts it brought to an end, well or not.
        succeeded: how many of them were successful.
        success_rate: the share that was, 0 to 1; None before it has ended any.
        total_time: seconds that its attempts took, by its own account.
        mean_time: seconds that one took on average; None before it has ended any.
        busy_share: the share of its slots' time that was leased to tasks, 0 to 1.
        lost: whether it left, or fell silent, before the run's end.
    """

    skill_level: int
    specialties: list[str]
    slots: int
    completed: Count
    succeeded: Count
    success_rate: Share | None
    total_time: Seconds
    mean_time: Seconds | None
    busy_share: Share
    lost: bool


class RunReport(_ReportPart):
    """A run, as it stands or as it ended.

    Args:
        name: the manager's name.
        started_at: when it started, in seconds since 1970.
        duration: seconds from then to its end, or until now.
        policy: who got which task, by name.
        success_rate: the share of all tasks that completed, 0 to 1; of no tasks at all, 1.
        counts: how many tasks there are of each status.
        tasks: the tasks, in the order of their adding.
        workers: the workers by name, in the order of their coming.
        error_counts: how many tasks failed or were cancelled for which kind of reason, the most
            frequent first. The kind is what stands before ": " in the error message.
        total_time: seconds of work in the recorded results.
        mean_time: seconds of work in one of them on average; None if there are none.
        ignored: how many results did not count, by reason, such as those that came twice.
        dropped: how many frames could not be read, by what was wrong with them.
        failure: why the run could not be carried through, or None.
    """

    name: str
    started_at: float
    duration: Seconds
    policy: str
    success_rate: Share
    counts: dict[TaskStatus, Count]
    tasks: list[TaskReport]
    workers: dict[str, WorkerReport]
    error_counts: dict[str, Count]
    total_time: Seconds
    mean_time: Seconds | None
    ignored: dict[str, Count]
    dropped: dict[str, Count]
    failure: str | None

    @property
    def exit_code(self) -> int:
        """0 if every task completed and nothing kept the run from its end, otherwise 1."""
        every_task_completed = self.counts.get(TaskStatus.COMPLETED, 0) == len(self.tasks)
        return 0 if every_task_completed and self.failure is None else 1


def build_report(
    board: Board, *, name: str, now: float, dropped: Mapping[str, int] | None = None
) -> RunReport:
    """Tell a run from its board.

    Args:
        board: the run's board, which may still be at work.
        name: the manager's name.
        now: the board's time, in seconds.
        dropped: how many frames could not be read, by what was wrong with them.
    """
    started_at = now if board.began_at is None else board.began_at
    ended_at = now if board.ended_at is None else board.ended_at
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
            worker.name: _report_worker(worker, board, ended_at)
            for worker in board.workers.values()
        },
        error_counts=_count_errors(records),
        total_time=total_time,
        mean_time=total_time / len(results) if results else None,
        ignored=dict(board.ignored),
        dropped=dict(dropped or {}),
        failure=board.failure,
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
    )


def _report_worker(worker: WorkerRecord, board: Board, ended_at: float) -> WorkerReport:
    stats = worker.stats
    present_until = ended_at if worker.lost_at is None else min(worker.lost_at, ended_at)
    slot_time = worker.slots * (present_until - worker.joined_at)
    busy_time = stats.busy_time + sum(
        max(present_until - (board.tasks[task_id].assigned_at or present_until), 0.0)
        for task_id, _ in worker.running
    )
    return WorkerReport(
        skill_level=worker.skill_level,
        specialties=sorted(worker.specialties),
        slots=worker.slots,
        completed=stats.completed_tasks,
        succeeded=stats.successful_tasks,
        success_rate=stats.success_rate if stats.completed_tasks else None,
        total_time=stats.total_time,
        mean_time=stats.total_time / stats.completed_tasks if stats.completed_tasks else None,
        busy_share=min(busy_time / slot_time, 1.0) if slot_time > 0 else 0.0,
        lost=not worker.alive and (worker.lost_at is None or worker.lost_at < ended_at),
    )


def _success_rate(board: Board) -> float:
    if not board.tasks:
        # Nothing was asked for, and nothing was left undone.
        return 1.0
    return board.counts.get(TaskStatus.COMPLETED, 0) / len(board.tasks)


def _count_errors(records: Iterable[TaskRecord]) -> dict[str, int]:
    undone = (TaskStatus.FAILED, TaskStatus.CANCELLED)
    kinds = Counter(
        (record.error_message or record.status.value).partition(": ")[0][:_MAX_KIND_CHARACTERS]
        for record in records
        if record.status in undone
    )
    return dict(kinds.most_common())
