"""Runs async functions as tasks in this process, without workers or a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from .manager import LocalTaskManager
    from .task import LocalTask, TaskState

__all__ = [
    "LocalTask",
    "LocalTaskManager",
    "TaskState",
]

_MODULES = {
    "LocalTask": ".task",
    "LocalTaskManager": ".manager",
    "TaskState": ".task",
}
"""Where each name lives; a test compares it with what type checkers read above."""

__getattr__, __dir__ = export_lazily(__name__, _MODULES)
