"""Stores in which a manager keeps its run, so that another manager can resume it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from .memory import MemoryStore as MemoryStore
    from .protocol import Store as Store
    from .sqlite import SqliteStore as SqliteStore, read_store as read_store

_MODULES = {
    ".memory": ("MemoryStore",),
    ".protocol": ("Store",),
    ".sqlite": ("SqliteStore", "read_store"),
}
"""The names of each module; a test compares them with what type checkers read above."""

__getattr__, __dir__, __all__ = export_lazily(__name__, _MODULES)
