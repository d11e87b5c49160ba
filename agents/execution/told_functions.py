"""What a collection of handlers tells of its functions, and that it has changed."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from ...messages.functions import TaskFunction
from .signature import PlannedCall
from .typed_call import TypedCall

MAX_DESCRIPTION_CHARACTERS = 4_000


class ToldFunctions:
    """Tells the functions behind task types, and who watches that they have changed."""

    _by_type: dict[str, PlannedCall]

    def __init__(self) -> None:
        self._watchers: list[Callable[[], None]] = []

    def functions(self) -> list[TaskFunction]:
        """The functions behind the task types whose arguments are known: the typed ones."""
        told: list[TaskFunction] = []
        for task_type, planned in self._by_type.items():
            if isinstance(planned.function, TypedCall):
                arguments = planned.function.arguments
                description = inspect.getdoc(arguments.function) or ""
                told.append(
                    TaskFunction(
                        type=task_type,
                        description=description[:MAX_DESCRIPTION_CHARACTERS],
                        parameters=arguments.json_schema(),
                    )
                )
        return told

    def remove(self, task_type: str) -> None:
        """Remove the handler for a task type.

        Raises:
            KeyError: there is none.
        """
        del self._by_type[task_type]

    def watch(self, call: Callable[[], None]) -> None:
        """Have a function called by `tell_change`; once, however often it is given."""
        if call not in self._watchers:
            self._watchers.append(call)

    def tell_change(self) -> None:
        """Tell the workers of these handlers that task types have come or gone.

        They tell their manager. Call it in their event loop.
        """
        for call in self._watchers:
            call()
