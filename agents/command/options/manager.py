"""The options of `muster manager`."""

from __future__ import annotations

import asyncio
import contextlib
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...kernel.lanes import MAX_LANES
from ...kernel.model.config import DEFAULT_MAX_LOSSES, MAX_WORKERS
from ...runtime.ports import DEFAULT_PORT, DEFAULT_WORKSPACE, LOOPBACK, read_lane_ports
from ..console.credentials import take_secret
from ..console.logging_setup import configure_logging
from .shared import (
    DEFAULT_GRACE_S,
    AsJson,
    Grace,
    Insecure,
    NatsCreds,
    Otel,
    ReportFile,
    SecretFile,
    TimeScale,
    TlsCa,
    TraceOut,
    UnmatchedAfter,
    Verbose,
    WebHost,
    WebLinger,
    WebNames,
    WebPort,
)

if TYPE_CHECKING:
    from ...store.places import StorePlace
    from ...store.protocol import Store
    from ..web_page import WebPageOptions

# Each command imports its own modules when it runs, so that a worker starts quickly.
# ruff: noqa: PLC0415
# Each option of a command is a parameter; Typer passes them by name.
# ruff: noqa: PLR0917


class OnMissing(str, Enum):
    """What to do when expected workers do not join in time."""

    START = "start"
    FAIL = "fail"


class OnLate(str, Enum):
    """What to do with a task that can't be completed by its deadline any more."""

    RUN = "run"
    FAIL = "fail"


def manager(
    tasks: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The tasks: a .json, .jsonl or .csv file. Without it, the manager serves clients "
            "until it is stopped.",
        ),
    ] = None,
    workers: Annotated[
        str,
        typer.Option(
            metavar="NUMBER|MIN:MAX",
            help="How many workers to wait for; 0 assigns tasks once the first has joined. MIN:MAX "
            "starts that many workers on this machine, as the load requires.",
        ),
    ] = "0",
    schedules: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Schedules that make tasks again and again: a .json or .toml file. The manager "
            "then runs until it is stopped.",
        ),
    ] = None,
    skill: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LEVEL|NAME=LEVEL",
            help="With MIN:MAX, the skill of each worker [default: 10]; repeatable for named "
            "skills, such as vision=9.",
        ),
    ] = None,
    specialty: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TYPE", help="With MIN:MAX, a task type for which skill counts 2 more."
        ),
    ] = None,
    slots: Annotated[
        int | None, typer.Option(help="With MIN:MAX, concurrent tasks of each worker [default: 1].")
    ] = None,
    handlers: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE[:ATTRIBUTE[:ARGUMENT]]",
            help="With MIN:MAX, the module with the handlers; without it, work is simulated.",
        ),
    ] = None,
    cost_per_s: Annotated[
        float | None,
        typer.Option("--cost-per-s", help="With MIN:MAX, what a second of a worker's work costs."),
    ] = None,
    cost_per_task: Annotated[
        float | None,
        typer.Option("--cost-per-task", help="With MIN:MAX, what each attempt costs besides."),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The UDP port to listen on; 0 takes a free one.")
    ] = DEFAULT_PORT,
    host: Annotated[
        str, typer.Option(metavar="IPV4", help="The address at which workers reach this machine.")
    ] = LOOPBACK,
    policy: Annotated[
        str, typer.Option(help="How tasks are assigned: adaptive, best_fit, in_order or score.")
    ] = "adaptive",
    thrift: Annotated[
        float,
        typer.Option(
            help="How much of a success one unit of cost is worth; with 0 cost does not matter."
        ),
    ] = 0.0,
    budget: Annotated[
        float | None,
        typer.Option(help="What all attempts together may cost [default: no limit]."),
    ] = None,
    cost_unit: Annotated[str, typer.Option(help="The unit of the workers' costs.")] = "USD",
    aging_s: Annotated[
        float | None,
        typer.Option(
            "--aging-s",
            metavar="SECONDS",
            help="A waiting task gains one level of priority each time this many seconds pass "
            "[default: never].",
        ),
    ] = None,
    on_late: Annotated[
        OnLate,
        typer.Option(
            help="When a task can't be completed by its deadline any more: run it, or fail it."
        ),
    ] = OnLate.RUN,
    keep_results_s: Annotated[
        float | None,
        typer.Option(
            "--keep-results-s",
            metavar="SECONDS",
            help="Without --tasks, for how long results are kept [default: a day].",
            show_default=False,
        ),
    ] = None,
    keep_results: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            help="Without --tasks, how many results are kept [default: 100000].",
            show_default=False,
        ),
    ] = None,
    retry: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[TYPE:]RETRY",
            help="Which failed attempts are followed by another, such as 5 (attempts) or "
            "'max_attempts=5; wait_s=2; on=ConnectionError'; for tasks that do not say it; "
            "repeatable for task types.",
        ),
    ] = None,
    max_losses: Annotated[
        int,
        typer.Option(
            min=0, help="How often a task may lose its worker before it fails, if it does not say."
        ),
    ] = DEFAULT_MAX_LOSSES,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELDS",
            help="A limit, such as type=send_mail,rate=100,per_s=60 or each_key,concurrent=2; "
            "repeatable.",
        ),
    ] = None,
    weight: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=WEIGHT",
            help="How many tasks with this limit_key may begin in its turn; repeatable "
            "[default: 1].",
        ),
    ] = None,
    workspace: Annotated[str, typer.Option(help="The workspace to open.")] = DEFAULT_WORKSPACE,
    join_timeout: Annotated[
        float | None,
        typer.Option(
            min=0.0, metavar="SECONDS", help="How long to wait for the workers [default: no limit]."
        ),
    ] = None,
    unmatched_after: UnmatchedAfter = 30.0,
    on_missing: Annotated[
        OnMissing,
        typer.Option(help="When workers have not joined in time: start without them, or fail."),
    ] = OnMissing.FAIL,
    time_scale: TimeScale = 1.0,
    ticket_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the ticket to this file while the manager runs."),
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
        str | None,
        typer.Option(
            metavar="STORE",
            help="Keep the run in this store, a file or a nats:// URL; if it already holds one, "
            "continue that run.",
        ),
    ] = None,
    standby: Annotated[
        bool,
        typer.Option(
            "--standby",
            help="Wait until no other manager has the store, and lead then; several may wait.",
        ),
    ] = False,
    skills: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help="Begin with the skills in this file, if it exists, and save there what workers "
            "have shown.",
        ),
    ] = None,
    trace: TraceOut = None,
    blobs: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where to store large data: a directory or an fsspec URL "
            "[default: a private directory].",
        ),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A worker that may join; repeatable [default: any]."),
    ] = None,
    max_workers: Annotated[
        int,
        typer.Option(min=1, help="How many workers may be connected at once."),
    ] = MAX_WORKERS,
    max_lanes: Annotated[
        int,
        typer.Option(min=1, help="The largest number of lanes for the workers."),
    ] = MAX_LANES,
    lane_ports: Annotated[
        str | None,
        typer.Option(
            metavar="PORTS", help="The lanes' UDP ports, such as 9001-9016 [default: any]."
        ),
    ] = None,
    no_direct_connections: Annotated[
        bool,
        typer.Option("--no-direct-connections", help="Use Ceylon only, no direct connections."),
    ] = False,
    link: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ceylon|URL",
            help="How workers and clients reach the manager: ceylon, the default, or the URL of "
            "NATS servers, such as nats://host:4222. Repeatable for both.",
        ),
    ] = None,
    nats_creds: NatsCreds = None,
    tls_ca: TlsCa = None,
    secret_file: SecretFile = None,
    secret_in_ticket: Annotated[
        bool,
        typer.Option(
            "--secret-in-ticket",
            help="Put the secret into the ticket, even if you set the secret.",
        ),
    ] = False,
    insecure: Insecure = False,
    grace: Grace = DEFAULT_GRACE_S,
    as_json: AsJson = False,
    web: WebPort = None,
    web_host: WebHost = LOOPBACK,
    web_name: WebNames = None,
    web_linger: WebLinger = None,
    verbose: Verbose = 0,
) -> None:
    """Run the tasks of a file, or serve clients until stopped.

    The first line of output is the ticket, with which workers join, or --ticket-file names the
    file instead.
    """
    from ...manager.links import CEYLON
    from ...manager.task_manager import KEEP_RESULTS, KEEP_RESULTS_S, TaskManager
    from ...report.file import check_report_file
    from ..limit_options import read_limits, read_weights
    from ..manager import manage
    from ..manager_workers import (
        StartedWorkerOptions,
        check_options,
        check_tasks,
        make_pool,
        read_worker_count,
    )
    from ..nats_files import pass_on_files
    from ..retry_text import read_retry_options
    from ..schedules_file import read_schedules
    from ..skill_options import read_skill_options
    from ..standby import claim_ticket, stand_by
    from ..tasks_file import read_tasks
    from ..telemetry import enable_opentelemetry
    from ..web_page import web_page_options

    configure_logging(verbose)
    count = read_worker_count(workers)
    options = StartedWorkerOptions(
        read_skill_options(skill or ()),
        specialty or (),
        slots,
        handlers or (),
        cost_per_s,
        cost_per_task,
        grace,
    )
    check_options(count, options, allow or ())
    read = () if tasks is None else read_tasks(tasks)
    check_tasks(read, options)
    scheduled = () if schedules is None else read_schedules(schedules)
    check_report_file(report)
    retry_of_all, retries = read_retry_options(retry or ())
    web_page = web_page_options(web, web_host, web_name, web_linger)
    secret = take_secret(secret_file, insecure=insecure)
    pass_on_files(nats_creds, tls_ca)

    def make() -> TaskManager:
        return TaskManager(
            read,
            expected_workers=count.expected,
            port=port,
            workspace_id=workspace,
            policy=policy,
            thrift=thrift,
            budget=budget,
            cost_unit=cost_unit,
            aging_s=aging_s,
            on_late=on_late.value,
            keep_results_s=KEEP_RESULTS_S if keep_results_s is None else keep_results_s,
            keep_results=KEEP_RESULTS if keep_results is None else keep_results,
            retry=retry_of_all,
            retries=retries,
            max_losses=max_losses,
            limits=read_limits(limit or ()),
            weights=read_weights(weight or ()),
            join_timeout_s=join_timeout,
            unmatched_after_s=unmatched_after,
            on_missing=on_missing.value,
            time_scale=time_scale,
            quiet=True,
            skills=skills,
            blobs=blobs,
            secret=secret,
            insecure=insecure,
            allow=allow or None,
            max_workers=max_workers,
            max_lanes=max_lanes,
            lane_ports=() if lane_ports is None else read_lane_ports(lane_ports),
            direct_connections=not no_direct_connections,
            link=link or CEYLON,
            nats_creds=nats_creds,
            tls_ca=tls_ca,
        )

    def lead(
        made: TaskManager, opened: Store | StorePlace | None, page: WebPageOptions | None
    ) -> int:
        # Also if the command fails before the run begins, which would close the store itself.
        with contextlib.closing(made):
            if opened is not None:
                made.keep_in(opened)
            if trace is not None:
                made.trace_to(trace)
            if tasks is None:
                made.stay()
            for schedule in scheduled:
                schedule.declare(made)
            if otel:
                enable_opentelemetry(made)
            with_secret = secret_in_ticket or None
            managing = manage(
                made,
                claim_ticket(made, host, with_secret=with_secret)
                if standby
                else made.ticket(host, with_secret=with_secret),
                ticket_file=ticket_file,
                report_file=report,
                metrics_port=metrics,
                as_json=as_json,
                pool=count.bounds and make_pool(made, count.bounds, options, time_scale),
                web=page,
                grace_s=grace,
                is_standby=standby,
            )
            return asyncio.run(managing)

    if standby:
        raise typer.Exit(stand_by(store, web_page, make, lead))
    raise typer.Exit(lead(make(), store, web_page))
