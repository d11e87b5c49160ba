"""Marks methods of a user's class as handlers or reviewers, and finds those of an object."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar, cast, overload

from ...messages import InvalidInput
from ...messages.wording import show
from .parameters import name_of

MethodT = TypeVar("MethodT", bound="Callable[..., object] | staticmethod[Any, Any]")

_MARKS = "__muster_marks__"
"""The attribute of a method that holds its marks."""


class MethodMark(NamedTuple):
    """What a method is marked as.

    Args:
        role: "handler" or "reviewer".
        task_type: the type of its tasks; None: the method's name.
    """

    role: str
    task_type: str | None


class MarkedMethod(NamedTuple):
    """A marked method of an object.

    Args:
        role: "handler" or "reviewer".
        task_type: the type of its tasks.
        method: the method, bound to its object.
    """

    role: str
    task_type: str
    method: Callable[..., Any]


@overload
def task_method(task_type: MethodT, /) -> MethodT: ...


@overload
def task_method(task_type: str | None = None) -> Callable[[MethodT], MethodT]: ...


def task_method(task_type: Any = None) -> Any:
    """Mark a method as the handler of a task type, for `Handlers.of`.

    The method stays what it is. It takes what a function under `@handlers.task` takes, after its
    object. A method that overrides it has the same mark, unless it has one of its own.

    ```python
    class Librarian(BaseAgent):
        @task_method
        async def find(self, title: str) -> str: ...

    handlers = Handlers.of(librarian)
    ```

    Args:
        task_type: the type; without it, and for `@task_method` without brackets, it is the method's
            name.

    Raises:
        InvalidInput: the type is blank, or what it decorates is no method.
    """
    return _mark(task_type, "handler", "task_method")


@overload
def review_method(task_type: MethodT, /) -> MethodT: ...


@overload
def review_method(task_type: str | None = None) -> Callable[[MethodT], MethodT]: ...


def review_method(task_type: Any = None) -> Any:
    """Mark a method as the reviewer of results for a task type, for `Handlers.of`.

    It takes what a function under `@handlers.review` takes, after its object.

    Args:
        task_type: the type; without it, and for `@review_method` without brackets, it is the
            method's name.

    Raises:
        InvalidInput: the type is blank, or what it decorates is no method.
    """
    return _mark(task_type, "reviewer", "review_method")


def find_marked_methods(owner: object) -> list[MarkedMethod]:
    """The marked methods of an object, inherited ones first.

    Args:
        owner: any object, such as an agent.

    Raises:
        InvalidInput: it has none, two do the same, or it is a class.
    """
    if inspect.isclass(owner):
        raise InvalidInput(
            f"{owner.__qualname__} is a class; pass an object of it, as in "
            f"`Handlers.of({owner.__name__}(...))`"
        )
    found: dict[tuple[str, str], MarkedMethod] = {}
    for name, marks in _marks_by_name(type(owner)).items():
        method = getattr(owner, name)
        if not callable(method):
            # A subclass may take a method away: `find = None`.
            continue
        for role, declared in marks:
            task_type = name if declared is None else declared
            other = found.setdefault((role, task_type), MarkedMethod(role, task_type, method))
            if other.method != method:
                raise InvalidInput(
                    f"{name_of(other.method)} and {name_of(method)} are both marked as {role} for "
                    f"tasks of type {task_type!r}; give one of them another type"
                )
    if not found:
        raise InvalidInput(
            f"an object of class {type(owner).__qualname__} has no marked method; write "
            "`@task_method` above those that do tasks, or `@review_method` above those that review "
            "results"
        )
    return list(found.values())


def _marks_by_name(owner_class: type) -> dict[str, tuple[MethodMark, ...]]:
    marks: dict[str, tuple[MethodMark, ...]] = {}
    for each in reversed(owner_class.__mro__):
        for name, defined in vars(each).items():
            own = tuple(_marks_of(defined))
            if own:
                marks[name] = own
    return marks


def _marks_of(defined: object) -> Iterator[MethodMark]:
    """The marks of what a class defines: a function, or a static or class method."""
    inner: object = getattr(defined, "__func__", defined)
    found: object = getattr(inner, "__dict__", {}).get(_MARKS, ())
    if isinstance(found, tuple):
        yield from cast("tuple[MethodMark, ...]", found)


def _mark(task_type: object, role: str, decorator: str) -> Any:
    if task_type is not None and not isinstance(task_type, str):
        # A decorator without brackets gets the method itself.
        return _mark(None, role, decorator)(task_type)
    if task_type is not None and not task_type.strip():
        raise InvalidInput(f"a {role} needs a type of task, not the blank {task_type!r}")

    def mark(method: object) -> object:
        function = getattr(method, "__func__", method)
        if not inspect.isroutine(function):
            raise InvalidInput(
                f"`@{decorator}` stands above {show(method)}, which is no method; write it above "
                "a `def` or `async def` in a class"
            )
        marks = (*_marks_of(function), MethodMark(role, task_type))
        cast("Any", function).__dict__[_MARKS] = marks
        return method

    return mark
