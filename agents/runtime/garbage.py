"""How often Python looks for garbage, in a process that is a manager or a worker above all."""

from __future__ import annotations

import gc

ALLOCATIONS = 20_000
YOUNG_ROUNDS, OLD_ROUNDS = 20, 100


def collect_garbage_less_often() -> None:
    """Let Python's collector look for cycles less often, for the whole process.

    What a run keeps of a task is some twenty objects that stay, and none of them is garbage: by
    default the collector spends a fifth of a manager's time on finding that out again and again.
    The command `muster` does this for itself; a program of your own may, if it has nothing
    against it. Between two looks some 20,000 objects in cycles may wait, a few megabytes.
    """
    # What was imported stays; to look at it once more would hold up the start.
    gc.freeze()
    gc.set_threshold(ALLOCATIONS, YOUNG_ROUNDS, OLD_ROUNDS)
