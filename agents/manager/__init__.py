"""`TaskManager`: assigns tasks to workers and collects their results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from .overridable_hooks import OverridableHooks as OverridableHooks
    from .own_matching import WorkerDetail as WorkerDetail
    from .task_manager import TaskManager as TaskManager

_MODULES = {
    ".overridable_hooks": ("OverridableHooks",),
    ".own_matching": ("WorkerDetail",),
    ".task_manager": ("TaskManager",),
}
"""The names of each module; a test compares them with what type checkers read above."""

__getattr__, __dir__, __all__ = export_lazily(__name__, _MODULES)
