"""Keeps tasks in a readable file that agents share without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from .bridge import StateFileBridge as StateFileBridge
    from .manager import StateFileTaskManager as StateFileTaskManager

_MODULES = {
    ".bridge": ("StateFileBridge",),
    ".manager": ("StateFileTaskManager",),
}
"""The names of each module; a test compares them with what type checkers read above."""

__getattr__, __dir__, __all__ = export_lazily(__name__, _MODULES)
