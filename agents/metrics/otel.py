"""Creates OpenTelemetry spans for the attempts at tasks; needs the extra `otel`.

A manager creates one span for each attempt, from the assignment to the end of the lease. The
assignment carries its context, so that the worker's span around the handler is its child. Without a
call of these functions nothing is imported and there is no cost.
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

from ..execution.handler_requests import RetryLater, TaskDeclined
from ..kernel.model.error_kind import error_kind
from ..kernel.model.occurrence_text import describe_facts
from ..kernel.model.occurrences import Occurrence, OccurrenceKind
from ..kernel.model.records import Attempt, AttemptOutcome, TaskRecord
from ..runtime.clock import now

if TYPE_CHECKING:
    from ...messages import Task, TaskAssignment, TaskId, TaskResult
    from ..manager.task_manager import TaskManager
    from ..worker.hooks import Perform
    from ..worker.worker_agent import WorkerAgent

_TRACER = "muster"
_UNTYPED = "task"

_ENDING = frozenset(
    {
        OccurrenceKind.TASK_COMPLETED,
        OccurrenceKind.TASK_FAILED,
        OccurrenceKind.TASK_CANCELLED,
        OccurrenceKind.TASK_REQUEUED,
        OccurrenceKind.ATTEMPT_SUCCEEDED,
        OccurrenceKind.ATTEMPT_REVIEWED,
        OccurrenceKind.ATTEMPT_FAILED,
        OccurrenceKind.ATTEMPT_TIMED_OUT,
        OccurrenceKind.ATTEMPT_DECLINED,
    }
)


def check_provider() -> None:
    """Check that spans are exported.

    Raises:
        InvalidInput: no tracer provider is set.
    """
    if isinstance(get_tracer_provider(), ProxyTracerProvider):
        raise InvalidInput(
            "no OpenTelemetry tracer provider is set; run `opentelemetry-instrument muster ...` "
            "(of opentelemetry-distro), which sets up an exporter by the variables OTEL_..."
        )


def trace_manager(manager: TaskManager, provider: TracerProvider | None = None) -> None:
    """Create a span for each attempt of a manager from now on.

    Args:
        manager: the manager.
        provider: the tracer provider; by default OpenTelemetry's global one.
    """
    tracing = _ManagerTracing(manager, get_tracer(_TRACER, tracer_provider=provider))
    manager.watch(tracing.note)
    manager.stamp_assignments(tracing.stamp)


def trace_worker(worker: WorkerAgent, provider: TracerProvider | None = None) -> None:
    """Create a span for each task that the manager traces; call it before the worker starts.

    In handlers in the loop and in threads the span is the current one, so that their own spans are
    its children.

    Args:
        worker: the worker.
        provider: the tracer provider; by default OpenTelemetry's global one.
    """
    tracer = get_tracer(_TRACER, tracer_provider=provider)

    async def perform(do: Perform, assignment: TaskAssignment) -> TaskResult:
        if assignment.traceparent is None:
            # The manager decides whether an attempt is sampled.
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
            if not (result.success or result.declined):
                _set_error(span, result.error_message or "failed")
            return result
        except asyncio.CancelledError:
            _set_error(span, "cancelled")
            raise
        except (TaskDeclined, RetryLater):
            raise
        except BaseException as fault:
            _set_error(span, type(fault).__name__)
            raise
        finally:
            span.end(_nanoseconds(now()))

    worker.surround(perform)


class _ManagerTracing:
    def __init__(self, manager: TaskManager, tracer: Tracer) -> None:
        self._manager = manager
        self._tracer = tracer
        # Bounded by the current leases.
        self._spans: dict[tuple[TaskId, int], Span] = {}
        # The previous attempts of tasks that wait for another one.
        self._before: dict[TaskId, SpanContext] = {}

    def note(self, occurrence: Occurrence) -> None:
        """Start and end spans."""
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
                # A late result may have overtaken another attempt.
                for attempt in record.attempts:
                    if attempt.outcome is AttemptOutcome.OVERTAKEN:
                        self._end(record, attempt, occurrence)
            if record.status.is_final:
                self._before.pop(task_id, None)

    def stamp(self, assignment: TaskAssignment) -> str | None:
        """The traceparent for an assignment; None if its attempt is not sampled."""
        span = self._spans.get((assignment.task.id, assignment.attempt))
        return None if span is None else _write_traceparent(span.get_span_context())

    def _begin(self, record: TaskRecord, occurrence: Occurrence) -> None:
        before = self._before.pop(record.task_id, None)
        span = self._tracer.start_span(
            f"assign {record.task.type or _UNTYPED}",
            # Each attempt is its own trace, whatever the current context of the manager is.
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
        if attempt.cost:
            span.set_attribute("muster.cost", attempt.cost)
        if attempt.quality is not None:
            span.set_attribute("muster.quality", attempt.quality)
        if attempt.usage is not None:
            # The names that OpenTelemetry's conventions have for them.
            span.set_attribute("gen_ai.request.model", attempt.usage.model)
            span.set_attribute("gen_ai.usage.input_tokens", attempt.usage.tokens_in)
            span.set_attribute("gen_ai.usage.output_tokens", attempt.usage.tokens_out)
        if attempt.outcome in _FAULTS:
            _set_error(span, describe_facts(occurrence) or attempt.outcome.value)
        if not record.status.is_final:
            self._before[record.task_id] = span.get_span_context()
        span.end(_nanoseconds(occurrence.at if attempt.ended_at is None else attempt.ended_at))


_FAULTS = frozenset({AttemptOutcome.FAILED, AttemptOutcome.TIMED_OUT, AttemptOutcome.LOST})


def _attributes(task: Task, attempt: int, worker: str) -> dict[str, str | int]:
    """The attributes of both spans, by OpenTelemetry's semantic conventions for messaging."""
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
    """The context of a traceparent, whose form was checked when the message was decoded."""
    _, trace_id, span_id, flags = traceparent.split("-")
    context = SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))
    )
    return set_span_in_context(NonRecordingSpan(context), Context())


def _set_error(span: Span, error: str) -> None:
    span.set_attribute("error.type", error_kind(error))
    span.set_status(Status(StatusCode.ERROR, error[:1_000]))


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
