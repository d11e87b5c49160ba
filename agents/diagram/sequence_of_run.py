"""Draws a run as a sequence diagram."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from ...messages import InvalidInput, TaskId
from ..kernel.model.occurrence_text import describe_facts
from ..kernel.model.occurrences import Occurrence, OccurrenceKind
from ..kernel.trace import Trace
from .escaping import tidy
from .leases import Lease, leases_of
from .participants import describe_worker
from .run_messages import MessageKind, Party, Role, RunMessage, messages_of, name_of, plain_name
from .sequence_model import (
    Arrow,
    Block,
    BlockKind,
    Branch,
    DiagramStep,
    Note,
    Participant,
    SequenceDiagram,
    SequenceMessage,
)

DEFAULT_MAX_MESSAGES = 60
"""How many messages are drawn by default, so that the diagram stays readable."""

_DRAWN_KINDS = {
    MessageKind.CONNECT,
    MessageKind.ASSIGNMENT,
    MessageKind.RESULT,
    MessageKind.CANCEL,
    MessageKind.SHUTDOWN,
    MessageKind.SIDE_MESSAGE,
}
_MOST_OF_A_KIND = 4
_GROUP_LABELS = {
    MessageKind.CONNECT: "Connect",
    MessageKind.ASSIGNMENT: "Task assignment",
    MessageKind.RESULT: "Results",
    MessageKind.SHUTDOWN: "Shutdown",
}
_DOTTED = frozenset({MessageKind.CONNECT, MessageKind.SHUTDOWN})
_PLAIN_ID = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_RESERVED = """
tm end participant actor note par and loop alt else opt critical option break rect box over left
right of as activate deactivate autonumber title create destroy link links properties details style
classdef acctitle accdescr sequencediagram off graph subgraph default
"""
"""Names with another meaning in Mermaid or for readers."""


def tell_as_sequence(trace: Trace, max_messages: int = DEFAULT_MAX_MESSAGES) -> SequenceDiagram:
    """Draw a run as a sequence diagram: connections, assignments, results and the end.

    Simultaneous messages of a kind are drawn in a `par` block.

    Args:
        trace: the run.
        max_messages: how many messages are drawn, 2 or more. Of a longer run these are the first
            and the last ones; a note stands for the others.

    Raises:
        InvalidInput: `max_messages` is below 2.
    """
    if max_messages < 2:  # noqa: PLR2004 - one for the beginning, one for the end
        raise InvalidInput(f"max_messages is {max_messages}; it must be 2 or more")
    sent = [each for each in messages_of(trace) if each.kind in _DRAWN_KINDS]
    first, last = sent, list[RunMessage]()
    if len(sent) > max_messages:
        kept = max_messages // 2
        first, last = sent[:kept], sent[kept - max_messages :]
    hidden = sent[len(first) : len(sent) - len(last)]
    parties = _parties(trace, [*first, *last], is_folded=bool(hidden))
    ids = _ids(parties)
    builder = _SequenceBuilder(trace, ids)
    steps = list(builder.build(first, is_beginning=True, is_end=not hidden))
    if hidden:
        steps += _fold(hidden, trace, parties, ids)
        steps += builder.build(last, is_end=True)
    participants = tuple(
        Participant(ids[party], tidy(_describe(party, trace)) or ids[party]) for party in parties
    )
    return SequenceDiagram(participants, tuple(steps))


def _parties(trace: Trace, shown: Iterable[RunMessage], *, is_folded: bool) -> list[Party]:
    """The participants: the manager, the workers, and others."""
    seen = {party for sent in shown for party in (sent.sender, sent.receiver)}
    workers = [Party(Role.WORKER, name) for name in trace.workers]
    outsiders = sorted(party for party in seen if party.role is Role.OUTSIDER)
    present = [worker for worker in workers if worker in seen or not is_folded]
    strangers = sorted(
        party for party in seen if party.role is Role.WORKER and party not in workers
    )
    return [Party(Role.MANAGER, trace.manager), *present, *strangers, *outsiders]


def _ids(parties: Sequence[Party]) -> Mapping[Party, str]:
    """Ids that are valid in Mermaid; a party's own name if it is valid."""
    ids: dict[Party, str] = {}
    taken: set[str] = set(_RESERVED.split())
    for party in parties:
        name = "TM" if party.role is Role.MANAGER else party.name.replace(" ", "_")
        if party.role is not Role.MANAGER and (
            not _PLAIN_ID.fullmatch(name) or name.casefold() in taken
        ):
            number = len(ids)
            while f"p{number}" in taken:
                number += 1
            name = f"P{number}"
        taken.add(name.casefold())
        ids[party] = name
    return ids


def _describe(party: Party, trace: Trace) -> str:
    if party.role is Role.MANAGER:
        return "TaskManager" if party.name == "task_manager" else plain_name(party.name)
    if party.role is Role.WORKER and party.name in trace.workers:
        return describe_worker(trace.workers[party.name])
    return plain_name(party.name)


def _fold(
    hidden: Sequence[RunMessage], trace: Trace, parties: Sequence[Party], ids: Mapping[Party, str]
) -> Iterator[Note]:
    kinds = Counter(sent.kind for sent in hidden)
    kinds_text = ", ".join(
        f"{count:,} {kind.value or 'others'}" for kind, count in kinds.most_common(_MOST_OF_A_KIND)
    )
    where = (ids[parties[0]], ids[parties[-1]]) if len(parties) > 1 else (ids[parties[0]],)
    plural = "s" if len(hidden) > 1 else ""
    yield Note("over", where, f"… {len(hidden):,} more message{plural}\n{kinds_text}")
    drawn = {party.name for party in parties if party.role is Role.WORKER}
    seen = {
        party.name
        for sent in hidden
        for party in (sent.sender, sent.receiver)
        if party.role is Role.WORKER and party.name in trace.workers
    }
    if more := len(seen - drawn):
        yield Note("over", where, f"… {more:,} more worker{'s' if more > 1 else ''}")


class _SequenceBuilder:
    """Converts messages to steps, with notes between them."""

    def __init__(self, trace: Trace, ids: Mapping[Party, str]) -> None:
        self._trace = trace
        self._ids = ids
        self._leases: Mapping[tuple[TaskId, int], Lease] = {
            (lease.task_id, lease.attempt): lease for lease in leases_of(trace)
        }
        self._manager = ids[Party(Role.MANAGER, trace.manager)]
        self._lost = [each for each in trace.occurrences if each.what is OccurrenceKind.WORKER_LOST]

    def build(
        self, shown: Sequence[RunMessage], *, is_beginning: bool = False, is_end: bool = False
    ) -> Iterator[DiagramStep]:
        """Convert consecutive messages.

        Args:
            shown: the messages.
            is_beginning: whether the run begins with them.
            is_end: whether the run ends with them.
        """
        begins_at = float("-inf") if is_beginning else shown[0].at
        ends_at = float("inf") if is_end else shown[-1].at
        notes = [
            each
            for each in self._trace.occurrences
            if begins_at <= each.at <= ends_at and self._is_noted(each.what)
        ]
        for _, group in groupby(shown, key=lambda sent: (sent.at, sent.kind)):
            simultaneous = list(group)
            while notes and self._comes_first(notes[0].what, notes[0].at, simultaneous[0]):
                yield from self._note(notes.pop(0))
            yield from self._group(simultaneous)
            if simultaneous[0].kind is MessageKind.ASSIGNMENT:
                yield from self._processing(simultaneous)
        for left in notes:
            yield from self._note(left)

    @staticmethod
    def _is_noted(what: OccurrenceKind) -> bool:
        return what in {
            OccurrenceKind.ASSIGNING_BEGUN,
            OccurrenceKind.WORKER_LOST,
            OccurrenceKind.WORKER_QUARANTINED,
            OccurrenceKind.TASK_FAILED,
            OccurrenceKind.ATTEMPT_DECLINED,
            OccurrenceKind.ATTEMPT_REJECTED,
            OccurrenceKind.RUN_RESUMED,
            OccurrenceKind.RUN_ENDED,
        }

    @staticmethod
    def _comes_first(what: OccurrenceKind, at: float, sent: RunMessage) -> bool:
        if at != sent.at:
            return at < sent.at
        match what:
            case OccurrenceKind.RUN_RESUMED:
                return True
            case OccurrenceKind.ASSIGNING_BEGUN:
                return sent.kind is not MessageKind.CONNECT
            case OccurrenceKind.RUN_ENDED:
                return sent.kind is MessageKind.SHUTDOWN
            case _:
                # A failure or loss follows from the messages just before.
                return sent.kind in {MessageKind.ASSIGNMENT, MessageKind.SHUTDOWN}

    def _note(self, occurrence: Occurrence) -> Iterator[DiagramStep]:
        worker = self._ids.get(Party(Role.WORKER, occurrence.worker))
        told = describe_facts(occurrence)
        detail = f": {told}" if told else ""
        match occurrence.what:
            case OccurrenceKind.ASSIGNING_BEGUN:
                yield Note("over", (self._manager,), "Assigning begins")
            case OccurrenceKind.WORKER_LOST if worker is not None:
                yield Note("over", (worker,), tidy(f"Lost{detail}"))
            case OccurrenceKind.WORKER_QUARANTINED if worker is not None:
                yield Note("over", (worker,), tidy(f"In quarantine{detail}"))
            case OccurrenceKind.TASK_FAILED if occurrence.task_id is not None:
                text = f"{name_of(occurrence.task_id)} failed{detail}"
                yield Note("over", (self._manager,), tidy(text))
            case OccurrenceKind.ATTEMPT_DECLINED if occurrence.task_id is not None:
                text = f"{name_of(occurrence.task_id)} declined{detail}"
                yield Note("over", (worker or self._manager,), tidy(text))
            case OccurrenceKind.ATTEMPT_REJECTED if occurrence.task_id is not None:
                text = f"{name_of(occurrence.task_id)} rejected{detail.removeprefix(': rejected')}"
                yield Note("over", (self._manager,), tidy(text))
            case OccurrenceKind.RUN_RESUMED:
                yield Note("over", (self._manager,), "The run is resumed")
            case OccurrenceKind.RUN_ENDED:
                yield Note("over", (self._manager,), tidy(self._report(told)))
            case _:
                pass

    def _report(self, detail: str) -> str:
        completed = sum(
            each.what is OccurrenceKind.TASK_COMPLETED for each in self._trace.occurrences
        )
        whole = len(self._trace.tasks)
        rate = f"\nSuccess rate: {100 * completed / whole:.2f}%" if whole else ""
        return f"Final report{rate}" + (f"\n{detail}" if detail else "")

    def _group(self, simultaneous: Sequence[RunMessage]) -> Iterator[DiagramStep]:
        messages = tuple(self._message(sent) for sent in simultaneous)
        if len(messages) > 1 and simultaneous[0].kind in _GROUP_LABELS:
            branch = Branch(_GROUP_LABELS[simultaneous[0].kind], messages)
            yield Block(BlockKind.PAR, (branch,))
        else:
            yield from messages

    def _message(self, sent: RunMessage) -> SequenceMessage:
        arrow = Arrow.DOTTED if sent.kind in _DOTTED else Arrow.SOLID
        # The participant's label already describes the worker.
        text = "Connect" if sent.kind is MessageKind.CONNECT else sent.label()
        return SequenceMessage(self._ids[sent.sender], self._ids[sent.receiver], tidy(text), arrow)

    def _processing(self, assigned: Sequence[RunMessage]) -> Iterator[DiagramStep]:
        for sent in assigned:
            attempt = int(sent.facts.get("attempt", "1"))
            lease = self._leases.get((sent.task_id or 0, attempt))
            if lease is not None and lease.ending != "running":
                took_s = lease.ended_at - lease.began_at
                text = f"{name_of(lease.task_id)}: {took_s:.3g} s, {lease.ending}"
                yield Note("over", (self._ids[sent.receiver],), tidy(text))
