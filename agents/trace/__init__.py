"""The trace of a run, written while it goes, and read again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from .file import TraceFile
    from .follow import follow

__all__ = [
    "TraceFile",
    "follow",
]

_MODULES = {
    "TraceFile": ".file",
    "follow": ".follow",
}
"""Where each name lives; a test compares it with what type checkers read above."""

__getattr__, __dir__ = export_lazily(__name__, _MODULES)
