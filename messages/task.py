"""Tasks: `Task`, `PriorityTask`, task ids and the statuses of a task."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, cast

from pydantic import (
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from .errors import InvalidInput, InvalidTask
from .limit import LimitKey
from .record import Record
from .retry import MAX_ATTEMPTS, Retry
from .rule import Rule
from .task_ids import new_task_id
from .times import NotBefore
from .wording import short_id, show

MIN_DIFFICULTY = 1
MAX_DIFFICULTY = 10
MAX_LOSSES = 1_000
MAX_STEPS = 20
MAX_SKILL = 1_000
MAX_SKILLS = 100

_OTHER_NAMES = {"task_id": "id", "task_data": "data"}

MAX_ID = 2**63 - 1
MAX_NAME_CHARACTERS = 200

_PositiveId = Annotated[StrictInt, Field(gt=0, le=MAX_ID)]
_NamedId = Annotated[StrictStr, StringConstraints(pattern=r"\S", max_length=MAX_NAME_CHARACTERS)]
_Description = Annotated[
    str,
    StringConstraints(pattern=r"\S", max_length=10_000),
    Rule("must be text that is not blank, 10,000 characters at most"),
]
_Difficulty = Annotated[
    int,
    Field(ge=MIN_DIFFICULTY, le=MAX_DIFFICULTY),
    Rule(f"must be an integer from {MIN_DIFFICULTY} to {MAX_DIFFICULTY}"),
]

_Step = Annotated[str, StringConstraints(pattern=r"\S", max_length=MAX_NAME_CHARACTERS)]
_SkillLevel = Annotated[float, Field(ge=0, le=MAX_SKILL, allow_inf_nan=False)]

SkillLevels: TypeAlias = Annotated[
    dict[_Step, _SkillLevel],
    Field(max_length=MAX_SKILLS),
    Rule(
        f"must be a dict of at most {MAX_SKILLS} names, each with a level from 0 to {MAX_SKILL:,}"
    ),
]
"""Named skills with their levels, 0 to 1,000."""

TaskId: TypeAlias = Annotated[
    _PositiveId | _NamedId,
    Rule(
        "must be an integer above 0 (63 bits at most) or text that is not blank "
        f"({MAX_NAME_CHARACTERS} characters at most)"
    ),
]
"""A task id: an integer above 0, or text that is not blank (at most 200 characters)."""

_TASK_ID: TypeAdapter[TaskId] = TypeAdapter(TaskId)

Payload: TypeAlias = Any
"""Any value that has a plain form, see `to_plain`; what arrives is that form."""

DeclaredT = TypeVar("DeclaredT")


def _no_description() -> str:
    return ""


def _describe(fields: Mapping[str, Payload], task_class: type[Task]) -> str:
    kind: object = fields["type"] if "type" in fields else task_class.model_fields["type"].default
    if isinstance(kind, str) and kind.strip():
        return kind
    return f"task {short_id(fields['id'])}" if "id" in fields else "task"


def _check_attempts(fields: Mapping[str, Payload]) -> None:
    """Refuse a number of attempts that is not that of the retry."""
    retry, own = fields["retry"], fields["max_attempts"]
    given: object = own
    if isinstance(retry, Mapping):
        given = cast("Mapping[str, object]", retry).get("max_attempts", Retry().max_attempts)
    elif isinstance(retry, Retry):
        given = retry.max_attempts
    if own not in (1, given):
        raise ValueError(
            f"max_attempts is {own}, and that of retry is {given}; give it in one of the two places"
        )


class TaskStatus(str, Enum):
    """The status of a task. `RUNNING` is another name of `IN_PROGRESS`."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RUNNING = "in_progress"  # noqa: PIE796 - another name of the same state, as documented

    @property
    def label(self) -> str:
        """The status in words, such as "In Progress"."""
        return self.value.replace("_", " ").title()

    @property
    def is_final(self) -> bool:
        """Whether a task of this status is settled."""
        return self in _FINAL


_FINAL = frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED})


_task_classes: dict[str, type[Task]] = {}


def register_task_class(task_class: type[Task]) -> None:
    """Register a task class under its qualified name; `Task` does this for each subclass.

    A later class of the same name replaces the earlier one, as when a module is reloaded.
    """
    _task_classes[task_class.__qualname__] = task_class


class Task(Record):
    """One piece of work.

    A task without a `type` is simulated: a worker sleeps for `get_processing_time()` seconds and
    succeeds if its skill reaches `difficulty`. For a task with a `type`, the worker calls the
    handler of that type.

    Subclass it to add fields; manager and workers must import the subclass.

    `Task(1, "Simple calculation", 2)` passes id, description and difficulty by position; the fields
    of a subclass follow. A subclass may be decorated with `@dataclass`.

    `Task(task_id=..., task_data=...)` sets `id` and `data`.

    Args:
        id: an integer above 0 or a string that is not blank; unique within a run. By default a new
            UUID of version 7, such as "019acb52-7c1e-7d3a-9b0e-5f3c1a2b4d6e"; ids that one process
            makes sort in the order in which it made them.
        description: a description for people; by default the type, or "task" and the id if there is
            no type.
        difficulty: the required skill, 1 to 10.
        type: the task type, which selects the handler and is compared with specialties.
        data: the input of the handler; any value that has a plain form, see `to_plain`. Where a
            subclass declares its type, the handler gets that type.
        priority: tasks with higher numbers are assigned first; 0 by default.
        depends_on: ids of tasks that must end first, see `run_if`; the handler receives their
            outputs.
        run_if: how the tasks in `depends_on` must end: "completed"; "settled", to run however they
            end; or "failed", to run if one of them fails or is cancelled. If it is not "completed",
            the task waits until all of them are settled, and the handler finds the errors in
            `TaskContext.upstream_errors`.
        takes_output: whether its data are the output of the task that it depends on; of several,
            the list of their outputs, in the order of `depends_on`. See `chain`.
        parent_id: the id of the task that this one belongs to. It does not affect scheduling,
            except as `on_parent_cancel` says.
        on_parent_cancel: whether the task is cancelled when its parent is cancelled or fails
            ("cancel"), or goes on ("keep"). Either way it has its parent's place in the queue, so
            that what was begun is finished first. The subtasks of a handler have this field set.
        timeout: the timeout of one attempt in seconds; see `TaskManager` for the default.
        max_attempts: the maximum number of attempts, 1 to 100. An attempt that ended because its
            worker was lost does not count.
        retry: which failed attempts are followed by another, and after which wait. It has a
            `max_attempts` of its own, which counts then. By default a task has that of its manager,
            unless it has several `max_attempts`.
        max_losses: how often an attempt may be lost with its worker before the task fails, 0 to
            1,000; None for the manager's `max_losses`.
        not_before: the earliest time at which the task begins: a datetime with a time zone, or
            seconds after it was added, 0 to ten years. Meanwhile it may also wait for dependencies.
        expires_s: the task fails unless its first attempt starts within this many seconds after it
            was added, or after its `not_before` if that is later. The time in which it waits for
            dependencies counts. None sets no limit.
        required_skills: named skills with the level that the task wants of each, 0 to 1,000. The
            wish widens while the task waits, unless it is `strict`.
        strict: whether a worker below a level of `required_skills` never gets the task.
        deadline: how soon the task should be completed, in seconds after it was added. Among tasks
            of equal priority, the one with the earliest deadline goes first; see `on_late` of
            `TaskManager` for what happens to a task that is late.
        escalate: the steps of a ladder, each the name of a worker or of a skill or specialty. The
            first attempt goes to the first step, and each failed attempt moves one step on. The
            task has at least one attempt for each step.
        review: whether a second worker reviews a successful attempt before it counts.
        votes: how many workers run the task, 1 to 9, an odd number; the answer of the majority
            counts.
        limit_key: whose task it is, such as "customer-7": limits may count the tasks of each key
            for itself, and the keys take turns. At most 200 characters.

    Raises:
        pydantic.ValidationError: a field is invalid; names the field, the value and the rule.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    id: TaskId = Field(default_factory=new_task_id, kw_only=False)
    # Where it is missing, `_fill_in` derives it. A default that no description equals, since what
    # equals the default does not travel.
    description: _Description = Field(default_factory=_no_description, kw_only=False)
    difficulty: _Difficulty = Field(default=MIN_DIFFICULTY, kw_only=False)
    type: Annotated[str, StringConstraints(max_length=200)] = ""
    data: Payload = None
    priority: int = Field(default=0, ge=-(2**31), le=2**31 - 1)
    depends_on: tuple[TaskId, ...] = ()
    run_if: Annotated[
        Literal["completed", "failed", "settled"],
        Rule("must be 'completed', 'failed' or 'settled'"),
    ] = "completed"
    takes_output: bool = False
    parent_id: TaskId | None = None
    on_parent_cancel: Annotated[
        Literal["cancel", "keep"] | None, Rule("must be 'cancel', 'keep' or None")
    ] = None
    timeout: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    max_attempts: int = Field(default=1, ge=1, le=MAX_ATTEMPTS)
    retry: Retry | None = None
    max_losses: Annotated[
        int | None,
        Field(ge=0, le=MAX_LOSSES),
        Rule(f"must be an integer from 0 to {MAX_LOSSES:,}, or None"),
    ] = None
    not_before: NotBefore | None = None
    expires_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    required_skills: SkillLevels = Field(default_factory=dict)
    strict: bool = False
    deadline: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    escalate: Annotated[
        tuple[_Step, ...],
        Field(max_length=MAX_STEPS),
        Rule(f"must be a list of names that are not blank, {MAX_STEPS} at most"),
    ] = ()
    review: bool = False
    votes: Annotated[
        Literal[1, 3, 5, 7, 9], Rule("must be 1, 3, 5, 7 or 9, so that votes have a majority")
    ] = 1
    limit_key: LimitKey | None = None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: object) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        register_task_class(cls)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, fields: Payload) -> Payload:
        """Read the other names of fields, and derive the description if there is none."""
        given: object = fields
        if not isinstance(given, dict):
            return fields
        if "retry" in given and "max_attempts" in given:
            _check_attempts(cast("dict[str, Payload]", given))
        if "description" in given and not ("task_id" in given or "task_data" in given):
            return fields
        read = dict(cast("dict[str, Payload]", fields))
        for other, name in _OTHER_NAMES.items():
            if other in read:
                if name in read:
                    raise ValueError(f"{other} is another name of {name}; give one of them")
                read[name] = read.pop(other)
        if "description" not in read and _derives_description(cls):
            if "id" not in read and makes_id(cls):
                read["id"] = new_task_id()
            read["description"] = _describe(read, cls)
        return read

    @property
    def task_id(self) -> TaskId:
        """Another name of `id`."""
        return self.id

    @property
    def task_data(self) -> Payload:
        """Another name of `data`."""
        return self.data

    def data_as(self, declared: type[DeclaredT]) -> DeclaredT:
        """The data as a declared type, such as a dataclass; see `from_plain`.

        Raises:
            InvalidInput: the data are not of this type.
        """
        # Most programs declare no types, and need not load what reads them.
        from .declared_types import from_plain  # noqa: PLC0415

        return from_plain(self.data, declared)

    def get_processing_time(self) -> float:
        """The duration of simulated work in seconds: the difficulty."""
        return float(self.difficulty)

    # pydantic has a deprecated class method of this name, the documented one is an instance's.
    def validate(self) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Whether the task is valid; False only if pydantic's validation was bypassed."""
        return validate_task(self)


register_task_class(Task)


# Each task asks both, and pydantic takes long to look fields up.
@lru_cache(maxsize=256)
def makes_id(task_class: type[Task]) -> bool:
    """Whether a task of a class that is given no id gets a new one."""
    return task_class.model_fields["id"].default_factory is new_task_id


@lru_cache(maxsize=256)
def _derives_description(task_class: type[Task]) -> bool:
    """Whether a class has not given the description a default of its own."""
    return task_class.model_fields["description"].default_factory is _no_description


def find_task_class(name: str) -> type[Task] | None:
    """The task class with this qualified name, or None."""
    return _task_classes.get(name)


def check_is_task(value: object) -> None:
    """Check that a value is a task.

    Raises:
        InvalidTask: it is not; the message says what it is, and what to write.
    """
    if not isinstance(value, Task):
        kind = type(value)
        if callable(getattr(value, "task", None)):
            raise InvalidTask(f"{show(value)} is a typed function; make a task with its `task(…)`")
        raise InvalidTask(
            f"{show(value)} is not a task: its class is {kind.__module__}.{kind.__qualname__}; "
            "create a muster.messages.Task, or derive your class from it (it may be a dataclass)"
        )


def check_task_id(value: object, name: str = "task_id") -> TaskId:
    """A value, which must be a task's id.

    Args:
        value: the value.
        name: what it is called where it was given.

    Raises:
        InvalidInput: it is no task's id.
    """
    try:
        return _TASK_ID.validate_python(value)
    except ValidationError:
        raise InvalidInput(
            f"{name} is {show(value)}; it must be an integer above 0, or text "
            "of 1 to 200 characters that is not blank"
        ) from None


class PriorityTask(Task):
    """A task of priority 1 or more; simulated work takes less time with a higher priority.

    Args:
        priority: 1 or more.
    """

    priority: int = Field(ge=1, le=2**31 - 1)

    def get_processing_time(self) -> float:
        """The duration of simulated work in seconds: difficulty divided by priority."""
        return self.difficulty / self.priority


def validate_task(task: object) -> bool:
    """Whether an object has the fields of a valid task; returns False where `Task` would raise.

    Args:
        task: an object with an `id`, a `description` and a `difficulty`; a missing one is invalid.
    """
    match getattr(task, "id", None):
        case bool():
            identified = False
        case int() as number:
            identified = 0 < number <= MAX_ID
        case str() as name:
            identified = len(name) <= MAX_NAME_CHARACTERS and bool(name.strip())
        case _:
            identified = False
    description = getattr(task, "description", None)
    difficulty = getattr(task, "difficulty", None)
    return (
        identified
        and isinstance(description, str)
        and bool(description.strip())
        and isinstance(difficulty, int | float)
        and MIN_DIFFICULTY <= difficulty <= MAX_DIFFICULTY
    )
