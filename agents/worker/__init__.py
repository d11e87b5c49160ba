"""`WorkerAgent`: does the tasks that a manager assigns to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from .dask_cluster import DaskCluster
    from .health import check_worker_health
    from .ray_cluster import RayCluster
    from .specialized_worker import SpecializedWorker
    from .worker_agent import WorkerAgent

__all__ = [
    "DaskCluster",
    "RayCluster",
    "SpecializedWorker",
    "WorkerAgent",
    "check_worker_health",
]

_MODULES = {
    "DaskCluster": ".dask_cluster",
    "RayCluster": ".ray_cluster",
    "SpecializedWorker": ".specialized_worker",
    "WorkerAgent": ".worker_agent",
    "check_worker_health": ".health",
}
"""Where each name lives; a test compares it with what type checkers read above."""

__getattr__, __dir__ = export_lazily(__name__, _MODULES)
