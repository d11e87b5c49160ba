"""What time it is: seconds since 1970 that never run backwards, or virtual time in a rehearsal."""

from __future__ import annotations

import asyncio
import time

from .virtual_time import VirtualTimeLoop

# Wall clocks are set back now and then; leases and heartbeats must not notice.
_EPOCH_S = time.time() - time.monotonic()


def now() -> float:
    """The time in seconds: the loop's own in virtual time, else since 1970; never backwards."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return _EPOCH_S + time.monotonic()
    return loop.time() if isinstance(loop, VirtualTimeLoop) else _EPOCH_S + time.monotonic()
