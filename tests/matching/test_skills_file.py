"""The skills file: what is read, what is refused and how the refusal is worded."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.kernel.matching.scorecards.scorecard_file import (
    read_shared_row,
    read_skills_file,
    read_worker_row,
    write_section,
)
from muster.agents.kernel.matching.scorecards.scorecards import SHARED_ROW, Scorecards
from muster.agents.kernel.model.records import AttemptOutcome
from muster.messages import InvalidInput

from .conftest import attempt, learned, task, worker

ADA, BOB = worker("Ada", 8), worker("Bob", 4)


def exported() -> dict[str, Any]:
    results = [attempt(ADA, task(5)), attempt(BOB, task(5), False), attempt(BOB, task(2, "u"))]
    return json.loads(json.dumps(learned(*results * 3).export()))


def changed(place: str, value: Any) -> dict[str, Any]:
    """An exported file with one value changed."""
    content = exported()
    *steps, last = place.split(".")
    section: Any = content
    for step in steps:
        section = section[step]
    section[last] = value
    return content


def at(content: dict[str, Any], place: str) -> Any:
    section: Any = content
    for step in place.split("."):
        section = section[step]
    return section


def test_it_is_readable():
    content = exported()
    assert (content["format"], content["version"]) == ("muster-skills", 1)
    ada = content["workers"]["Ada"]["types"]["t"]
    assert (ada["results"], ada["successes"]) == (3, 3)
    assert 5 < ada["skill"] < 12
    assert 0 < ada["deviation"] < 3
    assert ada["expected_s"] == pytest.approx(1.0, rel=0.2)


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("format", "other", "format: 'other' is not 'muster-skills'"),
        ("version", 2, "version: 2 can't be read, only 1"),
        ("version", True, "version: True can't be read, only 1"),
        ("mood", "good", "mood: 'good'"),
        ("workers", [], "workers: []"),
        ("workers.Ada.mood", 1, "workers.Ada.mood: 1"),
        ("workers.Ada.shift", math.nan, "workers.Ada.shift: nan"),
        ("workers.Ada.skill", math.inf, "workers.Ada.skill: inf"),
        ("workers.Ada.types.t.results", -1, "workers.Ada.types.t.results: -1"),
        ("workers.Ada.types.t.results", 1.5, "workers.Ada.types.t.results: 1.5"),
        ("workers.Ada.types.t.results", "3", "workers.Ada.types.t.results: '3'"),
        ("workers.Ada.types.t.deviation", 0, "workers.Ada.types.t.deviation: 0"),
        ("workers.Ada.types.t.skill", True, "workers.Ada.types.t.skill: True"),
        ("workers.Ada.types.t.evidence", [1.0], "workers.Ada.types.t.evidence"),
        ("workers.Ada.types.t.evidence", [-1.0, 0, 0, 0, 0, 0], "workers.Ada.types.t.evidence"),
        ("shared.weights", [1.0], "shared.weights: [1.0]"),
        ("shared.weights", [-1.0] * 6, "shared.weights"),
        ("shared.weights", [0.0] * 6, "shared.weights"),
        ("workers.Ada.types.t.broken", 1e9, "workers.Ada.types.t.broken: 1000000000.0"),
        ("workers.Ada.types.t.noted", {"outcomes": [[5, 0, 0]]}, "noted.outcomes.0.1: 0"),
        ("workers.Ada.types.t.noted", {"outcomes": [[5, 1, 2]]}, "2 successes are more than 1"),
        ("workers.Ada.prior", None, "workers.Ada.skill: "),
    ],
)
def test_what_is_wrong_is_refused_with_its_place_and_value(place, value, told):
    with pytest.raises(InvalidInput) as refusal:
        Scorecards.restore(changed(place, value))
    assert told in str(refusal.value)


def leaves(value: Any, place: str = "") -> list[str]:
    if isinstance(value, dict):
        return [leaf for key, each in value.items() for leaf in leaves(each, f"{place}.{key}")]
    return [place[1:]]


@given(
    st.sampled_from(leaves(exported())),
    st.one_of(st.floats(), st.integers(-(2**60), 2**60), st.none(), st.text(max_size=3)),
)
def test_any_value_is_refused_or_harmless(place, value):
    content = changed(place, value)
    if isinstance(exported_value := at(exported(), place), list):
        content = changed(place, [value, *exported_value[1:]])
    try:
        scorecards = Scorecards.restore(content)
    except InvalidInput:
        return
    for by in (ADA, BOB):
        learned(*[attempt(by, task(5), n % 3 > 0, at=n) for n in range(6)], scorecards=scorecards)
        assert 0 < scorecards.chance(by, task(5)).success < 1
        assert math.isfinite(scorecards.chance(by, task(5)).skill)
        assert 0 <= scorecards.expected_s(by, task(5)) < math.inf
        assert 0 <= scorecards.expected_cost(by, task(5)) < math.inf
        scorecards.is_blocked(by, "t", 1.0)
    Scorecards.restore(scorecards.export())


@pytest.mark.parametrize("content", [None, [], "skills", 1])
def test_what_is_no_object_is_refused(content):
    with pytest.raises(InvalidInput, match="must be an object"):
        Scorecards.restore(content)


def test_a_file_written_by_hand_counts():
    by_hand = {
        "format": "muster-skills",
        "version": 1,
        "workers": {"Bob": {"types": {"t": {"skill": 9, "expected_s": 20.0}}}},
    }
    scorecards, before = Scorecards.restore(by_hand), Scorecards()
    assert scorecards.chance(BOB, task(7)).success > 0.6 > before.chance(BOB, task(7)).success
    assert scorecards.expected_s(BOB, task()) == pytest.approx(20, rel=0.3)
    of_ada, before_of_ada = scorecards.chance(ADA, task(7)), before.chance(ADA, task(7))
    assert of_ada.skill == pytest.approx(before_of_ada.skill)


def test_rows_hold_what_the_file_holds():
    went_on = learned(attempt(ADA, task(5)), attempt(BOB, task(5), False))
    rows = {name: went_on.worker_row(name) for name in went_on.rows_changed()}
    assert set(rows) == {SHARED_ROW, "Ada", "Bob"}
    assert went_on.rows_changed() == []
    restored = Scorecards()
    for name, row in sorted(rows.items(), reverse=True):
        restored.load_row(name, json.loads(json.dumps(row)))
    assert restored.export() == went_on.export()
    learned(attempt(ADA, task(5)), scorecards=went_on)
    assert went_on.rows_changed() == [SHARED_ROW, "Ada"]


def test_rows_are_written_as_their_models_would_write_them():
    outcomes = [attempt(ADA, task(each), each < 6, cost=0.5 * each) for each in range(1, 10)]
    broken = [attempt(BOB, task(2), False, counts_as_skill=False, at=each) for each in range(5)]
    graded = [attempt(BOB, task(5, "graded"), quality=0.5)] * 40
    named = [attempt(ADA, task(5, "named", required_skills={"vision": 7.0}))] * 3
    untyped = [attempt(ADA, task(5, ""), at=3)]
    rejected = [attempt(BOB, task(5, "r"), outcome=AttemptOutcome.REJECTED, quality=0.25)]
    scorecards = Scorecards()
    for each in (*outcomes, *broken, *graded, *named, *untyped, *rejected):
        learned(each, scorecards=scorecards)
        for name in scorecards.workers:
            row = scorecards.worker_row(name)
            assert write_section(read_worker_row(row, name)) == row
        row = scorecards.worker_row(SHARED_ROW)
        assert write_section(read_shared_row(row)) == row
    assert write_section(read_skills_file(scorecards.export())) == {
        name: value
        for name, value in scorecards.export().items()
        if name not in ("format", "version")
    }
    assert scorecards.is_on_probation("Bob", "t")


def test_an_invalid_row_is_refused_with_its_worker():
    with pytest.raises(InvalidInput, match="skills of worker 'Ada': shift: 'far'"):
        Scorecards().load_row("Ada", {"shift": "far"})


def test_a_worker_can_be_forgotten():
    scorecards = learned(attempt(ADA, task(5)), *[attempt(BOB, task(5), False)] * 5)
    known = scorecards.version("Bob", "t")
    scorecards.forget("Bob")
    scorecards.forget("nobody")
    assert scorecards.chance(BOB, task(5)).results == 0
    assert scorecards.version("Bob", "t") > known
    assert "Bob" not in json.dumps(scorecards.types["t"].ease.precisions)
