"""What a run leaves behind: the report on stdout."""

from __future__ import annotations

import sys

from rich.console import Console

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
