"""`muster run`: plays a scenario."""

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
from ..report.file import write_report
from ..trace.follow import add_side_message
from .console.exit import SOME_DID_NOT, complain
from .console.interrupts import Interrupts, children_hold_back_ctrl_c, let_ctrl_c_through
from .console.progress import Progress, find_display
from .report import show_report
from .report_diagram import follow_for_report
from .web_page import WebOrder, WebPage

STARTING_MAY_TAKE_S = 0.5
"""How long Ctrl-C waits while worker processes are being started."""


async def play_scenario(
    scenario: Scenario,
    *,
    processes: bool,
    as_json: bool,
    trace_file: Path | None = None,
    report_file: Path | None = None,
    web: WebOrder | None = None,
) -> int:
    """Play a scenario over real Ceylon and show how it goes and what it came to.

    Args:
        scenario: what to play.
        processes: give each worker a process of its own.
        as_json: only print the report, as JSON.
        trace_file: where to write what happens, or None.
        report_file: where to put the report, in the format of its ending, or None.
        web: where the live page is to be, or None.

    Returns:
        The exit code.
    """
    async with WebPage(web, sys.stderr if as_json else sys.stdout) as page:
        return await _play_scenario(
            scenario, page, trace_file, report_file, processes=processes, as_json=as_json
        )


async def _play_scenario(
    scenario: Scenario,
    page: WebPage,
    trace_file: Path | None,
    report_file: Path | None,
    *,
    processes: bool,
    as_json: bool,
) -> int:
    managers: list[TaskManager] = []
    diagrams: list[Callable[[], str | None]] = []
    progress = Progress(None if as_json else find_display())

    def seen(manager: TaskManager) -> None:
        managers.append(manager)
        diagrams.append(follow_for_report(manager, report_file))
        page.follow(manager)
        progress.follow(manager)
        if trace_file is not None:
            scenario.tell_aside = partial(add_side_message, manager.trace_to(trace_file))

    async def stop() -> None:
        for manager in managers:
            await manager.stop()

    failure: RunEnded | WorkersMissing | None = None
    with contextlib.ExitStack() as stack:
        if as_json:
            # A handler of the user's may print; stdout is for the report.
            stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        async with progress, Interrupts(stop):
            if processes or scenario.has_worker_processes:
                stack.enter_context(children_hold_back_ctrl_c())
                asyncio.get_running_loop().call_later(STARTING_MAY_TAKE_S, let_ctrl_c_through)
            try:
                await scenario.play(processes=processes, seen=seen)
            except (RunEnded, WorkersMissing) as fault:
                failure = fault
    report = managers[-1].report()
    if report_file is not None:
        # First, for whoever reads our output may have gone.
        write_report(report, report_file, diagrams[-1]())
    conclusion = "" if failure is not None else scenario.conclusion(report)
    show_report(report, as_json=as_json, conclusion=conclusion)
    await page.linger()
    if failure is not None:
        complain(str(failure))
        return SOME_DID_NOT
    return report.exit_code
