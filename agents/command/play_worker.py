"""`muster play-worker`: runs one worker of a scenario whose manager is in another process."""

from __future__ import annotations

from ...messages import UnknownName
from ...scenarios.scenario import Scenario
from ..security.ticket import Ticket
from .console.exit import EXIT_OK
from .console.interrupts import Interrupts
from .console.parent_watch import stop_with_parent


async def play_worker(scenario: Scenario, name: str, ticket: Ticket) -> int:
    """Run one worker of a scenario that another process runs.

    Args:
        scenario: the scenario.
        name: the name of the worker.
        ticket: the ticket of the scenario's manager.

    Raises:
        UnknownName: the scenario has no worker of this name.
        JoinRefused: the manager refused the worker.
    """
    workers = {worker.name: worker for worker in scenario.workers()}
    if name not in workers:
        raise UnknownName("worker", name, workers)
    worker = workers[name]
    worker.join(ticket)
    # The parent receives Ctrl-C too, and its manager then stops the workers.
    async with Interrupts(worker.stop, handle_sigint=False), stop_with_parent(worker.stop):
        await worker.start_agent()
    return EXIT_OK
