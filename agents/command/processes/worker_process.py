"""The process that `LocalProcesses` starts: `muster worker` without the command line interface.

Its only argument is its spec, and its ticket is in the environment. Everything else is loaded once
Ctrl-C is ignored, and only what a worker needs.
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
from ..ceylon_need import leave_ceylon_out_for_ticket


def main() -> NoReturn:
    """Work as the spec says, and end the process with its exit code."""
    # The process that started this one handles Ctrl-C; here it would cause a traceback while this
    # process still loads.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    leave_ceylon_out_for_ticket()
    load()
    work_and_leave(WorkerSpec.parse(sys.argv[1]))


def load() -> None:
    """Load everything that any worker needs."""
    gc.disable()
    for module in ("console.exit", "user_modules", "console.logging_setup", "worker"):
        import_module(f"..{module}", __package__)
    # What is loaded stays for good. Garbage collection would delay the start, and write to memory
    # pages that forked workers share.
    gc.freeze()
    gc.enable()


def work_and_leave(spec: WorkerSpec) -> NoReturn:
    """Work as the spec says, and end the process with its exit code."""
    from ..console.exit import exit_code_of, exit_process, replace_unencodable_characters  # noqa: PLC0415
    from ..console.reserved_stdout import reserve_stdout  # noqa: PLC0415

    replace_unencodable_characters()
    # What handlers print is for people to see, too; the summary of the worker is not.
    with reserve_stdout():
        code = exit_code_of(partial(_work, spec))
    exit_process(code)


def _work(spec: WorkerSpec) -> NoReturn:
    from ...security.ticket import TICKET_VARIABLE, Ticket  # noqa: PLC0415
    from ..console.logging_setup import configure_logging  # noqa: PLC0415
    from ..user_modules import find_handlers  # noqa: PLC0415
    from ..worker import CountingWorker, run_workers  # noqa: PLC0415

    configure_logging(0)
    # The ticket says whether frames are sealed, whatever other variables are set.
    ticket = Ticket.parse(os.environ.get(TICKET_VARIABLE, ""))
    worker = CountingWorker(
        **spec.worker_arguments(),
        handlers=find_handlers(spec.handlers) if spec.handlers else None,
        time_scale=spec.time_scale,
        ticket=ticket,
        secret=ticket.secret,
        insecure=not ticket.sealed,
    )
    sys.exit(run_workers([worker], ends_with_parent=True, grace_s=spec.grace_s))


if __name__ == "__main__":
    main()
