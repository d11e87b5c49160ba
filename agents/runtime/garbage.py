"""Tunes Python's garbage collector for managers and workers."""

from __future__ import annotations

import gc

ALLOCATIONS = 20_000
YOUNG_ROUNDS, OLD_ROUNDS = 20, 100


def collect_garbage_less_often() -> None:
    """Make Python's collector look for cycles less often, for the whole process.

    A run keeps some twenty objects per task, and none of them is garbage: with the defaults the
    collector takes a fifth of a manager's processor time. The command `muster` calls this; your own
    program may call it, too. Between two collections some 20,000 objects in cycles may wait, a few
    megabytes.
    """
    # Imported objects stay; examining them again would slow down the start.
    gc.freeze()
    gc.set_threshold(ALLOCATIONS, YOUNG_ROUNDS, OLD_ROUNDS)
