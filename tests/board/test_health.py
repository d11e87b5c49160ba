"""Whether a worker is healthy, late or lost."""

from __future__ import annotations

import pytest
from muster.agents.kernel.model.health import LATE_AFTER_HEARTBEATS, Health, health_of, silence_of
from muster.agents.kernel.model.records import WorkerRecord
from muster.messages import WorkerProfile


def worker(**fields: object) -> WorkerRecord:
    made = WorkerRecord(
        *(WorkerProfile("Ada", 5), "at Ada", "1", 0),
        joined_at=50.0,
        last_heard_at=100.0,
    )
    for name, value in fields.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("heartbeats", "health"),
    [
        (0.0, Health.HEALTHY),
        (1.9, Health.HEALTHY),
        (LATE_AFTER_HEARTBEATS, Health.HEALTHY),
        (2.6, Health.LATE),
        (100.0, Health.LATE),
    ],
)
@pytest.mark.parametrize("heartbeat_s", [0.25, 2.0])
def test_a_worker_is_late_after_some_heartbeats_without_a_word(
    heartbeats: float, health: Health, heartbeat_s: float
) -> None:
    assert health_of(worker(), 100.0 + heartbeats * heartbeat_s, heartbeat_s) is health


def test_who_was_given_up_or_left_is_lost_however_lately_it_was_heard() -> None:
    assert health_of(worker(alive=False, lost_at=100.0), 100.0, 2.0) is Health.LOST


def test_who_is_awaited_back_is_late() -> None:
    away = worker(alive=False, lost_at=100.0, awaited_until=120.0)
    assert health_of(away, 100.0, 2.0) is Health.LATE


def test_a_silence_is_never_negative() -> None:
    assert silence_of(worker(), 103.5) == 3.5
    assert silence_of(worker(), 99.0) == 0.0
