"""`--otel`: sends OpenTelemetry spans for the attempts of a manager or worker."""

from __future__ import annotations

from ..manager.task_manager import TaskManager
from ..worker.worker_agent import WorkerAgent


def enable_opentelemetry(agent: TaskManager | WorkerAgent) -> None:
    """Send OpenTelemetry spans for the attempts of an agent.

    Raises:
        ExtraMissing: OpenTelemetry is not installed.
        InvalidInput: no exporter is configured.
    """
    from ..metrics.otel import check_provider, trace_manager, trace_worker  # noqa: PLC0415 - it needs an extra

    check_provider()
    if isinstance(agent, TaskManager):
        trace_manager(agent)
    else:
        trace_worker(agent)
