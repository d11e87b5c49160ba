"""Stores in which a manager keeps its run, so that another manager can resume it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from .memory import MemoryStore
    from .protocol import Store
    from .sqlite import SqliteStore, read_store

__all__ = [
    "MemoryStore",
    "SqliteStore",
    "Store",
    "read_store",
]

_MODULES = {
    "MemoryStore": ".memory",
    "SqliteStore": ".sqlite",
    "Store": ".protocol",
    "read_store": ".sqlite",
}
"""Where each name lives; a test compares it with what type checkers read above."""

__getattr__, __dir__ = export_lazily(__name__, _MODULES)
