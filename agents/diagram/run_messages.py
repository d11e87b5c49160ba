"""Extracts the messages of a run from its trace: sender, receiver, content and time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from ...messages import TaskId
from ...messages.wording import short_id
from ..kernel.model.occurrence_text import describe_facts
from ..kernel.model.occurrences import (
    CancellationCause,
    CancellationFacts,
    Occurrence,
    OccurrenceKind,
    PriorityFacts,
    ProgressFacts,
    ReviewFacts,
)
from ..kernel.trace import SideMessage, TaskFacts, Trace
from .escaping import tidy


class Role(str, Enum):
    """The roles in a run."""

    MANAGER = "manager"
    WORKER = "worker"
    PROGRAM = "program"
    """The program that created the manager: it adds and cancels tasks."""
    OUTSIDER = "outsider"
    """A party that only side messages mention."""


class Party(NamedTuple):
    """A sender or receiver of messages.

    Args:
        role: its role.
        name: its name.
    """

    role: Role
    name: str


PROGRAM = Party(Role.PROGRAM, "Program")


class MessageKind(str, Enum):
    """The kinds of message; the value is the word for it in a diagram."""

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
    RETRY_REQUEST = "RetryTask"
    RUN_ENDED = "RunEnded"
    SIDE_MESSAGE = ""

    @property
    def may_be_left_out(self) -> bool:
        """Whether a diagram may leave out all messages of this kind."""
        return self not in _REQUIRED


_REQUIRED = frozenset(
    {
        MessageKind.CONNECT,
        MessageKind.ASSIGNMENT,
        MessageKind.RESULT,
        MessageKind.CANCEL,
        MessageKind.SHUTDOWN,
    }
)


@dataclass(frozen=True, slots=True)
class RunMessage:
    """A message of a run.

    Args:
        at: when it was sent, in seconds.
        sender: the sender.
        receiver: the receiver.
        kind: its kind.
        task_id: the id of its task; None if it has none or several.
        names: the names of its tasks in a diagram: id and type, or all ids of several tasks.
        facts: its other fields, by name.
        text: the text of a side message.
    """

    at: float
    sender: Party
    receiver: Party
    kind: MessageKind
    task_id: TaskId | None = None
    names: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    text: str = ""

    def label(self) -> str:
        """Its label in a diagram, such as "TaskResult(T3, success=true)"."""
        if self.kind is MessageKind.SIDE_MESSAGE:
            return self.text
        names = list(self.names) if self.task_id is None else [name_of(self.task_id)]
        parts = [*names, *(f"{key}={self.facts[key]}" for key in _SHOWN if key in self.facts)]
        return f"{self.kind.value}({', '.join(parts)})" if parts else self.kind.value


_SHOWN = ("success", "declined", "grade", "difficulty", "type", "review", "percent")
_MAX_NAME_CHARACTERS = 60


def name_of(task_id: TaskId) -> str:
    """The name of a task in a diagram: "T3" for 3, a short form of a UUID, other text as it is."""
    return f"T{task_id}" if isinstance(task_id, int) else plain_name(short_id(task_id))


def plain_name(name: str) -> str:
    """A name without what has a meaning at an arrow, cut short if it is long."""
    plain = " ".join(
        "".join("_" if each in ',()="' else each for each in name if each.isprintable()).split()
    )
    if len(plain) > _MAX_NAME_CHARACTERS:
        plain = plain[: _MAX_NAME_CHARACTERS - 1].rstrip() + "…"
    return plain or "_"


def messages_of(trace: Trace) -> list[RunMessage]:
    """The messages of a run in order, without heartbeats and acknowledgements."""
    sent = list(_TraceReader(trace).read())
    asides = [_side_message(each, trace) for each in trace.asides]
    if not asides:
        return sent
    # A stable sort, which keeps the order of messages with the same time.
    return sorted([*sent, *asides], key=lambda each: each.at)


def party_of(name: str, trace: Trace) -> Party:
    """The party with this name in a run."""
    if name in trace.workers:
        return Party(Role.WORKER, name)
    if name == trace.manager:
        return Party(Role.MANAGER, name)
    return Party(Role.OUTSIDER, name)


def _side_message(aside: SideMessage, trace: Trace) -> RunMessage:
    ends = party_of(aside.sender, trace), party_of(aside.receiver, trace)
    return RunMessage(
        aside.at, *ends, MessageKind.SIDE_MESSAGE, text=" ".join(tidy(aside.text).split())
    )


class _TraceReader:
    """Reads the occurrences of a run, and derives the messages that caused them."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._manager = Party(Role.MANAGER, trace.manager)
        self._present: dict[str, None] = {}
        # By task, the running attempts with their workers, and those with a result already.
        self._leases: dict[TaskId, dict[int, str]] = {}
        self._reported: dict[TaskId, set[int]] = {}

    def read(self) -> Iterator[RunMessage]:
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
            yield from self._read(each)
        if added:
            yield self._added(added)

    def _read(self, each: Occurrence) -> Iterator[RunMessage]:
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
                yield RunMessage(at, self._manager, PROGRAM, MessageKind.RUN_ENDED)
            case _ if task_id is not None:
                yield from self._read_task(each, task_id)
            case _:
                pass

    def _read_task(self, each: Occurrence, task_id: TaskId) -> Iterator[RunMessage]:
        at, worker = each.at, each.worker
        facts = {"attempt": str(each.attempt)}
        match each.what:
            case OccurrenceKind.TASK_ASSIGNED:
                self._leases.setdefault(task_id, {})[each.attempt] = worker
                facts |= self._of_task(task_id)
                if each.facts is not None:
                    facts["review"] = "true"
                yield self._to(worker, at, MessageKind.ASSIGNMENT, task_id, facts)
            case OccurrenceKind.TASK_COMPLETED:
                facts["success"] = "true"
                if each.attempt not in self._reported.pop(task_id, ()):
                    yield self._from(worker, at, MessageKind.RESULT, task_id, facts)
                self._end(each, task_id)
                # A worker that holds the task now is overtaken.
                yield from self._cancel(at, task_id, "done elsewhere")
            case OccurrenceKind.ATTEMPT_SUCCEEDED | OccurrenceKind.ATTEMPT_REVIEWED:
                self._end(each, task_id)
                self._reported.setdefault(task_id, set()).add(each.attempt)
                facts["success"] = "true"
                if isinstance(each.facts, ReviewFacts) and each.facts.grade is not None:
                    facts["grade"] = f"{each.facts.grade:g}"
                yield self._from(worker, at, MessageKind.RESULT, task_id, facts)
            case OccurrenceKind.ATTEMPT_DECLINED:
                self._end(each, task_id)
                facts |= {"declined": "true", "reason": describe_facts(each)}
                yield self._from(worker, at, MessageKind.RESULT, task_id, facts)
            case OccurrenceKind.ATTEMPT_FAILED:
                self._end(each, task_id)
                facts |= {"success": "false", "error": describe_facts(each)}
                yield self._from(worker, at, MessageKind.RESULT, task_id, facts)
            case OccurrenceKind.ATTEMPT_TIMED_OUT:
                yield from self._cancel(at, task_id, describe_facts(each), each.attempt)
            case OccurrenceKind.TASK_CANCELLED:
                self._reported.pop(task_id, None)
                cause = each.facts.cause if isinstance(each.facts, CancellationFacts) else None
                if cause is CancellationCause.REQUESTED:
                    ends = (PROGRAM, self._manager)
                    yield self._about(ends, at, MessageKind.CANCEL_REQUEST, task_id, {})
                yield from self._cancel(at, task_id, describe_facts(each))
            case OccurrenceKind.TASK_REQUEUED:
                self._end(each, task_id)
            case OccurrenceKind.TASK_FAILED:
                self._leases.pop(task_id, None)
                self._reported.pop(task_id, None)
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
            case OccurrenceKind.TASK_RETRIED:
                ends = (PROGRAM, self._manager)
                facts["reason"] = describe_facts(each)
                yield self._about(ends, at, MessageKind.RETRY_REQUEST, task_id, facts)
            case _:
                pass

    def _end(self, each: Occurrence, task_id: TaskId) -> None:
        """Note that an attempt has ended; all attempts at its task if it has no number."""
        running = self._leases.get(task_id, {})
        if each.attempt:
            running.pop(each.attempt, None)
        if not each.attempt or not running:
            self._leases.pop(task_id, None)

    def _cancel(
        self, at: float, task_id: TaskId, reason: str, only: int = 0
    ) -> Iterator[RunMessage]:
        """The messages that stop the running attempts at a task, or only one of them."""
        running = self._leases.get(task_id, {})
        for attempt in [each for each in running if only in (0, each)]:
            worker = running.pop(attempt)
            if worker in self._present:
                facts = {"attempt": str(attempt), "reason": reason}
                yield self._to(worker, at, MessageKind.CANCEL, task_id, facts)
        if not running:
            self._leases.pop(task_id, None)

    def _added(self, added: Iterable[Occurrence]) -> RunMessage:
        each = list(added)
        names = tuple(name_of(one.task_id) for one in each if one.task_id is not None)
        return RunMessage(each[0].at, PROGRAM, self._manager, MessageKind.ADDED_TASKS, names=names)

    def _to(
        self,
        worker: str,
        at: float,
        kind: MessageKind,
        task_id: TaskId | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> RunMessage:
        ends = (self._manager, Party(Role.WORKER, worker))
        return self._about(ends, at, kind, task_id, facts or {})

    def _from(
        self,
        worker: str,
        at: float,
        kind: MessageKind,
        task_id: TaskId | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> RunMessage:
        ends = (Party(Role.WORKER, worker), self._manager)
        return self._about(ends, at, kind, task_id, facts or {})

    def _about(
        self,
        ends: tuple[Party, Party],
        at: float,
        kind: MessageKind,
        task_id: TaskId | None,
        facts: Mapping[str, str],
    ) -> RunMessage:
        return RunMessage(at, *ends, kind, task_id, self._names(task_id), facts)

    def _names(self, task_id: TaskId | None) -> tuple[str, ...]:
        if task_id is None:
            return ()
        task = self._trace.tasks.get(task_id)
        names = (name_of(task_id), "" if task is None or not task.type else plain_name(task.type))
        return tuple(dict.fromkeys(name for name in names if name))

    def _of_task(self, task_id: TaskId) -> dict[str, str]:
        task = self._trace.tasks.get(task_id)
        return {} if task is None else facts_of_task(task)

    def _skill(self, worker: str) -> dict[str, str]:
        known = self._trace.workers.get(worker)
        if known is None:
            return {}
        return {"skill": str(known.skill_level), "slots": str(known.slots)}


def facts_of_task(task: TaskFacts) -> dict[str, str]:
    """The facts about its task that an assignment carries."""
    facts = {
        "difficulty": str(task.difficulty),
        "priority": str(task.priority),
        "description": task.description,
    }
    if task.type:
        facts["type"] = plain_name(task.type)
    if task.timeout_s is not None:
        facts["timeout"] = f"{task.timeout_s:g}"
    return facts
