"""Ceylon's logger, loguru's, which is loaded once Ceylon has something to tell.

It takes as long to load as all else of Ceylon, and Ceylon tells nothing as long as all goes well.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from loguru import Logger

_LOGURU = "loguru"
_CEYLON = "ceylon"


class _Loguru(Protocol):
    @property
    def logger(self) -> Logger: ...


class _LateLogger:
    """Stands for loguru's logger, and is that for whoever wants anything of it."""

    is_quiet = False

    def __getattr__(self, name: str) -> object:
        return getattr(_load().logger, name)


class _LateLoguru(ModuleType):
    """Stands for loguru, and is that for whoever wants more of it than the logger."""

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(_LOGURU)
        # Python asks for it whenever something is imported from a module.
        self.__path__ = spec.submodule_search_locations or []
        self.logger = _logger

    def __getattr__(self, name: str) -> object:
        return getattr(_load(), name)


_logger = _LateLogger()


@contextlib.contextmanager
def loguru_later() -> Generator[None, None, None]:
    """While it is entered, whoever imports loguru's logger gets one that is loaded at its use."""
    spec = None if _LOGURU in sys.modules else find_spec(_LOGURU)
    if spec is None:
        yield
        return
    sys.modules[_LOGURU] = _LateLoguru(spec)
    try:
        yield
    finally:
        _take_away()


def silence_ceylon() -> None:
    """Let Ceylon tell nothing."""
    if _LOGURU in sys.modules:
        _load().logger.disable(_CEYLON)
    else:
        _logger.is_quiet = True


def _take_away() -> None:
    if isinstance(sys.modules.get(_LOGURU), _LateLoguru):
        del sys.modules[_LOGURU]


def _load() -> _Loguru:
    _take_away()
    loaded = cast("_Loguru", import_module(_LOGURU))
    if _logger.is_quiet:
        loaded.logger.disable(_CEYLON)
        _logger.is_quiet = False
    return loaded
