"""Tells a run as a sequence diagram."""

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
from .roles import describe_worker
from .run_messages import MessageKind, Party, Role, Said, conversation_of, name_of, plain_name
from .sequence_model import (
    Arrow,
    Block,
    BlockKind,
    Branch,
    Note,
    Participant,
    SequenceDiagram,
    SequenceMessage,
    Step,
)

DEFAULT_MAX_MESSAGES = 60
"""How many messages stay readable."""

_TOLD = {
    MessageKind.CONNECT,
    MessageKind.ASSIGNMENT,
    MessageKind.RESULT,
    MessageKind.CANCEL,
    MessageKind.SHUTDOWN,
    MessageKind.ASIDE,
}
_MOST_OF_A_KIND = 4
_TOGETHER = {
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
"""Names that mean something else to Mermaid, or to whoever reads the diagram."""


def tell_as_sequence(trace: Trace, max_messages: int = DEFAULT_MAX_MESSAGES) -> SequenceDiagram:
    """Tell a run: who connects, what is assigned, how it goes, what comes of it.

    What happens at one moment stands in a `par` block.

    Args:
        trace: the run.
        max_messages: how many messages are drawn; of a longer run the first and the last, and in
            place of the others a note that says how many there are.

    Raises:
        InvalidInput: it is to draw fewer than 2.
    """
    if max_messages < 2:  # noqa: PLR2004 - one for the beginning, one for the end
        raise InvalidInput(f"max_messages is {max_messages}; it must be 2 or more")
    said = [each for each in conversation_of(trace) if each.kind in _TOLD]
    first, last = said, list[Said]()
    if len(said) > max_messages:
        kept = max_messages // 2
        first, last = said[:kept], said[kept - max_messages :]
    hidden = said[len(first) : len(said) - len(last)]
    parties = _parties(trace, [*first, *last], is_folded=bool(hidden))
    ids = _ids(parties)
    teller = _Teller(trace, ids)
    steps = list(teller.tell(first, is_beginning=True, is_end=not hidden))
    if hidden:
        steps += _fold(hidden, trace, parties, ids)
        steps += teller.tell(last, is_end=True)
    participants = tuple(
        Participant(ids[party], tidy(_describe(party, trace)) or ids[party]) for party in parties
    )
    return SequenceDiagram(participants, tuple(steps))


def _parties(trace: Trace, shown: Iterable[Said], *, is_folded: bool) -> list[Party]:
    """Who takes part: the manager, the workers, others."""
    heard = {party for said in shown for party in (said.sender, said.receiver)}
    workers = [Party(Role.WORKER, name) for name in trace.workers]
    outsiders = sorted(party for party in heard if party.role is Role.OUTSIDER)
    present = [worker for worker in workers if worker in heard or not is_folded]
    strangers = sorted(
        party for party in heard if party.role is Role.WORKER and party not in workers
    )
    return [Party(Role.MANAGER, trace.manager), *present, *strangers, *outsiders]


def _ids(parties: Sequence[Party]) -> Mapping[Party, str]:
    """Names that Mermaid takes; each party's own if it can."""
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
    hidden: Sequence[Said], trace: Trace, parties: Sequence[Party], ids: Mapping[Party, str]
) -> Iterator[Note]:
    kinds = Counter(said.kind for said in hidden)
    told = ", ".join(
        f"{count:,} {kind.value or 'others'}" for kind, count in kinds.most_common(_MOST_OF_A_KIND)
    )
    where = (ids[parties[0]], ids[parties[-1]]) if len(parties) > 1 else (ids[parties[0]],)
    plural = "s" if len(hidden) > 1 else ""
    yield Note("over", where, f"… {len(hidden):,} more message{plural}\n{told}")
    drawn = {party.name for party in parties if party.role is Role.WORKER}
    heard = {
        party.name
        for said in hidden
        for party in (said.sender, said.receiver)
        if party.role is Role.WORKER and party.name in trace.workers
    }
    if more := len(heard - drawn):
        yield Note("over", where, f"… {more:,} more worker{'s' if more > 1 else ''}")


class _Teller:
    """Makes steps of messages, with notes between them."""

    def __init__(self, trace: Trace, ids: Mapping[Party, str]) -> None:
        self._trace = trace
        self._ids = ids
        self._leases: Mapping[tuple[TaskId, int], Lease] = {
            (lease.task_id, lease.attempt): lease for lease in leases_of(trace)
        }
        self._manager = ids[Party(Role.MANAGER, trace.manager)]
        self._lost = [each for each in trace.occurrences if each.what is OccurrenceKind.WORKER_LOST]

    def tell(
        self, shown: Sequence[Said], *, is_beginning: bool = False, is_end: bool = False
    ) -> Iterator[Step]:
        """Tell some messages in a row.

        Args:
            shown: the messages.
            is_beginning: whether the run begins with them.
            is_end: whether it ends with them.
        """
        begins_at = float("-inf") if is_beginning else shown[0].at
        ends_at = float("inf") if is_end else shown[-1].at
        notes = [
            each
            for each in self._trace.occurrences
            if begins_at <= each.at <= ends_at and self._is_told(each.what)
        ]
        for _, group in groupby(shown, key=lambda said: (said.at, said.kind)):
            together = list(group)
            while notes and self._comes_first(notes[0].what, notes[0].at, together[0]):
                yield from self._note(notes.pop(0))
            yield from self._together(together)
            if together[0].kind is MessageKind.ASSIGNMENT:
                yield from self._processing(together)
        for left in notes:
            yield from self._note(left)

    @staticmethod
    def _is_told(what: OccurrenceKind) -> bool:
        return what in {
            OccurrenceKind.ASSIGNING_BEGUN,
            OccurrenceKind.WORKER_LOST,
            OccurrenceKind.WORKER_QUARANTINED,
            OccurrenceKind.TASK_FAILED,
            OccurrenceKind.RUN_RESUMED,
            OccurrenceKind.RUN_ENDED,
        }

    @staticmethod
    def _comes_first(what: OccurrenceKind, at: float, said: Said) -> bool:
        if at != said.at:
            return at < said.at
        match what:
            case OccurrenceKind.RUN_RESUMED:
                return True
            case OccurrenceKind.ASSIGNING_BEGUN:
                return said.kind is not MessageKind.CONNECT
            case OccurrenceKind.RUN_ENDED:
                return said.kind is MessageKind.SHUTDOWN
            case _:
                # What failed or was lost is known from what was said just before.
                return said.kind in {MessageKind.ASSIGNMENT, MessageKind.SHUTDOWN}

    def _note(self, occurrence: Occurrence) -> Iterator[Step]:
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
            case OccurrenceKind.RUN_RESUMED:
                yield Note("over", (self._manager,), "The run goes on")
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

    def _together(self, together: Sequence[Said]) -> Iterator[Step]:
        messages = tuple(self._message(said) for said in together)
        if len(messages) > 1 and together[0].kind in _TOGETHER:
            branch = Branch(_TOGETHER[together[0].kind], messages)
            yield Block(BlockKind.PAR, (branch,))
        else:
            yield from messages

    def _message(self, said: Said) -> SequenceMessage:
        arrow = Arrow.DOTTED if said.kind in _DOTTED else Arrow.SOLID
        # What a worker is stands with its name.
        text = "Connect" if said.kind is MessageKind.CONNECT else said.told()
        return SequenceMessage(self._ids[said.sender], self._ids[said.receiver], tidy(text), arrow)

    def _processing(self, assigned: Sequence[Said]) -> Iterator[Step]:
        for said in assigned:
            attempt = int(said.facts.get("attempt", "1"))
            lease = self._leases.get((said.task_id or 0, attempt))
            if lease is not None and lease.ending != "running":
                took_s = lease.ended_at - lease.began_at
                told = f"{name_of(lease.task_id)}: {took_s:.3g} s, {lease.ending}"
                yield Note("over", (self._ids[said.receiver],), tidy(told))
