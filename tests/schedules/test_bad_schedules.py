"""A schedule that means nothing is refused, with what would be right."""

from __future__ import annotations

from typing import Any

import pytest
from muster.agents import TaskManager
from muster.messages import InvalidInput, Task, UnknownName

HALF = {"cron": "*/5 * * * *", "make": "work"}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "minute": ({**HALF, "cron": "61 * * * *"}, "'61' is no minute; it must be 0 to 59"),
    "hour": ({**HALF, "cron": "0 24 * * *"}, "'24' is no hour; it must be 0 to 23"),
    "day": ({**HALF, "cron": "0 0 32 * *"}, "'32' is no day of the month; it must be 1 to 31"),
    "month": ({**HALF, "cron": "0 0 1 MAI *"}, "'MAI' is no month; it must be 1 to 12 or JAN"),
    "weekday": ({**HALF, "cron": "0 0 * * 8"}, "'8' is no day of the week; it must be 0 to 7"),
    "step": ({**HALF, "cron": "*/0 * * * *"}, "'*/0' is no minute"),
    "backward range": ({**HALF, "cron": "0 5-1 * * *"}, "'5-1' is no hour"),
    "fields": ({**HALF, "cron": "* * *"}, "which has 3 fields; it must have 5: minute, hour"),
    "seconds": ({**HALF, "cron": "* * * * * *"}, "for seconds use every_s"),
    "endless": ({**HALF, "cron": "0," * 400}, "it must be text of 500 characters at most"),
    "February 30": ({**HALF, "cron": "0 0 30 2 *"}, "which never comes"),
    "zone": ({**HALF, "tz": "Europe/Berln"}, "did you mean 'Europe/Berlin'?"),
    "city": ({**HALF, "tz": "new york"}, "did you mean 'America/New_York'?"),
    "another continent": ({**HALF, "tz": "Europe/Colombo"}, "did you mean 'Asia/Colombo'?"),
    "no zone at all": ({**HALF, "tz": "../../etc"}, "name one such as 'Europe/Berlin' or 'UTC'"),
    "both": ({**HALF, "every_s": 5}, "has both of cron and every_s; give one"),
    "neither": ({"make": "work"}, "has neither of cron and every_s; give one"),
    "zero": ({"every_s": 0, "make": "work"}, "every_s of schedule 'job' is 0; it must be"),
    "negative": ({"every_s": -1, "make": "work"}, "from 0.1 to 316,224,000 (ten years)"),
    "NaN": ({"every_s": float("nan"), "make": "work"}, "is nan; it must be a number of seconds"),
    "infinite": ({"every_s": float("inf"), "make": "work"}, "it must be a number of seconds"),
    "too small": ({"every_s": 1e-9, "make": "work"}, "it must be a number of seconds from 0.1"),
    "text": ({"every_s": "5", "make": "work"}, "every_s of schedule 'job' is '5'"),
    "missed": ({**HALF, "missed": "some"}, "it must be 'all', 'latest' or 'skip'"),
    "overlap": ({**HALF, "overlap": "wait"}, "it must be 'queue', 'allow', 'skip' or 'cancel'"),
    "make": ({**HALF, "make": 7}, "make of schedule 'job' is 7; it must be a Task"),
    "blank type": ({**HALF, "make": " "}, "it must be a task type"),
    "data without type": ({**HALF, "make": Task(), "data": 1}, "give the data to the task"),
    "no data at all": ({**HALF, "make": "x" * 201}, "the task of schedule 'job' can't be made"),
}


@pytest.mark.parametrize("given", REFUSED.values(), ids=REFUSED)
def test_what_means_nothing_is_refused_with_what_would_be_right(given: tuple[Any, str]) -> None:
    options, told = given
    manager = TaskManager(port=0, quiet=True)
    with pytest.raises(InvalidInput) as refusal:
        manager.schedule("job", **options)
    assert told in str(refusal.value)
    # Nothing is left behind by what was refused.
    manager.schedule("job", **HALF)


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", 7, "x" * 121])
def test_a_name_that_can_not_be_part_of_an_id_is_refused(name: Any) -> None:
    manager = TaskManager(port=0, quiet=True)
    with pytest.raises(InvalidInput, match="the name of a schedule"):
        manager.schedule(name, **HALF)


def test_the_longest_name_makes_valid_ids() -> None:
    manager = TaskManager(port=0, quiet=True)
    manager.schedule("x" * 120, **HALF)


def test_a_name_is_given_once_and_can_be_given_again_after_its_removal() -> None:
    manager = TaskManager(port=0, quiet=True)
    manager.schedule("job", **HALF)
    with pytest.raises(InvalidInput, match="there is a schedule 'job' already"):
        manager.schedule("job", every_s=5, make="work")
    manager.unschedule("job")
    manager.schedule("job", every_s=5, make="work")
    with pytest.raises(UnknownName, match="there is no schedule 'jobs'; did you mean 'job'"):
        manager.unschedule("jobs")
