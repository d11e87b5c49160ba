"""Which courses of messages a diagram allows, as a machine that is fed one message after the other.

What stands below something else comes after it. In a `par` block of one branch the steps come in
any order; of several branches each keeps its own order, and they mingle in any way. A `loop` goes
round once or more, of an `alt` one branch is taken, an `opt` is taken or not, and after a `break`
nothing else of what it stands in follows. A `critical` is its first branch, with one of its options
or none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias, cast

from ...messages import InvalidDiagram
from .run_messages import Said
from .sequence_model import Activation, Block, BlockKind, Note, SequenceMessage, Step

MAX_STATES = 2_000
"""How many ways of reading a diagram are followed at once."""

State: TypeAlias = Any
"""Where a part of a course stands; only the part itself knows what it means."""

Holds: TypeAlias = Callable[[SequenceMessage, Said], bool]
Gap: TypeAlias = Callable[[Note], int]


class AutomatonPart(Protocol):
    """A part of a course."""

    def begin(self) -> State:
        """Where it stands before anything was said."""
        ...

    def hear(self, state: State, said: Said) -> Iterator[State]:
        """Where it may stand after a message; nowhere if that does not fit."""
        ...

    def may_end(self, state: State) -> bool:
        """Whether it may be over."""
        ...

    def awaited(self, state: State) -> Iterator[SequenceMessage]:
        """What may come next."""
        ...


class Automaton:
    """All that a diagram allows.

    Args:
        steps: the diagram's.
        holds: whether a message of the run is what one of the diagram says.
        gap: how many messages a note stands for, 0 if it is an ordinary one.
    """

    def __init__(self, steps: Sequence[Step], holds: Holds, gap: Gap) -> None:
        self._whole = _in_turn(steps, holds, gap)
        self._states: set[State] = {self._whole.begin()}

    def hear(self, said: Said) -> bool:
        """Take in a message; False if the diagram does not have it here, and nothing changes.

        Raises:
            InvalidDiagram: the diagram can be read in too many ways.
        """
        following: set[State] = set()
        for state in self._states:
            following.update(self._whole.hear(state, said))
            if len(following) > MAX_STATES:
                line = min((each.line for each in self.awaited()), default=0)
                raise InvalidDiagram(
                    line,
                    f"from here on the run fits the diagram in more than {MAX_STATES:,} ways; "
                    "say of which tasks its messages are",
                )
        if not following:
            return False
        self._states = following
        return True

    @property
    def may_end(self) -> bool:
        """Whether nothing needs to come any more."""
        return any(self._whole.may_end(state) for state in self._states)

    def awaited(self) -> list[SequenceMessage]:
        """What may come next, in the order of the lines."""
        found = {each.line: each for state in self._states for each in self._whole.awaited(state)}
        return [found[line] for line in sorted(found)]


class _Single:
    """One message."""

    def __init__(self, message: SequenceMessage, holds: Holds) -> None:
        self.message = message
        self._holds = holds

    def begin(self) -> State:
        return False

    def hear(self, state: State, said: Said) -> Iterator[State]:
        if not state and self._holds(self.message, said):
            yield True

    def may_end(self, state: State) -> bool:
        return state

    def awaited(self, state: State) -> Iterator[SequenceMessage]:
        if not state:
            yield self.message


class _Gap:
    """A number of messages, whatever they are."""

    def __init__(self, count: int) -> None:
        self._count = count

    def begin(self) -> State:
        return self._count

    def hear(self, state: State, said: Said) -> Iterator[State]:
        del said
        if state:
            yield state - 1

    def may_end(self, state: State) -> bool:
        return not state

    def awaited(self, state: State) -> Iterator[SequenceMessage]:
        del state
        return iter(())


class _Sequence:
    """Parts one after the other."""

    def __init__(self, parts: Sequence[AutomatonPart]) -> None:
        self._parts = parts

    def begin(self) -> State:
        return (0, self._parts[0].begin()) if self._parts else (0, None)

    def hear(self, state: State, said: Said) -> Iterator[State]:
        for number, part, inner in self._open(state):
            for following in part.hear(inner, said):
                yield number, following

    def may_end(self, state: State) -> bool:
        last = len(self._parts)
        if not last:
            return True
        number, inner = cast("tuple[int, State]", state)
        return self._parts[number].may_end(inner) and all(
            part.may_end(part.begin()) for part in self._parts[number + 1 :]
        )

    def awaited(self, state: State) -> Iterator[SequenceMessage]:
        for _, part, inner in self._open(state):
            yield from part.awaited(inner)

    def _open(self, state: State) -> Iterator[tuple[int, AutomatonPart, State]]:
        """The parts that may go on: the one that has begun, and those after it if it may end."""
        number, inner = state
        for place in range(number, len(self._parts)):
            part = self._parts[place]
            yield place, part, inner
            if not part.may_end(inner):
                return
            if place + 1 < len(self._parts):
                inner = self._parts[place + 1].begin()


class _Mingled:
    """Parts that go on beside one another."""

    def __init__(self, parts: Sequence[AutomatonPart]) -> None:
        self._parts = parts

    def begin(self) -> State:
        return tuple(part.begin() for part in self._parts)

    def hear(self, state: State, said: Said) -> Iterator[State]:
        tried: set[object] = set()
        for number, (part, inner) in enumerate(zip(self._parts, state, strict=True)):
            if isinstance(part, _Single):
                # It makes no difference which of several that say the same is meant.
                key = (part.message, inner)
                if key in tried:
                    continue
                tried.add(key)
            for following in part.hear(inner, said):
                yield (*state[:number], following, *state[number + 1 :])

    def may_end(self, state: State) -> bool:
        return all(part.may_end(inner) for part, inner in zip(self._parts, state, strict=True))

    def awaited(self, state: State) -> Iterator[SequenceMessage]:
        for part, inner in zip(self._parts, state, strict=True):
            yield from part.awaited(inner)


class _Choice:
    """One of several parts."""

    def __init__(self, parts: Sequence[AutomatonPart]) -> None:
        self._parts = parts

    def begin(self) -> State:
        return None

    def hear(self, state: State, said: Said) -> Iterator[State]:
        for number, inner in self._open(state):
            for following in self._parts[number].hear(inner, said):
                yield number, following

    def may_end(self, state: State) -> bool:
        return any(self._parts[number].may_end(inner) for number, inner in self._open(state))

    def awaited(self, state: State) -> Iterator[SequenceMessage]:
        for number, inner in self._open(state):
            yield from self._parts[number].awaited(inner)

    def _open(self, state: State) -> Iterable[tuple[int, State]]:
        if state is None:
            return [(number, part.begin()) for number, part in enumerate(self._parts)]
        return [state]


class _Repeated:
    """A part once or more."""

    def __init__(self, part: AutomatonPart) -> None:
        self._part = part

    def begin(self) -> State:
        return self._part.begin()

    def hear(self, state: State, said: Said) -> Iterator[State]:
        yield from self._part.hear(state, said)
        if self._part.may_end(state):
            yield from self._part.hear(self._part.begin(), said)

    def may_end(self, state: State) -> bool:
        return self._part.may_end(state)

    def awaited(self, state: State) -> Iterator[SequenceMessage]:
        yield from self._part.awaited(state)
        if self._part.may_end(state):
            yield from self._part.awaited(self._part.begin())


def _in_turn(steps: Sequence[Step], holds: Holds, gap: Gap) -> AutomatonPart:
    parts: list[AutomatonPart] = []
    for number, step in enumerate(steps):
        if isinstance(step, Block) and step.kind is BlockKind.BREAK:
            instead = _in_turn(step.branches[0].steps, holds, gap)
            parts.append(_Choice([instead, _in_turn(steps[number + 1 :], holds, gap)]))
            break
        part = _part_of(step, holds, gap)
        if part is not None:
            parts.append(part)
    return _Sequence(parts)


def _part_of(step: Step, holds: Holds, gap: Gap) -> AutomatonPart | None:
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
    branches = [_in_turn(branch.steps, holds, gap) for branch in block.branches]
    nothing = _Sequence(())
    match block.kind:
        case BlockKind.PAR if len(branches) == 1:
            steps = block.branches[0].steps
            parts = (_part_of(step, holds, gap) for step in steps)
            return _Mingled([part for part in parts if part is not None])
        case BlockKind.PAR:
            return _Mingled(branches)
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
