"""Gives a command options that are not parameters of its own function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any


def add_options(
    run: Callable[..., Any],
    command: Callable[..., Any],
    options: Mapping[str, tuple[Any, object]],
    *,
    instead_of: str | None = None,
) -> None:
    """Let Typer see the parameters of a command and further options.

    Args:
        run: what Typer calls, by names.
        command: the command's own function.
        options: by name, the annotation and the default value; `inspect.Parameter.empty` if it must
            be given.
        instead_of: a parameter of the command that `run` provides, so that it is no option.
    """
    # Only the parameter that is left out may have a type that is not imported at runtime.
    left_out = "" if instead_of is None else command.__annotations__[instead_of]
    unknown = {left_out.removesuffix(" | None"): object}
    signature = inspect.signature(command, eval_str=True, locals=unknown)
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in signature.parameters.items()
        if name != instead_of
    ]
    added = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
        )
        for name, (annotation, default) in options.items()
    ]
    parameters = [*own, *added]
    run.__signature__ = signature.replace(  # pyright: ignore[reportFunctionMemberAccess]
        parameters=parameters
    )
    run.__annotations__ = {each.name: each.annotation for each in parameters}
