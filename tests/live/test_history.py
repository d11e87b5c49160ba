"""The history of a run stays bounded, and reaches from its beginning to its end."""

from __future__ import annotations

from muster.agents.live.history import FIRST_STEP_S, MAX_SAMPLES, History, Sample


def test_samples_come_a_step_apart() -> None:
    history = History()
    taken = [history.add(Sample(at / 10, at, 0)) for at in range(11)]
    assert [at for at, kept in enumerate(taken) if kept] == [0, 3, 6, 9]


def test_a_day_of_samples_stays_bounded_and_reaches_back_to_its_beginning() -> None:
    history = History()
    for quarter in range(4 * 24 * 3600):
        history.add(Sample(quarter * FIRST_STEP_S, quarter, 0))
    assert MAX_SAMPLES // 2 <= len(history.samples) < MAX_SAMPLES
    assert history.samples[0] == Sample(0.0, 0, 0)
    assert history.samples[-1].at > 24 * 3600 - history.step_s - 1
    gaps = {
        round(after.at - before.at)
        for before, after in zip(history.samples, history.samples[1:], strict=False)
    }
    assert max(gaps) <= 2 * history.step_s
