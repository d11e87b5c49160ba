"""What a sequence diagram is: participants, and the steps that they take.

Texts are as they are shown. A step's line says where it was read; it does not count when steps are
compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias


class Arrow(str, Enum):
    """The arrows by which messages are drawn."""

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
"""The word that begins another branch, of those kinds of block that have several."""


@dataclass(frozen=True, slots=True)
class Participant:
    """Somebody who takes part.

    Args:
        id: the name by which the diagram's steps call it.
        label: what is shown; the same as the id if nothing else is given.
        is_actor: whether it is drawn as a person.
        line: where it was read.
    """

    id: str
    label: str
    is_actor: bool = False
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class SequenceMessage:
    """An arrow from one participant to another.

    Args:
        sender: who sends, by id.
        receiver: who receives, by id.
        text: what stands at the arrow.
        arrow: how it is drawn.
        activation: "+" if it activates its receiver, "-" if it ends its sender's activation.
        line: where it was read.
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
        participants: where, by id; "over" takes one or two.
        text: what it says.
        line: where it was read.
    """

    place: str
    participants: tuple[str, ...]
    text: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Activation:
    """A participant becomes active, or no longer is.

    Args:
        participant: who, by id.
        begins: whether it becomes active.
        line: where it was read.
    """

    participant: str
    begins: bool
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Branch:
    """A part of a block.

    Args:
        label: what stands at its beginning, or "".
        steps: what happens in it.
        line: where it was read.
    """

    label: str
    steps: tuple[Step, ...]
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Block:
    """Steps that belong together.

    Args:
        kind: what kind of block.
        branches: its parts; one, but for the kinds that may have several.
        line: where it was read.
    """

    kind: BlockKind
    branches: tuple[Branch, ...]
    line: int = field(default=0, compare=False)


Step: TypeAlias = SequenceMessage | Note | Activation | Block


@dataclass(frozen=True, slots=True)
class SequenceDiagram:
    """A sequence diagram.

    Args:
        participants: who takes part, in the order in which they are drawn.
        steps: what happens.
        title: its title, or "".
        is_numbered: whether its messages are numbered.
        line: where it was read.
        last_line: where it ends.
    """

    participants: tuple[Participant, ...]
    steps: tuple[Step, ...]
    title: str = ""
    is_numbered: bool = False
    line: int = field(default=0, compare=False)
    last_line: int = field(default=0, compare=False)

    @property
    def messages(self) -> Iterator[SequenceMessage]:
        """All messages, of blocks too, in the order of their lines."""
        return (step for step in walk(self.steps) if isinstance(step, SequenceMessage))


def walk(steps: Sequence[Step]) -> Iterator[Step]:
    """All steps and those within their blocks, in the order of their lines."""
    for step in steps:
        yield step
        if isinstance(step, Block):
            for branch in step.branches:
                yield from walk(branch.steps)
