"""The answers of the HTTP API, as its OpenAPI document describes them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, JsonValue

from ...messages import TaskId, TaskStatus
from ..report.skill_cell import SkillCell

MAX_TEXT = 10_000
"""How many characters of an error are shown."""


class ApiModel(BaseModel):
    """What all models of the API have in common."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Added(ApiModel):
    """The tasks of a call."""

    added: list[TaskId]
    """The ids of those that were added, in the order of the call."""

    known: list[TaskId] = []
    """The ids of those that the run had already, with the same content; they are not done again."""


class Retried(ApiModel):
    """Tasks begin anew."""

    retried: list[TaskId]
    """Their ids, with those of the tasks that were cancelled for their sake."""


class TaskView(ApiModel):
    """The state of a task."""

    id: TaskId
    """Its id: an integer or a text."""

    number: int
    """Its number in the order in which tasks were added; the list continues after it."""

    description: str
    """What is to be done."""

    type: str
    """The kind of work, or ""."""

    difficulty: int
    """The skill that it requires."""

    priority: int
    """Tasks of higher numbers are assigned sooner."""

    status: TaskStatus
    """Its status."""

    worker: str
    """The worker that it was last assigned to, or ""."""

    attempts: int
    """How often it was assigned."""

    percent: float
    """The progress of the running attempt, 0 to 100."""

    note: str
    """The note that came with the progress."""

    error: str | None
    """Why it failed or was cancelled, or why its last attempt failed."""

    added_at: float
    """Seconds since 1970."""

    assigned_at: float | None
    """When its last attempt began."""

    finished_at: float | None
    """When it was settled."""

    execution_time: float | None
    """The duration of the recorded attempt in seconds."""

    depends_on: list[TaskId]
    """The tasks it depends on."""

    expires_s: float | None
    """Within how many seconds after it was added it must start; null: no limit."""

    waits_until: float | None
    """Until when it waits, before its time or between two attempts; null: no time holds it back."""

    waits_for: str
    """Why it waits until then, such as "retry 2 of 5 after ConnectionError", or ""."""

    parent_id: TaskId | None
    """The task it belongs to."""

    required_skills: dict[str, float]
    """The named skills that it wants, with their levels."""

    strict: bool
    """Whether a worker below one of those levels never gets it."""

    deadline: float | None
    """How soon it should be completed, in seconds after it was added; null: no deadline."""

    escalate: list[str]
    """The steps of its ladder: names of workers, skills or specialties."""

    review: bool
    """Whether a second worker reviews a successful attempt before it counts."""

    votes: int
    """How many workers run it; the answer of the majority counts."""

    limit_key: str | None
    """Whose task it is, by which limits and turns go; null for nobody's."""

    cost: float
    """What its attempts cost together, in the run's unit."""

    quality: float | None
    """The grade of its result, 0 to 1; null for none."""


class WholeTask(TaskView):
    """The state of a task, with its data, output and traceback."""

    error_traceback: str | None
    """The traceback of its last failure as text; null if there is none."""

    data: JsonValue
    """The input of its handler; replaced by a note if it is longer than 256 KiB as JSON."""

    output: JsonValue
    """What its handler returned; null until then, and a note if it is that long."""


class TaskList(ApiModel):
    """A part of the list of tasks."""

    tasks: list[TaskView]
    """The tasks that match, in the order in which they were added."""

    total: int
    """How many tasks the run has, matching or not."""

    after: int | None
    """The `after` of the next call; null if there are no more tasks. A part may have fewer tasks
    than `limit`, or none, and still not be the last.
    """


class StoryLine(ApiModel):
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
    """Further details for people."""


class Story(ApiModel):
    """What happened to a task, and why it has its status."""

    task: WholeTask
    """The task."""

    story: list[StoryLine]
    """What happened to it, the oldest first."""

    forgotten: int
    """How many earlier entries are not kept."""

    why: list[str]
    """Which workers were considered, or what it waits for, line by line."""


class HeldSlotView(ApiModel):
    """A slot of an attempt that was cancelled, timed out, or done elsewhere, but still runs."""

    task_id: TaskId
    """The task."""

    attempt: int
    """Which attempt at it."""

    since: float
    """When it was told to stop, in seconds since 1970."""

    reason: str
    """Why, such as "it timed out"."""


class WorkerView(ApiModel):
    """The state of a worker."""

    name: str
    """Its name."""

    state: str
    """healthy, late, resting, draining, leaving, gone home or lost."""

    skill: int
    """Its skill level."""

    specialties: list[str]
    """The types of task that its skill counts more for."""

    slots: int
    """How many tasks it can run at once."""

    taken: int
    """How many of them are in use."""

    ahead: int
    """How many tasks it holds that wait for a slot."""

    running: list[TaskId]
    """The first 100 tasks that it runs."""

    held_slots: list[HeldSlotView]
    """The first 100 slots of handlers that did not stop when they were told to."""

    succeeded: int
    """How many of its attempts succeeded."""

    ended: int
    """How many of its attempts ended, successful or not."""

    heard_s_ago: float
    """Seconds since it was last heard from."""

    skills: dict[str, float]
    """Its named skills with their levels, as it declares them."""

    cost_per_s: float
    """What a second of its work costs, in the run's unit."""

    cost_per_task: float
    """What each of its attempts costs besides."""

    review_types: list[str]
    """The types of task whose results it reviews."""

    cost: float
    """What its attempts have cost together."""


class StuckView(ApiModel):
    """Some tasks that can't go on, all for the same reason."""

    cause: str
    """The kind of reason, such as "skill", "handler" or "no worker"."""

    count: int
    """How many tasks there are."""

    text: str
    """The reason as a line of text."""


class Stats(ApiModel):
    """The state of the run."""

    manager: str
    """The manager's name."""

    state: str
    """waiting, running, paused, idle, finished, stopped or failed."""

    failure: str | None
    """Why the run failed."""

    counts: dict[str, int]
    """How many tasks have each status."""

    success_rate: float | None
    """The share of the settled tasks that completed, 0 to 1; null before the first."""

    workers: int
    """How many workers are connected."""

    expected_workers: int
    """How many workers were expected."""

    began_at: float | None
    """When the first tasks were assigned, in seconds since 1970."""

    ended_at: float | None
    """When the run ended."""

    ignored: dict[str, int]
    """How many results were ignored, by reason."""

    dropped: dict[str, int]
    """How many frames could not be read, by reason."""

    cost: float
    """What all attempts have cost together."""

    cost_unit: str
    """The unit of all costs."""

    cost_in_other_units: dict[str, float]
    """What workers reported in other units, by unit; it counts to no budget."""

    budget: float | None
    """What all attempts together may cost; null: no limit."""

    budget_left: float | None
    """What is left of the budget; null without one."""

    stuck: list[StuckView]
    """The tasks that can't go on, by reason."""


class Skills(ApiModel):
    """What the policy has learned; no cells if it does not learn."""

    policy: str
    """The name of the policy."""

    cost_unit: str
    """The unit of the costs."""

    difficulty: int
    """The difficulty of the task for which each cell tells the chance of success."""

    cells: list[SkillCell]
    """A cell for each worker and each type of task, or named skill, of which it has results."""

    hidden_workers: int
    """How many more workers there are than `limit`."""


class TicketView(ApiModel):
    """The ticket that a worker joins with; it also needs the workspace's secret."""

    ticket: str
    """One line, for `muster worker --join`."""


class Alive(ApiModel):
    """The process is alive."""

    alive: bool = True
    """Always true."""

    late_s: float
    """The last measured delay of its event loop in seconds."""


class Ready(ApiModel):
    """Whether tasks that are added now will be done."""

    ready: bool
    """Whether all of the following is in order."""

    doors: str
    """Whether workers can join: "open", "not open yet" or "closed"."""

    store: str
    """"none", "writable", or why it is not."""

    workers: int
    """How many workers are connected."""

    expected_workers: int
    """How many are needed."""
