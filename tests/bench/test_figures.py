"""What samples come to, and in which form it is told."""

from __future__ import annotations

import json

import pytest
from muster.agents.bench.figures import (
    BenchConditions,
    Figures,
    MemoryUse,
    latency_of,
    payload_rate_of,
    percentile,
    throughput_of,
)
from muster.agents.bench.figures_text import render_figures
from muster.messages import InvalidInput

CONDITIONS = BenchConditions(
    muster="1.2.3",
    ceylon="0.23.0",
    python="3.11.7",
    platform="Linux x86_64",
    cpu_count=2,
    began_at="2026-01-05T06:00:00+00:00",
    workers=2,
    slots=64,
    sealed=True,
    store=None,
)


@pytest.mark.parametrize(
    ("percent", "expected"), [(1, 1), (50, 50), (50.5, 51), (99, 99), (99.1, 100), (100, 100)]
)
def test_a_percentile_of_100_samples_is_the_sample_of_that_rank(
    percent: float, expected: int
) -> None:
    assert percentile([*range(51, 101), *range(1, 51)], percent) == expected


@pytest.mark.parametrize(
    ("samples", "p50", "p99"),
    [([7], 7, 7), ([2, 1], 1, 2), ([3, 1, 2], 2, 3), (list(range(500)), 249, 494)],
)
def test_a_percentile_is_always_one_of_the_samples(
    samples: list[float], p50: float, p99: float
) -> None:
    assert (percentile(samples, 50), percentile(samples, 99)) == (p50, p99)


@pytest.mark.parametrize(("samples", "percent"), [([], 50), ([1.0], 0), ([1.0], 100.1)])
def test_no_samples_and_no_percentage_have_no_percentile(
    samples: list[float], percent: float
) -> None:
    with pytest.raises(InvalidInput):
        percentile(samples, percent)


def test_rates_are_counts_by_seconds() -> None:
    assert throughput_of(10_000, 0.4).tasks_per_s == 25_000
    assert payload_rate_of(1_000_000, 100, 0.5).mb_per_s == 200
    latency = latency_of([0.001] * 98 + [0.002, 0.5])
    assert (latency.samples, latency.p50_ms, latency.p99_ms, latency.slowest_ms) == (
        100,
        1.0,
        2.0,
        500.0,
    )


def test_figures_as_json_have_a_stable_form_and_tell_what_is_missing() -> None:
    figures = Figures(
        conditions=CONDITIONS,
        throughput=throughput_of(10_000, 0.4),
        memory=MemoryUse(manager_peak_bytes=90_000_000, worker_peak_bytes=None),
    )
    told = json.loads(figures.model_dump_json())
    assert told.pop("conditions")["platform"] == "Linux x86_64"
    assert told == {
        "throughput": {"tasks": 10_000, "took_s": 0.4, "tasks_per_s": 25_000.0},
        "latency": None,
        "cold_start_s": None,
        "payload": None,
        "memory": {"manager_peak_bytes": 90_000_000, "worker_peak_bytes": None},
    }
    assert Figures.model_validate_json(figures.model_dump_json()) == figures


def test_figures_as_text_are_a_line_each() -> None:
    figures = Figures(
        conditions=CONDITIONS,
        cold_start_s=0.61,
        throughput=throughput_of(10_000, 0.4),
        latency=latency_of([0.0015] * 99 + [0.004]),
        payload=payload_rate_of(1_000_000, 20, 0.1),
        memory=MemoryUse(manager_peak_bytes=90_400_000, worker_peak_bytes=None),
    )
    assert render_figures(figures, width=100) == (
        """\
2 worker processes of 64 slots, frames sealed, kept nowhere
Muster 1.2.3, Ceylon 0.23.0, Python 3.11.7, Linux x86_64, 2 processors

What                      Figure   How it was taken
────────────────────────────────────────────────────────────────────────────────────────────────────
Cold start                0.61 s   from starting Python, which starts manager and workers, to the
                                   first result
Many tasks        25,000 tasks/s   10,000 that do nothing, in 0.40 s, from submitting to the last
                                   result
One task, p50            1.50 ms   100 of them, one after the other, from submitting to the result
One task, p99            1.50 ms   the slowest took 4.00 ms
Payload                 200 MB/s   1 MB of noise echoed 20 times in 0.10 s
Memory, manager            90 MB   the most that was resident
Memory, worker           unknown   the most that was resident, the largest worker"""
    )


def test_only_what_was_measured_is_shown() -> None:
    text = render_figures(Figures(conditions=CONDITIONS, cold_start_s=0.61))
    assert [line.split("  ")[0] for line in text.splitlines()[5:]] == ["Cold start"]
    assert Figures(conditions=CONDITIONS).has_any is False
    assert Figures(conditions=CONDITIONS, cold_start_s=0.61).has_any is True
