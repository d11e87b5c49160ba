"""Checks the arguments of a `LocalTaskManager`."""

from __future__ import annotations

from ...messages import InvalidInput, TaskStatus, UnknownName
from ...messages.wording import show


def check_count(name: str, count: object, *, at_least: int) -> None:
    """Check a number of tasks.

    Raises:
        InvalidInput: it is no integer, or below the least.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < at_least:
        raise InvalidInput(f"{name} is {show(count)}; it must be an integer of {at_least} or more")


def check_state(state: object) -> None:
    """Check what tasks are listed by: a state, or None.

    Raises:
        UnknownName: it is something else.
    """
    # Text is not a state: no task would ever be in it.
    if state is not None and not isinstance(state, TaskStatus):
        raise UnknownName("task state", state, TaskStatus.__members__)


def check_progress(progress: object) -> None:
    """Check the progress of a task.

    Raises:
        InvalidInput: it is not a number from 0 to 100.
    """
    match progress:
        case bool():
            is_fine = False
        case int() | float():
            is_fine = 0 <= progress <= 100  # noqa: PLR2004 - percent
        case _:
            is_fine = False
    if not is_fine:
        raise InvalidInput(f"progress is {show(progress)}; it must be a number from 0 to 100")
