"""Holds a diagram against a run, and points at the first line that is not so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...messages import InvalidTrace
from ..kernel.trace import Trace
from .automaton import Automaton
from .labels import read_label
from .notes import check_note
from .roles import Miscast, cast_of, hidden_messages
from .run_messages import MessageKind, Party, Role, Said, conversation_of
from .sequence_model import Note, SequenceDiagram, SequenceMessage, walk


@dataclass(frozen=True, slots=True)
class Mismatch:
    """What of a diagram is not so.

    Args:
        line: the first line that does not hold.
        says: what the diagram says there.
        had: what the run had.
    """

    line: int
    says: str
    had: str

    def __str__(self) -> str:
        return f"the diagram says: {self.says}; the run had: {self.had}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a check.

    Args:
        messages: how many messages of the run were held against the diagram.
        mismatch: what is not so; None if all is.
    """

    messages: int
    mismatch: Mismatch | None = None

    @property
    def holds(self) -> bool:
        """Whether the diagram tells the run as it was."""
        return self.mismatch is None


def check_diagram(diagram: SequenceDiagram, trace: Trace, second_s: float | None = None) -> Verdict:
    """Hold a diagram against a run.

    The participants must be the run's, and every message of the run must be there, in an order
    that the diagram allows. Of some kinds, such as progress, a diagram may leave out all.

    Args:
        diagram: the diagram.
        trace: the run.
        second_s: how long a second of the story lasted, in seconds, if the durations that notes
            tell are to be checked as well.

    Raises:
        InvalidDiagram: the run fits the diagram in too many ways.
        InvalidTrace: part of the run is missing from the trace.
    """
    if trace.dropped:
        raise InvalidTrace(
            f"{sum(trace.dropped.values()):,} occurrences are missing from the trace, and only a "
            "whole run can be held against a diagram"
        )
    conversation = conversation_of(trace)
    try:
        cast = cast_of(diagram, trace, conversation)
    except Miscast as fault:
        return Verdict(0, Mismatch(fault.line, fault.says, fault.had))
    return _Check(diagram, cast).check(conversation, trace, second_s)


class _Check:
    def __init__(self, diagram: SequenceDiagram, cast: Mapping[str, Party]) -> None:
        self._diagram = diagram
        self._cast = cast
        self._labels = {message.text: read_label(message.text) for message in diagram.messages}

    def check(self, conversation: Sequence[Said], trace: Trace, second_s: float | None) -> Verdict:
        kinds = {self._kind(message) for message in self._diagram.messages}
        heard = [
            said for said in conversation if not said.kind.may_be_left_out or said.kind in kinds
        ]
        course = Automaton(self._diagram.steps, self._holds, hidden_messages)
        for number, said in enumerate(heard):
            if not course.hear(said):
                had = f"{_between(said.sender, said.receiver)}: {said.told()}"
                had = f"{had}, {said.at - heard[0].at:.3f} s after the first message"
                return Verdict(number, self._mismatch(course.awaited(), said, heard, had))
        if not course.may_end:
            return Verdict(
                len(heard), self._mismatch(course.awaited(), None, heard, "nothing more")
            )
        for step in walk(self._diagram.steps):
            if isinstance(step, Note):
                had = check_note(step, self._cast, trace, second_s)
                if had is not None:
                    return Verdict(len(heard), Mismatch(step.line, step.text, had))
        return Verdict(len(heard))

    def _kind(self, message: SequenceMessage) -> MessageKind:
        ends = {self._cast[message.sender].role, self._cast[message.receiver].role}
        return MessageKind.ASIDE if Role.OUTSIDER in ends else self._labels[message.text].kind

    def _holds(self, message: SequenceMessage, said: Said) -> bool:
        return self._is_between(message, said) and self._labels[message.text].holds_for(said)

    def _is_between(self, message: SequenceMessage, said: Said) -> bool:
        ends = self._cast[message.sender], self._cast[message.receiver]
        return ends == (said.sender, said.receiver)

    def _mismatch(
        self, awaited: Sequence[SequenceMessage], said: Said | None, heard: Sequence[Said], had: str
    ) -> Mismatch:
        """Point at what was to come.

        Of several that is what the run never had, or else what is most like what came.
        """

        def suspicion(message: SequenceMessage) -> tuple[bool, int, int]:
            never_came = not any(self._holds(message, each) for each in heard)
            likeness = 0
            if said is not None:
                same_kind = self._labels[message.text].kind is said.kind
                likeness = self._is_between(message, said) + same_kind
            return never_came, likeness, -message.line

        message = max(awaited, key=suspicion, default=None)
        if message is None:
            last = max((each.line for each in self._diagram.messages), default=self._diagram.line)
            return Mismatch(last, "nothing comes after this", had)
        ends = _between(self._cast[message.sender], self._cast[message.receiver])
        return Mismatch(message.line, f"{ends}: {message.text}", had)


def _between(sender: Party, receiver: Party) -> str:
    return f"{sender.name} to {receiver.name}"
