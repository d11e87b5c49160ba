"""Which class a name on the wire stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .task import Task

_task_classes: dict[str, type[Task]] = {}


def register_task_class(task_class: type[Task]) -> None:
    """Make a class of tasks known under its qualified name; `Task` does it for each subclass.

    A class defined again under the same name replaces the earlier one, as reloading a module does.
    """
    _task_classes[task_class.__qualname__] = task_class


def find_task_class(name: str) -> type[Task] | None:
    """The class of tasks known under this qualified name, or None."""
    return _task_classes.get(name)
