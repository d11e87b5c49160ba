"""Makes the report of a run from its board."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ...messages import TaskStatus
from ...messages.usage import ModelUsage
from ..kernel.board.deadlines import lateness_s
from ..kernel.board.held_slots import held_slots
from ..kernel.board.prefetch import attempts_of
from ..kernel.board.state import BoardState
from ..kernel.board.task_explanation import explain_task
from ..kernel.model.health import Health, health_of, silence_of
from ..kernel.model.records import Attempt, TaskRecord, WorkerRecord
from .costs import read_cost_by_day, read_models, read_savings
from .model import (
    AttemptReport,
    HeldSlotReport,
    RunReport,
    TaskReport,
    WorkerReport,
    kind_of_error,
)
from .skill_map import read_skills
from .sums import AttemptSum, cost_of, group_tasks, sum_attempts

MAX_HISTORY = 20
"""How many attempts of a task are reported: the latest."""

_LOST_KINDS = frozenset({"worker lost", "attempt lost"})
_LATE_KIND = "late"
_NO_USAGE = ModelUsage("")


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
    sums = sum_attempts(records)
    budget = board.budget
    tasks = [
        _report_task(
            record,
            explain_task(board, task_id).lines(),
            started_at,
            _lateness_s(record, board.rules.time_scale, ended_at),
        )
        for task_id, record in board.tasks.items()
    ]
    return RunReport(
        name=name,
        started_at=started_at,
        duration=max(ended_at - started_at, 0.0),
        policy=board.policy_name,
        success_rate=_success_rate(board),
        counts={status: board.counts.get(status, 0) for status in TaskStatus},
        tasks=tasks,
        workers={
            worker_name: _report_worker(
                board, worker, sums.by_worker[worker_name], started_at, ended_at
            )
            for worker_name, worker in board.workers.items()
        },
        error_counts=_count_errors(records),
        total_time=total_time,
        mean_time=total_time / len(results) if results else None,
        ignored=dict(board.ignored),
        dropped=dict(dropped or {}),
        failure=board.failure,
        by_difficulty=group_tasks(records, lambda record: record.task.difficulty),
        by_type=group_tasks(records, lambda record: record.task.type),
        has_ended=board.has_ended,
        attempts_lost=sums.run.lost,
        tasks_lost=sum(map(_was_lost, records)),
        deadlines_missed=sum(task.late_s is not None for task in tasks),
        cost=budget.spent,
        cost_unit=budget.unit,
        cost_in_other_units=dict(board.spending.in_other_units),
        budget=budget.limit,
        budget_left=budget.unspent,
        quality=sums.run.quality,
        skills=read_skills(board).cells,
        cost_by_day=read_cost_by_day(board),
        by_model=read_models(board),
        savings=read_savings(board),
    )


def _report_task(
    record: TaskRecord, why: Iterable[str], started_at: float, late_s: float | None
) -> TaskReport:
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
        # The last attempt may have been a review.
        worker=result.worker if completed and result is not None else record.worker,
        attempts=record.attempt,
        success=completed if record.status.is_final else None,
        execution_time=None if result is None else result.execution_time,
        waited=waited,
        error_message=None if completed else record.error_message,
        error_traceback=None if completed else record.error_traceback,
        output=None if result is None else result.output,
        why=list(why),
        depends_on=list(task.depends_on),
        parent_id=task.parent_id,
        expires_s=task.expires_s,
        history=_report_attempts(record),
        required_skills=dict(task.required_skills),
        strict=task.strict,
        limit_key=task.limit_key,
        deadline=task.deadline,
        escalate=list(task.escalate),
        review=task.review,
        votes=task.votes,
        cost=cost_of(record),
        quality=None if result is None else result.quality,
        late_s=late_s,
    )


def _report_attempts(record: TaskRecord) -> list[AttemptReport]:
    attempts: Sequence[Attempt] = record.attempts
    reports: list[AttemptReport] = []
    for attempt in attempts[-MAX_HISTORY:]:
        if attempt.is_prefetched:
            # It waits at its worker for a slot.
            continue
        ended_at, usage = attempt.ended_at, attempt.usage or _NO_USAGE
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
                cost=attempt.cost,
                quality=attempt.quality,
                is_review=attempt.is_review,
                model=usage.model,
                tokens_in=usage.tokens_in,
                tokens_out=usage.tokens_out,
            )
        )
    return reports


def _report_worker(
    board: BoardState, worker: WorkerRecord, done: AttemptSum, started_at: float, ended_at: float
) -> WorkerReport:
    stats = worker.stats
    # Its loss may have ended the run, by failing the last task.
    lost = worker.lost_at is not None and (
        worker.lost_at < ended_at or worker.lost_at == done.lost_at
    )
    left_at = ended_at if worker.lost_at is None else min(worker.lost_at, ended_at)
    slots_time = worker.slots * (left_at - max(worker.joined_at, started_at))
    running = attempts_of(worker.running)
    health = Health.LOST if lost else _health_at_end(board, worker, ended_at)
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
        health=health,
        gone_home=board.has_ended and health is Health.HEALTHY,
        silent_for=silence_of(worker, ended_at),
        joined_at=worker.joined_at,
        left_at=worker.lost_at if lost else None,
        held_slots=[HeldSlotReport(**each._asdict()) for each in held_slots(worker, board.tasks)],
        skills=dict(worker.skills),
        cost_per_s=worker.cost_per_s,
        cost_per_task=worker.cost_per_task,
        review_types=sorted(worker.profile.review_types),
        cost=worker.stats.cost,
        quality=done.quality,
        declined=done.declined,
        rejected=done.rejected,
    )


def _health_at_end(board: BoardState, worker: WorkerRecord, ended_at: float) -> Health:
    if board.has_ended and not worker.alive:
        # It was dismissed at the end, or left after it, and so it was not lost. One that was read
        # from a store is not waited for, since the run does not go on.
        return Health.HEALTHY
    health = health_of(worker, ended_at, board.rules.heartbeat_s)
    return Health.HEALTHY if health is Health.LOST else health


def _lateness_s(record: TaskRecord, time_scale: float, now: float) -> float | None:
    late_s = lateness_s(record, time_scale, now)
    if late_s is None and record.status is TaskStatus.FAILED and _kind_of(record) == _LATE_KIND:
        # It failed before its deadline, which could not be met any more.
        return 0.0
    return late_s


def _was_lost(record: TaskRecord) -> bool:
    return record.status is TaskStatus.FAILED and _kind_of(record) in _LOST_KINDS


def _success_rate(board: BoardState) -> float:
    if not board.tasks:
        # Nothing was requested, and nothing failed.
        return 1.0
    return board.counts.get(TaskStatus.COMPLETED, 0) / len(board.tasks)


def _count_errors(records: Iterable[TaskRecord]) -> dict[str, int]:
    undone = (TaskStatus.FAILED, TaskStatus.CANCELLED)
    kinds = Counter(_kind_of(record) for record in records if record.status in undone)
    return dict(kinds.most_common())


def _kind_of(record: TaskRecord) -> str:
    return kind_of_error(record.error_message, record.status)
