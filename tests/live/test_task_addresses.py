"""A URL tells the integer 7 from the text "7"."""

from __future__ import annotations

import pytest
from muster.agents.live.task_addresses import read_task_id, write_task_id
from muster.messages import UnknownTask


@pytest.mark.parametrize(
    ("written", "task_id"),
    [
        ("7", 7),
        ('"7"', "7"),
        ("weigh-the-leaf", "weigh-the-leaf"),
        ('"a/b"', "a/b"),
        ('".."', ".."),
        ("007", "007"),
        ("-7", "-7"),
        ("9223372036854775807", 2**63 - 1),
        ('"\\u00e9t\\u00e9"', "été"),
        ('"\\""', '"'),
    ],
)
def test_an_id_is_read_as_json(written: str, task_id: int | str) -> None:
    assert read_task_id(written) == task_id
    assert type(read_task_id(written)) is type(task_id)


@pytest.mark.parametrize("task_id", [7, "7", "été", 'with "quotes"', "a/b?c#d%", " ", 2**63 - 1])
def test_what_is_written_is_read_again(task_id: int | str) -> None:
    assert read_task_id(write_task_id(task_id)) == task_id


@pytest.mark.parametrize("written", ['"', '"a', '"a" b', '"' + "x" * 10_000 + '"', '"\\'])
def test_what_begins_as_json_and_is_none_is_nobodys_id(written: str) -> None:
    with pytest.raises(UnknownTask, match="in a URL an id is JSON"):
        read_task_id(written)
