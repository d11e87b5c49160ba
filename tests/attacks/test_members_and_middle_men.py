"""Runs beside a middle man without the secret, and beside a member in the names of others."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.ceylon

HERE = Path(__file__).parent


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("attacks_run_all", HERE / "run_all.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load(name)


middle_man, bad_member = load("middle_man"), load("bad_member")
bad_member_of_another_lane = load("bad_member_of_another_lane")


IN_CI = set(sorted(middle_man.ATTACKS)[::6])
"""Some of them; each takes a quarter of a minute."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in IN_CI else pytest.mark.exhaustive)
        for name in middle_man.ATTACKS
    ],
)
async def test_a_middle_man_slows_a_run_no_more_than_for_a_moment(name: str) -> None:
    told = await middle_man.suffer(middle_man.ATTACKS[name], during_s=8.0, aside_s=2.0)
    assert told["failed"] == 0
    # He is given up after about a second, and tried again after 2, 4 and 8.
    assert told["connections"] <= 4
    # How fast it goes on depends on what else the machine does.
    assert told["during"] > 0


@pytest.mark.slow
def test_a_member_changes_nothing_in_the_names_of_others() -> None:
    told = bad_member.attack(quick=True)
    assert told["succeeded"] == 1
    assert told["attempts"] == 1
    assert told["worker_was_told_to_stop"] == 0
    assert told["wires_in_anothers_name"] == 0
    assert told["forged_dropped_by_manager"] > 0
    assert told["forged_dropped_by_worker"] > 0


def test_a_member_changes_nothing_on_other_lanes_in_the_names_of_others() -> None:
    told = bad_member_of_another_lane.attack(quick=True)
    assert told["workers_on_other_lanes"] > 0
    assert told["succeeded"] == 1
    assert told["workers_that_stayed"] == told["workers"]
    assert told["workers_hijacked"] == told["workers_told_to_stop"] == 0
    assert told["forged_dropped_by_manager"] > 0
