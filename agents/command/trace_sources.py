"""Where the trace of a run comes from: a scenario that is played, a trace's file, a store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...messages import InvalidInput
from ..kernel.trace import Trace, trace_of
from ..trace.file import read_trace_file
from .console.exit import complain
from .scenario_finder import find_scenario, make_scenario
from .stored_run import read_kept_run
from .traced_play import trace_scenario


def trace_from_file(path: Path) -> Trace:
    """Read a trace; what is to be known of it is told on stderr.

    Raises:
        InvalidTrace: it can't be read, or is damaged.
    """
    read = read_trace_file(path)
    for warning in read.warnings:
        complain(warning)
    return read.trace


def trace_from_store(path: Path) -> Trace:
    """What a store still knows of its run.

    Raises:
        StoreUnusable: there is no store, or it can't be read.
    """
    found = read_kept_run(path)
    return trace_of(found.board, found.store.stem)


def trace_from_scenario(
    name_or_file: str, arguments: Sequence[str], *, real: bool = False, time_scale: float = 1.0
) -> Trace:
    """Play a scenario for its trace.

    Raises:
        UnknownName: there is no such scenario.
        InvalidInput: it does not take these arguments.
    """
    made = make_scenario(find_scenario(name_or_file), time_scale, arguments)
    return trace_scenario(made, real=real)


def is_scenario(text: str) -> bool:
    """Whether what stands on the command line means a scenario, and not another file."""
    return Path(text).suffix == ".py" or not Path(text).is_file()


def refuse_arguments(arguments: Sequence[str]) -> None:
    """See to it that nobody gives arguments to what takes none.

    Raises:
        InvalidInput: somebody does.
    """
    if arguments:
        raise InvalidInput(f"{arguments[0]!r} is an argument, which only a scenario takes")
