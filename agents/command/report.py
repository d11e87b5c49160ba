"""What a run leaves behind: the report on stdout."""

from __future__ import annotations

import sys

from rich.console import Console

from ..report.model import RunReport
from ..report.text import print_report, render_text
from .output import write_json, write_lines


def show_report(report: RunReport, *, as_json: bool, conclusion: str = "") -> None:
    """Print the report, and under it what the run was for.

    Args:
        report: the run.
        as_json: print the report as JSON and nothing else.
        conclusion: a text of the scenario's own, or "".
    """
    if as_json:
        write_json(report)
    elif sys.stdout.isatty():
        print_report(report, Console())
    else:
        write_lines("\n" + render_text(report))
    if conclusion and not as_json:
        write_lines(f"\n{conclusion}")
