"""Managers of JSON and SQLite files, with a clock that tests move."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from muster.agents import StateFileTaskManager

NOON = 1_700_000_000.0
HOUR_S = 3600.0

Make: TypeAlias = Callable[..., StateFileTaskManager]


class StandingClock:
    """Tells the same time until it is moved."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> float:
        return self.at

    def pass_hours(self, hours: float) -> None:
        self.at += hours * HOUR_S


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def state_file(tmp_path: Path) -> Path:
    return tmp_path / "states" / "tea.json"


@pytest.fixture
def make(state_file: Path, clock: StandingClock) -> Iterator[Make]:
    """Makes managers of one JSON file."""
    made: list[StateFileTaskManager] = []

    def build(file: Any = state_file, **options: Any) -> StateFileTaskManager:
        options = {"clock": clock, "survives_power_loss": False, **options}
        made.append(StateFileTaskManager(file, **options))
        return made[-1]

    yield build
    for manager in made:
        manager.close()


@pytest.fixture
def make_sqlite(make: Make, tmp_path: Path) -> Make:
    """Makes managers of one SQLite file."""
    return lambda **options: make(f"sqlite:///{tmp_path}/states/tea.db", **options)


@pytest.fixture(params=["json", "sqlite"])
def make_either(request: pytest.FixtureRequest, make: Make, make_sqlite: Make) -> Make:
    """Makes managers of one file, of one kind and then of the other."""
    return make if request.param == "json" else make_sqlite
