"""`WorkerAgent`: does the tasks that a manager assigns to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from .dask_cluster import DaskCluster as DaskCluster
    from .health import check_worker_health as check_worker_health
    from .ray_cluster import RayCluster as RayCluster
    from .specialized_worker import SpecializedWorker as SpecializedWorker
    from .worker_agent import WorkerAgent as WorkerAgent

_MODULES = {
    ".dask_cluster": ("DaskCluster",),
    ".health": ("check_worker_health",),
    ".ray_cluster": ("RayCluster",),
    ".specialized_worker": ("SpecializedWorker",),
    ".worker_agent": ("WorkerAgent",),
}
"""The names of each module; a test compares them with what type checkers read above."""

__getattr__, __dir__, __all__ = export_lazily(__name__, _MODULES)
