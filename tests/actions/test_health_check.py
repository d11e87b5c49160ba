"""Whether a service answers, how fast, and how often it did not."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from muster.agents import run_in_virtual_time
from muster.agents.actions import health_check, periodic_health_check
from muster.messages import InvalidInput


async def test_each_check_is_told_with_status_and_latency_and_all_are_summed_up(
    server: Any, told: Any
) -> None:
    answers = ["200 OK", "204 No Content", "503 Service Unavailable", "200 OK"]

    async def serve(connection: Any) -> None:
        await asyncio.sleep(0.02)
        await connection.answer(b"", answers.pop(0))

    server.behaviour = serve
    report = await periodic_health_check(told, f"{server.url}/health", 0.001, 4)
    assert [check["status"] for check in report["history"]] == [200, 204, 503, 200]
    assert [check["healthy"] for check in report["history"]] == [True, True, False, True]
    assert (report["url"], report["checks"]) == (f"{server.url}/health", 4)
    assert (report["healthy"], report["unhealthy"]) == (3, 1)
    assert report["availability_percent"] == 75.0
    latencies = [check["latency_ms"] for check in report["history"]]
    assert report["min_latency_ms"] == min(latencies) >= 20
    assert report["max_latency_ms"] == max(latencies)
    assert report["mean_latency_ms"] == pytest.approx(sum(latencies) / 4, abs=0.01)
    assert report["last"] == report["history"][-1]
    assert told.seen == [25.0, 50.0, 75.0, 100.0]


def test_checks_keep_to_their_interval_whatever_the_answers_take(
    told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    began_at: list[float] = []
    takes_s = [3.0, 1.0, 12.0, 1.0, 1.0]

    async def ask(*_: object) -> int:
        began_at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(takes_s.pop(0))
        return 200

    monkeypatch.setattr(health_check, "_request", ask)
    check = periodic_health_check(told, "http://127.0.0.1", 5, 5, timeout_s=60)
    report = run_in_virtual_time(check)
    # The third takes longer than the interval: the next comes as soon as it can.
    assert began_at == [0.0, 5.0, 10.0, 22.0, 27.0]
    assert (report["min_latency_ms"], report["max_latency_ms"]) == (1_000.0, 12_000.0)
    assert report["mean_latency_ms"] == 3_600.0


async def test_an_address_where_nobody_listens_is_a_finding_and_no_failure(told: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        report = await periodic_health_check(told, f"http://127.0.0.1:{port}", 0, 2)
    assert (report["healthy"], report["unhealthy"], report["availability_percent"]) == (0, 2, 0.0)
    assert report["mean_latency_ms"] is None
    assert report["last"]["status"] is None
    assert report["last"]["error"].startswith("ConnectError")


async def test_a_service_that_is_too_slow_is_unhealthy(server: Any, told: Any) -> None:
    async def serve(connection: Any) -> None:
        for letter in "HTTP/1.1 200 OK":
            await connection.send(letter.encode())
            await asyncio.sleep(0.02)

    server.behaviour = serve
    report = await periodic_health_check(told, server.url, 0, 1, timeout_s=0.05)
    assert report["last"]["error"] == "no response within 0.05 s"


async def test_an_answer_without_an_end_is_not_read(server: Any, told: Any) -> None:
    async def serve(connection: Any) -> None:
        await connection.head("200 OK", {})
        while True:
            await connection.send(bytes(10_000))

    server.behaviour = serve
    report = await periodic_health_check(told, server.url, 0, 2)
    assert report["healthy"] == 2


async def test_only_the_latest_checks_are_told_one_by_one(
    server: Any, told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_check, "MAX_HISTORY", 3)

    async def serve(connection: Any) -> None:
        await connection.answer()

    server.behaviour = serve
    report = await periodic_health_check(told, server.url, 0, 5)
    assert (report["checks"], len(report["history"])) == (5, 3)


async def test_a_cancelled_check_ends_at_once(server: Any, told: Any, until: Any) -> None:
    async def serve(connection: Any) -> None:
        await connection.answer()

    server.behaviour = serve
    work = asyncio.ensure_future(periodic_health_check(told, server.url, 60, 3))
    await until(lambda: told.seen)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"url": "file:///etc/passwd"}, "must start with http"),
        ({"interval_seconds": -1}, "interval_seconds is -1"),
        ({"max_checks": 0}, "max_checks is 0"),
        ({"timeout_s": 0}, "timeout_s is 0"),
    ],
)
async def test_arguments_out_of_range_are_refused(
    told: Any, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        await periodic_health_check(told, **{"url": "http://127.0.0.1", **arguments})
