"""`muster run`: runs a scenario."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ...messages import RunEnded, WorkersMissing
from ...scenarios.scenario import Scenario
from ..manager.task_manager import TaskManager
from ..trace.follow import add_side_message
from .console.exit import EXIT_FAILED, print_message
from .console.interrupts import Interrupts, block_sigint_in_children, unblock_sigint
from .console.progress import Progress, find_display
from .report import finish_with_report, follow_for_report
from .web_page import WebPage, WebPageOptions

SIGINT_BLOCK_S = 0.5
"""How long Ctrl-C is blocked while worker processes start."""


async def play_scenario(
    scenario: Scenario,
    *,
    processes: bool,
    as_json: bool,
    unmatched_after_s: float | None = None,
    trace_file: Path | None = None,
    report_file: Path | None = None,
    web: WebPageOptions | None = None,
) -> int:
    """Run a scenario, over real Ceylon or in virtual time, and print its report.

    Args:
        scenario: the scenario.
        processes: run each worker in its own process.
        as_json: print only the report, as JSON.
        unmatched_after_s: after how long a task fails that no worker can run, in seconds; None
            leaves that to the scenario.
        trace_file: the file for the trace, or None.
        report_file: the file for the report, in the format of its extension, or None.
        web: the options of the live page, or None.

    Returns:
        The exit code.
    """
    managers: list[TaskManager] = []
    diagrams: list[Callable[[], str | None]] = []
    # In virtual time a run of minutes takes a moment: nobody could read its progress.
    is_shown = not as_json and not scenario.in_virtual_time
    progress = Progress(find_display() if is_shown else None)

    def seen(manager: TaskManager) -> None:
        managers.append(manager)
        if unmatched_after_s is not None:
            manager.set_unmatched_after(unmatched_after_s)
        diagrams.append(follow_for_report(manager, report_file))
        page.follow(manager)
        progress.follow(manager)
        if trace_file is not None:
            scenario.tell_aside = partial(add_side_message, manager.trace_to(trace_file))

    async def stop() -> None:
        if not managers:
            # It still prepares, for example starts a server.
            playing.cancel()
        for manager in managers:
            await manager.stop()

    failure: RunEnded | WorkersMissing | None = None
    async with WebPage(web, sys.stderr if as_json else sys.stdout) as page:
        with contextlib.ExitStack() as stack:
            async with progress, Interrupts(stop):
                if processes or scenario.has_worker_processes:
                    stack.enter_context(block_sigint_in_children())
                    asyncio.get_running_loop().call_later(SIGINT_BLOCK_S, unblock_sigint)
                playing = asyncio.ensure_future(scenario.play(processes=processes, seen=seen))
                try:
                    await asyncio.wait([playing])
                    playing.result()
                except (RunEnded, WorkersMissing) as fault:
                    failure = fault
                except asyncio.CancelledError:
                    print_message("stopped before the run began")
                    return EXIT_FAILED
        report = managers[-1].report()
        told = "" if failure is not None else scenario.conclusion(report)
        finish_with_report(report, report_file, diagrams[-1], as_json=as_json, conclusion=told)
        await page.linger()
    if failure is not None:
        print_message(str(failure))
        return EXIT_FAILED
    return report.exit_code
