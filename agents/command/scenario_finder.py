"""Finds scenarios, by name or by file, and creates them."""

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

BUILT_IN = scenarios
"""The package of the built-in scenarios."""


def find_scenario(name_or_file: str) -> type[Scenario]:
    """Find a scenario.

    Args:
        name_or_file: the name of a built-in scenario, or the path of a .py file.

    Raises:
        UnknownName: there is no scenario of this name; the message lists the known names.
        InvalidInput: the file does not exist, or does not have exactly one scenario.
    """
    path = Path(name_or_file)
    if path.suffix != ".py":
        module = _built_in_module(name_or_file) or _running_script(name_or_file)
        found = _scenarios_in(module) if module is not None else []
        if not found:
            raise UnknownName(
                "scenario", name_or_file, [each.name() for each in built_in_scenarios()]
            )
        return found[0]
    module = _built_in_module(path.stem) if _is_built_in(path) else None
    found = _scenarios_in(module or load_file(path))
    if len(found) != 1:
        names = ", ".join(each.__name__ for each in found) or "none"
        raise InvalidInput(
            f"{name_or_file!r} must have exactly one class that inherits from Scenario; "
            f"it has: {names}"
        )
    return found[0]


def built_in_scenarios() -> list[type[Scenario]]:
    """All built-in scenarios, in alphabetical order."""
    names = sorted(module.name for module in pkgutil.iter_modules(BUILT_IN.__path__))
    return [
        scenario
        for name in names
        if (module := _built_in_module(name)) is not None
        for scenario in _scenarios_in(module)
    ]


def _built_in_module(name: str) -> ModuleType | None:
    if name not in {module.name for module in pkgutil.iter_modules(BUILT_IN.__path__)}:
        return None
    return importlib.import_module(f"{BUILT_IN.__name__}.{name}")


def _running_script(name: str) -> ModuleType | None:
    """The running script, if it has this name: its `perform` passes the stem of its file."""
    script = sys.modules["__main__"]
    file = getattr(script, "__file__", None)
    return load_file(Path(file)) if file is not None and Path(file).stem == name else None


def _is_built_in(path: Path) -> bool:
    return path.resolve().parent in {Path(folder).resolve() for folder in BUILT_IN.__path__}


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
    """Create a scenario.

    Raises:
        InvalidInput: the time scale is negative, or the scenario does not take these arguments.
    """
    if not time_scale >= 0:
        raise InvalidInput(f"time scale is {time_scale}; it must be 0 or more")
    return scenario(time_scale=time_scale, arguments=arguments)
