"""When a direct connection is given up, and when another is asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.kernel.delivery.connection_life import (
    FIRST_PAUSE_AFTER_LOSS_S,
    FIRST_PAUSE_S,
    GIVEN_UP_AFTER_S,
    LONGEST_PAUSE_S,
    SETTLED_FOR_S,
    SILENT_HEARTBEATS,
    STEADY_S,
    ConnectionLife,
    ConnectionPause,
)

HEARTBEAT_S = 2.0
STEP_S = 0.1


def lived(
    *, delay_s: float, link_s: float | None, for_s: float, answers: bool = True
) -> tuple[float, str] | None:
    """When and why a connection was given up whose answers take so long; None if it was not."""
    life, sent = ConnectionLife(0.0), []
    for step in range(1, round(for_s / STEP_S) + 1):
        now = step * STEP_S
        sent.append((step, now))
        life.sent(step, now)
        while answers and sent and sent[0][1] + delay_s <= now:
            life.answered(sent.pop(0)[0], now)
        fault = life.fault(HEARTBEAT_S, link_s if life.is_doubtful(now) else None, now)
        if fault is not None:
            return now, fault
    return None


@pytest.mark.parametrize(
    ("delay_s", "link_s", "by_s"),
    [
        (0.3, 0.005, 1.5),
        (1.0, 0.005, 1.5),
        (1.0, 0.3, 1.5),
        (0.5, 0.1, 1.5),
        (100.0, 0.005, 1.5),
        (100.0, None, SILENT_HEARTBEATS * HEARTBEAT_S + 0.2),
        (100.0, 50.0, SILENT_HEARTBEATS * HEARTBEAT_S + 0.2),
    ],
)
def test_a_connection_that_is_held_up_is_given_up(
    delay_s: float, link_s: float | None, by_s: float
) -> None:
    told = lived(delay_s=delay_s, link_s=link_s, for_s=60)
    assert told is not None
    assert told[0] <= by_s


@pytest.mark.parametrize(
    ("delay_s", "link_s"),
    [(0.0, None), (0.0, 0.001), (0.2, 0.1), (0.2, None), (1.0, 0.5), (2.0, None), (0.9, 0.9)],
)
def test_a_connection_that_is_no_slower_than_the_network_is_kept(
    delay_s: float, link_s: float | None
) -> None:
    assert lived(delay_s=delay_s, link_s=link_s, for_s=60) is None


def test_one_slow_answer_is_no_reason() -> None:
    life = ConnectionLife(0.0)
    life.sent(1, 0.0)
    life.answered(1, 0.4)
    assert life.is_doubtful(0.4)
    life.sent(2, 0.4)
    life.answered(2, 0.41)
    assert life.fault(HEARTBEAT_S, 0.001, 0.4 + GIVEN_UP_AFTER_S) is None


def test_what_was_settled_is_not_looked_at_again_for_a_while() -> None:
    life, looks = ConnectionLife(0.0), 0
    for step in range(1, 601):
        now = step * STEP_S
        life.sent(step, now)
        life.answered(step, now + 0.05)
        if life.is_doubtful(now + 0.05):
            looks += 1
            assert life.fault(HEARTBEAT_S, 0.04, now + 0.05) is None
    assert looks == round(60 / SETTLED_FOR_S)


def test_answers_that_were_held_back_prolong_nothing() -> None:
    life = ConnectionLife(0.0)
    for step in range(1, 4):
        life.sent(step, float(step))
    # Three answers of the first seconds, let through one after the other.
    for step, now in ((1, 4.0), (2, 6.0), (3, 8.0)):
        life.answered(step, now)
    assert life.fault(HEARTBEAT_S, None, 3.0 + SILENT_HEARTBEATS * HEARTBEAT_S) is None
    assert life.fault(HEARTBEAT_S, None, 3.1 + SILENT_HEARTBEATS * HEARTBEAT_S) is not None


@given(
    answers=st.lists(st.tuples(st.integers(0, 40), st.floats(0, 5)), max_size=40),
)
def test_whatever_answers_come_life_is_as_old_as_what_was_answered(
    answers: list[tuple[int, float]],
) -> None:
    life, now, newest = ConnectionLife(0.0), 0.0, 0.0
    sent: dict[int, float] = {}
    for number, (answered, after_s) in enumerate(answers, 1):
        now += after_s
        life.sent(number, now)
        sent[number] = now
        life.answered(answered, now)
        newest = max([newest, *(at for each, at in sent.items() if each <= answered)])
        is_silent = now - newest > SILENT_HEARTBEATS * HEARTBEAT_S
        assert (life.fault(HEARTBEAT_S, None, now) is not None) is is_silent
        if is_silent:
            return


# ------------------------------------------------------------------------- pauses


def test_refusals_double_the_pause_up_to_a_bound() -> None:
    pause = ConnectionPause()
    pauses = [pause.after_refusal() for _ in range(15)]
    assert pauses[:3] == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    assert pauses[-1] == LONGEST_PAUSE_S


def test_a_connection_that_ends_early_is_asked_for_more_and_more_seldom() -> None:
    pause = ConnectionPause()
    assert [pause.after_end(1.0) for _ in range(7)] == [2, 4, 8, 16, 32, 60, 60]


def test_after_one_that_was_steady_the_next_is_asked_for_at_once() -> None:
    pause = ConnectionPause()
    for _ in range(7):
        pause.after_end(1.0)
    assert pause.after_end(STEADY_S) == FIRST_PAUSE_S


@given(st.lists(st.one_of(st.none(), st.floats(0, 2 * STEADY_S)), max_size=50))
def test_a_pause_is_never_shorter_after_an_early_end_nor_longer_than_the_bound(
    lives: list[float | None],
) -> None:
    pause = ConnectionPause()
    for lasted_s in lives:
        pause_s = pause.after_refusal() if lasted_s is None else pause.after_end(lasted_s)
        assert FIRST_PAUSE_S <= pause_s <= LONGEST_PAUSE_S
        if lasted_s is not None and lasted_s < STEADY_S:
            assert pause_s >= FIRST_PAUSE_AFTER_LOSS_S
