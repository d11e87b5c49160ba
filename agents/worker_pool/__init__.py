"""Keeps as many workers running as the tasks need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from .fork_server import ForkServer
    from .pool import WorkerPool
    from .processes import LocalProcesses

__all__ = [
    "ForkServer",
    "LocalProcesses",
    "WorkerPool",
]

_MODULES = {
    "LocalProcesses": ".processes",
    "ForkServer": ".fork_server",
    "WorkerPool": ".pool",
}
"""Where each name lives; a test compares it with what type checkers read above."""

__getattr__, __dir__ = export_lazily(__name__, _MODULES)
