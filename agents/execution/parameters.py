"""Reads the parameters of a user's function, and tells which take the task and the context."""

from __future__ import annotations

import contextlib
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from inspect import Parameter
from typing import Annotated, Any, TypeVar, Union, cast

from ...messages import Task

CONTEXT = "context"
"""The name of a parameter that takes the context, whatever its annotation."""

BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)

_PACKAGE = __name__.partition(".")[0]


def parameters_of(function: Callable[..., Any]) -> Sequence[Parameter] | None:
    """The parameters of a function; None if it does not tell them.

    An annotation stays a text if it names what is not there, or not yet.
    """
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return None
    return tuple(
        each.replace(annotation=resolve(each.annotation, function))
        for each in signature.parameters.values()
    )


def return_annotation_of(function: Callable[..., Any]) -> Any:
    """What a function declares to return; `Parameter.empty` if nothing.

    Of a plain function that returns an awaitable, it is what that gives. A generator declares what
    it yields, and not its output.
    """
    if is_generator(function):
        return Parameter.empty
    try:
        declared = inspect.signature(function).return_annotation
    except (ValueError, TypeError):
        return Parameter.empty
    declared = resolve(declared, function)
    origin = typing.get_origin(declared)
    if inspect.isclass(origin) and issubclass(origin, typing.Awaitable):
        return typing.get_args(declared)[-1]
    return declared


def resolve(annotation: Any, function: Callable[..., Any]) -> Any:
    """An annotation with the types that texts in it name; unchanged if one of them is not there."""
    if annotation is Parameter.empty or not _has_text(annotation):
        return annotation
    carrier = types.SimpleNamespace(__annotations__={"it": annotation})
    type_parameters = getattr(_defined(function), "__type_params__", ())
    local = {**_caller_locals(), **{each.__name__: each for each in type_parameters}}
    with contextlib.suppress(Exception):
        hints = typing.get_type_hints(carrier, globals_of(function), local, include_extras=True)
        return hints["it"]
    return annotation


def _has_text(annotation: Any) -> bool:
    if isinstance(annotation, str | typing.ForwardRef):
        return True
    return any(map(_has_text, typing.get_args(annotation)))


def globals_of(function: object) -> dict[str, Any]:
    """The global names of the module that defines a function."""
    return getattr(_defined(function), "__globals__", {})


def _defined(function: object) -> object:
    """The function that was defined with `def`, without partials, decorators and objects."""
    inner = inspect.unwrap(cast("Callable[..., Any]", without_partials(function)))
    for each in (inner, call_method(inner)):
        found = getattr(each, "__func__", each)
        if hasattr(found, "__globals__"):
            return inspect.unwrap(cast("Callable[..., Any]", found))
    return inner


def _caller_locals() -> Mapping[str, Any]:
    """The local names where a function is registered, which may have the classes that it names."""
    frame = inspect.currentframe()
    while frame is not None and str(frame.f_globals.get("__name__")).startswith(f"{_PACKAGE}."):
        frame = frame.f_back
    return {} if frame is None else frame.f_locals


def without_partials(function: object) -> object:
    """The function in a `functools.partial`; others as they are."""
    while isinstance(function, partial):
        function = cast("partial[object]", function).func
    return function


def call_method(function: object) -> object:
    """The method that runs when an object is called; None for functions and methods."""
    if inspect.isroutine(function):
        return None
    return getattr(type(function), "__call__", None)  # noqa: B004 - the method itself is needed


def name_of(function: object) -> str:
    """What to call a function in a message."""
    inner = without_partials(function)
    while (called := getattr(inner, "__muster_function__", None)) is not None:
        inner = without_partials(called)
    return getattr(inner, "__qualname__", None) or f"object of class {type(inner).__qualname__}"


def returns_coroutine(function: Callable[..., Any]) -> bool:
    """Whether calling something runs none of its code, and gives a coroutine.

    A plain function around an async one may block, so it counts as plain.
    """
    return is_kind(function, inspect.iscoroutinefunction)


def is_generator(function: object) -> bool:
    """Whether calling something gives a generator, async or plain."""
    return is_kind(function, inspect.isgeneratorfunction) or is_kind(
        function, inspect.isasyncgenfunction
    )


def is_kind(function: object, check: Callable[[object], bool]) -> bool:
    """Whether a function, or the method that runs when an object is called, is of a kind."""
    inner = without_partials(function)
    return check(inner) or check(call_method(inner))


# ------------------------------------------------------------------ the context and the task


def find_context(parameters: Iterable[Parameter], context_class: type) -> Parameter | None:
    """The parameter that is annotated with the class of contexts, or else is called "context"."""
    named = [each for each in parameters if each.kind not in VARIADIC]
    for each in named:
        if is_context(each.annotation, context_class):
            return each
    return next((each for each in named if each.name == CONTEXT), None)


def is_context(annotation: object, context_class: type) -> bool:
    """Whether an annotation names the class of contexts."""
    if isinstance(annotation, str):
        return re.search(rf"\b{context_class.__name__}\b", annotation) is not None
    if inspect.isclass(annotation) and not typing.get_args(annotation):
        return issubclass(annotation, context_class)
    return any(is_context(each, context_class) for each in typing.get_args(annotation))


def may_take(annotation: object, kind: type) -> bool:
    """Whether a parameter with this annotation may take an object of a class."""
    if annotation is Parameter.empty or annotation is Any:
        return True
    if isinstance(annotation, str | TypeVar):
        return True
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return may_take(typing.get_args(annotation)[0], kind)
    if origin in (Union, types.UnionType):
        return any(may_take(each, kind) for each in typing.get_args(annotation))
    if origin is not None or not inspect.isclass(annotation):
        return False
    if getattr(annotation, "_is_protocol", False) or issubclass(annotation, kind):
        return True
    # Some classes, such as a TypedDict, refuse to be asked.
    with contextlib.suppress(TypeError):
        return issubclass(kind, annotation)
    return False


def takes_arguments(parameters: Sequence[Parameter], context: Parameter | None) -> bool:
    """Whether a function is typed: takes arguments of its own, instead of the task.

    It is typed if a parameter without a default is annotated with something that is no task, or if
    none but the context lacks a default; but never if a parameter is annotated as `Task` or called
    "task", or if it takes the context alone.

    Args:
        parameters: all its parameters.
        context: the one that takes the context, or None.
    """
    others = [each for each in parameters if each is not context]
    named = [each for each in others if each.kind not in VARIADIC]
    if any(_is_for_task(each) for each in named):
        return False
    required = [each for each in named if each.default is Parameter.empty]
    if required:
        return any(_is_declared(each) for each in required)
    takes_any = any(each.kind is each.VAR_POSITIONAL for each in others if not _is_declared(each))
    return any(map(_is_declared, others)) or not (takes_any or context)


def _is_for_task(parameter: Parameter) -> bool:
    if parameter.name == "task" and may_take(parameter.annotation, Task):
        return True
    return _names_task(parameter.annotation)


def _names_task(annotation: object) -> bool:
    if isinstance(annotation, str):
        # What is imported for type checkers only is judged by its name.
        return re.search(r"Task\b", annotation) is not None
    if inspect.isclass(annotation) and not typing.get_args(annotation):
        return issubclass(annotation, Task)
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return _names_task(typing.get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return any(map(_names_task, typing.get_args(annotation)))
    return False


def _is_declared(parameter: Parameter) -> bool:
    """Whether a parameter is annotated with something that is no task."""
    return isinstance(parameter.annotation, str) or not may_take(parameter.annotation, Task)
