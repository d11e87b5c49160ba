"""A run goes on through each attack, its health is told, and nothing of the attack stays behind."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"attacks_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


run_all = _load("run_all")

MORE_DESCRIPTORS = 300
"""How many an attack may take at most: the places of the page, the door and the metrics."""


ELSEWHERE = {"bad_member", "bad_member_of_another_lane", "middle_man"}
"""These are tried in `test_members_and_middle_men.py`."""


@pytest.mark.parametrize("name", run_all.names())
def test_each_is_called_in_the_same_way(name: str) -> None:
    module = run_all.load(name)
    assert str(inspect.signature(module.attack)) == "(*, quick: 'bool' = False) -> 'Figures'"
    assert module.__doc__
    assert not hasattr(module, "measure")


IN_CI = {"half_sent_headers", "idle_at_discovery", "slow_feed_readers"}
"""One of each kind; each attack takes up to half a minute."""


@pytest.mark.ceylon
@pytest.mark.processes
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in IN_CI else pytest.mark.exhaustive)
        for name in sorted(set(run_all.names()) - ELSEWHERE)
    ],
)
def test_a_run_goes_on_through(name: str) -> None:
    told = run_all.load(name).attack(quick=True)
    assert told.get("alive", True)
    assert set(told.get("health", [200])) == {200}
    assert told.get("log_bytes", 0) < 20_000
    assert told.get("failed", 0) == 0
    assert told.get("metrics", 200) == 200
    if "before" in told and "after" in told:
        before, during, after = (told[each] for each in ("before", "during", "after"))
        assert during["tasks/s"] > 0
        assert during["descriptors"] <= before["descriptors"] + MORE_DESCRIPTORS
        assert during["threads"] <= before["threads"] + 8
        assert after["tasks/s"] > 0
