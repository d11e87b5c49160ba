"""Registers functions as the handlers and reviewers of one worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, overload

if TYPE_CHECKING:
    from ..execution.handler_executor import HandlerExecutor
    from ..execution.handlers import Handlers, ReviewerT
    from ..execution.typed_function import (
        ParametersT,
        ReturnedT,
        TaskDecorator,
        TaskT,
        TypedFunction,
    )


class HandlerRegistration:
    """The decorators of a worker, which also check that its executor can run the function."""

    handlers: Handlers
    _executor: HandlerExecutor

    @overload
    def task(  # pyright: ignore[reportOverlappingOverload] - a task is not just any argument
        self, task_type: Callable[Concatenate[TaskT, ParametersT], ReturnedT], /
    ) -> Callable[Concatenate[TaskT, ParametersT], ReturnedT]: ...

    @overload
    def task(
        self, task_type: Callable[ParametersT, ReturnedT], /
    ) -> TypedFunction[ParametersT, ReturnedT]: ...

    @overload
    def task(self, task_type: str | None = None, *, replace: bool = False) -> TaskDecorator: ...

    def task(self, task_type: Any = None, *, replace: bool = False) -> Any:
        """Register the decorated function for a task type; see `Handlers.task`."""
        return self._register(self.handlers.task, task_type, replace=replace)

    @overload
    def review(self, task_type: ReviewerT, /) -> ReviewerT: ...

    @overload
    def review(
        self, task_type: str | None = None, *, replace: bool = False
    ) -> Callable[[ReviewerT], ReviewerT]: ...

    def review(self, task_type: Any = None, *, replace: bool = False) -> Any:
        """Register the decorated function as a reviewer; see `Handlers.review`."""
        return self._register(self.handlers.review, task_type, replace=replace)

    def _register(self, decorator: Callable[..., Any], task_type: Any, *, replace: bool) -> Any:
        if task_type is not None and not isinstance(task_type, str):
            # A decorator without brackets gets the function itself.
            return self._register(decorator, None, replace=replace)(task_type)
        register = decorator(task_type, replace=replace)

        def register_here(function: Any) -> Any:
            registered = register(function)
            if self._executor.is_known_to_pass_no_context:
                self.handlers.refuse_contexts()
            return registered

        return register_here
