"""`--otel`: tells OpenTelemetry of what a manager or a worker does."""

from __future__ import annotations

from ..manager.task_manager import TaskManager
from ..worker.worker_agent import WorkerAgent


def enable_opentelemetry(agent: TaskManager | WorkerAgent) -> None:
    """Have an agent tell OpenTelemetry of each attempt.

    Raises:
        ExtraMissing: OpenTelemetry is not installed.
        InvalidInput: nobody takes its spans.
    """
    from ..metrics.otel import check_provider, trace_manager, trace_worker  # noqa: PLC0415 - its packages are only there on request

    check_provider()
    if isinstance(agent, TaskManager):
        trace_manager(agent)
    else:
        trace_worker(agent)
