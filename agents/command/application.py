"""The commands and their options; each only gathers what its own room needs."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from ...messages import InvalidInput
from ..fault_plan import ALL_FAULTS, read_fault_kinds
from ..kernel.lanes import MAX_LANES
from ..report_file import REPORT_ENDINGS
from ..secret_sources import SECRET_VARIABLE
from ..surroundings import ANY_PORT, DEFAULT_PORT, DEFAULT_WORKSPACE, LOOPBACK, read_lane_ports
from ..ticket import TICKET_VARIABLE
from .credentials import (
    hide_tickets,
    take_secret,
    take_ticket,
    ticket_of_environment,
)
from .diagram_form import Form
from .ending import SOME_DID_NOT, exit_code_of, leave, let_any_character_through
from .logging_setup import configure_logging
from .web_page import fill_in_port

# Each command loads what it needs when it runs: a worker starts without what draws reports.
# ruff: noqa: PLC0415
# Each option of a command is a parameter; nobody passes them by position.
# ruff: noqa: PLR0917

application = typer.Typer(
    help="Muster gives tasks to the workers whom they fit, and sees every task through.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class OnMissing(str, Enum):
    """What to do when expected workers do not come in time."""

    START = "start"
    FAIL = "fail"


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"muster {version('ceylon-muster')}")
        raise typer.Exit


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
LARGEST_CHANCE_SEED = 1_000_000_000
"""Below which seeds by chance are: still short enough to be typed again."""

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
Real = Annotated[
    bool,
    typer.Option("--real", help="Play over real Ceylon, although it could be rehearsed."),
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

StoreFile = Annotated[
    Path, typer.Option(metavar="FILE", help="The file in which a manager keeps its run.")
]


@application.callback()
def muster(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version."
        ),
    ] = False,
) -> None:
    """Take the options that come before a command."""
    del show_version


@application.command()
def run(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO|FILE.py")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARGUMENT]...", help="What the scenario takes, if anything."),
    ] = None,
    time_scale: TimeScale = 1.0,
    processes: Annotated[
        bool, typer.Option("--processes", help="Give each worker a process of its own.")
    ] = False,
    trace: TraceOut = None,
    report: ReportFile = None,
    as_json: AsJson = False,
    web: WebPort = None,
    web_host: WebHost = LOOPBACK,
    web_name: WebNames = None,
    web_linger: WebLinger = None,
    verbose: Verbose = 0,
) -> None:
    """Play a scenario.

    The exit code is 0 if every task succeeded.
    """
    from ..report_file import check_report_file
    from .play import play_scenario
    from .scenario_finder import find_scenario, make_scenario
    from .web_page import order_page

    configure_logging(verbose)
    check_report_file(report)
    made = make_scenario(find_scenario(scenario), time_scale, arguments or ())
    page = order_page(web, web_host, web_name, web_linger)
    playing = play_scenario(
        made,
        processes=processes,
        as_json=as_json,
        trace_file=trace,
        report_file=report,
        web=page,
    )
    raise typer.Exit(asyncio.run(playing))


@application.command()
def scenarios(verbose: Verbose = 0) -> None:
    """List the scenarios."""
    from .scenario_finder import our_scenarios

    configure_logging(verbose)
    found = our_scenarios()
    width = max(len(scenario.name()) for scenario in found)
    for scenario in found:
        typer.echo(f"{scenario.name():<{width}}  {scenario.headline()}")
        if scenario.takes:
            typer.echo(f"{'':<{width}}  takes {scenario.takes}")


@application.command()
def simulate(
    scenario: Annotated[str, typer.Argument(metavar="[SCENARIO|FILE.py]")] = "",
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARGUMENT]...", help="What the scenario takes, if anything."),
    ] = None,
    stress: Annotated[
        bool, typer.Option("--stress", help="Instead of a scenario: a story made up by chance.")
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(help="The first run's seed; the next has the next [default: by chance]."),
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="How many runs.")] = 1,
    faults: Annotated[
        str,
        typer.Option(metavar="KIND,...", help="What may go wrong; the docs tell the kinds."),
    ] = ",".join(ALL_FAULTS),
    storm: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="SECONDS",
            help="For how long things go wrong, in virtual time [default: as suits the scenario].",
        ),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Spread the runs over processes.")] = 1,
    verbose: Verbose = 0,
) -> None:
    """Run a scenario in virtual time through storms of faults, and see that nothing breaks.

    The exit code is 0 if no invariant was broken. The same seed gives the same run.
    """
    from .simulate import Order, simulate_runs

    if stress is bool(scenario):
        raise InvalidInput("give either a scenario or --stress")
    order = Order(
        scenario=scenario,
        arguments=tuple(arguments or ()),
        kinds=read_fault_kinds(faults),
        storm_s=storm,
        first_seed=secrets.randbelow(LARGEST_CHANCE_SEED) if seed is None else seed,
        runs=runs,
        verbosity=verbose,
    )
    raise typer.Exit(simulate_runs(order, processes))


@application.command("play-worker", hidden=True)
def play_one_worker(
    module_file: Path,
    name: str,
    join: Join,
    time_scale: TimeScale = 1.0,
    arguments: Annotated[list[str] | None, typer.Argument()] = None,
    verbose: Verbose = 0,
) -> None:
    """Play one worker of a scenario that another process plays."""
    from ..ticket import read_ticket
    from .play_worker import close_stdout, play_worker
    from .scenario_finder import find_scenario, make_scenario

    configure_logging(verbose)
    close_stdout()
    made = make_scenario(find_scenario(str(module_file)), time_scale, arguments or ())
    ticket = read_ticket(take_ticket(join))
    raise typer.Exit(asyncio.run(play_worker(made, name, ticket)))


@application.command()
def manager(
    tasks: Annotated[
        Path, typer.Option(metavar="FILE", help="The tasks, as .json, .jsonl or .csv.")
    ],
    workers: Annotated[
        str,
        typer.Option(
            metavar="NUMBER|MIN:MAX",
            help="How many workers to wait for, 0 begins with the first; or how few and how many "
            "to start on this machine, as the load needs them.",
        ),
    ],
    skill: Annotated[
        int | None,
        typer.Option(help="Of workers that it starts: what each can do [default: 10]."),
    ] = None,
    specialty: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE", help="Of such: a type of task for which skill counts 2 more."),
    ] = None,
    slots: Annotated[
        int | None, typer.Option(help="Of such: how many tasks each does at once [default: 1].")
    ] = None,
    handlers: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE[:ATTRIBUTE[:ARGUMENT]]",
            help="Of such: where the functions are; without, work is simulated.",
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The UDP port to listen on; 0 takes a free one.")
    ] = DEFAULT_PORT,
    host: Annotated[
        str, typer.Option(metavar="IPV4", help="The address by which workers reach this machine.")
    ] = LOOPBACK,
    policy: Annotated[
        str, typer.Option(help="Who gets which task: best_fit, in_order or score.")
    ] = "best_fit",
    workspace: Annotated[str, typer.Option(help="The workspace to open.")] = DEFAULT_WORKSPACE,
    join_timeout: Annotated[
        float | None,
        typer.Option(
            min=0.0, metavar="SECONDS", help="How long to wait for the workers [default: for ever]."
        ),
    ] = None,
    on_missing: Annotated[
        OnMissing, typer.Option(help="What to do then: start without the missing, or fail.")
    ] = OnMissing.FAIL,
    time_scale: TimeScale = 1.0,
    ticket_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the ticket here while it runs.")
    ] = None,
    report: ReportFile = None,
    metrics: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65_535,
            metavar="PORT",
            help="Serve /metrics for Prometheus on this TCP port of 127.0.0.1.",
        ),
    ] = None,
    otel: Otel = False,
    store: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep the run here; one that is here already goes on."),
    ] = None,
    trace: TraceOut = None,
    blobs: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where large data is put: a directory, or an fsspec URL "
            "[default: a directory of its own].",
        ),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A worker that may come [default: all may]."),
    ] = None,
    max_lanes: Annotated[
        int,
        typer.Option(min=1, help="Over how many workspaces at most the workers are spread."),
    ] = MAX_LANES,
    lane_ports: Annotated[
        str | None,
        typer.Option(metavar="PORTS", help="Their UDP ports, such as 9001-9016 [default: any]."),
    ] = None,
    no_wires: Annotated[
        bool,
        typer.Option("--no-wires", help="Let all frames go by Ceylon; see docs/wires.md."),
    ] = False,
    secret_file: SecretFile = None,
    secret_in_ticket: Annotated[
        bool,
        typer.Option(
            "--secret-in-ticket",
            help="Put the secret into the ticket even though it was given to the manager.",
        ),
    ] = False,
    insecure: Insecure = False,
    as_json: AsJson = False,
    web: WebPort = None,
    web_host: WebHost = LOOPBACK,
    web_name: WebNames = None,
    web_linger: WebLinger = None,
    verbose: Verbose = 0,
) -> None:
    """Manage the tasks of a file.

    The first line that it prints is the ticket by which workers join.
    """
    from ..manager import TaskManager
    from ..report_file import check_report_file
    from ..tasks_file import read_tasks
    from .elastic import WorkerOptions, check_options, make_pool, read_worker_count
    from .manage import manage
    from .telemetry import tell_opentelemetry
    from .web_page import order_page

    configure_logging(verbose)
    count = read_worker_count(workers)
    options = WorkerOptions(skill, specialty or (), slots, handlers or ())
    check_options(count, options, allow or ())
    read = read_tasks(tasks)
    check_report_file(report)
    page = order_page(web, web_host, web_name, web_linger)
    made = TaskManager(
        read,
        expected_workers=count.expected,
        port=port,
        workspace_id=workspace,
        policy=policy,
        join_timeout_s=join_timeout,
        on_missing=on_missing.value,
        time_scale=time_scale,
        quiet=True,
        store=store,
        trace=trace,
        blobs=blobs,
        secret=take_secret(secret_file, insecure=insecure),
        insecure=insecure,
        allow=allow or None,
        max_lanes=max_lanes,
        lane_ports=() if lane_ports is None else read_lane_ports(lane_ports),
        wires=not no_wires,
    )
    if otel:
        tell_opentelemetry(made)
    managing = manage(
        made,
        made.ticket(host, with_secret=secret_in_ticket or None),
        ticket_file=ticket_file,
        report_file=report,
        metrics_port=metrics,
        as_json=as_json,
        pool=count.bounds and make_pool(made, count.bounds, options, time_scale),
        web=page,
    )
    raise typer.Exit(asyncio.run(managing))


@application.command()
def worker(
    join: Join,
    name: Annotated[str, typer.Option(help="Its name, unique in the workspace.")],
    skill: Annotated[int, typer.Option(help="What it can do; tasks have difficulties of 1 to 10.")],
    specialty: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE", help="A type of task for which its skill counts 2 more."),
    ] = None,
    slots: Annotated[
        int | None,
        typer.Option(help="How many tasks it does at once [default: 1, or as where they run]."),
    ] = None,
    handlers: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE[:ATTRIBUTE[:ARGUMENT]]",
            help="Where the functions are that do the tasks; without, work is simulated.",
        ),
    ] = None,
    time_scale: TimeScale = 1.0,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Run plain handlers in so many threads [default: the slots]."),
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Run plain handlers in so many processes.")
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Run plain handlers in the Dask cluster of this scheduler."
        ),
    ] = None,
    agents: Annotated[
        int,
        typer.Option(min=1, help="How many workers of this kind: NAME-1, NAME-2 and so on."),
    ] = 1,
    wait_for_ticket_s: Annotated[
        float,
        typer.Option(
            "--wait-for-ticket",
            min=0.0,
            metavar="SECONDS",
            help="How long to wait for a ticket file that isn't there yet.",
        ),
    ] = 30.0,
    ends_with_parent: Annotated[
        bool,
        typer.Option("--ends-with-parent", help="Stop with the process that started this one."),
    ] = False,
    otel: Otel = False,
    secret_file: SecretFile = None,
    insecure: Insecure = False,
    verbose: Verbose = 0,
) -> None:
    """Work for a manager until it shuts down."""
    from .handler_finder import find_handlers
    from .work import CountingWorker, choose_where, names_of_agents, run_workers, wait_for_ticket

    configure_logging(verbose)
    found = find_handlers(handlers) if handlers else None
    where = choose_where(threads, processes, dask)
    secret = take_secret(secret_file, insecure=insecure)
    made = [
        CountingWorker(
            each,
            skill,
            specialty or (),
            slots=where.slots if slots is None else slots,
            handlers=found,
            executor=where.make_executor,
            time_scale=time_scale,
            secret=secret,
            insecure=insecure,
        )
        for each in names_of_agents(name, agents)
    ]
    ticket = wait_for_ticket(take_ticket(join), wait_for_ticket_s)
    for each in made:
        if otel:
            from .telemetry import tell_opentelemetry

            tell_opentelemetry(each)
        each.join(ticket)
    raise typer.Exit(run_workers(made, ends_with_parent=ends_with_parent))


@application.command()
def why(
    task: Annotated[str, typer.Argument(help="The task's id.")],
    join: Annotated[
        str | None,
        typer.Option(metavar="TICKET", help="Ask the running manager of this ticket or file."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Look it up in this report.")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Look it up where a manager keeps its run."),
    ] = None,
    secret_file: SecretFile = None,
    insecure: Insecure = False,
    verbose: Verbose = 0,
) -> None:
    """Tell why a task stands where it stands.

    That is: who was considered for it when it was assigned, or what it waits for.
    """
    from ..ticket import read_ticket
    from .inquire import ask_manager, ask_report, ask_store, readings_of

    configure_logging(verbose)
    readings = readings_of(task)
    if join is None and report is None and store is None:
        join = ticket_of_environment()
    match (join, report, store):
        case (str(), None, None):
            ticket = read_ticket(take_ticket(join))
            secret = take_secret(secret_file, insecure=insecure)
            lines = asyncio.run(ask_manager(readings, ticket, secret, insecure=insecure))
        case (None, Path(), None):
            lines = ask_report(readings, report)
        case (None, None, Path()):
            lines = ask_store(readings, store)
        case _:
            raise InvalidInput("give one of --join, to ask a running manager, --report and --store")
    for line in lines:
        typer.echo(line)


@application.command()
def doctor(
    join: Annotated[
        str | None,
        typer.Option(metavar="TICKET", help="Whether a worker could join by this ticket or file."),
    ] = None,
    port: Annotated[
        int,
        typer.Option(min=0, max=65_535, help="Whether a manager could listen on this UDP port."),
    ] = DEFAULT_PORT,
    secret_file: SecretFile = None,
    insecure: Insecure = False,
    verbose: Verbose = 0,
) -> None:
    """Find out why manager and workers do not come together.

    With a ticket it looks at the way to the manager, without at this machine as a manager's. The
    exit code is 0 if all is well.
    """
    from .doctor import examine_installation, examine_manager, examine_port

    configure_logging(verbose)
    findings = examine_installation()
    if join is None:
        findings.append(asyncio.run(examine_port(port)))
    else:
        secret = take_secret(secret_file, insecure=insecure)
        findings += asyncio.run(examine_manager(take_ticket(join), secret, insecure=insecure))
    for finding in findings:
        typer.echo(finding.line())
    raise typer.Exit(0 if all(finding.is_well for finding in findings) else SOME_DID_NOT)


@application.command("bench")
def run_bench(
    tasks: Annotated[int, typer.Option(min=1, help="How many tasks that do nothing.")] = 10_000,
    workers: Annotated[int, typer.Option(min=1, help="How many worker processes.")] = 2,
    slots: Annotated[int, typer.Option(min=1, help="How many tasks each does at once.")] = 64,
    payload: Annotated[
        str, typer.Option(metavar="SIZE", help="How much data is echoed at a time.")
    ] = "1MB",
    store: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the run in this new file.")
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The UDP port to listen on; 0 takes a free one.")
    ] = ANY_PORT,
    insecure: Annotated[bool, typer.Option("--insecure", help="Do not seal frames.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    verbose: Verbose = 0,
) -> None:
    """Measure what a manager and worker processes give on this machine.

    It starts them, has tasks done that do nothing, and ends them.
    """
    from ..bench.crew import CrewOrder
    from ..bench.sizes import read_size
    from .bench import BenchOrder, bench

    configure_logging(verbose)
    order = BenchOrder(
        crew=CrewOrder(workers, slots, port=port, insecure=insecure, store=store),
        tasks=tasks,
        payload_bytes=read_size(payload),
    )
    raise typer.Exit(asyncio.run(bench(order, as_json=as_json)))


@application.command()
def secret(
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it into this new file, for its owner alone."),
    ] = None,
    verbose: Verbose = 0,
) -> None:
    """Make a secret for a workspace, and print it."""
    from ..secret_sources import fresh_secret, write_secret_file

    configure_logging(verbose)
    made = fresh_secret()
    if file is None:
        typer.echo(made.reveal())
    else:
        write_secret_file(file, made)


@application.command()
def status(
    store: StoreFile,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    verbose: Verbose = 0,
) -> None:
    """Tell how far the run in a store is, and who is at work on it."""
    from .kept_run import read_kept_run
    from .status import state_of, status_lines

    configure_logging(verbose)
    found = read_kept_run(store)
    if as_json:
        typer.echo(state_of(found).model_dump_json(indent=2))
        return
    for line in status_lines(found):
        typer.echo(line)


@application.command("report")
def report_run(
    store: StoreFile,
    as_json: AsJson = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "--out",
            metavar="FILE",
            help=f"Write the report here, too; the ending says how: {', '.join(REPORT_ENDINGS)}.",
        ),
    ] = None,
    verbose: Verbose = 0,
) -> None:
    """Report the run in a store, as it stands or as it ended."""
    from ..report_file import check_report_file, write_report
    from .closing import show_report
    from .kept_run import read_kept_run
    from .report_diagram import draw_kept_run

    configure_logging(verbose)
    check_report_file(output)
    found = read_kept_run(store)
    report = found.report()
    if output is not None:
        write_report(report, output, draw_kept_run(found, output))
    show_report(report, as_json=as_json)


@application.command()
def diagram(
    source: Annotated[
        str, typer.Argument(metavar="[SCENARIO|TRACE]", help="A scenario, or the file of a trace.")
    ] = "",
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARGUMENT]...", help="What the scenario takes, if anything."),
    ] = None,
    store: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the run that is kept here.")
    ] = None,
    form: Annotated[Form, typer.Option("--as", help="What to draw it as.")] = Form.SEQUENCE,
    max_messages: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="How many messages, bars or tasks are drawn; more are summed up [default: 60].",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it here; in a .md file it stands in a block."),
    ] = None,
    real: Real = False,
    time_scale: TimeScale = 1.0,
    verbose: Verbose = 0,
) -> None:
    """Draw a run as a Mermaid diagram.

    A scenario is played for it in virtual time, where that is possible.
    """
    from .diagram import draw, find_trace, put_out

    configure_logging(verbose)
    trace = find_trace(source, arguments or (), store, real=real, time_scale=time_scale)
    put_out(draw(trace, form, max_messages), output)


@application.command("check")
def check_diagrams(
    targets: Annotated[
        list[str],
        typer.Argument(metavar="FILE.md|FILE.mmd|SCENARIO...", help="Where the diagrams are."),
    ],
    scenario: Annotated[
        str,
        typer.Option(
            metavar="SCENARIO", help="What diagrams show that do not say which run they show."
        ),
    ] = "",
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Hold such diagrams against this trace."),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Hold such diagrams against the run that is kept here."),
    ] = None,
    real: Real = False,
    time_scale: TimeScale = 1.0,
    verbose: Verbose = 0,
) -> None:
    """Hold documented sequence diagrams against runs.

    The exit code is 0 if all of them tell what happened.
    """
    from .check import Runs, check_all

    configure_logging(verbose)
    runs = Runs(tuple(scenario.split()), trace, store, real, time_scale)
    raise typer.Exit(check_all(targets, runs, typer.echo))


superagi = typer.Typer(no_args_is_help=True, help="Make SuperAGI's tools usable, and try them.")
application.add_typer(superagi, name="superagi")


@superagi.command("setup")
def set_up_superagi(
    python: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The Python to make it with [default: this one]."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where to make it [default: where it is looked for]."),
    ] = None,
    verbose: Verbose = 0,
) -> None:
    """Make a virtual environment with what SuperAGI's tools need."""
    from .superagi import set_up

    configure_logging(verbose)
    raise typer.Exit(set_up(python, folder, typer.echo))


@superagi.command("check")
def check_superagi(verbose: Verbose = 0) -> None:
    """Say what of SuperAGI works here, and what doesn't.

    The exit code is 0 if everything works.
    """
    from .superagi import check

    configure_logging(verbose)
    raise typer.Exit(check(typer.echo))


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command `muster` and end the process with its exit code.

    Args:
        arguments: what stands behind `muster` on the command line; by default that itself.
    """
    let_any_character_through()
    given = sys.argv[1:] if arguments is None else arguments
    hide_tickets(given)
    filled = fill_in_port(given)
    leave(exit_code_of(lambda: application(filled, prog_name="muster")))
