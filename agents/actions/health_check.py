"""`periodic_health_check`: whether a service answers, how fast, and how often it did not."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import datetime, timezone
from typing import TypedDict

import httpx

from .arguments import check_count, check_seconds
from .progress import HasProgress, WholePercents
from .web_requests import REQUEST_FAULTS, ask, check_url, open_client, show_url

MAX_HISTORY = 1_000
"""How many checks a report tells of one by one: the latest. Its numbers count all."""

_FIRST_BAD_STATUS = 400


class HealthCheck(TypedDict):
    """One check.

    Args:
        at: when, in UTC, as ISO 8601.
        status: the HTTP status, None if there was no answer.
        latency_ms: milliseconds until the answer began, None if there was none.
        healthy: whether the status was below 400.
        error: why there was no answer, None if there was one.
    """

    at: str
    status: int | None
    latency_ms: float | None
    healthy: bool
    error: str | None


class HealthReport(TypedDict):
    """What a row of checks found.

    Args:
        url: what was checked, without user, password and query.
        checks: how many checks were made.
        healthy: how many found it well.
        unhealthy: how many did not.
        availability_percent: the share that did, 0 to 100.
        min_latency_ms: the shortest time to an answer; None if there was none at all.
        mean_latency_ms: the mean of these times.
        max_latency_ms: the longest.
        last: the last check.
        history: the checks one by one, the latest `MAX_HISTORY`.
    """

    url: str
    checks: int
    healthy: int
    unhealthy: int
    availability_percent: float
    min_latency_ms: float | None
    mean_latency_ms: float | None
    max_latency_ms: float | None
    last: HealthCheck
    history: list[HealthCheck]


async def periodic_health_check(
    task: HasProgress,
    url: str,
    interval_seconds: float = 60,
    max_checks: int = 10,
    *,
    timeout_s: float = 10.0,
    transport: httpx.AsyncBaseTransport | None = None,
) -> HealthReport:
    """Ask for an address again and again, and tell how that went.

    An address that doesn't answer, or with an error, is a finding, and fails no task.

    Args:
        task: is told how many of the checks are made.
        url: what to ask for, by GET; redirects are followed.
        interval_seconds: from the beginning of one check to that of the next, 0 or more; the first
            is made at once.
        max_checks: how many, 1 or more.
        timeout_s: how long to wait for an answer, in seconds, above 0.
        transport: sends the requests; None lets httpx send them to any address.

    Raises:
        InvalidInput: an argument is out of range, or `url` is no web address.
        AddressRefused: the transport does not go where `url` is, or redirects to.
    """
    check_url(url)
    check_seconds("interval_seconds", interval_seconds)
    check_count("max_checks", max_checks)
    check_seconds("timeout_s", timeout_s, may_be_zero=False)
    loop = asyncio.get_running_loop()
    told = WholePercents(task)
    findings = _Findings()
    # httpx's own limit begins anew with each byte; `_check` has one for the whole answer.
    async with open_client(transport, timeout_s=None) as client:
        next_at = loop.time()
        for number in range(1, max_checks + 1):
            findings.add(await _check(client, url, timeout_s))
            told.tell(number, max_checks)
            if number < max_checks:
                next_at = max(next_at + interval_seconds, loop.time())
                await asyncio.sleep(next_at - loop.time())
    return findings.report(show_url(url))


async def _check(client: httpx.AsyncClient, url: str, timeout_s: float) -> HealthCheck:
    at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    try:
        status = await asyncio.wait_for(_ask(client, url), timeout_s)
    except asyncio.TimeoutError:
        return _no_answer(at, f"no answer within {timeout_s:g} s")
    except REQUEST_FAULTS as fault:
        return _no_answer(at, f"{type(fault).__name__}: {fault}")
    return HealthCheck(
        at=at,
        status=status,
        latency_ms=round(1000 * (loop.time() - began_at), 3),
        healthy=status < _FIRST_BAD_STATUS,
        error=None,
    )


async def _ask(client: httpx.AsyncClient, url: str) -> int:
    # The body is of no interest, and may be without an end.
    async with ask(client, url) as response:
        return response.status_code


def _no_answer(at: str, error: str) -> HealthCheck:
    return HealthCheck(at=at, status=None, latency_ms=None, healthy=False, error=error)


class _Findings:
    def __init__(self) -> None:
        self._history: deque[HealthCheck] = deque(maxlen=MAX_HISTORY)
        self._checks = 0
        self._healthy = 0
        self._answers = 0
        self._total_ms = 0.0
        self._min_ms: float | None = None
        self._max_ms: float | None = None

    def add(self, check: HealthCheck) -> None:
        self._history.append(check)
        self._checks += 1
        self._healthy += check["healthy"]
        took_ms = check["latency_ms"]
        if took_ms is not None:
            self._answers += 1
            self._total_ms += took_ms
            self._min_ms = took_ms if self._min_ms is None else min(self._min_ms, took_ms)
            self._max_ms = took_ms if self._max_ms is None else max(self._max_ms, took_ms)

    def report(self, url: str) -> HealthReport:
        return HealthReport(
            url=url,
            checks=self._checks,
            healthy=self._healthy,
            unhealthy=self._checks - self._healthy,
            availability_percent=round(100 * self._healthy / self._checks, 2),
            min_latency_ms=self._min_ms,
            mean_latency_ms=round(self._total_ms / self._answers, 3) if self._answers else None,
            max_latency_ms=self._max_ms,
            last=self._history[-1],
            history=list(self._history),
        )
