from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from muster.agents.runtime.garbage import ALLOCATIONS, collect_garbage_less_often


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_the_collector_looks_less_often_and_not_at_what_was_there() -> None:
    before = gc.get_freeze_count()
    collect_garbage_less_often()
    assert gc.get_threshold()[0] == ALLOCATIONS
    assert gc.get_freeze_count() > before


def test_cycles_are_found_all_the_same() -> None:
    collect_garbage_less_often()
    for _ in range(5 * ALLOCATIONS):
        cycle: list[object] = []
        cycle.append(cycle)
    assert gc.get_count()[0] <= ALLOCATIONS + 1_000
