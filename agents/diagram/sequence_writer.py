"""Writes a sequence diagram as Mermaid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .escaping import escape
from .sequence_model import (
    BRANCH_WORDS,
    Activation,
    Block,
    DiagramStep,
    Note,
    Participant,
    SequenceDiagram,
    SequenceMessage,
)

_INDENT = "    "


def write_sequence(diagram: SequenceDiagram) -> str:
    """Write a diagram and escape its texts; its ids must consist of letters, digits and "_"."""
    lines = ["sequenceDiagram"]
    if diagram.title:
        lines.append(f"{_INDENT}title: {escape(diagram.title)}")
    if diagram.is_numbered:
        lines.append(f"{_INDENT}autonumber")
    lines += [_INDENT + _participant(each) for each in diagram.participants]
    lines += _steps(diagram.steps, _INDENT)
    return "\n".join(lines) + "\n"


def _participant(participant: Participant) -> str:
    kind = "actor" if participant.is_actor else "participant"
    if participant.label == participant.id:
        return f"{kind} {participant.id}"
    return f"{kind} {participant.id} as {escape(participant.label)}"


def _steps(steps: Sequence[DiagramStep], indent: str) -> Iterator[str]:
    for step in steps:
        match step:
            case SequenceMessage():
                arrow = f"{step.sender}{step.arrow.value}{step.activation}{step.receiver}"
                yield f"{indent}{arrow}: {escape(step.text)}".rstrip()
            case Note():
                where = f"{step.place} {','.join(step.participants)}"
                yield f"{indent}Note {where}: {escape(step.text)}".rstrip()
            case Activation():
                word = "activate" if step.begins else "deactivate"
                yield f"{indent}{word} {step.participant}"
            case Block():
                word = step.kind.value
                for branch in step.branches:
                    yield f"{indent}{word} {escape(branch.label)}".rstrip()
                    yield from _steps(branch.steps, indent + _INDENT)
                    word = BRANCH_WORDS.get(step.kind, word)
                yield f"{indent}end"
