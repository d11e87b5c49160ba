"""A manager's metrics as Prometheus reads them."""

from __future__ import annotations

import threading
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from ..manager.task_manager import TaskManager
from .collector import ManagerCollector

METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""What HTTP calls the format in which `render_metrics` answers."""

_registries: WeakKeyDictionary[TaskManager, CollectorRegistry] = WeakKeyDictionary()
_turn = threading.Lock()


def render_metrics(manager: TaskManager) -> bytes:
    """A manager's metrics in Prometheus's text format, from any thread.

    What happens is counted from the first call on, so make that before the run.
    """
    return generate_latest(registry_of(manager))


def registry_of(manager: TaskManager) -> CollectorRegistry:
    """The registry of a manager's metrics: one a manager, none of them the global one."""
    with _turn:
        registry = _registries.get(manager)
        if registry is None:
            registry = _registries[manager] = CollectorRegistry()
            registry.register(ManagerCollector(manager))
        return registry
