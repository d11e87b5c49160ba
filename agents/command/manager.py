"""`muster manager`: runs the tasks of a file until all are settled."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TextIO

from ...messages import RunEnded, RunHandedOver, TaskStatus, WorkersMissing
from ..manager.task_manager import TaskManager
from ..runtime.garbage import collect_garbage_less_often
from ..runtime.terminal_text import terminal_line
from ..security.ticket import Ticket
from ..security.ticket_file import TicketFile
from ..store.managers import standbys_in
from ..worker_pool.pool import WorkerPool
from .console.exit import EXIT_FAILED, EXIT_OK, print_finishing, print_message
from .console.interrupts import Interrupts
from .console.logging_setup import load_for_logging
from .console.progress import Progress, find_display
from .output import write_to
from .report import finish_with_report, follow_for_report
from .web_page import WebPage, WebPageOptions

_LOAD_LOG_AFTER_S = 1.0


async def manage(
    manager: TaskManager,
    ticket: Ticket,
    *,
    ticket_file: Path | None,
    report_file: Path | None,
    as_json: bool,
    pool: WorkerPool | None = None,
    metrics_port: int | None = None,
    web: WebPageOptions | None = None,
    grace_s: float = 0.0,
    is_standby: bool = False,
) -> int:
    """Run a manager for workers that join with its ticket, and print the report.

    Args:
        manager: the manager, with its tasks.
        ticket: the ticket for its workers.
        ticket_file: the file that contains the ticket while the manager runs, or None.
        report_file: the file for the report, in the format of its extension, or None.
        as_json: print only the report on stdout, as JSON.
        pool: the workers that the manager starts itself, or None.
        metrics_port: the TCP port on loopback that serves metrics, or None.
        web: the options of the live page, or None.
        grace_s: for how long running tasks may go on after SIGTERM, in seconds.
        is_standby: whether it is one of several managers: it replaces the ticket of another one,
            and SIGTERM hands the run over if another one stands by.

    Returns:
        The exit code.

    Raises:
        RunHandedOver: another manager leads the run now.
        StoreTaken: another manager has opened the store.
    """
    collect_garbage_less_often()
    progress = Progress(None if as_json else find_display())
    progress.follow(manager)
    draw = follow_for_report(manager, report_file)
    stream = _messages_stream(as_json=as_json)
    failure: RunEnded | WorkersMissing | None = None
    is_leaving = False

    async def finish() -> None:
        nonlocal is_leaving
        if is_standby and standbys_in(await asyncio.to_thread(manager.managers)):
            is_leaving = True
            manager.hand_over()
            return
        print_finishing(manager.board.counts[TaskStatus.IN_PROGRESS], grace_s)
        await manager.stop(grace_s=grace_s)

    async with contextlib.AsyncExitStack() as serving, contextlib.AsyncExitStack() as running:
        # Before anything is printed or served: a program that reads it may stop this process.
        await running.enter_async_context(
            Interrupts(manager.stop, finish=finish if grace_s or is_standby else None)
        )
        serving.enter_context(_metrics_server(manager, metrics_port))
        page = await serving.enter_async_context(WebPage(web, stream))
        if ticket_file is not None:
            running.enter_context(TicketFile(ticket_file, ticket, takes_over=is_standby))
        write_to(stream, _how_to_join(ticket, ticket_file))
        if manager.has_nats_beside_ceylon:
            beyond = manager.nats_ticket(with_secret=ticket.secret is not None)
            nats_file = ticket_file and ticket_file.with_name(f"{ticket_file.name}.nats")
            if nats_file is not None:
                running.enter_context(TicketFile(nats_file, beyond, takes_over=is_standby))
            write_to(stream, _how_to_join(beyond, nats_file))
        page.follow(manager)
        loop = asyncio.get_running_loop()
        # Not for short runs, which may log nothing.
        loading = loop.call_later(_LOAD_LOG_AFTER_S, loop.run_in_executor, None, load_for_logging)
        running.callback(loading.cancel)
        async with progress:
            try:
                async with pool or contextlib.nullcontext():
                    await manager.start_agent()
            except RunHandedOver as handed_over:
                if not is_leaving:
                    raise
                print_message(str(handed_over))
                return EXIT_OK
            except (RunEnded, WorkersMissing) as fault:
                failure = fault
        await running.aclose()
        report = manager.report()
        finish_with_report(report, report_file, draw, as_json=as_json)
        await page.linger()
    if failure is not None:
        print_message(str(failure))
        return EXIT_FAILED
    return report.exit_code


def _messages_stream(*, as_json: bool) -> TextIO:
    """The stream for messages: with `--json`, stdout has only the report."""
    return sys.stderr if as_json else sys.stdout


@contextlib.contextmanager
def _metrics_server(manager: TaskManager, port: int | None) -> Generator[None, None, None]:
    """Serve the manager's metrics, if there is a port."""
    if port is None:
        yield
        return
    from ..metrics.exposition import serve_metrics  # noqa: PLC0415 - it needs an extra

    with serve_metrics(manager, port) as url:
        print_message(f"metrics at {url}")
        yield


def _how_to_join(ticket: Ticket, ticket_file: Path | None) -> str:
    """The first line of output: the ticket or, since a ticket carries the secret, its file."""
    if ticket_file is None:
        return f"{ticket}\n"
    return terminal_line(f"join with: muster worker --join {shlex.quote(str(ticket_file))}") + "\n"
