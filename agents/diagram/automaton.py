"""An automaton that accepts the sequences of messages that a diagram allows.

Steps follow one another from top to bottom. The steps of a `par` block with one branch come in any
order. With several branches, each keeps its order, and the branches interleave in any way. A `loop`
runs once or more, an `alt` takes one branch, and an `opt` may be skipped. After a `break` nothing
else of its block follows. A `critical` is its first branch, followed by one of its options
or none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias, cast

from ...messages import InvalidDiagram
from .run_messages import RunMessage
from .sequence_model import Activation, Block, BlockKind, DiagramStep, Note, SequenceMessage

MAX_STATES = 2_000
"""How many states are tracked at once."""

State: TypeAlias = Any
"""The state of a part; only the part itself interprets it."""

Holds: TypeAlias = Callable[[SequenceMessage, RunMessage], bool]
Gap: TypeAlias = Callable[[Note], int]


class AutomatonPart(Protocol):
    """A part of an automaton."""

    def begin(self) -> State:
        """The initial state."""
        ...

    def accept(self, state: State, sent: RunMessage) -> Iterator[State]:
        """The possible states after a message; none if it is not accepted."""
        ...

    def may_end(self, state: State) -> bool:
        """Whether this is a final state."""
        ...

    def expected(self, state: State) -> Iterator[SequenceMessage]:
        """The messages that may come next."""
        ...


class Automaton:
    """Accepts the sequences of messages that a diagram allows.

    Args:
        steps: the steps of the diagram.
        holds: whether a message of the run matches a message of the diagram.
        gap: how many messages a note stands for; 0 for an ordinary note.
    """

    def __init__(self, steps: Sequence[DiagramStep], holds: Holds, gap: Gap) -> None:
        self._whole = _sequence_of(steps, holds, gap)
        self._states: set[State] = {self._whole.begin()}

    def accept(self, sent: RunMessage) -> bool:
        """Process a message; False, with unchanged state, if the diagram does not allow it here.

        Raises:
            InvalidDiagram: the run matches the diagram in too many ways.
        """
        following: set[State] = set()
        for state in self._states:
            following.update(self._whole.accept(state, sent))
            if len(following) > MAX_STATES:
                line = min((each.line for each in self.expected()), default=0)
                raise InvalidDiagram(
                    line,
                    f"from here on the run matches the diagram in more than {MAX_STATES:,} ways; "
                    "name the tasks of its messages",
                )
        if not following:
            return False
        self._states = following
        return True

    @property
    def may_end(self) -> bool:
        """Whether the run may end here."""
        return any(self._whole.may_end(state) for state in self._states)

    def expected(self) -> list[SequenceMessage]:
        """The messages that may come next, in the order of their lines."""
        found = {each.line: each for state in self._states for each in self._whole.expected(state)}
        return [found[line] for line in sorted(found)]


class _Single:
    """One message."""

    def __init__(self, message: SequenceMessage, holds: Holds) -> None:
        self.message = message
        self._holds = holds

    def begin(self) -> State:
        return False

    def accept(self, state: State, sent: RunMessage) -> Iterator[State]:
        if not state and self._holds(self.message, sent):
            yield True

    def may_end(self, state: State) -> bool:
        return state

    def expected(self, state: State) -> Iterator[SequenceMessage]:
        if not state:
            yield self.message


class _Gap:
    """A number of arbitrary messages."""

    def __init__(self, count: int) -> None:
        self._count = count

    def begin(self) -> State:
        return self._count

    def accept(self, state: State, sent: RunMessage) -> Iterator[State]:
        del sent
        if state:
            yield state - 1

    def may_end(self, state: State) -> bool:
        return not state

    def expected(self, state: State) -> Iterator[SequenceMessage]:
        del state
        return iter(())


class _Sequence:
    """Parts that follow one another."""

    def __init__(self, parts: Sequence[AutomatonPart]) -> None:
        self._parts = parts

    def begin(self) -> State:
        return (0, self._parts[0].begin()) if self._parts else (0, None)

    def accept(self, state: State, sent: RunMessage) -> Iterator[State]:
        for number, part, inner in self._open(state):
            for following in part.accept(inner, sent):
                yield number, following

    def may_end(self, state: State) -> bool:
        last = len(self._parts)
        if not last:
            return True
        number, inner = cast("tuple[int, State]", state)
        return self._parts[number].may_end(inner) and all(
            part.may_end(part.begin()) for part in self._parts[number + 1 :]
        )

    def expected(self, state: State) -> Iterator[SequenceMessage]:
        for _, part, inner in self._open(state):
            yield from part.expected(inner)

    def _open(self, state: State) -> Iterator[tuple[int, AutomatonPart, State]]:
        """The parts that may continue: the current one, and those after it if it may end."""
        number, inner = state
        for place in range(number, len(self._parts)):
            part = self._parts[place]
            yield place, part, inner
            if not part.may_end(inner):
                return
            if place + 1 < len(self._parts):
                inner = self._parts[place + 1].begin()


class _Interleaved:
    """Parts whose messages interleave."""

    def __init__(self, parts: Sequence[AutomatonPart]) -> None:
        self._parts = parts

    def begin(self) -> State:
        return tuple(part.begin() for part in self._parts)

    def accept(self, state: State, sent: RunMessage) -> Iterator[State]:
        tried: set[object] = set()
        for number, (part, inner) in enumerate(zip(self._parts, state, strict=True)):
            if isinstance(part, _Single):
                # Of several equal messages, it makes no difference which one is meant.
                key = (part.message, inner)
                if key in tried:
                    continue
                tried.add(key)
            for following in part.accept(inner, sent):
                yield (*state[:number], following, *state[number + 1 :])

    def may_end(self, state: State) -> bool:
        return all(part.may_end(inner) for part, inner in zip(self._parts, state, strict=True))

    def expected(self, state: State) -> Iterator[SequenceMessage]:
        for part, inner in zip(self._parts, state, strict=True):
            yield from part.expected(inner)


class _Choice:
    """One of several parts."""

    def __init__(self, parts: Sequence[AutomatonPart]) -> None:
        self._parts = parts

    def begin(self) -> State:
        return None

    def accept(self, state: State, sent: RunMessage) -> Iterator[State]:
        for number, inner in self._open(state):
            for following in self._parts[number].accept(inner, sent):
                yield number, following

    def may_end(self, state: State) -> bool:
        return any(self._parts[number].may_end(inner) for number, inner in self._open(state))

    def expected(self, state: State) -> Iterator[SequenceMessage]:
        for number, inner in self._open(state):
            yield from self._parts[number].expected(inner)

    def _open(self, state: State) -> Iterable[tuple[int, State]]:
        if state is None:
            return [(number, part.begin()) for number, part in enumerate(self._parts)]
        return [state]


class _Repeated:
    """A part that occurs once or more."""

    def __init__(self, part: AutomatonPart) -> None:
        self._part = part

    def begin(self) -> State:
        return self._part.begin()

    def accept(self, state: State, sent: RunMessage) -> Iterator[State]:
        yield from self._part.accept(state, sent)
        if self._part.may_end(state):
            yield from self._part.accept(self._part.begin(), sent)

    def may_end(self, state: State) -> bool:
        return self._part.may_end(state)

    def expected(self, state: State) -> Iterator[SequenceMessage]:
        yield from self._part.expected(state)
        if self._part.may_end(state):
            yield from self._part.expected(self._part.begin())


def _sequence_of(steps: Sequence[DiagramStep], holds: Holds, gap: Gap) -> AutomatonPart:
    parts: list[AutomatonPart] = []
    for number, step in enumerate(steps):
        if isinstance(step, Block) and step.kind is BlockKind.BREAK:
            instead = _sequence_of(step.branches[0].steps, holds, gap)
            parts.append(_Choice([instead, _sequence_of(steps[number + 1 :], holds, gap)]))
            break
        part = _part_of(step, holds, gap)
        if part is not None:
            parts.append(part)
    return _Sequence(parts)


def _part_of(step: DiagramStep, holds: Holds, gap: Gap) -> AutomatonPart | None:
    match step:
        case SequenceMessage():
            return _Single(step, holds)
        case Note():
            count = gap(step)
            return _Gap(count) if count else None
        case Activation():
            return None
        case Block():
            return _part_of_block(step, holds, gap)


def _part_of_block(block: Block, holds: Holds, gap: Gap) -> AutomatonPart:
    branches = [_sequence_of(branch.steps, holds, gap) for branch in block.branches]
    nothing = _Sequence(())
    match block.kind:
        case BlockKind.PAR if len(branches) == 1:
            steps = block.branches[0].steps
            parts = (_part_of(step, holds, gap) for step in steps)
            return _Interleaved([part for part in parts if part is not None])
        case BlockKind.PAR:
            return _Interleaved(branches)
        case BlockKind.LOOP:
            return _Repeated(branches[0])
        case BlockKind.ALT:
            return _Choice(branches)
        case BlockKind.OPT:
            return _Choice([branches[0], nothing])
        case BlockKind.CRITICAL:
            return _Sequence([branches[0], _Choice([*branches[1:], nothing])])
        case BlockKind.RECT | BlockKind.BREAK:
            return branches[0]
