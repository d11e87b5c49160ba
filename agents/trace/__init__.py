"""The trace of a run, written while it goes, and read again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from .file import TraceFile as TraceFile
    from .follow import follow as follow

_MODULES = {
    ".file": ("TraceFile",),
    ".follow": ("follow",),
}
"""The names of each module; a test compares them with what type checkers read above."""

__getattr__, __dir__, __all__ = export_lazily(__name__, _MODULES)
