"""Scorecards: results move what is expected of a worker, in any order and after a restart."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st
from muster.agents.kernel.matching.scorecards.scorecards import Scorecards

from .conftest import attempt, learned, task, worker

ADA, BOB = worker("Ada", 8, specialties=("u",)), worker("Bob", 3, skills={"vision": 9.0})


attempts = st.builds(
    lambda by, difficulty, type_, success, **facts: attempt(
        by, task(difficulty, type_, required_skills=facts.pop("skills")), success, **facts
    ),
    st.sampled_from([ADA, BOB]),
    st.integers(1, 10),
    st.sampled_from(["t", "u"]),
    st.booleans(),
    skills=st.sampled_from([{}, {"vision": 7.0}]),
    duration_s=st.sampled_from([0.1, 1.0, 2.5]),
    quality=st.sampled_from([None, 0.0, 0.3, 1.0]),
    cost=st.sampled_from([0.0, 0.1]),
    at=st.sampled_from([0.0, 1.0]),
)


@given(st.lists(attempts, max_size=12), st.randoms(use_true_random=False))
def test_results_that_arrive_together_count_alike_in_any_order(results, random):
    one, other = Scorecards(), Scorecards()
    for each in results:
        one.learn(each)
    shuffled = list(results)
    random.shuffle(shuffled)
    for each in shuffled:
        other.learn(each)
    assert one.export() == other.export()


def failures(*types):
    """Failures of Ada at the easiest tasks of these types."""
    return [attempt(ADA, task(1, each), False, duration_s=0.1) for each in types]


@given(st.lists(attempts, max_size=20), st.lists(attempts, max_size=20))
# Here a message without precision stands among the others.
@example(failures("u", "u"), failures("t", "t", "t", "u"))
def test_restored_scorecards_decide_as_those_that_went_on(before, after):
    went_on = learned(*before)
    restored = Scorecards.restore(json.loads(json.dumps(went_on.export())))
    for each in after:
        learned(each, scorecards=went_on)
        learned(each, scorecards=restored)
        for by in (ADA, BOB):
            of = task(5, "t", required_skills={"vision": 7})
            assert went_on.chance(by, of) == restored.chance(by, of)
            assert went_on.expected_s(by, of) == restored.expected_s(by, of)
            assert went_on.expected_cost(by, of) == restored.expected_cost(by, of)
            assert went_on.is_blocked(by, "t", 99.0) == restored.is_blocked(by, "t", 99.0)
    assert went_on.export() == restored.export()


@given(st.lists(attempts, max_size=20))
def test_the_figures_stay_the_same_while_the_version_does(results):
    scorecards = Scorecards()
    known = {}
    for each in results:
        learned(each, scorecards=scorecards)
        for by in (ADA, BOB):
            of = task(5, "t", required_skills={"vision": 7})
            figures = scorecards.chance(by, of)[:3], scorecards.expected_s(by, of)
            figures = (*figures, scorecards.expected_cost(by, of))
            version = scorecards.version(by.name, "t")
            assert known.setdefault((by.name, version), figures) == figures
