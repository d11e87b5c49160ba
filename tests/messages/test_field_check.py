"""A list of fields written by hand is found out when its module is imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pytest
from muster.messages import TaskResult, WrongCall
from muster.messages.field_check import check_fields
from pydantic import BaseModel


class Model(BaseModel):
    name: str
    zone: str = ""


@dataclass
class Plain:
    name: str
    zone: str = ""


class Row(NamedTuple):
    name: str
    zone: str = ""


@pytest.mark.parametrize("kind", [Model, Plain, Row])
def test_a_field_that_is_missing_in_a_list_is_named(kind: type) -> None:
    check_fields(kind, ("zone", "name"), "a list")
    with pytest.raises(WrongCall) as caught:
        check_fields(kind, ("name",), "open_it in the codec")
    assert str(caught.value) == (
        f"{kind.__name__}.zone is not in the list of open_it in the codec, and would be lost "
        "there; add it to the list"
    )


@pytest.mark.parametrize("kind", [Model, Plain, Row])
def test_a_name_in_a_list_that_is_no_field_is_named(kind: type) -> None:
    with pytest.raises(WrongCall, match=r"^'area' is in the list of it, but \w+ has no such field"):
        check_fields(kind, ("name", "zone", "area"), "it")


def test_a_message_is_checked_as_any_model() -> None:
    with pytest.raises(WrongCall, match=r"^TaskResult\.output is not in the list of it"):
        check_fields(
            TaskResult, [each for each in TaskResult.model_fields if each != "output"], "it"
        )
