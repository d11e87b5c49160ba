"""Works out how to call a user's function: which parameters take the task and the context."""

from __future__ import annotations

import contextlib
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from inspect import Parameter
from typing import Annotated, Any, TypeVar, Union, cast

from ...messages import InvalidInput, Task
from ...messages.wording import show

CONTEXT = "context"
"""The name of a parameter that takes the context, whatever its annotation."""

_BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


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
    context if it has no other annotation.

    Args:
        function: a function, method, partial, or object with a method `__call__`.
        given: what it always takes: the task and, for a reviewer, the result.
        role: "handler" or "reviewer", for errors.
        context_class: the class of contexts.

    Raises:
        InvalidInput: it can't be called like that; the message says what to write.
    """
    _check_kind(function, given, role)
    called = cast("Callable[..., Any]", function)
    is_async = returns_coroutine(called) or _is_kind(called, inspect.isasyncgenfunction)
    parameters = _parameters_of(called)
    if parameters is None:
        # A function written in C that doesn't tell its parameters.
        return PlannedCall(called, is_async, takes_context=False, needs_context=False)
    planned = _Arranging(called, parameters, given, role, context_class).plan(is_async=is_async)
    yields = _is_generator(called)
    return replace(planned, yields=True) if yields else planned


def returns_coroutine(function: Callable[..., Any]) -> bool:
    """Whether calling something runs none of its code, and gives a coroutine.

    A plain function around an async one may block, so it counts as plain.
    """
    return _is_kind(function, inspect.iscoroutinefunction)


def name_of(function: object) -> str:
    """What to call a function in a message."""
    inner = _without_partials(function)
    return getattr(inner, "__qualname__", None) or f"object of class {type(inner).__qualname__}"


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
        self._context = _find_context(parameters, context_class)

    def plan(self, *, is_async: bool) -> PlannedCall:
        free = [
            each
            for each in self._parameters
            if each is not self._context
            and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
        ]
        if free and free[0].name in ("self", "cls") and inspect.isfunction(self._function):
            raise self._fault(
                f"takes {free[0].name!r}, so it is a method without its object; register the "
                "method of an object, as in `handlers.task(TYPE)(thing.method)`"
            )
        takes: dict[int, Parameter] = {}
        for index, name in enumerate(self._given):
            parameter = _take_next(free, name)
            if parameter is None:
                break
            takes[index] = parameter
        is_complete = len(takes) == len(self._given)
        is_variadic = any(each.kind is each.VAR_POSITIONAL for each in self._parameters)
        if is_complete or not is_variadic:
            self._context = self._context or _take_unnamed_context(free, self._context_class)
        self._refuse_left_over(free)
        # A handler may take the context alone, which has the task. It lacks a reviewer's result.
        has_context_alone = self._role == "handler" and not takes and self._context is not None
        if not (is_complete or is_variadic or has_context_alone):
            raise self._fault(f"takes no {self._given[len(takes)]}; {self._what_to_write()}")
        if self._role == "handler" and 0 in takes:
            self._check_task(takes[0])
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
        by_position = [each for each in self._parameters if each.kind in _BY_POSITION]
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
            )

    def _check_task(self, parameter: Parameter) -> None:
        if not _may_take(parameter.annotation, Task):
            raise self._fault(
                f"takes `{parameter}`, but it gets the task; write `{parameter.name}: Task`, and "
                f"read `{parameter.name}.data`"
            )

    def _what_to_write(self) -> str:
        return _what_to_write(self._given, self._role)

    def _fault(self, problem: str) -> InvalidInput:
        return InvalidInput(f"{self._role} {name_of(self._function)} {problem}")


def _what_to_write(given: Sequence[str], role: str) -> str:
    taken = ", ".join(given)
    return f"write `def {role}({taken})` or `def {role}({taken}, context)`"


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
    if role == "reviewer" and _is_generator(function):
        raise InvalidInput(
            f"{role} {name_of(function)} is a generator, but a {role} returns its grade once; "
            "write `return` instead of `yield`"
        )


def _is_generator(function: object) -> bool:
    return _is_kind(function, inspect.isgeneratorfunction) or _is_kind(
        function, inspect.isasyncgenfunction
    )


def _is_kind(function: object, check: Callable[[object], bool]) -> bool:
    """Whether a function, or the method that runs when an object is called, is of a kind."""
    inner = _without_partials(function)
    return check(inner) or check(_call_method(inner))


def _without_partials(function: object) -> object:
    while isinstance(function, partial):
        function = cast("partial[object]", function).func
    return function


def _call_method(function: object) -> object:
    """The method that runs when an object is called; None for functions and methods."""
    if inspect.isroutine(function):
        return None
    return getattr(type(function), "__call__", None)  # noqa: B004 - the method itself is needed


def _parameters_of(function: Callable[..., Any]) -> Sequence[Parameter] | None:
    """The parameters of a function; None if it does not tell them."""
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return None
    # An annotation may name what is imported for type checkers only. It stays a text then.
    with contextlib.suppress(Exception):
        signature = inspect.signature(function, eval_str=True)
    return tuple(signature.parameters.values())


def _find_context(parameters: Sequence[Parameter], context_class: type) -> Parameter | None:
    named = [
        each for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    for each in named:
        if _is_context(each.annotation, context_class):
            return each
    return next((each for each in named if each.name == CONTEXT), None)


def _is_context(annotation: object, context_class: type) -> bool:
    if isinstance(annotation, str):
        return re.search(rf"\b{context_class.__name__}\b", annotation) is not None
    if inspect.isclass(annotation) and not typing.get_args(annotation):
        return issubclass(annotation, context_class)
    return any(_is_context(each, context_class) for each in typing.get_args(annotation))


def _take_next(free: list[Parameter], name: str) -> Parameter | None:
    """Remove the parameter that takes the next given value; None if there is none."""
    required = (
        each for each in free if each.kind in _BY_POSITION and each.default is Parameter.empty
    )
    found = next(required, None) or next((each for each in free if each.name == name), None)
    if found is not None:
        free.remove(found)
    return found


def _take_unnamed_context(free: list[Parameter], context_class: type) -> Parameter | None:
    """Remove one more required parameter, which takes the context unless it says otherwise."""
    for each in free:
        if each.kind in _BY_POSITION and each.default is Parameter.empty:
            if not _may_take(each.annotation, context_class):
                return None
            free.remove(each)
            return each
    return None


def _may_take(annotation: object, kind: type) -> bool:
    """Whether a parameter with this annotation may take an object of a class."""
    if annotation is Parameter.empty or annotation is Any:
        return True
    if isinstance(annotation, str | TypeVar):
        return True
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return _may_take(typing.get_args(annotation)[0], kind)
    if origin in (Union, types.UnionType):
        return any(_may_take(each, kind) for each in typing.get_args(annotation))
    if origin is not None or not inspect.isclass(annotation):
        return False
    is_protocol = bool(getattr(annotation, "_is_protocol", False))
    return is_protocol or issubclass(annotation, kind) or issubclass(kind, annotation)


def _declared_class(parameter: Parameter | None) -> type[Task] | None:
    """The subclass of `Task` that a parameter is annotated with; None for `Task` and the rest."""
    annotation: object = None if parameter is None else parameter.annotation
    if inspect.isclass(annotation) and issubclass(annotation, Task) and annotation is not Task:
        return annotation
    return None
