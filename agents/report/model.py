"""The report of a run: the outcome of each task, the work of each worker, and all errors."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, JsonValue, PlainSerializer, WithJsonSchema

from ...messages import Payload, TaskId, TaskStatus
from ..kernel.model.error_kind import error_kind
from ..kernel.model.health import Health
from ..kernel.model.occurrence_text import describe_held_slot
from ..kernel.model.records import AttemptOutcome
from .cost_model import ModelCost, SavingsReport
from .json_value import to_json_value
from .report_part import REPORT_CONFIG, Cost, Count, Seconds, Share
from .skill_cell import SkillCell

# The schema of the enum itself would list `RUNNING`, an alias, as a value of its own.
Status = Annotated[
    TaskStatus,
    WithJsonSchema({"type": "string", "enum": [status.value for status in TaskStatus]}),
]
Output = Annotated[Payload, PlainSerializer(to_json_value, return_type=JsonValue, when_used="json")]

_MAX_KIND_CHARACTERS = 80


class _ReportPart(BaseModel):
    model_config = REPORT_CONFIG


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

    cost: Cost = 0.0
    """What it cost, in the run's unit."""

    quality: Share | None = None
    """The grade of its output, 0 to 1; None for none."""

    is_review: bool = False
    """Whether it reviewed the result of an earlier attempt."""

    model: str = ""
    """The model that it has used; "" for none, or if that is not known."""

    tokens_in: Count = 0
    """How many tokens went into the model."""

    tokens_out: Count = 0
    """How many tokens came out of it."""


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

    required_skills: dict[str, float] = {}
    """The named skills that it wants, with their levels."""

    strict: bool = False
    """Whether a worker below one of those levels never gets it."""

    limit_key: str | None = None
    """Whose task it is, by which limits and turns go; None for nobody's."""

    deadline: Seconds | None = None
    """How soon it should be completed, in seconds after it was added; None: no deadline."""

    escalate: list[str] = []
    """The steps of its ladder: names of workers, skills or specialties."""

    review: bool = False
    """Whether a second worker reviews a successful attempt before it counts."""

    votes: Annotated[int, Field(ge=1)] = 1
    """How many workers run it; the answer of the majority counts."""

    cost: Cost = 0.0
    """What its attempts cost together, in the run's unit."""

    quality: Share | None = None
    """The grade of its result, 0 to 1; None for none."""

    error_traceback: str | None = None
    """Where in the handler its last error was raised; None if that is not known."""

    late_s: Seconds | None = None
    """By how many seconds it missed its deadline, so far if it is not settled; 0 if it failed
    since it could not be met any more; None if it did not miss it, or has none.
    """

    @property
    def kind_of_error(self) -> str:
        """The kind of its error, as in `RunReport.error_counts`; "" without a failure."""
        return "" if self.success is not False else kind_of_error(self.error_message, self.status)


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

    gone_home: bool = False
    """Whether it stayed until the run ended, and was then sent home."""

    silent_for: Seconds | None = None
    """For how many seconds it had not been heard from by then."""

    joined_at: float | None = None
    """When it first joined, in seconds since 1970."""

    left_at: float | None = None
    """When it was lost or left, in seconds since 1970; None if it stayed."""

    held_slots: list[HeldSlotReport] = []
    """The slots of handlers that did not stop when they were told to."""

    skills: dict[str, float] = {}
    """Its named skills with their levels, as it declares them."""

    cost_per_s: Cost = 0.0
    """What a second of its work costs, in the run's unit."""

    cost_per_task: Cost = 0.0
    """What each of its attempts costs besides."""

    review_types: list[str] = []
    """The types of task whose results it reviews, in alphabetical order."""

    cost: Cost = 0.0
    """What its attempts cost together."""

    quality: Share | None = None
    """The mean grade of its attempts; None if none has a grade."""

    declined: Count = 0
    """How many tasks it declined."""

    rejected: Count = 0
    """How many of its results were rejected by a review or a vote."""


class GroupReport(_ReportPart):
    """The outcome of the tasks of one type, or of one difficulty."""

    tasks: Count
    """How many there are."""

    completed: Count
    """How many of them completed."""

    success_rate: Share
    """The share that completed, 0 to 1."""

    cost: Cost = 0.0
    """What their attempts cost together."""

    quality: Share | None = None
    """The mean grade of their results; None if none has a grade."""


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

    by_difficulty: dict[int, GroupReport] = {}
    """The outcome of the tasks by their difficulty, the easiest first."""

    by_type: dict[str, GroupReport] = {}
    """The outcome of the tasks by their type, in alphabetical order."""

    cost: Cost = 0.0
    """What all attempts cost together."""

    cost_unit: str = "USD"
    """The unit of all costs."""

    has_ended: bool = False
    """Whether the run has ended."""

    attempts_lost: Count = 0
    """How many attempts ended because their worker was lost, or did not return to a manager that
    was started again. Their tasks run again, unless they count under `tasks_lost`.
    """

    tasks_lost: Count = 0
    """How many tasks failed because too many of their attempts were lost."""

    deadlines_missed: Count = 0
    """How many tasks missed their deadline."""

    cost_in_other_units: dict[str, Cost] = {}
    """What workers reported in other units, by unit; it counts to no budget."""

    budget: Cost | None = None
    """What all attempts together may cost; None: no limit."""

    budget_left: Cost | None = None
    """What is left of the budget; None without one."""

    quality: Share | None = None
    """The mean grade of the results; None if none has a grade."""

    cost_by_day: dict[str, Cost] = {}
    """What attempts cost by the day on which they ended, in UTC, such as "2026-05-01"."""

    by_model: dict[str, ModelCost] = {}
    """What attempts have used of each model, the dearest first."""

    savings: SavingsReport | None = None
    """What it saved against always the strongest worker; None if nothing costs anything, if only
    one worker has done tasks, or if the policy does not learn.
    """

    skills: list[SkillCell] = []
    """What a policy that learns knows of each worker and type of task; empty for other policies."""

    def _repr_html_(self) -> str:
        """What a notebook shows: failed tasks first."""
        from .notebook_table import report_table  # noqa: PLC0415 - only notebooks need it

        return report_table(self, self.tasks)

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
    def has_costs(self) -> bool:
        """Whether anything costs: there is a budget, or an attempt cost something."""
        return self.budget is not None or self.cost > 0 or bool(self.cost_in_other_units)

    @property
    def exit_code(self) -> int:
        """0 if every task that was needed completed and the run did not fail, otherwise 1."""
        unneeded = sum(
            task.status is TaskStatus.CANCELLED and task.kind_of_error == _UNNEEDED
            for task in self.tasks
        )
        completed = self.counts.get(TaskStatus.COMPLETED, 0)
        return 0 if completed + unneeded == len(self.tasks) and self.failure is None else 1


_UNNEEDED = "not needed"
"""The kind of error of a task that was to run if others failed, when none did."""


def kind_of_error(error_message: str | None, status: TaskStatus) -> str:
    """The kind of the error of a task that failed or was cancelled."""
    return error_kind(error_message or status.value)[:_MAX_KIND_CHARACTERS]


def report_schema() -> dict[str, JsonValue]:
    """The JSON Schema of a report as JSON."""
    schema = RunReport.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
