"""`muster manager --workers MIN:MAX`: workers that the manager itself starts, as its load needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...messages import InvalidInput
from ..kernel.scaling import Bounds
from ..manager.task_manager import TaskManager
from ..runtime.ports import LOOPBACK
from ..worker_pool.pool import WorkerPool
from ..worker_pool.processes import LocalProcesses
from .user_modules import find_handlers

DEFAULT_SKILL = 10
"""What the workers can do that a manager starts, unless it is told: any task of a usual one."""


@dataclass(frozen=True, slots=True)
class WorkerCount:
    """What `--workers` says.

    Args:
        expected: how many workers to wait for before the assigning begins.
        bounds: how few and how many to start; None to start none.
    """

    expected: int
    bounds: Bounds | None = None


@dataclass(frozen=True, slots=True)
class StartedWorkerOptions:
    """What the workers are to be that the manager starts; None and () where nothing was said."""

    skill: int | None = None
    specialties: Sequence[str] = ()
    slots: int | None = None
    handlers: Sequence[str] = ()

    def given(self) -> list[str]:
        """The options that were said, as the command knows them."""
        options = {
            "--skill": self.skill is not None,
            "--specialty": bool(self.specialties),
            "--slots": self.slots is not None,
            "--handlers": bool(self.handlers),
        }
        return [option for option, is_given in options.items() if is_given]


def read_worker_count(text: str) -> WorkerCount:
    """Read what stands behind `--workers`: "2", or "2:8".

    Raises:
        InvalidInput: it is neither, or the numbers make no sense.
    """
    found = re.fullmatch(r"\s*([0-9]{1,6})\s*(?::\s*([0-9]{1,6})\s*)?", text)
    if found is None:
        raise InvalidInput(
            f"--workers is {text!r}; give a number of workers to wait for, such as 2, or how few "
            "and how many to start on this machine, such as 2:8"
        )
    minimum, maximum = int(found[1]), found[2]
    if maximum is None:
        return WorkerCount(minimum)
    try:
        return WorkerCount(minimum, Bounds(minimum, int(maximum)))
    except InvalidInput as fault:
        raise InvalidInput(f"--workers is {text!r}: {fault}") from None


def check_options(
    count: WorkerCount, options: StartedWorkerOptions, allowed: Sequence[str]
) -> None:
    """See that the options of workers fit with what `--workers` says, before anything starts.

    Raises:
        InvalidInput: they don't, or the handlers can't be found.
    """
    given = options.given()
    if count.bounds is None and given:
        raise InvalidInput(
            f"{' and '.join(given)}: only for workers that the manager starts; say how few and how "
            f"many, such as --workers {max(count.expected, 1)}:{max(count.expected, 1) * 2}"
        )
    if count.bounds is not None and allowed:
        raise InvalidInput(
            "--allow and --workers MIN:MAX exclude each other: the workers that are started get "
            "new names all the time"
        )
    if options.slots is not None and options.slots < 1:
        raise InvalidInput(f"--slots is {options.slots}; it must be 1 or more")
    if options.skill is not None and options.skill < 0:
        raise InvalidInput(f"--skill is {options.skill}; it must be 0 or more")
    if options.handlers:
        # Each worker would only find out for itself, and end.
        find_handlers(options.handlers)


def make_pool(
    manager: TaskManager, bounds: Bounds, options: StartedWorkerOptions, time_scale: float
) -> WorkerPool:
    """Make the pool of local worker processes of a manager; it starts them when it is entered."""
    spawner = LocalProcesses(
        # They are our own, on this machine: they get the secret however others do.
        manager.ticket(LOOPBACK, with_secret=True),
        DEFAULT_SKILL if options.skill is None else options.skill,
        specialties=options.specialties,
        slots=options.slots,
        handlers=options.handlers,
        time_scale=time_scale,
    )
    return WorkerPool(manager, spawner, minimum=bounds.minimum, maximum=bounds.maximum)
