"""Makes the answers of the HTTP API from a manager's board."""

from __future__ import annotations

from typing import Any

from ...messages import TaskId, TaskStatus
from ..kernel.board.held_slots import held_slots
from ..kernel.board.state import BoardState
from ..kernel.board.stuck_tasks import find_stuck_tasks
from ..kernel.board.task_explanation import explain_task
from ..kernel.model.occurrence_text import describe_facts
from ..kernel.model.records import TaskRecord, WorkerRecord
from ..report.skill_map import DIFFICULTY, read_skills
from ..report.sums import cost_of
from .api_models import (
    MAX_TEXT,
    HeldSlotView,
    Skills,
    Stats,
    Story,
    StoryLine,
    StuckView,
    TaskView,
    WholeTask,
    WorkerView,
)
from .json_views import view_payload
from .states import run_state, worker_state


def view_task(record: TaskRecord) -> TaskView:
    """The state of a task."""
    return TaskView(**_fields(record))


def view_whole_task(record: TaskRecord) -> WholeTask:
    """The state of a task, with its data and output."""
    output = None if record.result is None else view_payload(record.result.output)
    return WholeTask(
        **_fields(record),
        data=view_payload(record.task.data),
        output=output,
        error_traceback=record.error_traceback,
    )


def view_story(board: BoardState, task_id: TaskId) -> Story:
    """What happened to a task, and why it has its status.

    Raises:
        UnknownTask: no task has this id.
    """
    record = board.find(task_id)
    return Story(
        task=view_whole_task(record),
        story=[
            StoryLine(
                at=each.at,
                what=each.what.value,
                attempt=each.attempt,
                worker=each.worker,
                detail=describe_facts(each)[:MAX_TEXT],
            )
            for each in record.story
        ],
        forgotten=record.forgotten,
        why=explain_task(board, task_id).lines(),
    )


def view_worker(board: BoardState, worker: WorkerRecord, now: float) -> WorkerView:
    """The state of a worker."""
    held = held_slots(worker, board.tasks)
    return WorkerView(
        name=worker.name,
        state=worker_state(board, worker, now),
        skill=worker.skill_level,
        specialties=sorted(worker.specialties),
        slots=worker.slots,
        taken=worker.taken,
        ahead=len(worker.prefetched),
        running=[task_id for task_id, _ in list(worker.running)[:100]],
        held_slots=[HeldSlotView(**each._asdict()) for each in held[:100]],
        succeeded=worker.stats.successful_tasks,
        ended=worker.stats.completed_tasks,
        heard_s_ago=max(now - worker.last_heard_at, 0.0),
        skills=dict(worker.skills),
        cost_per_s=worker.cost_per_s,
        cost_per_task=worker.cost_per_task,
        review_types=sorted(worker.profile.review_types),
        cost=worker.stats.cost,
    )


def view_stats(board: BoardState, manager: str, dropped: dict[str, int]) -> Stats:
    """The state of a run."""
    counts, budget = board.counts, board.budget
    completed = counts[TaskStatus.COMPLETED]
    settled = completed + counts[TaskStatus.FAILED] + counts[TaskStatus.CANCELLED]
    return Stats(
        manager=manager,
        state=run_state(board),
        failure=board.failure,
        counts={status.value: count for status, count in counts.items()},
        success_rate=completed / settled if settled else None,
        workers=len(board.worker_registry.present),
        expected_workers=board.rules.expected_workers,
        began_at=board.began_at,
        ended_at=board.ended_at,
        ignored=dict(board.ignored),
        dropped=dropped,
        cost=budget.spent,
        cost_unit=budget.unit,
        cost_in_other_units=dict(board.spending.in_other_units),
        budget=budget.limit,
        budget_left=budget.unspent,
        stuck=[
            StuckView(cause=each.cause.value, count=each.tasks, text=each.text)
            for each in find_stuck_tasks(board)
        ],
    )


def view_skills(board: BoardState, max_workers: int) -> Skills:
    """What a run's policy has learned of the workers with the most results."""
    cells, hidden_workers = read_skills(board, max_workers)
    return Skills(
        policy=board.policy_name,
        cost_unit=board.budget.unit,
        difficulty=DIFFICULTY,
        cells=cells,
        hidden_workers=hidden_workers,
    )


def _fields(record: TaskRecord) -> dict[str, Any]:
    task, result = record.task, record.result
    return {
        "id": task.id,
        "number": record.sequence,
        "description": task.description,
        "type": task.type,
        "difficulty": task.difficulty,
        "priority": task.priority,
        "status": record.status,
        "worker": record.worker,
        "attempts": record.attempt,
        "percent": record.progress,
        "note": record.note,
        "error": None if record.error_message is None else record.error_message[:MAX_TEXT],
        "added_at": record.added_at,
        "assigned_at": record.assigned_at,
        "finished_at": record.finished_at,
        "execution_time": None if result is None else result.execution_time,
        "depends_on": list(task.depends_on),
        "expires_s": task.expires_s,
        "waits_until": record.wait_until,
        "waits_for": record.wait_reason,
        "parent_id": task.parent_id,
        "required_skills": task.required_skills,
        "strict": task.strict,
        "deadline": task.deadline,
        "escalate": list(task.escalate),
        "review": task.review,
        "votes": task.votes,
        "limit_key": task.limit_key,
        "cost": cost_of(record),
        "quality": None if result is None else result.quality,
    }
