"""SIGTERM ends a benchmark as Ctrl-C does, so that it ends what it has started."""

from __future__ import annotations

import signal
import sys
from types import FrameType


def heed_sigterm() -> None:
    """Leave by SystemExit when SIGTERM comes; without this nothing would be tidied up."""
    signal.signal(signal.SIGTERM, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    del frame
    sys.exit(128 + number)
