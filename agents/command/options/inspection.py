"""The options of the commands that inspect a run, such as `why`, `status` and `replay`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...report.file import REPORT_ENDINGS
from ..console.logging_setup import configure_logging
from ..diagram_form import DiagramForm
from ..output import write_json, write_json_text, write_line
from .connecting import ask, asks_manager_or_reads
from .shared import AsJson, TimeScale, Verbose

if TYPE_CHECKING:
    from ...client.client import Client

# Each command imports its own modules when it runs, so that a worker starts quickly.
# ruff: noqa: PLC0415
# Each option of a command is a parameter; Typer passes them by name.
# ruff: noqa: PLR0917

StoreFile = Annotated[
    str, typer.Option(metavar="STORE", help="The store of the run: a file, or a nats:// URL.")
]
Real = Annotated[
    bool,
    typer.Option("--real", help="Run over real Ceylon, even if virtual time is possible."),
]


@asks_manager_or_reads("report", "store")
def why(
    client: Client | None,
    task: Annotated[str, typer.Argument(help="The task's id.")],
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Read this report.")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(metavar="STORE", help="Read this store: a file, or a nats:// URL."),
    ] = None,
) -> None:
    """Explain the status of a task.

    For a task that was assigned: which workers were considered. For a task that waits: what it
    waits for.
    """
    from ..why import ask_report, ask_store, possible_task_ids

    task_ids = possible_task_ids(task)

    async def explain(manager: Client) -> Sequence[str]:
        return await manager.why(await manager.find(task_ids))

    if client is not None:
        lines = ask(client, explain)
    elif report is not None:
        lines = ask_report(task_ids, report)
    else:
        lines = ask_store(task_ids, store or "")
    for line in lines:
        write_line(line)


@asks_manager_or_reads("store")
def status(
    client: Client | None,
    store: Annotated[
        str | None,
        typer.Option(metavar="STORE", help="The store of the run: a file, or a nats:// URL."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Summarize a run: its tasks, workers and managers.

    It reads the store of the run, or asks the running manager, which also tells what tasks wait
    for, what they ask people, and the schedules.
    """
    from ..manager_status import ask_for_status, manager_lines, status_as_json
    from ..status import state_of, status_lines
    from ..stored_run import read_stored_run

    if client is not None:
        told = ask(client, ask_for_status)
        state, lines = status_as_json(told), manager_lines(told)
    else:
        found = read_stored_run(store or "")
        state, lines = state_of(found).model_dump_json(indent=2), status_lines(found)
    if as_json:
        write_json_text(state)
        return
    for line in lines:
        write_line(line)


def report_run(
    store: StoreFile,
    as_json: AsJson = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "--out",
            metavar="FILE",
            help="Also write the report to this file; the extension sets the format: "
            f"{', '.join(REPORT_ENDINGS)}.",
        ),
    ] = None,
    verbose: Verbose = 0,
) -> None:
    """Report the run in a store, whether it has ended or not."""
    from ...report.file import check_report_file, write_report
    from ..report import draw_stored_run, show_report
    from ..stored_run import read_stored_run

    configure_logging(verbose)
    check_report_file(output)
    found = read_stored_run(store)
    report = found.report()
    if output is not None:
        write_report(report, output, draw_stored_run(found, output))
    show_report(report, as_json=as_json)


def replay(
    policy: Annotated[
        str, typer.Option(metavar="NAME", help="The policy with which to replay the run.")
    ],
    store: Annotated[
        str | None, typer.Option(metavar="STORE", help="Replay the run in this store.")
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", help="Replay the run in this trace.")
    ] = None,
    skills: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json", help="The skills file with which the policy begins [default: none]"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    verbose: Verbose = 0,
) -> None:
    """Estimate what another policy would have done with a recorded run.

    Tasks and workers come as they did. An attempt that was seen ends as it did; another one ends as
    what workers have shown in the recorded run lets expect.
    """
    from ...replay.comparison import comparison_lines
    from ..replay import replay as replay_record

    configure_logging(verbose)
    comparison = replay_record(store, trace, policy, skills)
    if as_json:
        write_json(comparison)
        return
    for line in comparison_lines(comparison):
        write_line(line)


def diagram(
    source: Annotated[
        str, typer.Argument(metavar="[SCENARIO|TRACE]", help="A scenario, or a trace file.")
    ] = "",
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARGUMENT]...", help="Arguments of the scenario, if it takes any."),
    ] = None,
    store: Annotated[
        str | None, typer.Option(metavar="STORE", help="Draw the run in this store.")
    ] = None,
    form: Annotated[
        DiagramForm, typer.Option("--as", help="The kind of diagram.")
    ] = DiagramForm.SEQUENCE,
    max_messages: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="How many messages, bars or tasks to draw; the rest is summarized [default: 60].",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write to this file; a .md file gets a Mermaid code block."
        ),
    ] = None,
    real: Real = False,
    time_scale: TimeScale = 1.0,
    verbose: Verbose = 0,
) -> None:
    """Draw a run as a Mermaid diagram.

    A scenario is run in virtual time if possible.
    """
    from ..diagram import draw, find_trace, output_diagram

    configure_logging(verbose)
    trace = find_trace(source, arguments or (), store, real=real, time_scale=time_scale)
    output_diagram(draw(trace, form, max_messages), output)


def check_diagrams(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE.md|FILE.mmd|SCENARIO...",
            help="The documents to check; for a scenario, the docstring of its module.",
        ),
    ],
    scenario: Annotated[
        str,
        typer.Option(
            metavar="SCENARIO",
            help="The scenario of diagrams without a `check:` comment.",
        ),
    ] = "",
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The trace of diagrams without a `check:` comment."),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(metavar="STORE", help="The store of diagrams without a `check:` comment."),
    ] = None,
    real: Real = False,
    time_scale: TimeScale = 1.0,
    verbose: Verbose = 0,
) -> None:
    """Check documented sequence diagrams against runs.

    The exit code is 0 if every diagram matches its run.
    """
    from ..check import ReferenceRuns, check_all

    configure_logging(verbose)
    runs = ReferenceRuns(tuple(scenario.split()), trace, store, real, time_scale)
    raise typer.Exit(check_all(targets, runs, write_line))
