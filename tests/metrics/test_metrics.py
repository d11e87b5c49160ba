"""The metrics of a run for Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
import socket
import threading
import urllib.request
import weakref
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from muster.agents import (
    MemoryNetwork,
    MemoryStore,
    TaskContext,
    TaskManager,
    WorkerAgent,
    rehearse,
    run_in_virtual_time,
)
from muster.agents.command.web_page import WebPage, WebPageOptions
from muster.agents.kernel.board.spending import ModelSum
from muster.agents.kernel.model.events import WorkerHeard, WorkerJoined, WorkerLeft
from muster.agents.metrics import METRICS_CONTENT_TYPE, render_metrics, serve_metrics
from muster.agents.metrics.collector import MAX_WORKERS_NAMED, OTHERS
from muster.messages import InvalidInput, Limit, Task, WorkerProfile
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from .conftest import Samples

Scrape = Callable[[TaskManager], Samples]
PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def buckets_of(manager: TaskManager, name: str) -> dict[float, float]:
    """What a histogram counted, by its bounds."""
    return {
        float(sample.labels["le"]): sample.value
        for family in text_string_to_metric_families(render_metrics(manager).decode())
        for sample in family.samples
        if sample.name == f"{name}_bucket"
    }


def test_a_run_is_counted(scrape: Scrape) -> None:
    async def story() -> tuple[Samples, dict[float, float]]:
        tasks = [
            Task(task_id=1, difficulty=4),
            Task(task_id=2, difficulty=2),
            Task(task_id=3, difficulty=9, max_attempts=2),
            Task(task_id=4, depends_on=(3,)),
        ]
        manager = TaskManager(tasks, 1, policy="in_order", quiet=True, store=MemoryStore())
        render_metrics(manager)
        await rehearse(manager, [WorkerAgent("Ada", 5)])
        return scrape(manager), buckets_of(manager, "muster_task_wait_seconds")

    told, waits = run_in_virtual_time(story())
    assert {key: value for key, value in told.items() if key[0] == "muster_tasks"} == {
        ("muster_tasks", "pending"): 0,
        ("muster_tasks", "in_progress"): 0,
        ("muster_tasks", "completed"): 2,
        ("muster_tasks", "failed"): 1,
        ("muster_tasks", "cancelled"): 1,
    }
    assert told["muster_tasks_settled_total", "completed"] == 2
    assert told["muster_tasks_settled_total", "failed"] == 1
    assert told["muster_tasks_settled_total", "cancelled"] == 1
    assert told["muster_attempt_seconds_count", "succeeded"] == 2
    assert told["muster_attempt_seconds_sum", "succeeded"] == pytest.approx(6.0, abs=0.1)
    assert told["muster_attempt_seconds_count", "failed"] == 2
    assert told["muster_attempt_seconds_sum", "failed"] == pytest.approx(18.0, abs=0.1)
    assert told["muster_attempt_seconds_count", "cancelled"] == 0
    assert told["muster_retries_total", "failed"] == 1
    # 0 s, 4 s and 6 s from the start, and none from the first failure to the next attempt.
    assert waits[0.001] == 2
    assert waits[5.0] == 3
    assert waits[15.0] == waits[float("inf")] == 4
    assert told[("muster_workers_joined_total",)] == 1
    assert told[("muster_store_write_seconds_count",)] > 0
    assert told["muster_run_info", "task_manager", "in_order", "0.1.0"] == 1


def test_costs_grades_and_declined_attempts_are_counted(scrape: Scrape) -> None:
    async def story() -> Samples:
        tasks = [Task(task_id=1, type="judge"), Task(task_id=2, type="judge")]
        manager = TaskManager(tasks, 2, quiet=True, budget=20.0, cost_unit="EUR", policy="in_order")
        render_metrics(manager)
        ada = WorkerAgent("Ada", 5, cost_per_task=2.0)
        ben = WorkerAgent("Ben", 5, cost_per_task=1.0)

        @ada.task("judge")
        async def judge(task: Task, context: TaskContext) -> str:
            context.quality(0.5 if task.id == 1 else 1.0)
            context.usage("large", 100, 20)
            return "good"

        @ben.task("judge")
        async def decline(task: Task, context: TaskContext) -> None:
            context.decline("not my kind of leaf")

        await rehearse(manager, [ada, ben])
        return scrape(manager)

    told = run_in_virtual_time(story())
    assert told["muster_cost_total", "EUR"] == 4.0
    assert told["muster_budget_remaining", "EUR"] == 16.0
    assert told["muster_type_cost_total", "judge"] == 4.0
    assert told["muster_model_cost_total", "large"] == 4.0
    assert told["muster_model_tokens_total", "in", "large"] == 200
    assert told["muster_model_tokens_total", "out", "large"] == 40
    assert told["muster_worker_cost_total", "Ada"] == 4.0
    assert told["muster_worker_cost_total", "Ben"] == 0.0
    assert told[("muster_attempts_declined_total",)] == 1
    assert told["muster_attempt_seconds_count", "declined"] == 1
    assert told[("muster_attempts_rejected_total",)] == 0
    assert told[("muster_attempt_quality_count",)] == 2
    assert told[("muster_attempt_quality_sum",)] == 1.5


def test_reviews_and_votes_are_counted_with_the_grades_they_give(scrape: Scrape) -> None:
    async def story() -> Samples:
        tasks = [
            Task(task_id=1, type="write", review=True, max_attempts=2),
            Task(task_id=2, type="count", votes=3),
        ]
        manager = TaskManager(tasks, 4, quiet=True, policy="in_order")
        render_metrics(manager)
        workers = [WorkerAgent(name, 5) for name in ("Ada", "Ben", "Cleo", "Dora")]
        for worker in workers[:2]:
            worker.task("write")(lambda task: "a note")
        for worker, answer in zip(workers, (7, 8, 7, 7), strict=True):
            worker.task("count")(lambda task, *, answer=answer: answer)
        grades = iter((0.25, 0.75))
        workers[2].review("write")(lambda task, result: next(grades))
        await rehearse(manager, workers)
        return scrape(manager)

    told = run_in_virtual_time(story())
    assert told["muster_tasks_settled_total", "completed"] == 2
    assert told[("muster_attempts_rejected_total",)] == 1
    votes = told[("muster_attempt_quality_count",)] - 2
    assert votes in (2, 3)
    # Those that agree have 1, and Ben, if he was asked, has 0.
    assert told[("muster_attempt_quality_sum",)] == 0.25 + 0.75 + 2


def test_traffic_and_what_could_not_be_read_is_counted(scrape: Scrape) -> None:
    async def story() -> tuple[Samples, int]:
        network = MemoryNetwork()
        manager = TaskManager([Task(task_id=1)], 1, quiet=True, name="manager")
        stranger = network.join("stranger", lambda _: None)
        await stranger.send(b"no frame of ours", None)
        await rehearse(manager, [WorkerAgent("Ada", 5)], network)
        manager.receive(b"neither is this")
        return scrape(manager), manager.traffic.received_bytes

    told, received_bytes = run_in_virtual_time(story())
    (dropped,) = (key for key in told if key[0] == "muster_frames_dropped_total")
    assert told[dropped] >= 1
    assert told[("muster_received_bytes_total",)] == received_bytes > 0
    assert told[("muster_sent_bytes_total",)] > told[("muster_frames_sent_total",)] > 0
    assert told[("muster_frames_received_total",)] > 0


def test_a_dependency_is_not_waiting_for_a_worker() -> None:
    async def story() -> dict[float, float]:
        tasks = [Task(task_id=1, difficulty=9), Task(task_id=2, depends_on=(1,))]
        manager = TaskManager(tasks, 1, quiet=True)
        render_metrics(manager)
        await rehearse(manager, [WorkerAgent("Ada", 9)])
        return buckets_of(manager, "muster_task_wait_seconds")

    assert run_in_virtual_time(story())[0.001] == 2


def test_returned_timed_out_cancelled_and_overtaken_attempts_are_told_apart(scrape: Scrape) -> None:
    async def story() -> Samples:
        tasks = [
            Task(task_id="slow", difficulty=9, timeout=2, max_attempts=1),
            Task(task_id="unwanted", difficulty=9),
            Task(task_id="orphaned", difficulty=9),
        ]
        manager = TaskManager(tasks, 3, policy="in_order", quiet=True)
        render_metrics(manager)
        workers = [WorkerAgent(name, 9) for name in ("Ada", "Ben", "Cid")]
        loop = asyncio.get_running_loop()
        loop.call_later(3, manager.cancel_task, "unwanted")
        loop.call_later(4, lambda: asyncio.ensure_future(workers[2].stop()))
        await rehearse(manager, workers)
        return scrape(manager)

    told = run_in_virtual_time(story())
    counts = {
        key[1]: value for key, value in told.items() if key[0] == "muster_attempt_seconds_count"
    }
    assert counts == {
        "succeeded": 1,
        "failed": 0,
        "timed_out": 1,
        "lost": 0,
        "returned": 1,
        "postponed": 0,
        "cancelled": 1,
        "overtaken": 0,
        "declined": 0,
        "rejected": 0,
    }
    assert told["muster_retries_total", "returned"] == 1
    assert told[("muster_workers_lost_total",)] == 1


def test_workers_are_told_by_health_and_by_name(scrape: Scrape) -> None:
    manager = TaskManager(quiet=True)
    board = manager._shell.driver.board
    at = [1_000.0]

    def joined(name: str) -> None:
        board.handle(
            WorkerJoined(f"at {name}", WorkerProfile(name, 5, slots=2), session=name), at[0]
        )

    for name in ("Ada", "Ben", "Cid"):
        joined(name)
    board.handle(WorkerLeft("at Cid"), at[0])
    at[0] += 6.0
    board.handle(WorkerHeard("at Ada"), at[0])
    at[0] += 1.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("muster.agents.metrics.collector.now", lambda: at[0])
        told = scrape(manager)
    assert {key[1]: value for key, value in told.items() if key[0] == "muster_workers"} == {
        "healthy": 1,
        "late": 1,
        "lost": 1,
    }
    assert told["muster_worker_silence_seconds", "Ada"] == 1
    assert told["muster_worker_silence_seconds", "Ben"] == 7
    assert told["muster_worker_slots", "Ada"] == 2
    assert told["muster_worker_running_attempts", "Ada"] == 0
    assert ("muster_worker_slots", "Cid") not in told


def test_the_labels_are_bounded(scrape: Scrape) -> None:
    manager = TaskManager([Task(task_id=number) for number in range(1, 501)], quiet=True)
    board = manager._shell.driver.board
    for name in (OTHERS, *(f"W{number}" for number in range(MAX_WORKERS_NAMED + 50))):
        board.handle(WorkerJoined(f"at {name}", WorkerProfile(name, 5), session=name), 1_000.0)
    told = scrape(manager)
    slots = {key[1]: value for key, value in told.items() if key[0] == "muster_worker_slots"}
    assert len(slots) == MAX_WORKERS_NAMED + 1
    # The fifty that came last, and the one who bears that name.
    assert slots[OTHERS] == 51
    assert len(told) < 5 * MAX_WORKERS_NAMED


def test_metrics_keep_no_manager_alive_and_are_in_no_global_registry() -> None:
    manager = TaskManager(quiet=True)
    render_metrics(manager)
    seen = weakref.ref(manager)
    del manager
    gc.collect()
    assert seen() is None
    assert not [family for family in REGISTRY.collect() if family.name.startswith("muster")]


def test_any_thread_may_ask_while_the_manager_runs() -> None:
    async def story() -> list[bytes]:
        manager = TaskManager([Task(task_id=1, difficulty=1)], 1, quiet=True)
        network = MemoryNetwork()
        managing = asyncio.ensure_future(
            manager.serve_over(network.join(manager.name, manager.receive))
        )
        await asyncio.sleep(0.05)
        answers = [await asyncio.to_thread(render_metrics, manager), render_metrics(manager)]
        await manager.stop()
        await managing
        return answers

    for answer in asyncio.run(story()):
        assert b'muster_tasks{status="pending"} 1.0' in answer


def test_metrics_are_served_on_loopback_as_long_as_they_are_wanted() -> None:
    manager = TaskManager([Task(task_id=1)], quiet=True)
    with serve_metrics(manager, 0) as url:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/metrics", url)
        with urllib.request.urlopen(url, timeout=60) as answer:
            assert answer.headers["Content-Type"] == METRICS_CONTENT_TYPE
            assert b'muster_tasks{status="pending"} 1.0' in answer.read()
        port = int(url.split(":")[2].split("/")[0])
        with pytest.raises(InvalidInput, match=f"TCP port {port}"), serve_metrics(manager, port):
            pass
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=60)
    assert not [each for each in threading.enumerate() if "metrics" in each.name]


ASKED = [
    ("127.0.0.1:9464", "GET /metrics", "200"),
    ("localhost", "GET /metrics?once", "200"),
    ("[::1]:9464", "HEAD /metrics/", "200"),
    ("estate.example", "GET /metrics", "421"),
    ("127.0.0.1.estate.example:9464", "GET /metrics", "421"),
    ("10.0.0.7", "GET /metrics", "421"),
    ("", "GET /metrics", "421"),
    ("127.0.0.1\r\nHost: estate.example", "GET /metrics", "421"),
    ("127.0.0.1", "GET /", "404"),
    ("127.0.0.1", "POST /metrics", "405"),
    ("127.0.0.1", "nonsense", "400"),
    ("127.0.0.1\r\nX-Long: " + "x" * 20_000, "GET /metrics", "431"),
]


@pytest.mark.parametrize(("host", "asked", "status"), ASKED)
def test_the_metrics_are_told_to_who_calls_them_by_their_name(
    host: str, asked: str, status: str
) -> None:
    manager = TaskManager([Task(task_id=1)], quiet=True)
    with serve_metrics(manager, 0) as url, connected(url) as caller:
        caller.sendall(f"{asked} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        answer = hear(caller)
    assert answer.split()[1].decode() == status
    assert (b"muster_tasks{" in answer) == (status == "200" and asked.startswith("GET"))


def test_many_that_ask_nothing_keep_nobody_from_the_metrics_and_cost_no_threads() -> None:
    manager = TaskManager([Task(task_id=1)], quiet=True)
    with serve_metrics(manager, 0) as url, contextlib.ExitStack() as held:
        before = threading.active_count()
        for says in (b"", b"GET /metrics HT", b"\x16\x03\x01") * 20:
            held.enter_context(connected(url)).sendall(says)
        with urllib.request.urlopen(url, timeout=60) as answer:
            assert b"muster_tasks{" in answer.read()
        # Threads of earlier tests may end meanwhile.
        assert threading.active_count() <= before


def connected(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", httpx.URL(url).port or 0), timeout=60)


def hear(caller: socket.socket) -> bytes:
    heard = b""
    while part := caller.recv(65_536):
        heard += part
    return heard


def test_the_page_tells_of_every_metric_and_of_no_other() -> None:
    documented: dict[str, tuple[str, list[str]]] = {}
    table = re.findall(
        r"^\| `(\w+)` \| (\w+) \| (.*?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    for name, kind, labels in table:
        documented[name] = (kind, re.findall(r"`(\w+)`", labels))
    limits = [Limit(concurrent=9)]
    manager = TaskManager(quiet=True, store=MemoryStore(), budget=1.0, limits=limits)
    board = manager._shell.driver.board
    board.handle(WorkerJoined("at Ada", WorkerProfile("Ada", 5), session="1"), 1_000.0)
    board.task_registry.ignored["came twice"] = 1
    board.spending.by_model["large"] = ModelSum(1, 7, 4, 0.5)
    board.spending.sums.add("judge", 0.0, 0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TaskManager, "dropped", {"garbage": 1})
        families: list[Any] = list(text_string_to_metric_families(render_metrics(manager).decode()))
    exported = {
        family.name + ("_total" if family.type == "counter" else ""): (
            family.type,
            sorted({name for sample in family.samples for name in sample.labels} - {"le"}),
        )
        for family in families
    }
    assert {name: (kind, sorted(labels)) for name, (kind, labels) in documented.items()} == exported


async def test_the_live_page_of_the_command_line_has_them_too() -> None:
    manager = TaskManager([Task(task_id=1)], quiet=True)
    told = StringIO()
    async with WebPage(WebPageOptions(port=0), told) as page:
        page.follow(manager)
        url = told.getvalue().split()[-1]
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{url}metrics")
    assert answer.headers["content-type"] == METRICS_CONTENT_TYPE
    assert 'muster_tasks{status="pending"} 1.0' in answer.text
