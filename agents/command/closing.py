"""What a run leaves behind: the report on stdout and in a file."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from ...messages import InvalidInput
from ..report import RunReport
from ..report_text import print_report, render_text


def show_report(report: RunReport, *, as_json: bool, conclusion: str = "") -> None:
    """Print the report, and under it what the run was for.

    Args:
        report: the run.
        as_json: print the report as JSON and nothing else.
        conclusion: a text of the scenario's own, or "".
    """
    if as_json:
        sys.stdout.write(report.model_dump_json(indent=2) + "\n")
    elif sys.stdout.isatty():
        print_report(report, Console())
    else:
        sys.stdout.write("\n" + render_text(report) + "\n")
    if conclusion and not as_json:
        sys.stdout.write(f"\n{conclusion}\n")
    sys.stdout.flush()


def check_report_file(path: Path | None) -> None:
    """Make sure, before the work begins, that a report can be written here after it.

    Raises:
        InvalidInput: it can't.
    """
    if path is None:
        return
    if path.is_dir():
        raise InvalidInput(f"the report can't be written to {str(path)!r}: it is a folder")
    if not path.parent.is_dir():
        raise InvalidInput(
            f"the report can't be written to {str(path)!r}: there is no folder {str(path.parent)!r}"
        )


def write_report(report: RunReport, path: Path) -> None:
    """Write the report as JSON.

    Raises:
        InvalidInput: the file can't be written.
    """
    try:
        path.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except OSError as fault:
        raise InvalidInput(
            f"the report can't be written to {str(path)!r}: {fault.strerror}"
        ) from None
