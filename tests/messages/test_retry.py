"""A `Retry` has sensible values, travels with its task, and says how long each wait is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.messages import Retry, Task, decode_message, encode_message
from muster.messages.codec import decode_task, encode_task
from muster.messages.work import TaskAssignment
from pydantic import ValidationError

NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"factor": 0.5}, "factor\n  must be from 1"),
        ({"factor": NAN}, "factor\n  must be from 1"),
        ({"factor": 1_001}, "to 1,000"),
        ({"max_attempts": 0}, "max_attempts\n  Input should be greater than or equal to 1"),
        ({"max_attempts": 101}, "less than or equal to 100"),
        ({"jitter": 1.1}, "jitter\n  must be from 0"),
        ({"jitter": -0.1}, "jitter\n  must be from 0"),
        ({"jitter": NAN}, "jitter\n  must be from 0"),
        ({"wait_s": -1}, "wait_s\n  must be a number of seconds from 0"),
        ({"wait_s": NAN}, "wait_s\n  must be a number of seconds from 0"),
        ({"wait_s": INFINITE}, "wait_s\n  must be a number of seconds from 0"),
        ({"max_wait_s": INFINITE}, "max_wait_s\n  must be a number of seconds from 0"),
        ({"wait_s": 61}, "wait_s is 61, above max_wait_s, which is 60; lower wait_s or raise"),
        ({"on": ("",)}, "on\n  must be a list of patterns"),
        ({"on": (" ",)}, "on\n  must be a list of patterns"),
        ({"on": (":5*",)}, "on\n  must be a list of patterns"),
        ({"on": ("HTTPStatusError:",)}, "on\n  must be a list of patterns"),
        ({"on": "ConnectionError"}, "on\n  must be a list of patterns"),
        ({"unless": ("x" * 201,)}, "unless\n  must be a list of patterns"),
        ({"attempts": 3}, "attempts\n  Extra inputs are not permitted"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=r"1 validation error") as refused:
        Retry(**fields)
    assert told in str(refused.value)


@pytest.mark.parametrize("max_losses", [-1, 1_001, 0.5, "many"])
def test_the_losses_of_a_task_are_a_number_of_times(max_losses: Any) -> None:
    with pytest.raises(ValidationError, match="must be an integer from 0 to 1,000, or None"):
        Task(max_losses=max_losses)


@pytest.mark.parametrize("retry", [Retry(max_attempts=5), {"max_attempts": 5}, {}], ids=str)
def test_attempts_given_in_two_places_must_agree(retry: Any) -> None:
    told = "max_attempts is 3, and that of retry is 5; give it in one of the two places"
    with pytest.raises(ValidationError, match=told):
        Task(max_attempts=3, retry=retry)
    assert Task(max_attempts=5, retry=retry).retry == Retry(max_attempts=5)


@pytest.mark.parametrize(
    "retry", [Retry(), Retry(max_attempts=3, on=("A", "B:5*"), unless=["C"], same_worker=True)]
)
def test_it_travels_with_its_task(retry: Retry) -> None:
    task = Task(1, retry=retry, max_losses=0)
    assert decode_task(encode_task(task)) == task
    assert decode_message(encode_message(TaskAssignment(task))) == TaskAssignment(task)
    assert Task.model_validate_json(task.model_dump_json()) == task


_SECONDS = st.floats(0, 1e6)


@given(
    waits=st.tuples(_SECONDS, _SECONDS),
    factor=st.floats(1, 1_000),
    jitter=st.floats(0, 1),
    failures=st.integers(1, 300),
    task_id=st.one_of(st.integers(1, 2**62), st.text(min_size=1)),
)
def test_each_wait_is_within_its_jitter_and_never_above_the_longest(
    waits: tuple[float, float], factor: float, jitter: float, failures: int, task_id: int | str
) -> None:
    wait_s, max_wait_s = sorted(waits)
    retry = Retry(wait_s=wait_s, factor=factor, max_wait_s=max_wait_s, jitter=jitter)
    wait = retry.wait_after(failures, task_id)
    expected = min(wait_s * factor ** min(failures - 1, 100), max_wait_s)
    slack = 1e-9 * (1 + expected)
    most = min(expected * (1 + jitter), max_wait_s)
    assert expected * (1 - jitter) - slack <= wait <= most + slack
    assert wait == retry.wait_after(failures, task_id), "the same after a restart"


def test_tasks_that_failed_together_are_not_tried_again_together() -> None:
    retry = Retry(wait_s=10, jitter=0.5)
    waits = sorted(retry.wait_after(1, number) for number in range(1, 101))
    assert len(set(waits)) == len(waits)
    assert waits[9] < 7.0
    assert waits[-10] > 13.0
