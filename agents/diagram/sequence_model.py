"""The model of a sequence diagram: participants and steps.

Texts are unescaped. The `line` of a step is its line in the source; comparisons ignore it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias


class Arrow(str, Enum):
    """The arrows of messages."""

    LINE = "->"
    DOTTED_LINE = "-->"
    SOLID = "->>"
    DOTTED = "-->>"
    CROSS = "-x"
    DOTTED_CROSS = "--x"
    OPEN = "-)"
    DOTTED_OPEN = "--)"


class BlockKind(str, Enum):
    """The kinds of block."""

    LOOP = "loop"
    ALT = "alt"
    OPT = "opt"
    PAR = "par"
    CRITICAL = "critical"
    BREAK = "break"
    RECT = "rect"


BRANCH_WORDS = {BlockKind.ALT: "else", BlockKind.PAR: "and", BlockKind.CRITICAL: "option"}
"""The word that begins a further branch, for the kinds of block that have several."""


@dataclass(frozen=True, slots=True)
class Participant:
    """A participant.

    Args:
        id: its name in the steps of the diagram.
        label: the text that is shown; the id if there is no other.
        is_actor: whether it is drawn as a person.
        line: its line in the source.
    """

    id: str
    label: str
    is_actor: bool = False
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class SequenceMessage:
    """An arrow from one participant to another.

    Args:
        sender: the id of the sender.
        receiver: the id of the receiver.
        text: its label.
        arrow: its arrow.
        activation: "+" if it activates its receiver, "-" if it ends its sender's activation.
        line: its line in the source.
    """

    sender: str
    receiver: str
    text: str
    arrow: Arrow = Arrow.SOLID
    activation: str = ""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Note:
    """A note.

    Args:
        place: "over", "left of" or "right of".
        participants: the ids of its participants; "over" takes one or two.
        text: its text.
        line: its line in the source.
    """

    place: str
    participants: tuple[str, ...]
    text: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Activation:
    """The activation of a participant begins or ends.

    Args:
        participant: the id of the participant.
        begins: whether it begins.
        line: its line in the source.
    """

    participant: str
    begins: bool
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch of a block.

    Args:
        label: its label, or "".
        steps: its steps.
        line: its line in the source.
    """

    label: str
    steps: tuple[DiagramStep, ...]
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of steps.

    Args:
        kind: its kind.
        branches: its branches; only some kinds may have several.
        line: its line in the source.
    """

    kind: BlockKind
    branches: tuple[Branch, ...]
    line: int = field(default=0, compare=False)


DiagramStep: TypeAlias = SequenceMessage | Note | Activation | Block


@dataclass(frozen=True, slots=True)
class SequenceDiagram:
    """A sequence diagram.

    Args:
        participants: its participants, in the order in which they are drawn.
        steps: its steps.
        title: its title, or "".
        is_numbered: whether its messages are numbered.
        line: the line of its header in the source.
        last_line: its last line in the source.
    """

    participants: tuple[Participant, ...]
    steps: tuple[DiagramStep, ...]
    title: str = ""
    is_numbered: bool = False
    line: int = field(default=0, compare=False)
    last_line: int = field(default=0, compare=False)

    @property
    def messages(self) -> Iterator[SequenceMessage]:
        """All messages, including those in blocks, in the order of their lines."""
        return (step for step in walk(self.steps) if isinstance(step, SequenceMessage))


def walk(steps: Sequence[DiagramStep]) -> Iterator[DiagramStep]:
    """All steps, including those in blocks, in the order of their lines."""
    for step in steps:
        yield step
        if isinstance(step, Block):
            for branch in step.branches:
                yield from walk(branch.steps)
