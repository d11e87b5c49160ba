"""Metrics as Prometheus parses them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from muster.agents import TaskManager
from muster.agents.metrics import render_metrics
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, ...], float]
"""By name and the values of the labels."""


def read_samples(text: str) -> Samples:
    """What a scrape tells, without the bounds of histograms."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "le" not in sample.labels
    }


@pytest.fixture
def scrape() -> Callable[[TaskManager], Samples]:
    """Scrapes a manager."""
    return lambda manager: read_samples(render_metrics(manager).decode())
