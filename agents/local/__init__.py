"""Runs async functions as tasks in this process, without workers or a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from .manager import LocalTaskManager as LocalTaskManager
    from .task import LocalTask as LocalTask, TaskState as TaskState

_MODULES = {
    ".manager": ("LocalTaskManager",),
    ".task": ("LocalTask", "TaskState"),
}
"""The names of each module; a test compares them with what type checkers read above."""

__getattr__, __dir__, __all__ = export_lazily(__name__, _MODULES)
