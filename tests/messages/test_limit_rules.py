"""What a limit, a key and a weight may be; anything else is refused with what would be right."""

from __future__ import annotations

import math
from typing import Any

import pytest
from muster.agents import TaskManager
from muster.agents.command.limit_options import read_limits, read_weights
from muster.messages import InvalidInput, Limit, Task
from muster.messages.limit import check_limits
from muster.messages.wording import summarize
from pydantic import ValidationError


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "limits nothing; give it concurrent, or rate and per_s"),
        ({"type": "mail"}, "limits nothing"),
        ({"concurrent": 0}, "must be an integer from 1 to 1,000,000"),
        ({"concurrent": -1}, "must be an integer from 1"),
        ({"concurrent": 1.5}, "must be an integer from 1"),
        ({"concurrent": True}, "must be an integer from 1"),
        ({"rate": 0, "per_s": 1}, "must be an integer from 1"),
        ({"rate": 5}, "has rate without per_s"),
        ({"per_s": 5}, "limits nothing"),
        ({"per_s": 5, "concurrent": 1}, "has per_s without rate"),
        ({"rate": 5, "per_s": 0}, "must be a number of seconds above 0"),
        ({"rate": 5, "per_s": math.inf}, "must be a number of seconds above 0"),
        ({"rate": 5, "per_s": math.nan}, "must be a number of seconds above 0"),
        ({"rate": 5, "per_s": 1, "burst": 6}, "has a burst of 6, more than its rate of 5"),
        ({"rate": 5, "per_s": 1, "burst": 0}, "must be an integer from 1"),
        ({"concurrent": 5, "burst": 2}, "has burst without rate"),
        ({"key": "a", "each_key": True, "concurrent": 1}, "has key and each_key"),
        ({"key": " ", "concurrent": 1}, "must be text that is not blank"),
        ({"key": "k" * 201, "concurrent": 1}, "200 characters at most"),
        ({"type": "", "concurrent": 1}, "leave it out to limit all types"),
        ({"concurent": 1}, "concurent"),
    ],
)
def test_a_limit_that_means_nothing_is_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as fault:
        Limit(**fields)
    assert told in summarize(fault.value)


@pytest.mark.parametrize("key", ["", "  ", "k" * 201, 7])
def test_a_tasks_key_is_text_of_bounded_length(key: Any) -> None:
    with pytest.raises(ValidationError, match="limit_key"):
        Task(id=1, limit_key=key)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            {"limits": [Limit("a", concurrent=1), Limit("a", rate=1, per_s=1)]},
            "two limits are for a",
        ),
        (
            {"limits": [Limit(each_key=True, concurrent=1)] * 2},
            "two limits are for tasks of each key",
        ),
        ({"limits": Limit(concurrent=1)}, r"give a list, such as \[Limit"),
        ({"limits": [{"concurrent": 1}]}, "each must be a Limit"),
        ({"weights": {"a": 0}}, "weight of 'a' is 0; it must be a number from 0.01 to 100"),
        ({"weights": {"a": -1}}, "must be a number from 0.01 to 100"),
        ({"weights": {"a": math.nan}}, "must be a number from 0.01 to 100"),
        ({"weights": {"a": math.inf}}, "must be a number from 0.01 to 100"),
        ({"weights": {"a": "3"}}, "must be a number from 0.01 to 100"),
        ({"weights": {" ": 1}}, "a key is text that is not blank"),
        ({"weights": [("a", 1)]}, "give a weight for each key"),
    ],
)
def test_limits_that_contradict_one_another_are_refused_by_the_manager(
    arguments: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        TaskManager(port=0, **arguments)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("type=send_mail,rate=100,per_s=60", Limit("send_mail", rate=100, per_s=60)),
        ("each_key, concurrent=2", Limit(each_key=True, concurrent=2)),
        ("key=customer-7,concurrent=5", Limit(key="customer-7", concurrent=5)),
        ("rate=10,per_s=0.5,burst=1", Limit(rate=10, per_s=0.5, burst=1)),
    ],
)
def test_a_limit_is_read_from_an_option(text: str, limit: Limit) -> None:
    assert read_limits([text]) == (limit,)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "'' has '', which is no field of a limit; there are type, key"),
        ("rates=5", "'rates', which is no field"),
        ("rate=x,per_s=1", "'x' where a number must be"),
        ("rate=1.5,per_s=1", "must be an integer"),
        ("concurrent", "has no value for concurrent"),
        ("each_key=no,concurrent=1", "gives each_key a value"),
        ("concurrent=1,concurrent=2", "concurrent twice"),
        ("rate=5", "has rate without per_s"),
    ],
)
def test_an_option_that_is_no_limit_is_refused(text: str, told: str) -> None:
    with pytest.raises(InvalidInput) as fault:
        read_limits([text])
    assert told in str(fault.value)


def test_weights_are_read_from_options_and_bad_ones_refused() -> None:
    assert read_weights(["customer-7=3", "a=b=0.5"]) == {"customer-7": 3, "a=b": 0.5}
    for text, told in (("a", "has no weight"), ("a=x", "where a number"), ("a=0", "0.01 to 100")):
        with pytest.raises(InvalidInput, match=told):
            read_weights([text])
    with pytest.raises(InvalidInput, match="twice"):
        read_weights(["a=1", "a=2"])


def test_a_limit_says_in_words_what_it_limits() -> None:
    assert Limit("send_mail", rate=100, per_s=60).describe_rate() == "100 send_mail tasks a minute"
    each = Limit("send_mail", each_key=True, rate=5, per_s=2.5)
    assert each.describe_rate("a") == "5 send_mail tasks of a in 2.5 s"
    assert check_limits([each]) == (each,)
