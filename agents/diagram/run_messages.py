"""The messages of a run, as its trace tells them: who said what to whom, and when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from ...messages import TaskId
from ..kernel.model.occurrence_text import describe_facts
from ..kernel.model.occurrences import (
    CancellationCause,
    CancellationFacts,
    Occurrence,
    OccurrenceKind,
    PriorityFacts,
    ProgressFacts,
)
from ..kernel.trace import SideMessage, TaskFacts, Trace
from .escaping import tidy


class Role(str, Enum):
    """The parts that are played in a run."""

    MANAGER = "manager"
    WORKER = "worker"
    PROGRAM = "program"
    """Whoever made the manager: adds tasks, cancels them, is told of the end."""
    OUTSIDER = "outsider"
    """Who is known from asides alone."""


class Party(NamedTuple):
    """Who speaks, or is spoken to.

    Args:
        role: the part that it plays.
        name: its name.
    """

    role: Role
    name: str


PROGRAM = Party(Role.PROGRAM, "Program")


class MessageKind(str, Enum):
    """The kinds of message; the value is the word that stands for it in a diagram."""

    CONNECT = "Connect"
    ASSIGNMENT = "TaskAssignment"
    RESULT = "TaskResult"
    CANCEL = "CancelTask"
    SHUTDOWN = "Shutdown"
    PROGRESS = "TaskProgress"
    REFUSAL = "Refusal"
    IGNORED_RESULT = "IgnoredResult"
    ADDED_TASKS = "AddTasks"
    CANCEL_REQUEST = "Cancel"
    PRIORITY_CHANGE = "SetPriority"
    RUN_ENDED = "RunEnded"
    ASIDE = ""

    @property
    def may_be_left_out(self) -> bool:
        """Whether a diagram that shows no such message says nothing about them."""
        return self not in _ALWAYS_TOLD


_ALWAYS_TOLD = frozenset(
    {
        MessageKind.CONNECT,
        MessageKind.ASSIGNMENT,
        MessageKind.RESULT,
        MessageKind.CANCEL,
        MessageKind.SHUTDOWN,
    }
)


@dataclass(frozen=True, slots=True)
class Said:
    """A message of a run.

    Args:
        at: when, in seconds.
        sender: who sent it.
        receiver: to whom.
        kind: what kind of message.
        task_id: which task it is about, None if none or several.
        names: what may stand for those tasks in a diagram: id and type, or all ids of several.
        facts: what else is known of it, by name.
        text: of an aside, what was said.
    """

    at: float
    sender: Party
    receiver: Party
    kind: MessageKind
    task_id: TaskId | None = None
    names: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    text: str = ""

    def told(self) -> str:
        """The message as it stands at an arrow, such as "TaskResult(T3, success=true)"."""
        if self.kind is MessageKind.ASIDE:
            return self.text
        names = list(self.names) if self.task_id is None else [name_of(self.task_id)]
        parts = [*names, *(f"{key}={self.facts[key]}" for key in _SHOWN if key in self.facts)]
        return f"{self.kind.value}({', '.join(parts)})" if parts else self.kind.value


_SHOWN = ("success", "difficulty", "type", "percent")
_MAX_NAME_CHARACTERS = 60


def name_of(task_id: TaskId) -> str:
    """What a task is called in a diagram: "T3" for 3, a text as it is if it is short and plain."""
    return f"T{task_id}" if isinstance(task_id, int) else plain_name(task_id)


def plain_name(name: str) -> str:
    """A name without what has a meaning at an arrow, cut short if it is long."""
    plain = " ".join(
        "".join("_" if each in ',()="' else each for each in name if each.isprintable()).split()
    )
    if len(plain) > _MAX_NAME_CHARACTERS:
        plain = plain[: _MAX_NAME_CHARACTERS - 1].rstrip() + "…"
    return plain or "_"


def conversation_of(trace: Trace) -> list[Said]:
    """The messages of a run, in their order.

    Heartbeats, acknowledgements and the like are no part of it.
    """
    said = list(_Listener(trace).listen())
    asides = [_aside(each, trace) for each in trace.asides]
    if not asides:
        return said
    # Stable: what was told first at one moment comes first.
    return sorted([*said, *asides], key=lambda each: each.at)


def party_of(name: str, trace: Trace) -> Party:
    """Whom a name means in a run."""
    if name in trace.workers:
        return Party(Role.WORKER, name)
    if name == trace.manager:
        return Party(Role.MANAGER, name)
    return Party(Role.OUTSIDER, name)


def _aside(aside: SideMessage, trace: Trace) -> Said:
    ends = party_of(aside.sender, trace), party_of(aside.receiver, trace)
    return Said(aside.at, *ends, MessageKind.ASIDE, text=" ".join(tidy(aside.text).split()))


class _Listener:
    """Goes through the occurrences of a run, with an ear for the messages behind them."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._manager = Party(Role.MANAGER, trace.manager)
        self._present: dict[str, None] = {}
        self._leases: dict[TaskId, tuple[int, str]] = {}

    def listen(self) -> Iterator[Said]:
        added: list[Occurrence] = []
        for each in self._trace.occurrences:
            if each.what is OccurrenceKind.TASK_ADDED:
                if added and added[0].at != each.at:
                    yield self._added(added)
                    added = []
                added.append(each)
                continue
            if added:
                yield self._added(added)
                added = []
            yield from self._hear(each)
        if added:
            yield self._added(added)

    def _hear(self, each: Occurrence) -> Iterator[Said]:
        at, task_id, worker = each.at, each.task_id, each.worker
        match each.what:
            case OccurrenceKind.WORKER_JOINED | OccurrenceKind.WORKER_RETURNED:
                self._present[worker] = None
                yield self._from(worker, at, MessageKind.CONNECT, facts=self._skill(worker))
            case OccurrenceKind.WORKER_LOST:
                self._present.pop(worker, None)
            case OccurrenceKind.WORKER_REFUSED:
                yield self._to(
                    worker, at, MessageKind.REFUSAL, facts={"reason": describe_facts(each)}
                )
            case OccurrenceKind.WORKER_RETIRED:
                self._present.pop(worker, None)
                yield self._to(worker, at, MessageKind.SHUTDOWN)
            case OccurrenceKind.RUN_ENDED:
                for name in self._present:
                    yield self._to(name, at, MessageKind.SHUTDOWN)
                self._present.clear()
                yield Said(at, self._manager, PROGRAM, MessageKind.RUN_ENDED)
            case _ if task_id is not None:
                yield from self._hear_of_task(each, task_id)
            case _:
                pass

    def _hear_of_task(self, each: Occurrence, task_id: TaskId) -> Iterator[Said]:
        at, worker, lease = each.at, each.worker, self._leases.get(task_id)
        facts = {"attempt": str(each.attempt)}
        match each.what:
            case OccurrenceKind.TASK_ASSIGNED:
                self._leases[task_id] = (each.attempt, worker)
                facts |= self._of_task(task_id)
                yield self._to(worker, at, MessageKind.ASSIGNMENT, task_id, facts)
            case OccurrenceKind.TASK_COMPLETED:
                facts["success"] = "true"
                yield self._from(worker, at, MessageKind.RESULT, task_id, facts)
                if lease is not None and lease != (each.attempt, worker):
                    # Whoever has it now is overtaken.
                    yield from self._cancel(at, task_id, "done elsewhere")
                self._leases.pop(task_id, None)
            case OccurrenceKind.ATTEMPT_FAILED:
                self._leases.pop(task_id, None)
                facts |= {"success": "false", "error": describe_facts(each)}
                yield self._from(worker, at, MessageKind.RESULT, task_id, facts)
            case OccurrenceKind.ATTEMPT_TIMED_OUT:
                yield from self._cancel(at, task_id, describe_facts(each))
            case OccurrenceKind.TASK_CANCELLED:
                cause = each.facts.cause if isinstance(each.facts, CancellationFacts) else None
                if cause is CancellationCause.REQUESTED:
                    ends = (PROGRAM, self._manager)
                    yield self._about(ends, at, MessageKind.CANCEL_REQUEST, task_id, {})
                yield from self._cancel(at, task_id, describe_facts(each))
            case OccurrenceKind.TASK_REQUEUED | OccurrenceKind.TASK_FAILED:
                self._leases.pop(task_id, None)
            case OccurrenceKind.TASK_PROGRESSED:
                if isinstance(each.facts, ProgressFacts):
                    facts["percent"] = f"{each.facts.percent:g}"
                yield self._from(worker, at, MessageKind.PROGRESS, task_id, facts)
            case OccurrenceKind.RESULT_IGNORED if worker:
                facts["reason"] = describe_facts(each)
                yield self._from(worker, at, MessageKind.IGNORED_RESULT, task_id, facts)
            case OccurrenceKind.TASK_REPRIORITIZED:
                changed = each.facts
                facts = (
                    {"priority": str(changed.after)} if isinstance(changed, PriorityFacts) else {}
                )
                ends = (PROGRAM, self._manager)
                yield self._about(ends, at, MessageKind.PRIORITY_CHANGE, task_id, facts)
            case _:
                pass

    def _cancel(self, at: float, task_id: TaskId, reason: str) -> Iterator[Said]:
        lease = self._leases.pop(task_id, None)
        if lease is not None and lease[1] in self._present:
            attempt, worker = lease
            facts = {"attempt": str(attempt), "reason": reason}
            yield self._to(worker, at, MessageKind.CANCEL, task_id, facts)

    def _added(self, added: Iterable[Occurrence]) -> Said:
        each = list(added)
        names = tuple(name_of(one.task_id) for one in each if one.task_id is not None)
        return Said(each[0].at, PROGRAM, self._manager, MessageKind.ADDED_TASKS, names=names)

    def _to(
        self,
        worker: str,
        at: float,
        kind: MessageKind,
        task_id: TaskId | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> Said:
        ends = (self._manager, Party(Role.WORKER, worker))
        return self._about(ends, at, kind, task_id, facts or {})

    def _from(
        self,
        worker: str,
        at: float,
        kind: MessageKind,
        task_id: TaskId | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> Said:
        ends = (Party(Role.WORKER, worker), self._manager)
        return self._about(ends, at, kind, task_id, facts or {})

    def _about(
        self,
        ends: tuple[Party, Party],
        at: float,
        kind: MessageKind,
        task_id: TaskId | None,
        facts: Mapping[str, str],
    ) -> Said:
        return Said(at, *ends, kind, task_id, self._names(task_id), facts)

    def _names(self, task_id: TaskId | None) -> tuple[str, ...]:
        if task_id is None:
            return ()
        task = self._trace.tasks.get(task_id)
        names = (name_of(task_id), "" if task is None or not task.type else plain_name(task.type))
        return tuple(dict.fromkeys(name for name in names if name))

    def _of_task(self, task_id: TaskId) -> dict[str, str]:
        task = self._trace.tasks.get(task_id)
        return {} if task is None else facts_told(task)

    def _skill(self, worker: str) -> dict[str, str]:
        known = self._trace.workers.get(worker)
        if known is None:
            return {}
        return {"skill": str(known.skill_level), "slots": str(known.slots)}


def facts_told(task: TaskFacts) -> dict[str, str]:
    """What an assignment tells of its task."""
    told = {
        "difficulty": str(task.difficulty),
        "priority": str(task.priority),
        "description": task.description,
    }
    if task.type:
        told["type"] = plain_name(task.type)
    if task.timeout_s is not None:
        told["timeout"] = f"{task.timeout_s:g}"
    return told
