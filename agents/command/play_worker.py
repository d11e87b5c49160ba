"""`muster play-worker`: plays one worker of a scenario, whose manager is another process."""

from __future__ import annotations

import os
import sys

from ...messages import UnknownName
from ...scenarios.scenario import Scenario
from ..security.ticket import Ticket
from .console.exit import EXIT_OK
from .console.interrupts import Interrupts
from .console.parent_watch import stop_with_parent


async def play_worker(scenario: Scenario, name: str, ticket: Ticket) -> int:
    """Play one worker of a scenario that another process plays.

    Args:
        scenario: the scenario.
        name: which of its workers.
        ticket: where its manager is.

    Raises:
        UnknownName: the scenario has no worker of this name.
        JoinRefused: the manager does not want it.
    """
    workers = {worker.name: worker for worker in scenario.workers()}
    if name not in workers:
        raise UnknownName("worker", name, workers)
    worker = workers[name]
    worker.join(ticket)
    # Ctrl-C reaches the parent as well, whose manager then tells its workers to stop.
    async with Interrupts(worker.stop, handle_sigint=False), stop_with_parent(worker.stop):
        await worker.start_agent()
    return EXIT_OK


def close_stdout() -> None:
    """Let nothing that this process prints come between the lines of its parent's report."""
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
