"""`TaskManager`: assigns tasks to workers and collects their results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from .overridable_hooks import OverridableHooks
    from .own_matching import WorkerDetail
    from .task_manager import TaskManager

__all__ = [
    "OverridableHooks",
    "TaskManager",
    "WorkerDetail",
]

_MODULES = {
    "OverridableHooks": ".overridable_hooks",
    "TaskManager": ".task_manager",
    "WorkerDetail": ".own_matching",
}
"""Where each name lives; a test compares it with what type checkers read above."""

__getattr__, __dir__ = export_lazily(__name__, _MODULES)
