"""The output of a run: the report on stdout, and the sequence diagram that a report file shows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from ...messages import InvalidInput
from ..diagram import tell_as_sequence, write_sequence
from ..kernel.trace import Trace, TraceLog, trace_of
from ..manager.task_manager import TaskManager
from ..report.file import shows_diagram, write_report
from ..report.model import RunReport
from ..report.text import print_report, render_text
from ..trace.follow import follow
from .console.exit import discard_output
from .console.reserved_stdout import own_stdout
from .output import write_json, write_lines
from .stored_run import StoredRun


def finish_with_report(
    report: RunReport,
    report_file: Path | None,
    draw: Callable[[], str | None],
    *,
    as_json: bool,
    conclusion: str = "",
) -> None:
    """Write the report to its file and print it; what went wrong with the file is raised last.

    Args:
        report: the report.
        report_file: the file for it, in the format of its extension, or None.
        draw: what `follow_for_report` returned.
        as_json: print the report as JSON and nothing else.
        conclusion: text of the scenario to print after the report, or "".

    Raises:
        InvalidInput: the file can't be written.
    """
    fault: InvalidInput | None = None
    if report_file is not None:
        try:
            write_report(report, report_file, draw())
        except InvalidInput as failed:
            fault = failed
    try:
        show_report(report, as_json=as_json, conclusion=conclusion)
    except BrokenPipeError:
        # The reader has seen enough, such as `head -1`. The run itself is not affected.
        discard_output(own_stdout())
    if fault is not None:
        raise fault


def show_report(report: RunReport, *, as_json: bool, conclusion: str = "") -> None:
    """Print the report and the conclusion of the scenario.

    Args:
        report: the report.
        as_json: print the report as JSON and nothing else.
        conclusion: text of the scenario to print after the report, or "".
    """
    if as_json:
        write_json(report)
    elif sys.stdout.isatty():
        print_report(report, Console())
    else:
        write_lines("\n" + render_text(report))
    if conclusion and not as_json:
        write_lines(f"\n{conclusion}")


def follow_for_report(manager: TaskManager, report_file: Path | None) -> Callable[[], str | None]:
    """Record the trace of a run if its report file shows a diagram.

    Args:
        manager: the manager of the run, which has not started yet.
        report_file: the report file, or None.

    Returns:
        A function to call after the run. It returns the diagram, or None if the report shows none.
    """
    if report_file is None or not shows_diagram(report_file):
        return lambda: None
    log = TraceLog()
    follow(manager, log)
    return lambda: _draw(log.trace())


def draw_stored_run(run: StoredRun, report_file: Path) -> str | None:
    """Draw a run from its store; None if the report file shows no diagram."""
    if not shows_diagram(report_file):
        return None
    return _draw(trace_of(run.board, run.title))


def _draw(trace: Trace) -> str:
    return write_sequence(tell_as_sequence(trace))
