"""Imports a user's modules, and finds the handlers that `muster worker --handlers` names.

A name is `MODULE`, `MODULE:ATTRIBUTE`, or `MODULE:FUNCTION:ARGUMENT` for a function that creates
handlers, such as `muster.agents.web:scraping:superagi`.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

from ...messages import InvalidInput, LocalError, UserModuleFailed
from ..execution.handlers import Handlers
from ..runtime.error_text import describe_fault


def load_file(path: Path) -> ModuleType:
    """Import a Python file; its folder is added to the module path, as for a script.

    Raises:
        InvalidInput: the file does not exist, or is not Python.
        UserModuleFailed: it raised an exception, exited, or lacks a module.
    """
    if not path.is_file():
        raise InvalidInput(f"there is no file {str(path)!r}")
    path = path.resolve()
    known = sys.modules.get(path.stem)
    if known is not None and known.__file__ == str(path):
        return known
    _add_to_module_path(path.parent)
    # A file must not replace a loaded module of the same name.
    name = path.stem if known is None else f"muster_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InvalidInput(f"{str(path)!r} is not a Python file; its name must end with .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as fault:
        del sys.modules[name]
        raise _explain(fault, repr(path.name)) from fault
    return module


def load_module(name: str) -> ModuleType:
    """Import a module by its dotted name; the current directory is searched first.

    Raises:
        InvalidInput: there is no such module, or it is not Python.
        UserModuleFailed: it raised an exception, exited, or lacks a module.
    """
    _add_to_module_path(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as fault:
        if fault.name is None or not f"{name}.".startswith(f"{fault.name}."):
            raise _explain(fault, repr(name)) from fault
        raise InvalidInput(
            f"there is no module {name!r}, neither in {str(Path.cwd())!r} nor installed"
            + _suggest_module(name)
        ) from None
    except BaseException as fault:
        if isinstance(fault, TypeError | ValueError) and _place_of(fault) is None:
            raise InvalidInput(
                f"{name!r} is not a valid module name{_suggest_module(name)}"
            ) from None
        raise _explain(fault, repr(name)) from fault


def _suggest_module(name: str) -> str:
    """The end of an error's message for whoever has named a file in place of a module."""
    path = Path(name)
    if path.suffix != ".py" and len(path.parts) == 1:
        return ""
    path = path.with_suffix("") if path.suffix == ".py" else path
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    if path.is_absolute() or ".." in path.parts:
        return f"; name the module {path.name!r}, in the directory {str(path.parent)!r}"
    return f"; name the module {'.'.join(path.parts)!r} in place of its file"


def find_handlers(names: Iterable[str]) -> Handlers:
    """Collect the handlers of several modules.

    Args:
        names: each is "module", which takes every `Handlers` in it, "module:attribute", or
            "module:function" or "module:function:argument" for a function that creates handlers.

    Raises:
        InvalidInput: a module or attribute does not exist, or two handlers have the same type.
        UserModuleFailed: a module raised an exception, exited, or lacks a module.
    """
    gathered = Handlers()
    taken: set[int] = set()
    for name in names:
        for handlers in _find(name):
            if id(handlers) not in taken:
                taken.add(id(handlers))
                gathered.update(handlers)
    return gathered


def _find(name: str) -> list[Handlers]:
    module_name, colon, attribute = name.partition(":")
    module = load_module(module_name)
    found = {key: value for key, value in vars(module).items() if isinstance(value, Handlers)}
    if colon:
        attribute, *arguments = attribute.split(":", 1)
        factory = getattr(module, attribute, None)
        if inspect.isfunction(factory) and not attribute.startswith("_"):
            return [_create(name, factory, arguments)]
        if attribute not in found or arguments:
            raise InvalidInput(
                f"module {module_name!r} has no {'function' if arguments else 'Handlers'} called "
                f"{attribute!r}; it has: {', '.join(found) or 'none'}"
            )
        return [found[attribute]]
    if not found:
        public = [key for key in vars(module) if not key.startswith("_")]
        raise InvalidInput(
            f"module {module_name!r} has no Handlers, only: {', '.join(public) or 'nothing'}; "
            "create one with `handlers = Handlers()` and `@handlers.task(TYPE)`"
        )
    return list(found.values())


def _create(name: str, function: Callable[..., object], arguments: list[str]) -> Handlers:
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as fault:
        raise InvalidInput(f"the function of {name!r} can't be called: {fault}") from None
    try:
        created = function(*arguments)
    except BaseException as fault:
        raise _explain(fault, f"the handlers of {name!r}") from fault
    if not isinstance(created, Handlers):
        raise InvalidInput(f"{name!r} returned {type(created).__name__}; it must return Handlers")
    return created


def _add_to_module_path(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _explain(fault: BaseException, what: str) -> BaseException:
    """What to raise for an exception of the user's code: one line with the reason and the place."""
    match fault:
        case KeyboardInterrupt():
            return fault
        case SyntaxError():
            return UserModuleFailed(f"{fault.filename}, line {fault.lineno}: {fault.msg}")
        case SystemExit():
            reason = f"it called sys.exit({'' if fault.code is None else repr(fault.code)})"
        case ModuleNotFoundError(name=str() as missing):
            reason = f"it needs the module {missing!r}, which is not installed here"
        case LocalError():
            reason = str(fault)
        case _:
            reason = describe_fault(fault)
    place = _place_of(fault)
    at = "" if place is None else f" ({place})"
    return UserModuleFailed(f"{what} can't be loaded: {reason}{at}")


def _place_of(fault: BaseException) -> str | None:
    """The last line of the user's own code that an exception passed; None if it passed none."""
    frames = traceback.extract_tb(fault.__traceback__)
    for frame in reversed(frames):
        path = Path(frame.filename)
        if not (frame.filename.startswith("<") or any(map(path.is_relative_to, _NOT_THE_USERS))):
            with contextlib.suppress(ValueError):
                path = path.relative_to(Path.cwd())
            return f"{path}:{frame.lineno}"
    return None


_NOT_THE_USERS = (
    Path(__file__).parents[2],
    *(Path(sysconfig.get_path(each)) for each in ("stdlib", "purelib", "platlib")),
)
"""The folders of Muster, of Python and of installed packages."""
