"""How a command ends: what its errors say, and how the process leaves."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from io import TextIOWrapper
from typing import NoReturn

from pydantic import ValidationError

from ....messages import JoinRefused, LocalError, WrongSecret
from ....messages.wording import summarize
from ...runtime.terminal_text import terminal_line, terminal_lines

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_CANNOT_RUN = 2
EXIT_UNEXPECTED_ERROR = 70
"""EX_SOFTWARE of sysexits.h: an error that nobody foresaw, told with its traceback."""

THREAD_JOIN_TIMEOUT_S = 0.3


def print_message(message: str) -> None:
    """Tell of an error on stderr, as "muster: …", on one line."""
    sys.stderr.write(f"muster: {terminal_line(message)}\n")
    sys.stderr.flush()


def replace_unencodable_characters() -> None:
    """Let no character that a terminal can't show end the run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def exit_code_of(command: Callable[[], object]) -> int:
    """Run a command, tell of the error that ends it, and give its exit code.

    Args:
        command: may also end as `sys.exit` does.
    """
    try:
        command()
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else EXIT_FAILED
    except (LocalError, JoinRefused, WrongSecret) as fault:
        print_message(str(fault))
        return EXIT_CANNOT_RUN
    except ValidationError as fault:
        print_message(f"{fault.title}: {summarize(fault)}")
        return EXIT_CANNOT_RUN
    except BrokenPipeError:
        # Whoever read our output has gone; Python would print_message of it once more at its end.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except Exception:  # noqa: BLE001 - the last one who can tell of it
        sys.stderr.write(terminal_lines(traceback.format_exc()))
        return EXIT_UNEXPECTED_ERROR
    return EXIT_OK


def leave(code: int) -> NoReturn:
    """End the process, although a task's thread may still be busy."""
    deadline = time.monotonic() + THREAD_JOIN_TIMEOUT_S
    for thread in _busy_threads():
        thread.join(max(0.0, deadline - time.monotonic()))
    if _busy_threads():
        # Python would wait for the thread of a hanging handler for ever, and there is no way to
        # stop one. What there was to say has been said; its task goes to another worker.
        exit_now(code)
    sys.exit(code)


def exit_now(code: int) -> NoReturn:
    """End the process without waiting for anything that it still does."""
    for child in multiprocessing.active_children():
        child.kill()
    if sys.stdout.isatty():
        from rich.console import Console  # noqa: PLC0415 - workers have no terminal

        Console().show_cursor()
    # os._exit would leave our scratch folder behind; there is no public way to tidy up.
    atexit._run_exitfuncs()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, RuntimeError):
            # A RuntimeError if the signal came while something was being written there.
            continue
    os._exit(code)


def _busy_threads() -> list[threading.Thread]:
    return [
        thread
        for thread in threading.enumerate()
        if thread is not threading.main_thread() and not thread.daemon
    ]
