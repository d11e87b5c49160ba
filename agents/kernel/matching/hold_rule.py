"""How long a task is held back for a better worker than those that are free."""

from __future__ import annotations

from math import inf

from ..model.decision import MAX_NAMED
from .learning_policy import Hold, WaitingHead
from .task_kinds import Crew, TaskKind

TOLERANCE = 0.02
"""How much less than the best a worker may be worth and still get a task at once, as a value."""

RELAXED_PER_DURATION = 0.03
"""How much this grows while the task waits, for each expected duration of such a task."""

LONGEST_HOLD_S = 600.0
"""How long a task is held back at most, for however good a worker, in seconds."""

GUESS_AFTER_S = 5.0
"""How long a task waits for a worker with the declared skill if none is connected, in seconds. Then
it is tried by whoever is most likely to do it."""


def relaxed_per_s(kind: TaskKind) -> float:
    """How fast the loss that is tolerated grows while a task waits, per second."""
    return max(RELAXED_PER_DURATION / kind.mean_s, 1.0 / LONGEST_HOLD_S)


def find_hold(
    kind: TaskKind, crew: Crew, head: WaitingHead, now: float, *, by_declared: bool
) -> Hold | None:
    """For which worker a task is held back, and until when at most; None if nobody is free.

    Args:
        kind: the kind of the task.
        crew: the workers that may get tasks.
        head: the task.
        now: the time in seconds of the board.
        by_declared: whether declared skills decide.
    """
    values = kind.values
    places = sorted(
        (crew.index[worker] for worker in head.able if worker in crew.index),
        key=lambda place: (-values[place], place),
    )
    free = [place for place in places if crew.workers[place].is_free]
    if not free:
        return None
    best = crew.workers[places[0]].name
    if by_declared:
        suitable = [place for place in places if kind.declared[place]]
        if suitable:
            names = ", ".join([crew.workers[place].name for place in suitable[:MAX_NAMED]])
            reason = f"waits for {names}; by the declared skills no free worker can run it"
            return Hold(reason, inf, kind.figures_for(suitable[0]))
        reason = f"no connected worker declares the skill; {best}, the best guess, gets it"
        return Hold(reason, head.waits_since + GUESS_AFTER_S, kind.figures_for(places[0]))
    loss = values[places[0]] - values[free[0]]
    until = head.waits_since + max(loss - TOLERANCE, 0.0) / relaxed_per_s(kind)
    reason = f"waits for {best}; another worker gets it"
    return Hold(reason, max(until, now), kind.figures_for(places[0]))
