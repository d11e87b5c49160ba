"""What is sampled of a run while it goes, and who notices a worker that lost its manager."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from muster.agents import run_in_virtual_time
from muster.agents.metrics.system_metrics import MAX_ERROR_KINDS, PerformanceReport, SystemMetrics
from muster.agents.worker.health import check_worker_health
from muster.messages import InvalidInput, Task

Make = Callable[[], Any]


def test_completion_times_utilization_errors_and_success_rates_are_sampled_while_it_runs(
    hall: Make,
) -> None:
    async def story() -> Any:
        at = hall()
        manager = at.manager(num_workers=2, policy="in_order", reassign_failed=False)
        workers = [at.worker("Ada", 9), at.worker("Ben", 1)]
        metrics = SystemMetrics(manager, every_s=10.0)
        collecting = asyncio.ensure_future(metrics.collect_metrics())
        await manager.start()
        for worker in workers:
            await worker.start()
        # Ada is busy for 4 s, Ben fails after 2 s; both from about second 0 on.
        manager.add_task(Task(task_id=1, difficulty=4))
        manager.add_task(Task(task_id=2, difficulty=2))
        await asyncio.sleep(10.5)
        first = metrics.generate_performance_report()
        await asyncio.sleep(10)
        second = metrics.generate_performance_report()
        await workers[1].stop()
        await asyncio.sleep(10)
        third = metrics.generate_performance_report()
        collecting.cancel()
        await manager.stop()
        return first, second, third

    first, second, third = run_in_virtual_time(story())
    assert first.avg_completion_time == 4.0
    assert first.worker_stats == {"Ada": 1.0, "Ben": 0.0}
    assert first.error_rates == {"too difficult": 1}
    assert first.worker_utilization["Ada"] == pytest.approx(0.4, abs=0.02)
    assert first.worker_utilization["Ben"] == pytest.approx(0.2, abs=0.02)
    assert second.worker_utilization == {"Ada": 0.0, "Ben": 0.0}
    assert third.worker_utilization == {"Ada": 0.0}
    assert third.error_rates == {"too difficult": 1, "worker lost": 1}


def test_a_task_that_is_still_being_done_counts_as_work(hall: Make) -> None:
    async def story() -> Any:
        at = hall()
        manager, worker = at.manager(), at.worker("Ada", 9, slots=2)
        await manager.start()
        await worker.start()
        metrics = SystemMetrics(manager)
        manager.add_task(Task(task_id=1, difficulty=8))
        await asyncio.sleep(4)
        metrics.update_metrics()
        await manager.stop()
        return metrics.worker_utilization

    assert run_in_virtual_time(story()) == {"Ada": pytest.approx(0.5, abs=0.01)}


def test_before_anything_happened_the_report_is_empty(hall: Make) -> None:
    report = SystemMetrics(hall().manager()).generate_performance_report()
    assert report == PerformanceReport(None, {}, {}, {})


def test_kinds_of_error_are_bounded(hall: Make) -> None:
    metrics = SystemMetrics(hall().manager())
    for number in range(MAX_ERROR_KINDS + 50):
        metrics._count(f"kind {number}")
    assert len(metrics.error_counts) == MAX_ERROR_KINDS + 1
    assert metrics.error_counts["other"] == 50


def test_a_worker_that_loses_its_manager_is_told_of_once_and_when_it_is_back(
    hall: Make, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        at = hall()
        manager, worker = at.manager(), at.worker("Ada")
        await manager.start()
        await worker.start()
        watching = asyncio.ensure_future(check_worker_health(worker, every_s=3.0))
        await asyncio.sleep(60)
        at.faults.partition(["Ada"])
        await asyncio.sleep(60)
        at.faults.heal()
        await asyncio.sleep(60)
        watching.cancel()
        await manager.stop()

    with caplog.at_level(logging.INFO, logger="muster"):
        run_in_virtual_time(story())
    told = [each.message for each in caplog.records if "connected" in each.message]
    assert len(told) == 2
    assert told[0].startswith("a worker is disconnected worker='Ada' why=")
    assert told[1].startswith("a worker is connected again worker='Ada'")


async def test_intervals_that_make_no_sense_are_refused(hall: Make) -> None:
    with pytest.raises(InvalidInput):
        SystemMetrics(hall().manager(), every_s=0)
    with pytest.raises(InvalidInput):
        await check_worker_health(hall().worker("Ada"), every_s=0)
