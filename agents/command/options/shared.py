"""The options that several commands have in common; each stands here once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...report.file import REPORT_ENDINGS
from ...security.secret_sources import SECRET_VARIABLE
from ...security.ticket import TICKET_VARIABLE

Verbose = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        show_default=False,
        metavar="",
        help="Tell on stderr what happens; -vv tells more.",
    ),
]
TimeScale = Annotated[
    float, typer.Option(min=0.0, help="How long a second of simulated work lasts, in seconds.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print only the report, as JSON; no progress.")
]
Join = Annotated[
    str,
    typer.Option(
        metavar="TICKET",
        envvar=TICKET_VARIABLE,
        help="The manager's ticket, or the file that it is in; - reads it from stdin.",
    ),
]
SecretFile = Annotated[
    Path | None,
    typer.Option(
        "--secret-file",
        metavar="FILE",
        help=f"The workspace's secret, as `muster secret` makes it [else: {SECRET_VARIABLE}].",
    ),
]
Insecure = Annotated[
    bool,
    typer.Option("--insecure", help="Do not seal frames; manager and workers must agree on it."),
]
TraceOut = Annotated[
    Path | None,
    typer.Option(metavar="FILE.jsonl", help="Write what happens here, line by line."),
]
WebPort = Annotated[
    int | None,
    typer.Option(
        "--web",
        min=0,
        max=65_535,
        metavar="[PORT]",
        help="Show a live page on this TCP port, 8080 unless given; 0 takes a free one.",
    ),
]
WebHost = Annotated[
    str,
    typer.Option(
        "--web-host",
        metavar="IP",
        help="The address the page listens on; off loopback it asks for the workspace's secret.",
    ),
]
WebNames = Annotated[
    list[str] | None,
    typer.Option(
        "--web-name", metavar="HOST", help="A host name by which the page is called, as by a proxy."
    ),
]
WebLinger = Annotated[
    float | None,
    typer.Option(
        "--web-linger",
        min=0.0,
        metavar="SECONDS",
        help="How long the page stays up after the run [default: 60 at a terminal, else 0].",
    ),
]
ReportFile = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help=f"Write the report here; the ending says how: {', '.join(REPORT_ENDINGS)}.",
    ),
]
Otel = Annotated[
    bool,
    typer.Option("--otel", help="Tell OpenTelemetry of each attempt; needs the extra otel."),
]
