"""Exports names from a package without loading their modules before they are used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def export_lazily(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Make a package's `__getattr__` and `__dir__`.

    Args:
        package: the package's `__name__`.
        modules: the module of each name, relative to the package, such as `".task_manager"`.

    Returns:
        The two functions; the first raises AttributeError for a name that is not in `modules`.
    """
    namespace = vars(sys.modules[package])

    def find(name: str) -> object:
        module = modules.get(name)
        if module is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found: object = getattr(import_module(module, package), name)
        # The next access finds it without this function.
        namespace[name] = found
        return found

    def list_names() -> list[str]:
        return sorted({*namespace, *modules})

    return find, list_names
