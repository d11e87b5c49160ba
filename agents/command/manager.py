"""`muster manager`: manages the tasks of a file until all are settled."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Generator
from pathlib import Path

from ...messages import RunEnded, WorkersMissing
from ..manager.task_manager import TaskManager
from ..report.file import write_report
from ..runtime.garbage import collect_garbage_less_often
from ..security.ticket import Ticket, write_ticket_file
from ..worker_pool.pool import WorkerPool
from .console.exit import EXIT_FAILED, print_message
from .console.interrupts import Interrupts
from .console.logging_setup import load_for_logging
from .console.progress import Progress, find_display
from .report import follow_for_report, show_report
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
) -> int:
    """Run a manager for workers that join by its ticket, and tell what it came to.

    Args:
        manager: the manager, with its tasks.
        ticket: what its workers need.
        ticket_file: where to put the ticket while it runs, or None.
        report_file: where to put the report, in the format of its ending, or None.
        as_json: print nothing on stdout but the report, as JSON.
        pool: the workers that it starts itself, or None.
        metrics_port: the TCP port of this machine on which to serve metrics, or None.
        web: where its live page is to be, or None.

    Returns:
        The exit code.
    """
    collect_garbage_less_often()
    told = sys.stderr if as_json else sys.stdout
    with _measured(manager, metrics_port):
        async with WebPage(web, told) as page:
            return await _manage(
                manager, ticket, ticket_file, report_file, page, as_json=as_json, pool=pool
            )


async def _manage(
    manager: TaskManager,
    ticket: Ticket,
    ticket_file: Path | None,
    report_file: Path | None,
    page: WebPage,
    *,
    as_json: bool,
    pool: WorkerPool | None,
) -> int:
    progress = Progress(None if as_json else find_display())
    progress.follow(manager)
    draw = follow_for_report(manager, report_file)
    failure: RunEnded | WorkersMissing | None = None
    with _offered(ticket, ticket_file):
        async with Interrupts(manager.stop):
            # Whoever sees the ticket may end us already.
            told = sys.stderr if as_json else sys.stdout
            told.write(f"{ticket}\n")
            told.flush()
            page.follow(manager)
            loop = asyncio.get_running_loop()
            # Short runs, which may log nothing, are spared it.
            loop.call_later(_LOAD_LOG_AFTER_S, loop.run_in_executor, None, load_for_logging)
            async with progress:
                try:
                    async with pool or contextlib.nullcontext():
                        await manager.start_agent()
                except (RunEnded, WorkersMissing) as fault:
                    failure = fault
    report = manager.report()
    if report_file is not None:
        # First, for whoever reads our output may have gone.
        write_report(report, report_file, draw())
    show_report(report, as_json=as_json)
    await page.linger()
    if failure is not None:
        print_message(str(failure))
        return EXIT_FAILED
    return report.exit_code


@contextlib.contextmanager
def _measured(manager: TaskManager, port: int | None) -> Generator[None, None, None]:
    """Serve the manager's metrics, if they are wanted."""
    if port is None:
        yield
        return
    from ..metrics import serve_metrics  # noqa: PLC0415 - its package is only there on request

    with serve_metrics(manager, port) as url:
        print_message(f"metrics at {url}")
        yield


@contextlib.contextmanager
def _offered(ticket: Ticket, file: Path | None) -> Generator[None, None, None]:
    """Keep a ticket in a file as long as it is good for something."""
    if file is None:
        yield
        return
    write_ticket_file(file, ticket)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            # Another manager may have put its own there meanwhile.
            if file.read_text(encoding="utf-8").strip() == str(ticket):
                file.unlink()
