"""`muster manager --workers MIN:MAX`: worker processes that the manager starts as required."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ...messages import InvalidInput, Task, WrongCall
from ...messages.wording import show
from ..kernel.scaling import Bounds
from ..manager.task_manager import TaskManager
from ..runtime.ports import LOOPBACK
from ..worker_pool.pool import WorkerPool
from ..worker_pool.processes import LocalProcesses
from .skill_options import SkillOptions
from .tasks_file_formats import MAX_PROBLEMS
from .user_modules import find_handlers

DEFAULT_SKILL = 10
"""The default skill of started workers: enough for the highest usual difficulty."""


@dataclass(frozen=True, slots=True)
class WorkerCount:
    """The value of `--workers`.

    Args:
        expected: how many workers to wait for before tasks are assigned.
        bounds: how many workers to start; None to start none.
    """

    expected: int
    bounds: Bounds | None = None


@dataclass(frozen=True, slots=True)
class StartedWorkerOptions:
    """The options of the workers that the manager starts; None and () where not given."""

    skills: SkillOptions = field(default_factory=SkillOptions)
    specialties: Sequence[str] = ()
    slots: int | None = None
    handlers: Sequence[str] = ()
    cost_per_s: float | None = None
    cost_per_task: float | None = None
    grace_s: float = 30.0

    def given(self) -> list[str]:
        """The names of the given command line options."""
        options = {
            "--skill": self.skills.level is not None or bool(self.skills.named),
            "--specialty": bool(self.specialties),
            "--slots": self.slots is not None,
            "--handlers": bool(self.handlers),
            "--cost-per-s": self.cost_per_s is not None,
            "--cost-per-task": self.cost_per_task is not None,
        }
        return [option for option, is_given in options.items() if is_given]


def read_worker_count(text: str) -> WorkerCount:
    """Parse the value of `--workers`: "2", or "2:8".

    Raises:
        InvalidInput: it has neither form, or the numbers are out of range.
    """
    found = re.fullmatch(r"\s*([0-9]{1,6})\s*(?::\s*([0-9]{1,6})\s*)?", text)
    if found is None:
        raise InvalidInput(
            f"--workers is {text!r}; give a number of workers to wait for, such as 2, or a minimum "
            "and maximum to start on this machine, such as 2:8"
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
    """Check the options of started workers against `--workers`, before anything starts.

    Raises:
        InvalidInput: they contradict each other, or the handlers can't be found.
    """
    given = options.given()
    if count.bounds is None and given:
        raise InvalidInput(
            f"{' and '.join(given)}: only for workers that the manager starts; set a minimum and "
            f"maximum, such as --workers {max(count.expected, 1)}:{max(count.expected, 1) * 2}"
        )
    if count.bounds is not None and allowed:
        raise InvalidInput(
            "--allow and --workers MIN:MAX exclude each other: each started worker gets a new name"
        )
    if options.slots is not None and options.slots < 1:
        raise InvalidInput(f"--slots is {options.slots}; it must be 1 or more")
    for option, cost in (
        ("--cost-per-s", options.cost_per_s),
        ("--cost-per-task", options.cost_per_task),
    ):
        if cost is not None and not (cost >= 0 and math.isfinite(cost)):
            raise InvalidInput(f"{option} is {cost:g}; it must be 0 or more")
    if options.handlers:
        # Otherwise each worker process would fail by itself.
        find_handlers(options.handlers)


def check_tasks(tasks: Iterable[Task], options: StartedWorkerOptions) -> None:
    """Check the tasks of typed functions, whose workers the manager starts.

    Raises:
        InvalidInput: the data of some are not the arguments of their functions; names each.
    """
    if not options.handlers:
        return
    handlers = find_handlers(options.handlers)
    problems: list[str] = []
    for task in tasks:
        try:
            handlers.check(task)
        except WrongCall as fault:
            problems.append(f"task {show(task.id)}: {fault}")
        if len(problems) == MAX_PROBLEMS:
            break
    if problems:
        raise InvalidInput("the data of tasks are not the arguments of their functions:", *problems)


def make_pool(
    manager: TaskManager, bounds: Bounds, options: StartedWorkerOptions, time_scale: float
) -> WorkerPool:
    """Create a manager's pool of local worker processes, which start when the pool is entered."""
    spawner = LocalProcesses(
        # They run on this machine, so they always get the secret with the ticket.
        manager.ticket(LOOPBACK, with_secret=True),
        DEFAULT_SKILL if options.skills.level is None else options.skills.level,
        specialties=options.specialties,
        skills=options.skills.named,
        cost_per_s=options.cost_per_s or 0.0,
        cost_per_task=options.cost_per_task or 0.0,
        slots=options.slots,
        handlers=options.handlers,
        time_scale=time_scale,
        grace_s=options.grace_s,
    )
    return WorkerPool(manager, spawner, minimum=bounds.minimum, maximum=bounds.maximum)
