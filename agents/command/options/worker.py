"""The options of `muster worker`."""

from __future__ import annotations

from typing import Annotated

import typer

from ....messages import InvalidInput
from ..console.credentials import take_secret, wait_for_ticket
from ..console.logging_setup import configure_logging
from .model import BaseUrl, KeyFile, Model, PriceIn, PriceOut, System, Types
from .shared import (
    DEFAULT_GRACE_S,
    CostPerS,
    CostPerTask,
    Grace,
    Insecure,
    Join,
    NatsCreds,
    Otel,
    SecretFile,
    TimeScale,
    TlsCa,
    Verbose,
)

# Each command imports its own modules when it runs, so that a worker starts quickly.
# ruff: noqa: PLC0415
# Each option of a command is a parameter; Typer passes them by name.
# ruff: noqa: PLR0917


def worker(
    join: Join,
    name: Annotated[str, typer.Option(help="The worker's name, unique in the workspace.")],
    skill: Annotated[
        list[str],
        typer.Option(
            metavar="LEVEL|NAME=LEVEL",
            help="The worker's skill; tasks have a difficulty of 1 to 10. Repeatable for named "
            "skills, such as vision=9.",
        ),
    ],
    specialty: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE", help="A task type for which skill counts 2 more; repeatable."),
    ] = None,
    slots: Annotated[
        int | None,
        typer.Option(help="Concurrent tasks [default: as many as the executor can run]."),
    ] = None,
    handlers: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE[:ATTRIBUTE[:ARGUMENT]]",
            help="The module with the handlers; without it, work is simulated. Repeatable.",
        ),
    ] = None,
    mcp: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COMMAND|URL",
            help="An MCP server, whose tools are this worker's task types: a command, which is run "
            "without a shell, or a URL. Repeatable.",
        ),
    ] = None,
    prefix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PREFIX",
            help="What the names of the MCP server's tools begin with as task types, such as "
            "files.; with several --mcp, one for each, in their order.",
        ),
    ] = None,
    mcp_env: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="An environment variable that MCP servers get, too; repeatable.",
        ),
    ] = None,
    mcp_header: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HEADER=NAME",
            help="A header for MCP servers at URLs, with the value of an environment variable.",
        ),
    ] = None,
    model: Model = None,
    base_url: BaseUrl = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    types: Types = None,
    key_file: KeyFile = None,
    system: System = None,
    cost_per_s: CostPerS = 0.0,
    cost_per_task: CostPerTask = 0.0,
    time_scale: TimeScale = 1.0,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, help="Run plain functions in this many threads [default: one per slot]."
        ),
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Run plain functions in this many processes.")
    ] = None,
    kill_after_s: Annotated[
        float | None,
        typer.Option(
            "--kill-after",
            min=0.0,
            metavar="SECONDS",
            help="With --processes, kill a handler's process this long after its task timed out or "
            "was cancelled.",
        ),
    ] = None,
    max_tasks_per_child: Annotated[
        int | None,
        typer.Option(
            min=1, help="With --processes, replace a handler's process after this many tasks."
        ),
    ] = None,
    max_memory_mb: Annotated[
        float | None,
        typer.Option(
            metavar="MB",
            help="With --processes, replace a handler's process that uses more memory after its "
            "task; kill it above 1.5 times that.",
        ),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Run plain functions in the Dask cluster of this scheduler."
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Run plain functions in the Ray cluster of this head."
        ),
    ] = None,
    agents: Annotated[
        int,
        typer.Option(
            min=1, help="How many workers to run in this process: NAME-1, NAME-2 and so on."
        ),
    ] = 1,
    wait_for_ticket_s: Annotated[
        float,
        typer.Option(
            "--wait-for-ticket",
            min=0.0,
            metavar="SECONDS",
            help="How long to wait for a missing ticket file.",
        ),
    ] = 30.0,
    ends_with_parent: Annotated[
        bool,
        typer.Option("--ends-with-parent", help="Stop when the parent process ends."),
    ] = False,
    no_tracebacks: Annotated[
        bool,
        typer.Option(
            "--no-tracebacks",
            help="Do not send the tracebacks of failed handlers, only the error messages.",
        ),
    ] = False,
    grace: Grace = DEFAULT_GRACE_S,
    otel: Otel = False,
    secret_file: SecretFile = None,
    nats_creds: NatsCreds = None,
    tls_ca: TlsCa = None,
    insecure: Insecure = False,
    verbose: Verbose = 0,
) -> None:
    """Work for a manager until it shuts down."""
    from ...execution.handlers import Handlers
    from ..mcp_options import read_mcp_options
    from ..model_worker import ModelOptions, make_model_handlers
    from ..skill_options import read_skill_options
    from ..user_modules import find_handlers
    from ..worker import CountingWorker, agent_names, choose_executor, run_workers

    configure_logging(verbose)
    skills = read_skill_options(skill)
    if skills.level is None:
        raise InvalidInput(
            f"--skill names only {', '.join(skills.named)}; add the general skill, such as "
            "--skill 7"
        )
    found = make_model_handlers(
        ModelOptions(model, base_url, price_in, price_out, types, key_file, system),
        find_handlers(handlers) if handlers else None,
    )
    tools = read_mcp_options(mcp or (), prefix or (), mcp_env or (), mcp_header or ())
    if tools is not None:
        tools.update(found or Handlers())
        found = tools
    executor = choose_executor(
        threads,
        processes,
        dask,
        ray,
        kill_after_s=kill_after_s,
        max_tasks_per_child=max_tasks_per_child,
        max_memory_mb=max_memory_mb,
    )
    secret = take_secret(secret_file, insecure=insecure)
    made = [
        CountingWorker(
            each,
            skills.level,
            specialty or (),
            skills=skills.named,
            cost_per_s=cost_per_s,
            cost_per_task=cost_per_task,
            slots=executor.slots if slots is None else slots,
            handlers=found,
            executor=executor.create,
            kill_after_s=kill_after_s,
            time_scale=time_scale,
            secret=secret,
            insecure=insecure,
            nats_creds=nats_creds,
            tls_ca=tls_ca,
            send_tracebacks=not no_tracebacks,
        )
        for each in agent_names(name, agents)
    ]
    ticket = wait_for_ticket(join, wait_for_ticket_s)
    for each in made:
        if otel:
            from ..telemetry import enable_opentelemetry

            enable_opentelemetry(each)
        each.join(ticket)
    raise typer.Exit(
        run_workers(made, ends_with_parent=ends_with_parent, grace_s=grace, around=tools)
    )
