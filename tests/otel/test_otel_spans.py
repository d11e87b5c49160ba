"""OpenTelemetry spans: the manager's span of an attempt, and the worker's inside it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muster.agents import TaskManager, WorkerAgent, rehearse, run_in_virtual_time
from muster.agents.metrics.otel import trace_manager, trace_worker
from muster.messages import (
    DecodeError,
    Task,
    TaskAssignment,
    TaskResult,
    decode_message,
    encode_message,
)
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import SpanKind, StatusCode

Spans = list[ReadableSpan]


class Observatory:
    """A provider whose spans stay in memory."""

    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def named(self, beginning: str) -> Spans:
        """The spans that have ended, in the order of their beginning."""
        found = [
            span for span in self.exporter.get_finished_spans() if span.name.startswith(beginning)
        ]
        return sorted(found, key=lambda span: span.start_time or 0)


@pytest.fixture
def observatory() -> Observatory:
    return Observatory()


def play(
    observatory: Observatory,
    tasks: list[Task],
    *workers: WorkerAgent,
    meanwhile: Callable[[TaskManager], Any] = lambda _: None,
) -> None:
    async def story() -> None:
        manager = TaskManager(tasks, len(workers), policy="in_order", quiet=True)
        trace_manager(manager, observatory.provider)
        for worker in workers:
            trace_worker(worker, observatory.provider)
        meanwhile(manager)
        await rehearse(manager, workers)

    run_in_virtual_time(story())


def seconds(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


def test_the_workers_span_is_a_child_of_the_managers(observatory: Observatory) -> None:
    play(observatory, [Task(task_id="leaf", difficulty=4)], WorkerAgent("Ada", 5))
    (assigned,), (performed,) = observatory.named("assign"), observatory.named("perform")
    assert assigned.parent is None
    assert performed.parent is not None
    assert performed.parent.is_remote
    assert performed.parent.span_id == assigned.context.span_id
    assert performed.context.trace_id == assigned.context.trace_id
    assert (assigned.kind, performed.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert seconds(performed) == 4.0
    assert 4.0 <= seconds(assigned) < 4.1
    assert performed.status.status_code is StatusCode.UNSET


def test_spans_speak_the_words_of_the_conventions_for_messaging(observatory: Observatory) -> None:
    worker = WorkerAgent("Ada", 5)

    @worker.task("weigh")
    def weigh(task: Task) -> int:
        return 7

    play(observatory, [Task(task_id="leaf", difficulty=4, type="weigh")], worker)
    both = {
        "messaging.system": "muster",
        "messaging.destination.name": "weigh",
        "messaging.message.id": "leaf.1",
        "messaging.message.conversation_id": "leaf",
        "muster.task.difficulty": 4,
        "muster.attempt": 1,
        "muster.worker": "Ada",
    }
    (assigned,), (performed,) = (
        observatory.named("assign weigh"),
        observatory.named("perform weigh"),
    )
    assert assigned.attributes == {
        **both,
        "messaging.operation.name": "assign",
        "messaging.operation.type": "send",
        "messaging.client.id": "task_manager",
        "muster.outcome": "succeeded",
    }
    assert performed.attributes == {
        **both,
        "messaging.operation.name": "perform",
        "messaging.operation.type": "process",
        "messaging.client.id": "Ada",
    }


def test_each_attempt_has_a_span_with_a_link_to_the_one_before(observatory: Observatory) -> None:
    task = Task(task_id=1, difficulty=9, max_attempts=2)
    play(observatory, [task], WorkerAgent("Ada", 5))
    first, second = observatory.named("assign")
    assert [link.context.span_id for link in second.links] == [first.context.span_id]
    assert (first.links, first.attributes["muster.attempt"]) == ((), 1)
    for span in (first, second, *observatory.named("perform")):
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes["error.type"] == "too difficult"


def test_returned_cancelled_and_unfinished_attempts_end_too(observatory: Observatory) -> None:
    def meanwhile(manager: TaskManager) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(2, manager.cancel_task, 1)
        loop.call_later(3, lambda: asyncio.ensure_future(ben.stop()))
        loop.call_later(5, lambda: asyncio.ensure_future(manager.stop()))

    ben = WorkerAgent("Ben", 5)
    tasks = [Task(task_id=number, difficulty=5) for number in (1, 2)]
    play(observatory, tasks, WorkerAgent("Ada", 5), ben, meanwhile=meanwhile)
    told = [
        (span.attributes["muster.outcome"], seconds(span)) for span in observatory.named("assign")
    ]
    assert [outcome for outcome, _ in told] == ["cancelled", "returned", "unfinished"]
    assert [took for _, took in told] == pytest.approx([2, 3, 2], abs=0.2)


def test_handlers_find_the_span_in_the_loop_and_in_threads(observatory: Observatory) -> None:
    worker = WorkerAgent("Ada", 5)
    tracer = observatory.provider.get_tracer("mine")
    threads: list[int] = []

    @worker.task("here")
    async def here(task: Task) -> None:
        with tracer.start_as_current_span("mine"):
            threads.append(threading.get_ident())

    @worker.task("elsewhere")
    def elsewhere(task: Task) -> None:
        with tracer.start_as_current_span("mine"):
            threads.append(threading.get_ident())

    tasks = [
        Task(task_id=number, type=kind) for number, kind in enumerate(("here", "elsewhere"), 1)
    ]
    play(observatory, tasks, worker)
    mine, performed = observatory.named("mine"), observatory.named("perform")
    assert len(set(threads)) == 2
    assert {span.parent.span_id for span in mine if span.parent} == {
        span.context.span_id for span in performed
    }


def test_without_tracing_an_assignment_carries_nothing() -> None:
    task = Task(task_id=1, description="x")
    assert b"traceparent" not in encode_message(TaskAssignment(task=task, traceparent=None))


@pytest.mark.parametrize("text", ["", "00-1-2-01", "x" * 55, f"00-{'0' * 32}-{'0' * 16}-01\n"])
def test_what_is_no_traceparent_is_not_taken_in(text: str) -> None:
    assignment = TaskAssignment(task=Task(task_id=1, description="x"))
    assignment.traceparent = text
    with pytest.raises(DecodeError, match="traceparent"):
        decode_message(encode_message(assignment))


def test_nothing_is_imported_where_nobody_traces() -> None:
    code = "import sys, muster.agents.command.app; print('opentelemetry' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=180, check=True
    )
    assert ran.stdout.split()[-1] == "False"


def run_without(package: str, *statements: str) -> list[str]:
    """Run statements in a process in which a package is not installed; returns what each told."""
    code = (
        "import importlib.util, sys\n"
        f"sys.modules[{package!r}] = None\n"
        "find = importlib.util.find_spec\n"
        f"importlib.util.find_spec = lambda name, *more: None if name == {package!r} "
        "else find(name, *more)\n"
        "from muster.messages import ExtraMissing\n"
    )
    for statement in statements:
        code += (
            f"try:\n    {statement}\n    print()\nexcept ExtraMissing as fault:\n    print(fault)\n"
        )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=180, check=True
    )
    return ran.stdout.splitlines()


def test_without_the_packages_the_extra_is_named_by_what_needs_them_alone() -> None:
    (told,) = run_without("opentelemetry", "import muster.agents.metrics.otel")
    assert ": opentelemetry; run: pip install 'ceylon-muster[otel]'" in told
    told = run_without(
        "prometheus_client",
        "import muster.agents.metrics.otel",
        "import muster.agents.metrics.system_metrics",
        "import muster.agents.metrics.tallies",
        "import muster.agents.metrics.exposition",
        "from muster.agents.metrics import render_metrics",
        "muster.agents.metrics.serve_metrics",
    )
    assert told[:3] == ["", "", ""]
    assert len(told) == 6
    needed = ": prometheus_client; run: pip install 'ceylon-muster[metrics]'"
    assert all(needed in each for each in told[3:])


WORKER = """
import asyncio, sys
from pathlib import Path
from muster.agents import WorkerAgent
from muster.agents.metrics.otel import trace_worker
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

provider = TracerProvider()
with Path("spans").open("w") as out:
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=out)))
    worker = WorkerAgent("Ada", 5, ticket=sys.argv[1], time_scale=0.01)
    trace_worker(worker, provider)
    asyncio.run(worker.start_agent())
"""


@pytest.mark.ceylon
@pytest.mark.processes
async def test_a_worker_in_another_process_goes_on_with_the_managers_trace(
    observatory: Observatory, tmp_path: Path
) -> None:
    manager = TaskManager([Task(task_id=1, difficulty=1)], 1, port=0, quiet=True, join_timeout_s=60)
    trace_manager(manager, observatory.provider)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WORKER, str(manager.ticket())), cwd=tmp_path
    )
    await manager.start_agent(b"", [])
    assert await asyncio.wait_for(process.wait(), 60) == 0
    performed = json.loads((tmp_path / "spans").read_text())
    (assigned,) = observatory.named("assign")
    context = trace.format_trace_id(assigned.context.trace_id)
    assert performed["context"]["trace_id"] == f"0x{context}"
    assert performed["parent_id"] == f"0x{trace.format_span_id(assigned.context.span_id)}"


def test_what_the_manager_does_not_sample_costs_neither_bytes_nor_spans() -> None:
    nothing = Observatory(ALWAYS_OFF)
    everything = Observatory()
    assignments: list[TaskAssignment] = []

    class Ada(WorkerAgent):
        async def perform(self, assignment: TaskAssignment) -> TaskResult:
            assignments.append(assignment)
            return await super().perform(assignment)

    async def story() -> None:
        manager = TaskManager([Task(task_id=1)], 1, quiet=True)
        worker = Ada("Ada", 5)
        trace_manager(manager, nothing.provider)
        trace_worker(worker, everything.provider)
        await rehearse(manager, [worker])

    run_in_virtual_time(story())
    assert [assignment.traceparent for assignment in assignments] == [None]
    assert nothing.exporter.get_finished_spans() == everything.exporter.get_finished_spans() == ()
