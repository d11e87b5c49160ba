"""`periodic_health_check`: checks whether a service answers, how fast, and how often it fails."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import datetime, timezone
from typing import TypedDict

import httpx

from .arguments import check_count, check_seconds
from .progress import HasProgress, WholePercents
from .web_requests import REQUEST_FAULTS, check_url, open_client, request, show_url

MAX_HISTORY = 1_000
"""How many of the latest checks a report lists; its totals count all."""

_FIRST_BAD_STATUS = 400


class HealthCheck(TypedDict):
    """One check.

    Args:
        at: the time in UTC, as ISO 8601.
        status: the HTTP status; None without a response.
        latency_ms: milliseconds until the response began; None without a response.
        healthy: whether the status was below 400.
        error: why there was no response; None if there was one.
    """

    at: str
    status: int | None
    latency_ms: float | None
    healthy: bool
    error: str | None


class HealthReport(TypedDict):
    """The results of all checks.

    Args:
        url: the checked URL, without user, password and query.
        checks: the number of checks.
        healthy: the number of healthy checks.
        unhealthy: the number of unhealthy checks.
        availability_percent: the share of healthy checks, 0 to 100.
        min_latency_ms: the shortest latency; None without any response.
        mean_latency_ms: the mean latency.
        max_latency_ms: the longest latency.
        last: the last check.
        history: the latest `MAX_HISTORY` checks.
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
    """Request a URL repeatedly, and report the results.

    A missing response or an error status counts as unhealthy; it does not fail the task.

    Args:
        task: its progress is set to the share of finished checks.
        url: the URL to request with GET; redirects are followed.
        interval_seconds: seconds from the start of one check to the start of the next, 0 or more;
            the first starts at once.
        max_checks: the number of checks, 1 or more.
        timeout_s: how long to wait for a response, in seconds, above 0.
        transport: sends the requests; None allows every address.

    Raises:
        InvalidInput: an argument is out of range, or `url` is not an http or https URL.
        AddressRefused: the transport refuses the address of `url` or of a redirect.
    """
    check_url(url)
    check_seconds("interval_seconds", interval_seconds)
    check_count("max_checks", max_checks)
    check_seconds("timeout_s", timeout_s, may_be_zero=False)
    loop = asyncio.get_running_loop()
    progress = WholePercents(task)
    results = _Results()
    # Without httpx's timeout, which restarts with each byte; `_check` limits the whole response.
    async with open_client(transport, timeout_s=None) as client:
        next_at = loop.time()
        for number in range(1, max_checks + 1):
            results.add(await _check(client, url, timeout_s))
            progress.update(number, max_checks)
            if number < max_checks:
                next_at = max(next_at + interval_seconds, loop.time())
                await asyncio.sleep(next_at - loop.time())
    return results.report(show_url(url))


async def _check(client: httpx.AsyncClient, url: str, timeout_s: float) -> HealthCheck:
    at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    try:
        status = await asyncio.wait_for(_request(client, url), timeout_s)
    except asyncio.TimeoutError:
        return _no_response(at, f"no response within {timeout_s:g} s")
    except REQUEST_FAULTS as fault:
        return _no_response(at, f"{type(fault).__name__}: {fault}")
    return HealthCheck(
        at=at,
        status=status,
        latency_ms=round(1000 * (loop.time() - began_at), 3),
        healthy=status < _FIRST_BAD_STATUS,
        error=None,
    )


async def _request(client: httpx.AsyncClient, url: str) -> int:
    # The body is not read, because it may be endless.
    async with request(client, url) as response:
        return response.status_code


def _no_response(at: str, error: str) -> HealthCheck:
    return HealthCheck(at=at, status=None, latency_ms=None, healthy=False, error=error)


class _Results:
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
