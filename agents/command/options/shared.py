"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...nats.address import CREDS_VARIABLE, TLS_CA_VARIABLE
from ...report.file import REPORT_ENDINGS
from ...security.secret_sources import SECRET_VARIABLE
from ...security.ticket import TICKET_VARIABLE
from ..console.reserved_stdout import reserve_stdout


def _reserve_if_wanted(context: typer.Context, wanted: bool) -> bool:
    """Reserve stdout until the command ends, if `--json` is given."""
    if wanted:
        context.with_resource(reserve_stdout())
    return wanted


CostPerS = Annotated[
    float,
    typer.Option("--cost-per-s", help="What a second of its work costs, in the manager's unit."),
]
CostPerTask = Annotated[
    float, typer.Option("--cost-per-task", help="What each of its attempts costs besides.")
]
UnmatchedAfter = Annotated[
    float | None,
    typer.Option(
        "--unmatched-after",
        min=0.0,
        metavar="SECONDS",
        help="After how long a task fails that no connected worker can run [default: 30].",
    ),
]

DEFAULT_GRACE_S = 30.0
Grace = Annotated[
    float,
    typer.Option(
        min=0.0,
        metavar="SECONDS",
        help="For how long running tasks may go on after SIGTERM; a second one stops at once.",
    ),
]
Verbose = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        show_default=False,
        metavar="",
        help="Log events to stderr; -vv logs more.",
    ),
]
TimeScale = Annotated[
    float, typer.Option(min=0.0, help="How long one second of simulated work takes, in seconds.")
]
AsJson = Annotated[
    bool,
    typer.Option(
        "--json",
        is_eager=True,
        callback=_reserve_if_wanted,
        help="Print only the report, as JSON, and no progress.",
    ),
]
Join = Annotated[
    str,
    typer.Option(
        metavar="TICKET",
        envvar=TICKET_VARIABLE,
        help="The manager's ticket, or a file that contains it; - reads it from stdin.",
    ),
]
SecretFile = Annotated[
    Path | None,
    typer.Option(
        "--secret-file",
        metavar="FILE",
        help="A file with the workspace secret, from `muster secret` "
        f"[default: {SECRET_VARIABLE}].",
    ),
]
NatsCreds = Annotated[
    Path | None,
    typer.Option(
        "--nats-creds",
        metavar="FILE",
        help=f"A credentials file for the NATS servers [default: {CREDS_VARIABLE}].",
    ),
]
TlsCa = Annotated[
    Path | None,
    typer.Option(
        "--tls-ca",
        metavar="FILE",
        help="The certificates of authorities that NATS servers are checked against "
        f"[default: {TLS_CA_VARIABLE}, or those of this machine].",
    ),
]
Insecure = Annotated[
    bool,
    typer.Option("--insecure", help="Do not seal frames; the manager and all workers need it."),
]
TraceOut = Annotated[
    Path | None,
    typer.Option(metavar="FILE.jsonl", help="Write a trace of the run to this file."),
]
WebPort = Annotated[
    int | None,
    typer.Option(
        "--web",
        min=0,
        max=65_535,
        metavar="[PORT]",
        help="Serve the live page on this TCP port, 8080 by default; 0 takes a free one.",
    ),
]
WebHost = Annotated[
    str,
    typer.Option(
        "--web-host",
        metavar="IP",
        help="The address the page listens on; outside loopback it requires the workspace secret.",
    ),
]
WebNames = Annotated[
    list[str] | None,
    typer.Option(
        "--web-name",
        metavar="HOST",
        help="A host name under which the page is reached, as behind a proxy.",
    ),
]
WebLinger = Annotated[
    float | None,
    typer.Option(
        "--web-linger",
        min=0.0,
        metavar="SECONDS",
        help="How long the page stays available after the run [default: 60 at a terminal, else 0].",
    ),
]
ReportFile = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Write the report to this file; the extension sets the format: "
        f"{', '.join(REPORT_ENDINGS)}.",
    ),
]
Otel = Annotated[
    bool,
    typer.Option("--otel", help="Send OpenTelemetry spans for attempts; needs the extra otel."),
]
