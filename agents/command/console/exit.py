"""Ends a command: prints its error and exits the process with the right code."""

from __future__ import annotations

import atexit
import contextlib
import logging
import multiprocessing
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from io import TextIOWrapper
from typing import NoReturn, TextIO

from pydantic import ValidationError

from ....messages import InvalidInput, JoinRefused, LocalError, WrongSecret
from ....messages.wording import summarize
from ...runtime.terminal_text import ASCII_FORMS, terminal_line, terminal_lines
from .reserved_stdout import own_stdout

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_CANNOT_RUN = 2
EXIT_UNEXPECTED_ERROR = 70
"""EX_SOFTWARE of sysexits.h: an unexpected error, printed with its traceback."""

THREAD_JOIN_TIMEOUT_S = 0.3


def print_message(message: str, *details: str) -> None:
    """Print a message on stderr, as one line that starts with "muster: ".

    Args:
        message: the message.
        details: each is printed on a further line, indented.
    """
    lines = [f"muster: {terminal_line(message)}", *(f"  {terminal_line(each)}" for each in details)]
    sys.stderr.write("\n".join([*lines, ""]))
    sys.stderr.flush()


def print_finishing(tasks: int, grace_s: float) -> None:
    """Print on stderr that running tasks are finished before the process ends.

    Args:
        tasks: how many there are; nothing is printed if there are none.
        grace_s: how long they may take, in seconds.
    """
    if tasks:
        what = "1 task" if tasks == 1 else f"{tasks:,} tasks"
        print_message(f"finishing {what}, for {grace_s:g} s at most; a second signal stops at once")


def open_missing_streams() -> None:
    """Open the null device in place of standard streams that are closed, as by `>&-`.

    A file that is opened later would otherwise take the number of one, and what is printed.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def replace_unencodable_characters() -> None:
    """Write characters that the terminal's encoding lacks in an ASCII form; raise no error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=ASCII_FORMS)


def discard_output(stream: TextIO) -> None:
    """Discard what is still written to a stream, because its reader has gone.

    Without this, Python would report the broken pipe again at exit.
    """
    with contextlib.suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def exit_code_of(command: Callable[[], object]) -> int:
    """Run a command, print the error that ends it, and return its exit code.

    Args:
        command: the command; it may raise `SystemExit`.
    """
    try:
        command()
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else EXIT_FAILED
    except InvalidInput as fault:
        _print_cause(fault)
        print_message(*fault.lines)
        return EXIT_CANNOT_RUN
    except (LocalError, JoinRefused, WrongSecret) as fault:
        _print_cause(fault)
        print_message(str(fault))
        return EXIT_CANNOT_RUN
    except ValidationError as fault:
        print_message(f"{fault.title}: {summarize(fault)}")
        return EXIT_CANNOT_RUN
    except BrokenPipeError:
        discard_output(own_stdout())
        return EXIT_FAILED
    except Exception:  # noqa: BLE001 - the last place that can report it
        sys.stderr.write(terminal_lines(traceback.format_exc()))
        return EXIT_UNEXPECTED_ERROR
    return EXIT_OK


def _print_cause(fault: Exception) -> None:
    """With -v, print the traceback of what caused an error, such as an exception of a handler."""
    if fault.__cause__ is not None and logging.getLogger("muster").isEnabledFor(logging.INFO):
        sys.stderr.write(terminal_lines("".join(traceback.format_exception(fault.__cause__))))


def exit_process(code: int) -> NoReturn:
    """Exit the process, even if the thread of a task is still busy."""
    deadline = time.monotonic() + THREAD_JOIN_TIMEOUT_S
    for thread in _busy_threads():
        thread.join(max(0.0, deadline - time.monotonic()))
    if _busy_threads():
        # Python would wait forever for the thread of a handler that hangs, and can't stop it. The
        # output is complete, and the task goes to another worker.
        exit_now(code)
    sys.exit(code)


def exit_now(code: int) -> NoReturn:
    """Exit the process without waiting for threads or child processes."""
    for child in multiprocessing.active_children():
        child.kill()
    if sys.stdout.isatty():
        from rich.console import Console  # noqa: PLC0415 - most workers have no terminal

        Console().show_cursor()
    # os._exit does not run exit functions, one of which deletes the scratch folder. There is no
    # public way to run them.
    atexit._run_exitfuncs()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, RuntimeError):
            # A RuntimeError occurs if the signal arrived during a write to the same stream.
            continue
    os._exit(code)


def _busy_threads() -> list[threading.Thread]:
    return [
        thread
        for thread in threading.enumerate()
        if thread is not threading.main_thread() and not thread.daemon
    ]
