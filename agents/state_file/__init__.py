"""Keeps tasks in a readable file that agents share without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from .bridge import StateFileBridge
    from .manager import StateFileTaskManager

__all__ = [
    "StateFileBridge",
    "StateFileTaskManager",
]

_MODULES = {
    "StateFileBridge": ".bridge",
    "StateFileTaskManager": ".manager",
}
"""Where each name lives; a test compares it with what type checkers read above."""

__getattr__, __dir__ = export_lazily(__name__, _MODULES)
