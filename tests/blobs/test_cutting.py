"""Encoded messages are cut and put together again."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.messages import (
    DecodeError,
    Heartbeat,
    Task,
    TaskAssignment,
    TaskResult,
    decode_message,
    encode_message,
)
from muster.messages.cutting import OffloadedParts, cut, splice
from pydantic import field_validator

BIG = b"\x93" * 1_000


class LeafTask(Task):
    """A user's own task that insists on its data."""

    data: dict[str, bytes]
    leaves: list[int]

    @field_validator("leaves")
    @classmethod
    def count(cls, leaves: list[int]) -> list[int]:
        if not leaves:
            raise ValueError("no leaves")
        return leaves


def assignment(**fields: object) -> TaskAssignment:
    task = LeafTask(
        id="a", description="sort", data={"leaf": BIG, "x": b"", "y": b""}, leaves=[1] * 900
    )
    return TaskAssignment(task=task, worker="Ada", **fields)  # type: ignore[arg-type]


def test_data_inputs_and_a_subclasss_own_fields_are_cut_each_by_itself() -> None:
    encoded = encode_message(assignment(inputs={1: BIG, 2: "small", "3": [BIG, BIG]}))
    cutting = cut(encoded, 400)
    assert cutting is not None
    assert len(cutting.values) == 4
    assert len(cutting.skeleton) < 250
    assert sum(map(len, cutting.values)) + len(cutting.skeleton) == len(encoded)
    assert splice(cutting) == encoded


def test_equal_values_are_equal_once_they_are_cut_out() -> None:
    first = cut(encode_message(assignment()), 400)
    second = cut(encode_message(assignment(attempt=2, assigned_at=77)), 400)
    assert first is not None
    assert second is not None
    assert first.values == second.values


def test_an_output_is_cut() -> None:
    result = TaskResult(task_id=1, worker="Ada", success=True, output={"leaf": BIG})
    cutting = cut(encode_message(result), 400)
    assert cutting is not None
    assert decode_message(splice(cutting)) == result


def test_many_small_inputs_are_one_large_one() -> None:
    encoded = encode_message(assignment(inputs=dict.fromkeys(range(1, 101), "x" * 90)))
    cutting = cut(encoded, 400)
    assert cutting is not None
    assert len(cutting.values) == 3
    assert len(cutting.skeleton) < 250
    assert splice(cutting) == encoded


@pytest.mark.parametrize("message", [Heartbeat(), TaskResult(task_id=1, worker="A", success=True)])
def test_what_is_small_is_not_cut(message: object) -> None:
    assert cut(encode_message(message), 400) is None  # type: ignore[arg-type]


@given(
    data=st.recursive(
        st.none() | st.integers(-5, 2**60) | st.binary(max_size=50) | st.text(max_size=50),
        lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.integers(-9, 9), inner),
        max_leaves=30,
    ),
    inputs=st.dictionaries(st.integers(1, 9), st.binary(max_size=300), max_size=5),
    threshold=st.integers(0, 300),
)
def test_whatever_is_cut_is_the_same_bytes_again(
    data: object, inputs: dict[int | str, object], threshold: int
) -> None:
    task = Task(id=1, description="d", type="t", data=data, priority=3)
    encoded = encode_message(TaskAssignment(task=task, worker="w", inputs=inputs))
    cutting = cut(encoded, threshold)
    assert cutting is None or splice(cutting) == encoded


@pytest.mark.parametrize(
    ("places", "values"),
    [((0,), ()), ((5, 3), (b"a", b"b")), ((11,), (b"a",)), ((10**30,), (b"a",)), ((-1,), (b"a",))],
)
def test_what_does_not_fit_together_is_refused(
    places: tuple[int, ...], values: tuple[bytes, ...]
) -> None:
    with pytest.raises(DecodeError, match="do not fit"):
        splice(OffloadedParts(b"x" * 10, places, values))


def test_a_parcel_can_not_unfold_to_more_than_a_message() -> None:
    value = b"x" * (1024 * 1024)
    with pytest.raises(DecodeError, match="a parcel of"):
        splice(OffloadedParts(b"", (0,) * 65, (value,) * 65))


def test_a_megabyte_of_bytes_is_encoded_cut_and_decoded_in_a_moment() -> None:
    task = Task(id=1, description="d", type="t", data=b"\x91" * 1_000_000)
    message = TaskAssignment(task=task, worker="w")
    best_s = min(_timed(message) for _ in range(5))
    # Some 0.4 ms; to take bytes for a million nested lists takes 100.
    assert best_s < 0.03


def _timed(message: TaskAssignment) -> float:
    began = time.thread_time()
    cutting = cut(encode_message(message), 1000)
    assert cutting is not None
    decode_message(splice(cutting))
    return time.thread_time() - began
