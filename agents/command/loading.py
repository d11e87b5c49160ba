"""Imports a user's module, by its name or by the path of its file, as running it would."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from ...messages import InvalidInput


def load_file(path: Path) -> ModuleType:
    """Import a Python file; its folder goes onto the module path, as for a script.

    Raises:
        InvalidInput: it does not exist, or is not Python.
    """
    if not path.is_file():
        raise InvalidInput(f"there is no file {str(path)!r}")
    path = path.resolve()
    known = sys.modules.get(path.stem)
    if known is not None and known.__file__ == str(path):
        return known
    _put_on_path(path.parent)
    # A file called like a module that is loaded already must not take its place.
    name = path.stem if known is None else f"muster_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InvalidInput(f"{str(path)!r} is not a Python file; its name must end with .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as fault:
        del sys.modules[name]
        raise _not_python(fault) from None
    except BaseException:
        del sys.modules[name]
        raise
    return module


def load_module(name: str) -> ModuleType:
    """Import a module by its dotted name; the current directory is looked into first.

    Raises:
        InvalidInput: there is no such module, or it is not Python.
    """
    _put_on_path(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as fault:
        if fault.name is None or not f"{name}.".startswith(f"{fault.name}."):
            raise
        raise InvalidInput(
            f"there is no module {name!r}, neither in {str(Path.cwd())!r} nor installed"
        ) from None
    except (TypeError, ValueError):
        raise InvalidInput(f"{name!r} is not the name of a module") from None
    except SyntaxError as fault:
        raise _not_python(fault) from None


def _put_on_path(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _not_python(fault: SyntaxError) -> InvalidInput:
    return InvalidInput(f"{fault.filename}, line {fault.lineno}: {fault.msg}")
