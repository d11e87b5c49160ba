"""How a command ends: what its errors say, and how the process leaves."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import sys
import threading
import time
from typing import NoReturn

from rich.console import Console

SUCCEEDED = 0
SOME_DID_NOT = 1
CANNOT_BE_DONE = 2
OUR_FAULT = 70
"""EX_SOFTWARE of sysexits.h: an error that nobody foresaw, told with its traceback."""

THREADS_MAY_TAKE_S = 0.3


def complain(message: str) -> None:
    """Tell of an error on stderr, as "muster: …"."""
    sys.stderr.write(f"muster: {message}\n")
    sys.stderr.flush()


def leave(code: int) -> NoReturn:
    """End the process, although a task's thread may still be busy."""
    deadline = time.monotonic() + THREADS_MAY_TAKE_S
    for thread in _busy_threads():
        thread.join(max(0.0, deadline - time.monotonic()))
    if _busy_threads():
        # Python would wait for the thread of a hanging handler for ever, and there is no way to
        # stop one. What there was to say has been said; its task goes to another worker.
        leave_at_once(code)
    sys.exit(code)


def leave_at_once(code: int) -> NoReturn:
    """End the process without waiting for anything that it still does."""
    for child in multiprocessing.active_children():
        child.kill()
    if sys.stdout.isatty():
        Console().show_cursor()
    # os._exit would leave our scratch folder behind; there is no public way to tidy up.
    atexit._run_exitfuncs()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
    os._exit(code)


def _busy_threads() -> list[threading.Thread]:
    return [
        thread
        for thread in threading.enumerate()
        if thread is not threading.main_thread() and not thread.daemon
    ]
