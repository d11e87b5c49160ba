"""What `LocalProcesses` starts: `muster worker`, without all that reads a command line for people.

It is given its order as its only argument, and its ticket in the environment. Everything else is
loaded once Ctrl-C has been taken care of, and nothing that a worker can do without.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from functools import partial
from importlib import import_module
from typing import NoReturn

from ...worker_pool.worker_spec import WorkerSpec


def main() -> NoReturn:
    """Work as ordered, and end the process with its exit code."""
    # Ctrl-C is for the process that started this one, who then decides; here it would end in a
    # traceback for as long as this process still loads.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    load()
    work_and_leave(WorkerSpec.parse(sys.argv[1]))


def load() -> None:
    """Load all that any worker needs."""
    gc.disable()
    for module in ("console.exit", "user_modules", "console.logging_setup", "worker"):
        import_module(f"..{module}", __package__)
    # What is loaded stays; to look at it would hold up the start, and a forked worker copy it.
    gc.freeze()
    gc.enable()


def work_and_leave(order: WorkerSpec) -> NoReturn:
    """Work as ordered, and end the process with its exit code; the ticket is in the environment."""
    from ..console.exit import exit_code_of, leave, let_any_character_through  # noqa: PLC0415

    let_any_character_through()
    leave(exit_code_of(partial(_work, order)))


def _work(order: WorkerSpec) -> NoReturn:
    from ...security.ticket import TICKET_VARIABLE, Ticket  # noqa: PLC0415
    from ..console.logging_setup import configure_logging  # noqa: PLC0415
    from ..user_modules import find_handlers  # noqa: PLC0415
    from ..worker import CountingWorker, run_workers  # noqa: PLC0415

    configure_logging(0)
    # The process that started this one made the ticket: it decides, not the environment.
    ticket = Ticket.parse(os.environ.get(TICKET_VARIABLE, ""))
    worker = CountingWorker(
        **order.worker_arguments(),
        handlers=find_handlers(order.handlers) if order.handlers else None,
        time_scale=order.time_scale,
        ticket=ticket,
        secret=ticket.secret,
        insecure=not ticket.sealed,
    )
    sys.exit(run_workers([worker], ends_with_parent=True))


if __name__ == "__main__":
    main()
