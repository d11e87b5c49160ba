"""Keeps as many workers running as the tasks need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from .fork_server import ForkServer as ForkServer
    from .pool import WorkerPool as WorkerPool
    from .processes import LocalProcesses as LocalProcesses

_MODULES = {
    ".fork_server": ("ForkServer",),
    ".pool": ("WorkerPool",),
    ".processes": ("LocalProcesses",),
}
"""The names of each module; a test compares them with what type checkers read above."""

__getattr__, __dir__, __all__ = export_lazily(__name__, _MODULES)
