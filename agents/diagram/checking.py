"""Checks a diagram against a run, and finds the first line that does not match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...messages import InvalidTrace
from ..kernel.trace import Trace
from .automaton import Automaton
from .labels import read_label
from .notes import check_note
from .participants import ParticipantMismatch, hidden_messages, match_participants
from .run_messages import MessageKind, Party, Role, RunMessage, messages_of
from .sequence_model import Note, SequenceDiagram, SequenceMessage, walk


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A difference between a diagram and a run.

    Args:
        line: the first line that does not match.
        says: what the diagram says there.
        had: what the run had instead.
    """

    line: int
    says: str
    had: str

    def __str__(self) -> str:
        return f"the diagram says: {self.says}; the run had: {self.had}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a check.

    Args:
        messages: how many messages of the run were checked.
        mismatch: the first difference; None if the diagram matches.
    """

    messages: int
    mismatch: Mismatch | None = None

    @property
    def holds(self) -> bool:
        """Whether the diagram matches the run."""
        return self.mismatch is None


def check_diagram(diagram: SequenceDiagram, trace: Trace, second_s: float | None = None) -> Verdict:
    """Check a diagram against a run.

    The diagram must have the participants of the run and all its messages, in an order that the
    diagram allows. It may leave out all messages of some kinds, such as progress.

    Args:
        diagram: the diagram.
        trace: the run.
        second_s: how long a second of the scenario lasted, in seconds, to check the durations in
            notes too; None to skip them.

    Raises:
        InvalidDiagram: the run matches the diagram in too many ways.
        InvalidTrace: a part of the run is missing from the trace.
    """
    if trace.dropped:
        raise InvalidTrace(
            f"{sum(trace.dropped.values()):,} occurrences are missing from the trace; a diagram "
            "can only be checked against a complete run"
        )
    run_messages = messages_of(trace)
    try:
        parties = match_participants(diagram, trace, run_messages)
    except ParticipantMismatch as fault:
        return Verdict(0, Mismatch(fault.line, fault.says, fault.had))
    return _Check(diagram, parties).check(run_messages, trace, second_s)


class _Check:
    def __init__(self, diagram: SequenceDiagram, parties: Mapping[str, Party]) -> None:
        self._diagram = diagram
        self._parties = parties
        self._labels = {message.text: read_label(message.text) for message in diagram.messages}

    def check(
        self, run_messages: Sequence[RunMessage], trace: Trace, second_s: float | None
    ) -> Verdict:
        kinds = {self._kind(message) for message in self._diagram.messages}
        checked = [
            sent for sent in run_messages if not sent.kind.may_be_left_out or sent.kind in kinds
        ]
        automaton = Automaton(self._diagram.steps, self._holds, hidden_messages)
        for number, sent in enumerate(checked):
            if not automaton.accept(sent):
                had = f"{_between(sent.sender, sent.receiver)}: {sent.label()}"
                had = f"{had}, {sent.at - checked[0].at:.3f} s after the first message"
                return Verdict(number, self._mismatch(automaton.expected(), sent, checked, had))
        if not automaton.may_end:
            return Verdict(
                len(checked), self._mismatch(automaton.expected(), None, checked, "nothing more")
            )
        for step in walk(self._diagram.steps):
            if isinstance(step, Note):
                had = check_note(step, self._parties, trace, second_s)
                if had is not None:
                    return Verdict(len(checked), Mismatch(step.line, step.text, had))
        return Verdict(len(checked))

    def _kind(self, message: SequenceMessage) -> MessageKind:
        ends = {self._parties[message.sender].role, self._parties[message.receiver].role}
        return (
            MessageKind.SIDE_MESSAGE if Role.OUTSIDER in ends else self._labels[message.text].kind
        )

    def _holds(self, message: SequenceMessage, sent: RunMessage) -> bool:
        return self._is_between(message, sent) and self._labels[message.text].holds_for(sent)

    def _is_between(self, message: SequenceMessage, sent: RunMessage) -> bool:
        ends = self._parties[message.sender], self._parties[message.receiver]
        return ends == (sent.sender, sent.receiver)

    def _mismatch(
        self,
        expected: Sequence[SequenceMessage],
        sent: RunMessage | None,
        checked: Sequence[RunMessage],
        had: str,
    ) -> Mismatch:
        """Find the line of the diagram that does not match.

        Of several expected messages, it is the one that never occurred in the run, or else the one
        that is most similar to the message that came.
        """

        def suspicion(message: SequenceMessage) -> tuple[bool, int, int]:
            never_came = not any(self._holds(message, each) for each in checked)
            likeness = 0
            if sent is not None:
                same_kind = self._labels[message.text].kind is sent.kind
                likeness = self._is_between(message, sent) + same_kind
            return never_came, likeness, -message.line

        message = max(expected, key=suspicion, default=None)
        if message is None:
            last = max((each.line for each in self._diagram.messages), default=self._diagram.line)
            return Mismatch(last, "nothing comes after this", had)
        ends = _between(self._parties[message.sender], self._parties[message.receiver])
        return Mismatch(message.line, f"{ends}: {message.text}", had)


def _between(sender: Party, receiver: Party) -> str:
    return f"{sender.name} to {receiver.name}"
