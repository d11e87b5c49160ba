"""Exports names from a package without loading their modules before they are used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module


def export_lazily(
    package: str, names: Mapping[str, Iterable[str]]
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Make a package's `__getattr__`, `__dir__` and `__all__`.

    Args:
        package: the package's `__name__`.
        names: the names of each module, which is relative to the package, such as
            `".task_manager"`.

    Returns:
        Two functions, of which the first raises AttributeError for any other name, and all names.
    """
    namespace = vars(sys.modules[package])
    modules = {name: module for module, of_module in names.items() for name in of_module}

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

    return find, list_names, sorted(modules)
