"""Works out how to call a user's function: which parameters take the task and the context."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from inspect import Parameter
from typing import Any, cast

from ...messages import InvalidInput, Task
from ...messages.wording import show
from .arguments import Arguments
from .parameters import (
    BY_POSITION,
    VARIADIC,
    find_context,
    is_generator,
    is_kind,
    may_take,
    name_of,
    parameters_of,
    returns_coroutine,
    takes_arguments,
)
from .typed_call import TypedCall, TypedParts

_OR_ARGUMENTS = "; or annotate all parameters, so that they take arguments instead of the task"


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """How a user's function is called.

    Args:
        function: takes what it is given by position, then the context if it takes one.
        is_async: whether calling it runs none of its code, and gives a coroutine.
        takes_context: whether it gets the context where there is one.
        needs_context: whether it can't be called without a context.
        task_class: the class of tasks that it declares; None for any.
        yields: whether it is a generator function.
    """

    function: Callable[..., Any]
    is_async: bool
    takes_context: bool
    needs_context: bool
    task_class: type[Task] | None = None
    yields: bool = False


@dataclass(frozen=True, slots=True)
class ArrangedCall:
    """Calls a function whose parameters are not simply the given ones and then the context.

    Args:
        function: the function.
        positions: what its first parameters take, as indexes: the given ones from 0, and then the
            context.
        names: what other parameters take, by name, as such indexes.
    """

    function: Callable[..., Any]
    positions: tuple[int, ...]
    names: Mapping[str, int]

    @property
    def __muster_function__(self) -> Callable[..., Any]:
        """The function, for messages."""
        return self.function

    def __call__(self, *given: object) -> Any:
        """Call the function; a context that is not given is left to its default."""
        count = len(given)
        by_name = {name: given[index] for name, index in self.names.items() if index < count}
        return self.function(*(given[index] for index in self.positions), **by_name)


def plan_call(
    function: object, given: Sequence[str], role: str, context_class: type
) -> PlannedCall:
    """Work out how to call a handler or a reviewer.

    A parameter that is annotated with the class of contexts takes the context, or else one that is
    called "context". The first others take what is given. One more without a default takes the
    context if it has no other annotation. A handler that is a typed function takes the arguments in
    the task's data instead of the task; see `takes_arguments`.

    Args:
        function: a function, method, partial, or object with a method `__call__`.
        given: what it always takes: the task and, for a reviewer, the result.
        role: "handler" or "reviewer", for errors.
        context_class: the class of contexts.

    Raises:
        InvalidInput: it can't be called like that; the message says what to write.
    """
    function = getattr(function, "__muster_function__", function)
    _check_kind(function, given, role)
    called = cast("Callable[..., Any]", function)
    is_async = returns_coroutine(called) or is_kind(called, inspect.isasyncgenfunction)
    parameters = parameters_of(called)
    if parameters is None:
        # A function written in C that doesn't tell its parameters.
        return PlannedCall(called, is_async, takes_context=False, needs_context=False)
    _refuse_unbound(called, parameters, role)
    if role == "handler" and takes_arguments(parameters, find_context(parameters, context_class)):
        planned = _plan_typed_call(called, context_class, is_async=is_async)
    else:
        planned = _Arranging(called, parameters, given, role, context_class).plan(is_async=is_async)
    return replace(planned, yields=True) if is_generator(called) else planned


def _plan_typed_call(
    function: Callable[..., Any], context_class: type, *, is_async: bool
) -> PlannedCall:
    arguments = Arguments(function, context_class)
    context = arguments.context
    return PlannedCall(
        TypedParts(arguments) if is_generator(function) else TypedCall(arguments),
        is_async,
        takes_context=context is not None,
        needs_context=context is not None and context.default is Parameter.empty,
    )


class _Arranging:
    """Decides what each parameter of one function takes."""

    def __init__(
        self,
        function: Callable[..., Any],
        parameters: Sequence[Parameter],
        given: Sequence[str],
        role: str,
        context_class: type,
    ) -> None:
        self._function = function
        self._context_class = context_class
        self._given = given
        self._role = role
        self._parameters = parameters
        self._context = find_context(parameters, context_class)

    def plan(self, *, is_async: bool) -> PlannedCall:
        free = [
            each
            for each in self._parameters
            if each is not self._context and each.kind not in VARIADIC
        ]
        takes: dict[int, Parameter] = {}
        for index, name in enumerate(self._given):
            parameter = _take_next(free, name)
            if parameter is None:
                break
            takes[index] = parameter
        if self._role == "handler" and 0 in takes:
            self._check_task(takes[0])
        is_complete = len(takes) == len(self._given)
        is_variadic = any(each.kind is each.VAR_POSITIONAL for each in self._parameters)
        if is_complete or not is_variadic:
            self._context = self._context or _take_unnamed_context(free, self._context_class)
        self._refuse_left_over(free)
        # A handler may take the context alone, which has the task. It lacks a reviewer's result.
        has_context_alone = self._role == "handler" and not takes and self._context is not None
        if not (is_complete or is_variadic or has_context_alone):
            raise self._fault(f"takes no {self._given[len(takes)]}; {self._what_to_write()}")
        context = self._context
        return PlannedCall(
            self._arrange(takes, is_all_variadic=is_variadic and not is_complete),
            is_async,
            takes_context=context is not None or (is_variadic and not is_complete),
            needs_context=context is not None and context.default is Parameter.empty,
            task_class=_declared_class(takes.get(0)) if self._role == "handler" else None,
        )

    def _arrange(
        self, takes: Mapping[int, Parameter], *, is_all_variadic: bool
    ) -> Callable[..., Any]:
        """The function, or what calls it where its parameters are in another order or named."""
        context, count = self._context, len(self._given)
        if is_all_variadic:
            if context is None:
                return self._function
            return ArrangedCall(self._function, tuple(range(count)), {context.name: count})
        takes = {**takes, **({} if context is None else {count: context})}
        wanted = [takes[index].name for index in sorted(takes)]
        by_position = [each for each in self._parameters if each.kind in BY_POSITION]
        is_simple = sorted(takes) == list(range(len(takes)))
        if is_simple and [each.name for each in by_position[: len(wanted)]] == wanted:
            return self._function
        for each in takes.values():
            if each.kind is each.POSITIONAL_ONLY:
                raise self._fault(
                    f"takes {each.name!r} by position only, at another place; "
                    f"{self._what_to_write()}"
                )
        return ArrangedCall(self._function, (), {each.name: index for index, each in takes.items()})

    def _refuse_left_over(self, free: Sequence[Parameter]) -> None:
        left = [each.name for each in free if each.default is Parameter.empty]
        if left:
            raise self._fault(
                f"takes {', '.join(left)} too, for which there is no value; "
                f"{self._what_to_write()}, and give any other parameter a default"
                f"{_OR_ARGUMENTS if self._role == 'handler' else ''}"
            )

    def _check_task(self, parameter: Parameter) -> None:
        if not may_take(parameter.annotation, Task):
            raise self._fault(
                f"takes `{parameter}` and a task; take the task alone, which has the data, or no "
                "task: a typed function gets its arguments, and a `context: TaskContext` has the "
                "task"
            )

    def _what_to_write(self) -> str:
        return _what_to_write(self._given, self._role)

    def _fault(self, problem: str) -> InvalidInput:
        return InvalidInput(f"{self._role} {name_of(self._function)} {problem}")


def _what_to_write(given: Sequence[str], role: str) -> str:
    taken = ", ".join(given)
    return f"write `def {role}({taken})` or `def {role}({taken}, context)`"


def _refuse_unbound(
    function: Callable[..., Any], parameters: Sequence[Parameter], role: str
) -> None:
    first = parameters[0].name if parameters else ""
    if first in ("self", "cls") and inspect.isfunction(function):
        raise InvalidInput(
            f"{role} {name_of(function)} takes {first!r}, so it is a method without its object; "
            "register the method of an object, as in `handlers.task(TYPE)(thing.method)`"
        )


def _check_kind(function: object, given: Sequence[str], role: str) -> None:
    """Refuse what is no function, and functions that give no output when they are called."""
    write = _what_to_write(given, role)
    if inspect.iscoroutine(function):
        raise InvalidInput(
            f"{function.__qualname__}() is a coroutine, not a function; register the async "
            "function itself, without calling it"
        )
    if inspect.isclass(function):
        raise InvalidInput(
            f"{function.__qualname__} is a class, not a {role}; {write}, or register an object "
            "whose class has a method `__call__` with these parameters"
        )
    if not callable(function):
        raise InvalidInput(f"{show(function)} can't be called, so it is no {role}; {write}")
    if role == "reviewer" and is_generator(function):
        raise InvalidInput(
            f"{role} {name_of(function)} is a generator, but a {role} returns its grade once; "
            "write `return` instead of `yield`"
        )


def _take_next(free: list[Parameter], name: str) -> Parameter | None:
    """Remove the parameter that takes the next given value; None if there is none."""
    required = (
        each for each in free if each.kind in BY_POSITION and each.default is Parameter.empty
    )
    found = next(required, None) or next((each for each in free if each.name == name), None)
    if found is not None:
        free.remove(found)
    return found


def _take_unnamed_context(free: list[Parameter], context_class: type) -> Parameter | None:
    """Remove one more required parameter, which takes the context unless it says otherwise."""
    for each in free:
        if each.kind in BY_POSITION and each.default is Parameter.empty:
            if not may_take(each.annotation, context_class):
                return None
            free.remove(each)
            return each
    return None


def _declared_class(parameter: Parameter | None) -> type[Task] | None:
    """The subclass of `Task` that a parameter is annotated with; None for `Task` and the rest."""
    annotation: object = None if parameter is None else parameter.annotation
    if inspect.isclass(annotation) and issubclass(annotation, Task) and annotation is not Task:
        return annotation
    return None
