"""Values and validation errors in one line."""

from __future__ import annotations

import pytest
from muster.messages import Task
from muster.messages.wording import show, summarize
from pydantic import ValidationError


class _Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def _nested(levels: int) -> list[object]:
    value: list[object] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    ["x" * 10**6, b"x" * 10**6, [["x" * 10**6] * 99] * 99, 10**4000, _nested(5000), _Unspeakable()],
)
def test_whatever_is_shown_takes_80_characters_at_most(value: object) -> None:
    assert 0 < len(show(value)) <= 80


@pytest.mark.parametrize("value", [7, "a", b"a", 1.5, None, [1, "b"], {"k": (1, 2)}])
def test_a_short_value_is_shown_as_python_writes_it(value: object) -> None:
    assert show(value) == repr(value)


def _fault(fields: dict[str, object]) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Task.model_validate(fields)
    return caught.value


def test_after_five_faults_the_rest_is_counted() -> None:
    told = summarize(_fault({"id": 1, "description": "d", "depends_on": [0] * 12}))
    assert told.count("; ") == 5
    assert told.endswith("; and 7 more")


def test_thousands_of_faults_are_counted_and_not_listed() -> None:
    told = summarize(_fault({"id": 1, "description": "d", "depends_on": [0] * 5000}))
    assert told == "Task: 5,000 invalid values, too many to list"


def test_a_summary_is_one_line_of_bounded_length() -> None:
    fields = {"id": 1, "description": "d"} | {f"{n}\n" * 10_000: "y\n" * 9000 for n in range(9)}
    told = summarize(_fault(fields))
    assert len(told) < 2500
    assert "\n" not in told
