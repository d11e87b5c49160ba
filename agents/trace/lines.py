"""Converts a trace to lines of JSON, and back.

The first line names the manager. Each other line is one entry: an occurrence (`at`, `what` and what
it concerns), a task, a worker, a message outside the run, or the number of missing occurrences.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated, Literal, TypeAlias, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from ...messages import InvalidTrace, TaskId, WorkerProfile
from ...messages.wording import summarize
from ..kernel.model.occurrence_text import describe_facts, read_older_detail
from ..kernel.model.occurrences import FACTS_OF, Facts, Occurrence, OccurrenceKind
from ..kernel.trace import Entry, RunFacts, SideMessage, TaskFacts
from ..runtime.strict_json import JsonFault, decode_json

VERSION = 1
"""The version of the format; the first line contains it."""

MAX_LINE_CHARACTERS = 1_000_000
_MAX_KNOWN_NAMES = 10_000

Dropped: TypeAlias = Mapping[str, int]


class LineWriter:
    """Makes lines, many thousand per second."""

    def __init__(self) -> None:
        # Cached, since many lines share them: kinds, names, and the time of simultaneous events.
        self._kinds = {id(what): f',"what":"{what.value}"' for what in OccurrenceKind}
        self._names: dict[str, str] = {"": ""}
        self._at = 0.0
        self._at_text = "0.0"

    def line_of(self, entry: Entry) -> str:
        """One entry as a line, without the line break."""
        if not isinstance(entry, Occurrence):
            return _line_of_facts(entry)
        at, what, task_id, attempt, worker, facts = entry
        if at != self._at:
            self._at, self._at_text = at, repr(float(at))
        name = self._names.get(worker)
        if name is None:
            name = self._name(worker)
        if task_id is None:
            line = f'{{"at":{self._at_text}{self._kinds[id(what)]}{name}'
        else:
            task = task_id if type(task_id) is int else json.dumps(task_id)
            about = f',"task":{task},"attempt":{attempt}{name}'
            line = f'{{"at":{self._at_text}{self._kinds[id(what)]}{about}'
        if detail := describe_facts(entry):
            line = f'{line},"detail":{json.dumps(detail)}'
        if facts is None or isinstance(facts, str):
            return f"{line}}}"
        return f'{line},"facts":{_dumps(facts._asdict())}}}'

    def _name(self, worker: str) -> str:
        if len(self._names) > _MAX_KNOWN_NAMES:
            self._names = {"": ""}
        name = self._names[worker] = f',"worker":{json.dumps(worker)}'
        return name


def line_of_dropped(dropped: Dropped) -> str:
    """The number of missing occurrences as a line."""
    return _dumps({"dropped": dict(dropped)})


def read_line(line: str) -> Entry | Dropped:
    """Read a line.

    Raises:
        InvalidTrace: it is not a line of a trace; the message does not name the line.
    """
    if len(line) > MAX_LINE_CHARACTERS:
        raise InvalidTrace(
            f"it has {len(line):,} characters, at most {MAX_LINE_CHARACTERS:,} are allowed"
        )
    try:
        fields = decode_json(line)
    except JsonFault as fault:
        raise InvalidTrace(f"it is not JSON: {fault.msg} at column {fault.colno}") from None
    if not isinstance(fields, dict):
        raise InvalidTrace(f"it is a {type(fields).__name__}, not an object")
    named = cast("dict[str, object]", fields)
    for key, reader in _READERS.items():
        if key in named:
            try:
                return reader(named)
            except ValidationError as fault:
                raise InvalidTrace(summarize(fault)) from None
    known = ", ".join(_READERS)
    raise InvalidTrace(f"it has none of the fields that identify an entry: {known}")


# ------------------------------------------------------------------------ the fields of a line


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")


_Moment = Annotated[float, Field(allow_inf_nan=False)]


class _OccurrenceLine(_Line):
    at: _Moment
    what: OccurrenceKind
    task: TaskId | None = None
    attempt: Annotated[int, Field(ge=0)] = 0
    worker: str = ""
    detail: str = ""
    # Older versions wrote the detail alone.
    facts: dict[str, JsonValue] | None = None


class _SideMessageLine(_Line):
    at: _Moment
    sender: str
    receiver: str
    said: str


class _TaskLine(_Line):
    task: TaskId
    description: str
    difficulty: int = 1
    type: str = ""
    priority: int = 0
    timeout_s: float | None = None
    depends_on: tuple[TaskId, ...] = ()
    parent: TaskId | None = None
    required_skills: dict[str, float] = {}
    strict: bool = False
    deadline: float | None = None
    escalate: tuple[str, ...] = ()
    review: bool = False
    votes: int = 1


_ALWAYS_WRITTEN = ("name", "skill_level", "specialties", "slots")
"""The fields that each line of a worker has; it has other fields of the profile if they are set."""

_NAME_IN_LINE = {"name": "worker", "skill_level": "skill"}


class _WorkerLine(WorkerProfile):
    model_config = ConfigDict(alias_generator=lambda name: _NAME_IN_LINE.get(name, name))


class _RunLine(_Line):
    muster_trace: Literal[1]
    manager: str


class _DroppedLine(_Line):
    dropped: dict[str, Annotated[int, Field(ge=0)]]


def _dumps(fields: Mapping[str, object]) -> str:
    return json.dumps(fields, separators=(",", ":"))


def _line_of_facts(entry: RunFacts | TaskFacts | WorkerProfile | SideMessage) -> str:
    match entry:
        case RunFacts():
            return _dumps({"muster_trace": VERSION, "manager": entry.manager})
        case TaskFacts():
            given = dict(zip(_TASK_FIELDS, entry, strict=True))
            return _dumps(
                {name: value for name, value in given.items() if value != _OMITTED.get(name, ...)}
            )
        case WorkerProfile():
            always = {name: getattr(entry, name) for name in _ALWAYS_WRITTEN}
            fields = always | entry.added(*_ALWAYS_WRITTEN)
            return _dumps({_NAME_IN_LINE.get(name, name): value for name, value in fields.items()})
        case SideMessage():
            return _dumps(dict(zip(_SIDE_MESSAGE_FIELDS, entry, strict=True)))


_TASK_FIELDS = tuple(_TaskLine.model_fields)
_OMITTED: dict[str, object] = {
    name: field.default
    for name, field in _TaskLine.model_fields.items()
    if name not in ("difficulty", "priority")
}
"""The values with which a task's line leaves a field out; it always has the others."""

_SIDE_MESSAGE_FIELDS = tuple(_SideMessageLine.model_fields)


def _read_occurrence(fields: dict[str, object]) -> Entry:
    line = _OccurrenceLine.model_validate(fields)
    facts = (
        read_older_detail(line.what, line.detail)
        if line.facts is None
        else _validator_of(line.what).validate_python(line.facts)
    )
    return Occurrence(line.at, line.what, line.task, line.attempt, line.worker, facts)


@lru_cache
def _validator_of(what: OccurrenceKind) -> TypeAdapter[Facts]:
    """What checks the typed facts of an occurrence.

    Raises:
        InvalidTrace: such an occurrence has none.
    """
    if what not in FACTS_OF:
        raise InvalidTrace(f"facts: {what.value} has none")
    return TypeAdapter(FACTS_OF[what])


def _read_side_message(fields: dict[str, object]) -> Entry:
    line = _SideMessageLine.model_validate(fields)
    return SideMessage(line.at, line.sender, line.receiver, line.said)


def _read_task(fields: dict[str, object]) -> Entry:
    line = _TaskLine.model_validate(fields)
    return TaskFacts(*(getattr(line, name) for name in _TASK_FIELDS))


def _read_worker(fields: dict[str, object]) -> Entry:
    return WorkerProfile.of(_WorkerLine.model_validate(fields))


def _read_run(fields: dict[str, object]) -> Entry:
    return RunFacts(_RunLine.model_validate(fields).manager)


def _read_dropped(fields: dict[str, object]) -> Dropped:
    return _DroppedLine.model_validate(fields).dropped


_READERS: dict[str, Callable[[dict[str, object]], Entry | Dropped]] = {
    # The first of these keys that a line has determines its kind.
    "muster_trace": _read_run,
    "dropped": _read_dropped,
    "what": _read_occurrence,
    "said": _read_side_message,
    "description": _read_task,
    "skill": _read_worker,
}
