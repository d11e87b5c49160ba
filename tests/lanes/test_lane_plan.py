"""Who goes to which lane, and when another one is opened."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.kernel.lanes import (
    DOOR,
    PLACE_IS_KEPT_S,
    Lanes,
    door_workspace,
    lane_workspace,
)
from muster.messages import InvalidInput

NAMES = [f"worker {number}" for number in range(100)]


def place_all(lanes: Lanes, count: int) -> dict[str, int]:
    """Let so many workers come, each of whom joins at once."""
    present: dict[str, int] = {}
    for name in NAMES[:count]:
        present[name] = lanes.place(name, 0.0, present)
    return present


def test_one_lane_is_enough_for_the_workers_of_one_lane() -> None:
    lanes = Lanes(workers_per_lane=4)
    assert set(place_all(lanes, 4).values()) == {DOOR}
    assert lanes.open_lanes == (DOOR,)


def test_the_next_one_opens_a_lane() -> None:
    lanes = Lanes(workers_per_lane=4)
    assert place_all(lanes, 5)[NAMES[4]] == 1
    assert lanes.open_lanes == (DOOR, 1)


def test_sixty_four_workers_have_sixteen_lanes_of_four() -> None:
    assert set(Counter(place_all(Lanes(), 64).values()).values()) == {4}


def test_with_one_lane_all_go_to_the_door() -> None:
    assert set(place_all(Lanes(max_lanes=1), 40).values()) == {DOOR}


def test_a_place_is_kept_for_a_worker_that_is_on_its_way() -> None:
    lanes = Lanes(workers_per_lane=1)
    assert [lanes.place(name, 0.0, {}) for name in NAMES[:3]] == [0, 1, 2]


def test_a_place_is_free_again_when_nobody_comes() -> None:
    lanes = Lanes(workers_per_lane=1)
    lanes.place("Ada", 0.0, {})
    assert lanes.place("Ben", PLACE_IS_KEPT_S - 0.1, {}) == 1
    assert lanes.place("Cleo", PLACE_IS_KEPT_S, {}) == DOOR


def test_a_place_is_free_again_when_its_worker_is_lost() -> None:
    lanes = Lanes(workers_per_lane=4)
    present = place_all(lanes, 8)
    del present[NAMES[5]]
    assert lanes.place("Zoe", 60.0, present) == 1
    assert lanes.open_lanes == (DOOR, 1)


def test_a_worker_that_asks_again_goes_to_another_lane_if_there_is_room() -> None:
    lanes = Lanes(workers_per_lane=2)
    present = place_all(lanes, 5)
    assert lanes.place(NAMES[0], 60.0, present) == 2


def test_a_worker_that_asks_again_opens_no_lane() -> None:
    lanes = Lanes(workers_per_lane=2)
    assert lanes.place(NAMES[1], 60.0, place_all(lanes, 2)) == DOOR
    assert lanes.place(NAMES[3], 60.0, place_all(lanes, 4)) == 1
    assert lanes.open_lanes == (DOOR, 1)


def test_a_lane_that_somebody_gets_into_is_not_given_up() -> None:
    lanes = Lanes(max_lanes=2, workers_per_lane=2)
    present = {"Ada": DOOR, "Ben": DOOR}
    for now in (0.0, 5.0):
        assert lanes.place("Cleo", now, present) == 1
        assert lanes.place("Dan", now, present) == 1
    present["Dan"] = 1
    assert lanes.place("Cleo", 10.0, present) == 1
    assert lanes.open_lanes == (DOOR, 1)


def test_those_that_move_at_the_same_time_do_not_all_move_to_the_same_lane() -> None:
    lanes = Lanes(max_lanes=3, workers_per_lane=2)
    place_all(lanes, 6)
    crowded = dict.fromkeys(NAMES[:6], DOOR)
    assert [lanes.place(name, 60.0, crowded) for name in NAMES[:6]] == [1, 2, 1, 2, 0, 0]


def test_a_lane_that_can_not_be_opened_is_not_tried_again() -> None:
    lanes = Lanes(workers_per_lane=1, max_lanes=3)
    assert lanes.place("Ada", 0.0, {}) == DOOR
    assert lanes.place("Ben", 0.0, {"Ada": DOOR}) == 1
    lanes.give_up(1)
    assert lanes.place("Ben", 0.0, {"Ada": DOOR}) == 2
    lanes.give_up(2)
    assert lanes.place("Ben", 0.0, {"Ada": DOOR}) == DOOR
    assert lanes.open_lanes == (DOOR,)


def test_another_lane_takes_the_place_of_one_that_nobody_gets_into() -> None:
    lanes = Lanes(max_lanes=2, workers_per_lane=1)
    present = {"Ada": DOOR}
    placed = [lanes.place("Ben", now, present) for now in (0.0, 5.0, 10.0, 14.0)]
    assert placed == [1, 1, 1, 2]
    assert lanes.open_lanes == (DOOR, 2)


def test_workers_that_went_to_the_door_unasked_tell_of_a_lane_that_nobody_gets_into() -> None:
    lanes = Lanes(max_lanes=2, workers_per_lane=1)
    present = {"Ada": DOOR}
    for name in ("Ben", "Cleo", "Dan"):
        assert lanes.place(name, 0.0, present) == 1
        present[name] = DOOR
    assert lanes.place("Eve", 0.0, present) == 2


def test_a_lane_takes_the_place_of_a_door_that_nobody_gets_into() -> None:
    lanes = Lanes(max_lanes=2)
    present = {"Ada": DOOR}
    placed = [lanes.place("Ada", now, present) for now in (0.0, 5.0, 10.0, 14.0)]
    assert placed == [DOOR, DOOR, DOOR, 1]
    assert lanes.open_lanes == (1,)


def test_the_door_is_all_there_is_where_one_lane_is_allowed() -> None:
    lanes = Lanes(max_lanes=1)
    assert {lanes.place("Ada", float(now), {}) for now in range(10)} == {DOOR}


def test_lanes_are_not_opened_for_ever_in_vain() -> None:
    lanes = Lanes(max_lanes=2, workers_per_lane=1)
    placed = [lanes.place("Ben", float(now), {"Ada": DOOR}) for now in range(100)]
    assert max(placed) == 7
    assert placed[-1] == DOOR


@pytest.mark.parametrize("workspace", ["default", "my/lane 7", "a/lane ", "/lane 1", ""])
def test_a_lane_knows_its_door(workspace: str) -> None:
    assert lane_workspace(workspace, DOOR) == workspace
    assert lane_workspace("estate", 12) == "estate/lane 12"
    assert door_workspace(lane_workspace(workspace, 3)) == workspace
    assert door_workspace("estate") == "estate"


@pytest.mark.parametrize(("workers", "opened"), [(0, ()), (4, ()), (5, (1,)), (99, (1, 2))])
def test_lanes_are_opened_beforehand_for_those_that_are_expected(
    workers: int, opened: tuple[int, ...]
) -> None:
    lanes = Lanes(max_lanes=3, workers_per_lane=4)
    assert lanes.prepare(workers) == opened
    assert lanes.prepare(workers) == ()


@pytest.mark.parametrize("arguments", [(0, 4), (16, 0), (-1, 4)])
def test_fewer_than_one_of_anything_is_refused(arguments: tuple[int, int]) -> None:
    with pytest.raises(InvalidInput, match="must be 1 or more"):
        Lanes(*arguments)


@given(
    st.integers(1, 6),
    st.integers(1, 5),
    st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=60),
)
def test_whoever_comes_and_goes_lanes_are_filled_evenly_and_no_more_are_opened_than_are_needed(
    max_lanes: int, workers_per_lane: int, moves: list[tuple[bool, int]]
) -> None:
    lanes = Lanes(max_lanes, workers_per_lane)
    present: dict[str, int] = {}
    most = 0
    for number, (comes, who) in enumerate(moves):
        name, now = NAMES[who], 100.0 * number
        if not comes:
            present.pop(name, None)
            continue
        former = present.get(name)
        others = Counter(lane for other, lane in present.items() if other != name)
        lane = lanes.place(name, now, present)
        present[name] = lane
        most = max(most, len(present))
        assert lane in lanes.open_lanes
        if others[lane] >= workers_per_lane:
            # Only where all are full, and no more may be opened.
            assert len(lanes.open_lanes) == max_lanes
            assert all(others[lane] <= others[each] for each in lanes.open_lanes if each != former)
    assert len(lanes.open_lanes) <= lanes.needed_for(most)
