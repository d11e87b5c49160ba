"""Typed functions as their callers see them: make tasks, submit them and read their outputs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import (
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    TypeAlias,
    TypeVar,
    cast,
    overload,
)

from pydantic import ValidationError

from ...messages import InvalidInput, Task, TaskResult, WrongCall
from ...messages.task import check_is_task
from ...messages.wording import summarize
from .arguments import Arguments
from .current_submitter import current_submitter
from .parameters import name_of

ParametersT = ParamSpec("ParametersT")
ReturnedT = TypeVar("ReturnedT")
TaskT = TypeVar("TaskT", bound=Task)

_MARK = "__muster_task__"
"""The attribute of a function that holds its `TypedFunction`."""

_NOT_OPTIONS = ("type", "data", "id")


class TypedFunction(Generic[ParametersT, ReturnedT]):
    """A function that is registered as the handler of a task type, and takes its own arguments.

    ```python
    @handlers.task
    def add(x: int, y: int = 3) -> int:
        return x + y

    assert add(1, 2) == 3
    result = await client.submit(add, 1, 2)
    ```

    What `@handlers.task` returns is the function itself, with the methods of this class. It is an
    object of this class if a function can't have them, as a method or a partial.

    Args:
        task_type: the type of its tasks.
        arguments: what it takes and returns.
        options: fields of its tasks, such as `priority`.
    """

    def __init__(
        self, task_type: str, arguments: Arguments, options: Mapping[str, Any] | None = None
    ) -> None:
        self.type = task_type
        self._arguments = arguments
        self._options = dict(options or {})

    def __reduce__(self) -> tuple[type[TypedFunction[Any, Any]], tuple[Any, ...]]:
        return TypedFunction, (self.type, self._arguments, self._options)

    def __repr__(self) -> str:
        return f"<TypedFunction {self.type!r}: {self._arguments.name}>"

    @property
    def options(self) -> Mapping[str, Any]:
        """The fields of its tasks that `with_options` has set."""
        return self._options

    @property
    def __muster_function__(self) -> Callable[..., Any]:
        """The function, for messages."""
        return self._arguments.function

    def __call__(self, /, *args: ParametersT.args, **kwargs: ParametersT.kwargs) -> ReturnedT:
        """Call the function here, without a task."""
        return self._arguments.function(*args, **kwargs)

    def task(self, /, *args: ParametersT.args, **kwargs: ParametersT.kwargs) -> Task:
        """A task that calls the function.

        Raises:
            WrongCall: these are not its arguments; names each fault.
            EncodeError: an argument has no plain form.
        """
        return Task(type=self.type, data=self._arguments.to_data(args, kwargs), **self._options)

    def with_options(self, **options: Any) -> TypedFunction[ParametersT, ReturnedT]:
        """The same function, whose tasks have other options.

        ```python
        await add.with_options(priority=5, timeout=60).submit(1, 2)
        ```

        Args:
            options: fields of `Task`, except `type` and `data`, and `id`, which every task has of
                its own.

        Raises:
            InvalidInput: `Task` has no such field, or a value is wrong.
        """
        known = [each for each in Task.model_fields if each not in _NOT_OPTIONS]
        unknown = [each for each in options if each not in known]
        if unknown:
            raise InvalidInput(
                f"a task has no option {', '.join(map(repr, unknown))}; known: {', '.join(known)}"
            )
        options = {**self._options, **options}
        try:
            Task(type=self.type, **options)
        except ValidationError as fault:
            raise InvalidInput(
                f"the options of {self._arguments.name}: {summarize(fault)}"
            ) from None
        return TypedFunction(self.type, self._arguments, options)

    def submit(self, /, *args: ParametersT.args, **kwargs: ParametersT.kwargs) -> Any:
        """Submit a task to the client or manager whose `with` statement this is called in.

        In a handler it is a subtask, as with `context.submit`.

        Returns:
            What its `submit` returns: an awaitable of the result, or a future of it for a client
            without asyncio. The result's output is of the type that the function declares. In a
            handler it is a `Subtask`, which gives the output itself.

        Raises:
            WrongCall: these are not the arguments of the function; names each fault.
            InvalidInput: there is no such client or manager here.
        """
        submitter = current_submitter()
        if submitter is None:
            raise InvalidInput(
                f"there is no client to submit {self._arguments.name} to; call this in the "
                "`async with Client(...)` or `with Client.connect(...)` statement, in the same "
                f"thread, or write `client.submit({self.type}, ...)`"
            )
        return submitter.submit(self, *args, **kwargs)

    def read(self, result: TaskResult) -> TaskResult:
        """A result of the function with its output as the type that the function declares.

        Raises:
            InvalidInput: the output is of another type.
        """
        if not result.success:
            return result
        return result.model_copy(update={"output": self._arguments.read_output(result.output)})


class TaskDecorator(Protocol):
    """Registers the function that it decorates; one that takes a task stays what it is."""

    @overload
    def __call__(  # pyright: ignore[reportOverlappingOverload] - a task is not just any argument
        self, function: Callable[Concatenate[TaskT, ParametersT], ReturnedT], /
    ) -> Callable[Concatenate[TaskT, ParametersT], ReturnedT]: ...

    @overload
    def __call__(
        self, function: Callable[ParametersT, ReturnedT], /
    ) -> TypedFunction[ParametersT, ReturnedT]: ...


def attach(typed: TypedFunction[Any, Any]) -> Any:
    """Give a function the methods of its `TypedFunction`.

    Returns:
        The function, or the `TypedFunction` if it is not a plain function.
    """
    function = typed.__muster_function__
    if not inspect.isfunction(function):
        return typed
    _attach(function, typed)
    return function


def attach_to_method(method: object, registered: object) -> None:
    """Give a method of an object the methods of its `TypedFunction`, if it is typed.

    Args:
        method: the method, bound to its object.
        registered: what registering it has returned.
    """
    if inspect.ismethod(method) and isinstance(registered, TypedFunction):
        _attach(method.__func__, cast("TypedFunction[Any, Any]", registered))


def _attach(function: object, typed: TypedFunction[Any, Any]) -> None:
    for name in ("task", "submit", "with_options"):
        setattr(function, name, getattr(typed, name))
    setattr(function, _MARK, typed)


def find_typed_function(function: object) -> TypedFunction[Any, Any] | None:
    """The `TypedFunction` of a function, or None."""
    found: object = function
    if not isinstance(function, TypedFunction):
        found = getattr(function, _MARK, None)
    return cast("TypedFunction[Any, Any]", found) if isinstance(found, TypedFunction) else None


def typed_function_of(function: object) -> TypedFunction[Any, Any]:
    """The `TypedFunction` of a function.

    Raises:
        InvalidInput: it is none that is registered and takes its own arguments.
    """
    found = find_typed_function(function)
    if found is None:
        raise InvalidInput(
            f"{name_of(function)} is not registered as a typed function, so the type of its tasks "
            "is not known; decorate it with `@handlers.task` and annotate its parameters, or "
            "submit `Task(type=..., data=...)`"
        )
    return found


ReadResult: TypeAlias = Callable[[TaskResult], TaskResult]
"""Makes the output of a result what a function declares to return."""


def task_to_submit(
    given: Sequence[object], named: Mapping[str, object]
) -> tuple[Task, ReadResult | None]:
    """The task in a call of `submit`, and what reads its result; None for a task without function.

    Args:
        given: the arguments of `submit` by position: a task, or a typed function and its arguments.
        named: those by name: `task`, or arguments of the function.

    Raises:
        InvalidTask: there is neither a task nor a function.
        InvalidInput: the function is not registered as a typed function.
        WrongCall: these are not the function's arguments.
    """
    if given and callable(given[0]):
        typed = typed_function_of(given[0])
        return typed.task(*given[1:], **named), typed.read
    if len(given) + len(named) != 1 or not (given or "task" in named):
        raise WrongCall("`submit` takes one task, or a typed function and its arguments")
    task = given[0] if given else named["task"]
    check_is_task(task)
    return cast("Task", task), None
