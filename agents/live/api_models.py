"""What the HTTP API takes and gives, as its OpenAPI document describes it."""

from __future__ import annotations

from typing import Annotated, TypeAlias, TypedDict

from pydantic import BaseModel, ConfigDict, Discriminator, Field, JsonValue, Tag

from ...messages import Task, TaskId, TaskStatus
from ...messages.work import Note
from ..kernel.board.held_slots import held_slots
from ..kernel.board.state import BoardState
from ..kernel.model.occurrence_text import describe_facts
from ..kernel.model.records import TaskRecord, WorkerRecord
from .json_views import view_payload
from .page_state import run_state, worker_state

MAX_TASKS_PER_CALL = 1_000
"""How many tasks one call may add, and how many one page of the list holds."""

MAX_TEXT = 10_000
"""How many characters of an error are told."""

ONE, MANY = "task", "tasks"


def _how_many(body: object) -> str:
    return MANY if isinstance(body, list) else ONE


SubmittedTasks: TypeAlias = Annotated[
    Annotated[Task, Tag(ONE)]
    | Annotated[list[Task], Field(min_length=1, max_length=MAX_TASKS_PER_CALL), Tag(MANY)],
    Discriminator(_how_many),
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Added(_Model):
    """Tasks were added."""

    added: list[TaskId]
    """Their ids, in the order of the call."""


class CancelOrder(_Model):
    """Why a task is to be cancelled."""

    reason: Note = "by the user"
    """For people; it stands in the task's story."""


class PriorityOrder(_Model):
    """How urgent a task is to be."""

    priority: int = Field(ge=-(2**31), le=2**31 - 1)
    """Higher numbers come sooner."""


class TaskView(_Model):
    """A task as it stands."""

    id: TaskId
    """Its id: an integer or a text."""

    number: int
    """Its place in the order of adding; the list goes on after it."""

    description: str
    """What is to be done."""

    type: str
    """The kind of work, or ""."""

    difficulty: int
    """The skill it takes."""

    priority: int
    """Higher numbers come sooner."""

    status: TaskStatus
    """Where it stands."""

    worker: str
    """The worker that had it last, or ""."""

    attempts: int
    """How often it was assigned."""

    percent: float
    """How far the running attempt has come, 0 to 100."""

    note: str
    """The remark that came with it."""

    error: str | None
    """Why it is not done, or why its last attempt failed."""

    added_at: float
    """Seconds since 1970."""

    assigned_at: float | None
    """When its last attempt began."""

    finished_at: float | None
    """When it was settled."""

    execution_time: float | None
    """Seconds that the recorded attempt took."""

    depends_on: list[TaskId]
    """The tasks it depends on."""

    expires_s: float | None
    """How many seconds after its adding it must have begun; null if there is no limit."""

    parent_id: TaskId | None
    """The task it belongs to."""


class WholeTask(TaskView):
    """A task as it stands, with what it was given and what came of it."""

    data: JsonValue
    """What its handler needs; a remark in its place if that is longer than 256 KiB as JSON."""

    output: JsonValue
    """What its handler returned; null until then, and a remark if it is that long."""


class TaskList(_Model):
    """A part of the list of tasks."""

    tasks: list[TaskView]
    """Those that were asked for, in the order of their adding."""

    total: int
    """How many tasks there are in all, whatever was asked for."""

    after: int | None
    """The number to go on after; null if there are no more. A part may hold fewer tasks than were
    asked for, or none, and still not be the last.
    """


class StoryLine(_Model):
    """Something that happened to a task."""

    at: float
    """Seconds since 1970."""

    what: str
    """Such as "task_assigned"."""

    attempt: int
    """Which attempt, or 0."""

    worker: str
    """Which worker, or ""."""

    detail: str
    """The rest, for people."""


class Story(_Model):
    """What happened to a task, and why it stands where it stands."""

    task: WholeTask
    """The task."""

    story: list[StoryLine]
    """What happened to it, the oldest first."""

    forgotten: int
    """How many earlier occurrences are not kept."""

    why: list[str]
    """Who was considered for it, or what it waits for, line by line."""


class HeldSlotView(_Model):
    """A slot that an attempt holds though it was cancelled, timed out, or was done elsewhere."""

    task_id: TaskId
    """The task."""

    attempt: int
    """Which attempt at it."""

    since: float
    """When it was told to stop, in seconds since 1970."""

    reason: str
    """What had happened, such as "it timed out"."""


class WorkerView(_Model):
    """A worker as it stands."""

    name: str
    """Its name."""

    state: str
    """healthy, late, resting, leaving or lost."""

    skill: int
    """What it can do."""

    specialties: list[str]
    """Types of task for which its skill counts more."""

    slots: int
    """How many tasks it runs at once."""

    taken: int
    """How many of them are taken."""

    ahead: int
    """How many tasks wait there for a slot."""

    running: list[TaskId]
    """The tasks that it has, the first 100."""

    held_slots: list[HeldSlotView]
    """Slots that handlers have not given back though they were to stop, the first 100."""

    succeeded: int
    """How many of its attempts succeeded."""

    ended: int
    """How many of its attempts ended, well or not."""

    heard_s_ago: float
    """Seconds since something last arrived from it."""


class Stats(_Model):
    """How the run stands."""

    manager: str
    """The manager's name."""

    state: str
    """waiting, running, idle, finished, stopped or failed."""

    failure: str | None
    """Why the run could not be carried through."""

    counts: dict[str, int]
    """How many tasks there are of each status."""

    success_rate: float | None
    """The share of the settled tasks that completed, 0 to 1; null before the first."""

    workers: int
    """How many workers are connected."""

    expected_workers: int
    """How many were to be waited for."""

    began_at: float | None
    """When tasks began to be handed out, in seconds since 1970."""

    ended_at: float | None
    """When the run ended."""

    ignored: dict[str, int]
    """How many results did not count, by reason."""

    dropped: dict[str, int]
    """How many frames could not be read, by what was wrong with them."""


class TicketView(_Model):
    """By which a worker joins; it must be given the workspace's secret besides."""

    ticket: str
    """One line, for `muster worker --join`."""


class Alive(_Model):
    """The process lives."""

    alive: bool = True
    """It does."""

    late_s: float
    """By how many seconds its loop was late when it last looked."""


class Ready(_Model):
    """Whether tasks that are given now will be done."""

    ready: bool
    """Whether all of the following is well."""

    doors: str
    """Whether workers can come: "open", "not open yet" or "closed"."""

    store: str
    """"none", "writable", or why it is not."""

    workers: int
    """How many workers are connected."""

    expected_workers: int
    """How many must be."""


class Fault(_Model):
    """A field that breaks its rule."""

    field: str
    """Which, such as "difficulty", or "3.difficulty" of the fourth task."""

    value: str
    """What it is, shortened."""

    rule: str
    """What it must be."""


class Wrong(_Model):
    """Why something was not done."""

    error: str
    """In words."""

    faults: list[Fault] = Field(default_factory=list[Fault])
    """For 422: the fields that break their rules, the first 10."""


class TaskFields(TypedDict):
    """The fields of a `TaskView`."""

    id: TaskId
    number: int
    description: str
    type: str
    difficulty: int
    priority: int
    status: TaskStatus
    worker: str
    attempts: int
    percent: float
    note: str
    error: str | None
    added_at: float
    assigned_at: float | None
    finished_at: float | None
    execution_time: float | None
    depends_on: list[TaskId]
    expires_s: float | None
    parent_id: TaskId | None


def view_task(record: TaskRecord) -> TaskView:
    """Tell a task as it stands."""
    return TaskView(**_fields(record))


def view_whole_task(record: TaskRecord) -> WholeTask:
    """Tell a task as it stands, with what it was given and what came of it."""
    output = None if record.result is None else view_payload(record.result.output)
    return WholeTask(**_fields(record), data=view_payload(record.task.data), output=output)


def view_story(board: BoardState, task_id: TaskId) -> Story:
    """Tell what happened to a task, and why it stands where it stands.

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
        why=board.explain(task_id).lines(),
    )


def view_worker(board: BoardState, worker: WorkerRecord, now: float) -> WorkerView:
    """Tell a worker as it stands."""
    held = held_slots(worker, board.tasks)
    return WorkerView(
        name=worker.name,
        state=worker_state(worker, now, board.rules.heartbeat_s),
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
    )


def view_stats(board: BoardState, manager: str, dropped: dict[str, int]) -> Stats:
    """Tell how a run stands."""
    counts = board.counts
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
    )


def _fields(record: TaskRecord) -> TaskFields:
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
        "parent_id": task.parent_id,
    }
