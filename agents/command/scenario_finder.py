"""Finds a scenario, one of ours by its name, one of the user's by its file, and makes it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from ... import scenarios
from ...messages import InvalidInput, UnknownName
from ...scenarios.scenario import Scenario
from .user_modules import load_file

OURS = scenarios
"""The package of our scenarios."""


def find_scenario(name_or_file: str) -> type[Scenario]:
    """Find a scenario.

    Args:
        name_or_file: the name of one of ours, or a file that ends with .py.

    Raises:
        UnknownName: there is no scenario of this name; the message lists those there are.
        InvalidInput: the file is not there, or does not hold exactly one scenario.
    """
    path = Path(name_or_file)
    if path.suffix != ".py":
        module = _our_module(name_or_file) or _running_script(name_or_file)
        found = _scenarios_in(module) if module is not None else []
        if not found:
            raise UnknownName(
                "scenario", name_or_file, [each.name() for each in built_in_scenarios()]
            )
        return found[0]
    module = _our_module(path.stem) if _is_ours(path) else None
    found = _scenarios_in(module or load_file(path))
    if len(found) != 1:
        held = ", ".join(each.__name__ for each in found) or "none"
        raise InvalidInput(
            f"{name_or_file!r} must hold exactly one class that inherits from Scenario; "
            f"it holds: {held}"
        )
    return found[0]


def built_in_scenarios() -> list[type[Scenario]]:
    """All scenarios of ours, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(OURS.__path__))
    return [
        scenario
        for name in names
        if (module := _our_module(name)) is not None
        for scenario in _scenarios_in(module)
    ]


def _our_module(name: str) -> ModuleType | None:
    if name not in {module.name for module in pkgutil.iter_modules(OURS.__path__)}:
        return None
    return importlib.import_module(f"{OURS.__name__}.{name}")


def _running_script(name: str) -> ModuleType | None:
    """The script that is running, if it is called so: its `perform` names it by its stem."""
    script = sys.modules["__main__"]
    file = getattr(script, "__file__", None)
    return load_file(Path(file)) if file is not None and Path(file).stem == name else None


def _is_ours(path: Path) -> bool:
    return path.resolve().parent in {Path(folder).resolve() for folder in OURS.__path__}


def _scenarios_in(module: ModuleType) -> list[type[Scenario]]:
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Scenario)
        and value is not Scenario
        and value.__module__ == module.__name__
    ]


def make_scenario(
    scenario: type[Scenario], time_scale: float, arguments: Sequence[str]
) -> Scenario:
    """Make a scenario.

    Raises:
        InvalidInput: it does not take these arguments.
    """
    if not time_scale >= 0:
        raise InvalidInput(f"time scale is {time_scale}; it must be 0 or more")
    return scenario(time_scale=time_scale, arguments=arguments)
