"""Tells OpenTelemetry of each attempt at a task; its packages come with the extra `otel`.

A manager has one span an attempt, from the assignment to the lease's end. The assignment carries
it, so that the worker's span, around the handler, is its child. Nothing of this is imported, and
nothing of it costs anything, where nobody calls these functions.
"""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ...messages import ExtraMissing, InvalidInput

if find_spec("opentelemetry") is None:
    raise ExtraMissing("tracing", ["opentelemetry"], "otel")

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    ProxyTracerProvider,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TracerProvider,
    get_tracer,
    get_tracer_provider,
    set_span_in_context,
    use_span,
)

from ..kernel.model.error_kind import error_kind
from ..kernel.model.occurrence_text import describe_facts
from ..kernel.model.occurrences import Occurrence, OccurrenceKind
from ..kernel.model.records import Attempt, AttemptOutcome, TaskRecord
from ..runtime.clock import now

if TYPE_CHECKING:
    from ...messages import Task, TaskAssignment, TaskId, TaskResult
    from ..manager.task_manager import TaskManager
    from ..worker.shell import Perform
    from ..worker.worker_agent import WorkerAgent

_TRACER = "muster"
_UNTYPED = "task"

_ENDING = frozenset(
    {
        OccurrenceKind.TASK_COMPLETED,
        OccurrenceKind.TASK_FAILED,
        OccurrenceKind.TASK_CANCELLED,
        OccurrenceKind.TASK_REQUEUED,
        OccurrenceKind.ATTEMPT_FAILED,
        OccurrenceKind.ATTEMPT_TIMED_OUT,
    }
)


def check_provider() -> None:
    """Make sure that somebody takes the spans.

    Raises:
        InvalidInput: nobody does.
    """
    if isinstance(get_tracer_provider(), ProxyTracerProvider):
        raise InvalidInput(
            "nobody takes OpenTelemetry's spans here; run it as `opentelemetry-instrument muster "
            "...` (of opentelemetry-distro), which sets up an exporter by the variables OTEL_..."
        )


def trace_manager(manager: TaskManager, provider: TracerProvider | None = None) -> None:
    """Have a manager tell of each attempt from now on.

    Args:
        manager: whose attempts.
        provider: where the spans go; by default OpenTelemetry's global one.
    """
    tracing = _ManagerTracing(manager, get_tracer(_TRACER, tracer_provider=provider))
    manager.watch(tracing.note)
    manager.stamp_assignments(tracing.stamp)


def trace_worker(worker: WorkerAgent, provider: TracerProvider | None = None) -> None:
    """Have a worker tell of the tasks that its manager traces; call it before the worker starts.

    Handlers in the loop and in threads find the span as the current one; what they trace themselves
    are its children.

    Args:
        worker: whose work.
        provider: where the spans go; by default OpenTelemetry's global one.
    """
    tracer = get_tracer(_TRACER, tracer_provider=provider)

    async def perform(do: Perform, assignment: TaskAssignment) -> TaskResult:
        if assignment.traceparent is None:
            # Whether it is sampled was the manager's to say.
            return await do(assignment)
        task = assignment.task
        span = tracer.start_span(
            f"perform {task.type or _UNTYPED}",
            context=_read_traceparent(assignment.traceparent),
            kind=SpanKind.CONSUMER,
            start_time=_nanoseconds(now()),
        )
        if span.is_recording():
            span.set_attributes(
                _attributes(task, assignment.attempt, worker.name)
                | {
                    "messaging.operation.name": "perform",
                    "messaging.operation.type": "process",
                    "messaging.client.id": worker.name,
                }
            )
        try:
            with use_span(span, record_exception=False, set_status_on_exception=False):
                result = await do(assignment)
            if not result.success:
                _tell_error(span, result.error_message or "failed")
            return result
        except asyncio.CancelledError:
            _tell_error(span, "cancelled")
            raise
        except BaseException as fault:
            _tell_error(span, type(fault).__name__)
            raise
        finally:
            span.end(_nanoseconds(now()))

    worker.surround(perform)


class _ManagerTracing:
    def __init__(self, manager: TaskManager, tracer: Tracer) -> None:
        self._manager = manager
        self._tracer = tracer
        # Bounded by the leases that hold.
        self._spans: dict[tuple[TaskId, int], Span] = {}
        # The attempt before, of tasks that wait for another.
        self._before: dict[TaskId, SpanContext] = {}

    def note(self, occurrence: Occurrence) -> None:
        """Begin and end spans."""
        what, task_id = occurrence.what, occurrence.task_id
        if what is OccurrenceKind.RUN_ENDED:
            for span in self._spans.values():
                span.set_attribute("muster.outcome", "unfinished")
                span.end(_nanoseconds(occurrence.at))
            self._spans.clear()
            self._before.clear()
        if task_id is None or what is OccurrenceKind.TASK_ADDED:
            return
        record = self._manager.board.tasks.get(task_id)
        if record is None:
            return
        if what is OccurrenceKind.TASK_ASSIGNED:
            self._begin(record, occurrence)
        elif what in _ENDING:
            if occurrence.attempt:
                self._end(record, record.attempts[occurrence.attempt - 1], occurrence)
                # A late result may have overtaken the latest attempt.
                self._end(record, record.attempts[-1], occurrence)
            if record.status.is_final:
                self._before.pop(task_id, None)

    def stamp(self, assignment: TaskAssignment) -> str | None:
        """The traceparent that an assignment carries."""
        span = self._spans.get((assignment.task.id, assignment.attempt))
        return None if span is None else _write_traceparent(span.get_span_context())

    def _begin(self, record: TaskRecord, occurrence: Occurrence) -> None:
        before = self._before.pop(record.task_id, None)
        span = self._tracer.start_span(
            f"assign {record.task.type or _UNTYPED}",
            # Each attempt is a trace of its own, whatever goes on around the manager.
            context=Context(),
            kind=SpanKind.PRODUCER,
            links=() if before is None else (Link(before),),
            start_time=_nanoseconds(occurrence.at),
        )
        if not span.is_recording():
            return
        self._spans[record.task_id, occurrence.attempt] = span
        span.set_attributes(
            _attributes(record.task, occurrence.attempt, occurrence.worker)
            | {
                "messaging.operation.name": "assign",
                "messaging.operation.type": "send",
                "messaging.client.id": self._manager.name,
            }
        )

    def _end(self, record: TaskRecord, attempt: Attempt, occurrence: Occurrence) -> None:
        if attempt.outcome is None:
            return
        span = self._spans.pop((record.task_id, attempt.number), None)
        if span is None:
            return
        span.set_attribute("muster.outcome", attempt.outcome.value)
        if attempt.outcome in _FAULTS:
            _tell_error(span, describe_facts(occurrence) or attempt.outcome.value)
        if not record.status.is_final:
            self._before[record.task_id] = span.get_span_context()
        span.end(_nanoseconds(occurrence.at if attempt.ended_at is None else attempt.ended_at))


_FAULTS = frozenset({AttemptOutcome.FAILED, AttemptOutcome.TIMED_OUT, AttemptOutcome.LOST})


def _attributes(task: Task, attempt: int, worker: str) -> dict[str, str | int]:
    """What both ends tell, in the words of OpenTelemetry's conventions for messaging."""
    return {
        "messaging.system": "muster",
        "messaging.destination.name": task.type or _UNTYPED,
        "messaging.message.id": f"{task.id}.{attempt}",
        "messaging.message.conversation_id": str(task.id),
        "muster.task.difficulty": task.difficulty,
        "muster.attempt": attempt,
        "muster.worker": worker,
    }


def _write_traceparent(context: SpanContext) -> str | None:
    if not context.trace_flags.sampled:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _read_traceparent(traceparent: str) -> Context:
    """What a traceparent stands for; messages take in none of another form."""
    _, trace_id, span_id, flags = traceparent.split("-")
    context = SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))
    )
    return set_span_in_context(NonRecordingSpan(context), Context())


def _tell_error(span: Span, error: str) -> None:
    span.set_attribute("error.type", error_kind(error))
    span.set_status(Status(StatusCode.ERROR, error[:1_000]))


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
