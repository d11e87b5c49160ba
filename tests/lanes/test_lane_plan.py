"""Who goes to which lane, and when another one is opened."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.kernel.lanes import (
    CLOSED_AFTER_S,
    PLACE_RESERVED_S,
    REOPENED_AFTER_S,
    Lanes,
)
from muster.agents.kernel.model.workspace_names import (
    FIRST_LANE,
    first_lane_workspace,
    lane_workspace,
)
from muster.messages import InvalidInput

NAMES = [f"worker {number}" for number in range(100)]


def place_all(lanes: Lanes, count: int) -> dict[str, int]:
    """Let so many workers come, each of whom joins at once."""
    present: dict[str, int] = {}
    for name in NAMES[:count]:
        join(lanes, present, name, lanes.place(name, 0.0, present))
    return present


def join(lanes: Lanes, present: dict[str, int], name: str, lane: int) -> None:
    """A worker is let in."""
    present[name] = lane
    lanes.note_arrived(name, lane)


def test_one_lane_is_enough_for_the_workers_of_one_lane() -> None:
    lanes = Lanes(workers_per_lane=4)
    assert set(place_all(lanes, 4).values()) == {FIRST_LANE}
    assert lanes.open_lanes == (FIRST_LANE,)


def test_the_next_one_opens_a_lane() -> None:
    lanes = Lanes(workers_per_lane=4)
    assert place_all(lanes, 5)[NAMES[4]] == 1
    assert lanes.open_lanes == (FIRST_LANE, 1)


def test_sixty_four_workers_have_sixteen_lanes_of_four() -> None:
    assert set(Counter(place_all(Lanes(), 64).values()).values()) == {4}


def test_with_one_lane_all_go_to_discovery() -> None:
    assert set(place_all(Lanes(max_lanes=1), 40).values()) == {FIRST_LANE}


def test_a_place_is_kept_for_a_worker_that_is_on_its_way() -> None:
    lanes = Lanes(workers_per_lane=1)
    assert [lanes.place(name, 0.0, {}) for name in NAMES[:3]] == [0, 1, 2]


def test_a_place_is_free_again_when_nobody_comes() -> None:
    lanes = Lanes(workers_per_lane=1)
    lanes.place("Ada", 0.0, {})
    assert lanes.place("Ben", PLACE_RESERVED_S - 0.1, {}) == 1
    assert lanes.place("Cleo", PLACE_RESERVED_S, {}) == FIRST_LANE


def test_a_place_is_free_again_when_its_worker_is_lost() -> None:
    lanes = Lanes(workers_per_lane=4)
    present = place_all(lanes, 8)
    del present[NAMES[5]]
    assert lanes.place("Zoe", 60.0, present) == 1
    assert lanes.open_lanes == (FIRST_LANE, 1)


def test_a_worker_that_asks_again_goes_to_another_lane_if_there_is_room() -> None:
    lanes = Lanes(workers_per_lane=2)
    present = place_all(lanes, 5)
    assert lanes.place(NAMES[0], 60.0, present) == 2


def test_a_worker_that_asks_again_opens_no_lane() -> None:
    lanes = Lanes(workers_per_lane=2)
    assert lanes.place(NAMES[1], 60.0, place_all(lanes, 2)) == FIRST_LANE
    assert lanes.place(NAMES[3], 60.0, place_all(lanes, 4)) == 1
    assert lanes.open_lanes == (FIRST_LANE, 1)


def test_a_lane_that_somebody_gets_into_is_not_given_up() -> None:
    lanes = Lanes(max_lanes=2, workers_per_lane=2)
    present = {"Ada": FIRST_LANE, "Ben": FIRST_LANE}
    for now in (0.0, 5.0):
        assert lanes.place("Cleo", now, present) == 1
        assert lanes.place("Dan", now, present) == 1
    join(lanes, present, "Dan", 1)
    assert lanes.place("Cleo", 10.0, present) == 1
    assert lanes.open_lanes == (FIRST_LANE, 1)


def test_those_that_move_at_the_same_time_do_not_all_move_to_the_same_lane() -> None:
    lanes = Lanes(max_lanes=3, workers_per_lane=2)
    place_all(lanes, 6)
    crowded = dict.fromkeys(NAMES[:6], FIRST_LANE)
    for name in NAMES[:6]:
        lanes.note_arrived(name, FIRST_LANE)
    assert [lanes.place(name, 60.0, crowded) for name in NAMES[:6]] == [1, 2, 1, 2, 0, 0]


def test_after_a_lane_that_can_not_be_opened_no_other_is_tried_for_a_while() -> None:
    lanes = Lanes(workers_per_lane=1, max_lanes=3)
    present: dict[str, int] = {}
    join(lanes, present, "Ada", lanes.place("Ada", 0.0, present))
    assert lanes.place("Ben", 0.0, present) == 1
    lanes.give_up(1, 0.0)
    assert lanes.open_lanes == (FIRST_LANE,)
    assert lanes.place("Ben", 0.0, present) == FIRST_LANE
    assert lanes.place("Cleo", REOPENED_AFTER_S - 0.1, present) == FIRST_LANE
    assert lanes.place("Cleo", REOPENED_AFTER_S, present) == 2


def test_another_lane_takes_the_place_of_one_that_nobody_gets_into() -> None:
    lanes = Lanes(max_lanes=2, workers_per_lane=1)
    present = {"Ada": FIRST_LANE}
    placed = [lanes.place("Ben", now, present) for now in (0.0, 5.0, 10.0, 14.0)]
    assert placed == [1, 1, 1, 2]
    assert lanes.open_lanes == (FIRST_LANE, 2)


def test_workers_that_went_to_discovery_unasked_tell_of_a_lane_that_nobody_gets_into() -> None:
    lanes = Lanes(max_lanes=2, workers_per_lane=1)
    present = {"Ada": FIRST_LANE}
    for name in ("Ben", "Cleo", "Dan"):
        assert lanes.place(name, 0.0, present) == 1
        join(lanes, present, name, FIRST_LANE)
    assert lanes.place("Eve", 0.0, present) == 2


def test_a_lane_takes_the_place_of_a_discovery_that_nobody_gets_into() -> None:
    lanes = Lanes(max_lanes=2)
    present = {"Ada": FIRST_LANE}
    placed = [lanes.place("Ada", now, present) for now in (0.0, 5.0, 10.0, 14.0)]
    assert placed == [FIRST_LANE, FIRST_LANE, FIRST_LANE, 1]
    assert lanes.open_lanes == (1,)


def test_discovery_is_all_there_is_where_one_lane_is_allowed() -> None:
    lanes = Lanes(max_lanes=1)
    assert {lanes.place("Ada", float(now), {}) for now in range(10)} == {FIRST_LANE}


def test_lanes_are_not_opened_over_and_over_in_vain() -> None:
    lanes = Lanes(max_lanes=2, workers_per_lane=1)
    opened = set()
    for now in range(3_600):
        opened.add(lanes.place("Ben", float(now), {"Ada": FIRST_LANE}))
        lanes.close_unused(float(now), {"Ada": FIRST_LANE}, [{lane} for lane in lanes.open_lanes])
    assert len(opened) <= 4 + 3_600 / REOPENED_AFTER_S + 1


def test_a_worker_that_comes_again_and_again_to_its_lane_does_not_wear_it_out() -> None:
    # As when its process is killed and started again: it is still thought to be there.
    lanes = Lanes(max_lanes=16, workers_per_lane=4)
    present: dict[str, int] = {}
    for now in range(0, 400, 4):
        for name in NAMES[:6]:
            join(lanes, present, name, lanes.place(name, float(now), present))
    assert lanes.open_lanes == (FIRST_LANE, 1)


def test_a_worker_that_comes_and_is_lost_before_the_next_one_asks_has_come() -> None:
    lanes = Lanes(max_lanes=2, workers_per_lane=1)
    present = {"Ada": FIRST_LANE}
    for now in range(0, 100, 4):
        assert lanes.place("Ben", float(now), present) == 1
        join(lanes, present, "Ben", 1)
        del present["Ben"]


def test_workers_whose_names_are_taken_still_do_not_wear_a_lane_out() -> None:
    # They arrive, but are not let in until those that bore their names are thought to be late.
    lanes = Lanes(max_lanes=16, workers_per_lane=4)
    present: dict[str, int] = {}
    for name in NAMES[:6]:
        join(lanes, present, name, lanes.place(name, 0.0, present))
    for now in range(4, 400, 4):
        for name in NAMES[:6]:
            lanes.note_arrived(name, lanes.place(name, float(now), present))
    assert lanes.open_lanes == (FIRST_LANE, 1)


def test_what_a_worker_still_says_in_its_former_lane_is_no_news() -> None:
    lanes = Lanes(max_lanes=2, workers_per_lane=1)
    lanes.prepare(2)
    present = {"Ada": FIRST_LANE, "Ben": FIRST_LANE}
    for _ in range(3):
        assert lanes.place("Ben", 0.0, present) == 1
        lanes.note_arrived("Ben", FIRST_LANE)
    # It was sent there three times in vain.
    lanes.place("Ben", 0.0, present)
    assert 1 not in lanes.open_lanes


GROUPS = [
    ("one that nobody is in", [{1}], (1,)),
    ("those of a group that nobody is in", [{1, 2}], (1, 2)),
    ("one beside another that is used", [{1}, {3}], (1,)),
    ("none of a group in which one is used", [{1, 2, 3}], ()),
    ("none that started with the door", [{FIRST_LANE, 1, 2}], ()),
    ("none that is in no group", [], ()),
    ("one whose group has closed already", [{1, 99}], (1,)),
]


@pytest.mark.parametrize(("what", "groups", "closed"), GROUPS, ids=[each[0] for each in GROUPS])
def test_it_closes(what: str, groups: list[set[int]], closed: tuple[int, ...]) -> None:
    lanes = Lanes(workers_per_lane=1)
    lanes.prepare(4)
    present = {"Ada": FIRST_LANE, "Ben": 3}
    assert lanes.close_unused(0.0, present, groups) == ()
    assert lanes.close_unused(CLOSED_AFTER_S - 0.1, present, groups) == ()
    assert lanes.close_unused(CLOSED_AFTER_S, present, groups) == closed
    assert lanes.close_unused(CLOSED_AFTER_S, present, groups) == ()
    assert set(lanes.open_lanes) == {0, 1, 2, 3} - set(closed)


def test_a_lane_to_which_somebody_is_on_the_way_is_not_closed() -> None:
    lanes = Lanes(workers_per_lane=1)
    present = {"Ada": FIRST_LANE}
    assert lanes.close_unused(0.0, present, []) == ()
    assert lanes.place("Ben", 5.0, present) == 1
    for now in (5.0, 5.0 + PLACE_RESERVED_S - 0.1):
        assert lanes.close_unused(now, present, [{1}]) == ()
    empty_at = 5.0 + PLACE_RESERVED_S
    assert lanes.close_unused(empty_at, present, [{1}]) == ()
    assert lanes.close_unused(empty_at + CLOSED_AFTER_S, present, [{1}]) == (1,)


def test_a_lane_that_was_given_up_is_closed_when_those_in_it_have_gone() -> None:
    lanes = Lanes(max_lanes=2, workers_per_lane=2)
    present = {"Ada": FIRST_LANE, "Ben": FIRST_LANE, "Zoe": 1}
    lanes.prepare(4)
    for now in (0.0, 1.0, 2.0, 3.0):
        lanes.place("Cleo", now, present)
    assert 1 not in lanes.open_lanes
    assert lanes.close_unused(100.0, present, [{1}]) == ()
    del present["Zoe"]
    assert lanes.close_unused(101.0, present, [{1}]) == ()
    assert lanes.close_unused(101.0 + CLOSED_AFTER_S, present, [{1}]) == (1,)


def test_the_number_of_a_lane_is_not_given_again() -> None:
    lanes = Lanes(workers_per_lane=1)
    given = []
    for now in (0.0, 100.0, 200.0):
        given.append(lanes.place("Ben", now, {"Ada": FIRST_LANE}))
        lanes.note_arrived("Ben", given[-1])
        lanes.close_unused(now, {"Ada": FIRST_LANE}, [{given[-1]}])
        lanes.close_unused(now + CLOSED_AFTER_S, {"Ada": FIRST_LANE}, [{given[-1]}])
    assert given == [1, 2, 3]


@pytest.mark.parametrize("workspace", ["default", "my/lane 7", "a/lane ", "/lane 1", ""])
def test_a_lane_knows_its_discovery(workspace: str) -> None:
    assert lane_workspace(workspace, FIRST_LANE) == workspace
    assert lane_workspace("estate", 12) == "estate/lane 12"
    assert first_lane_workspace(lane_workspace(workspace, 3)) == workspace
    assert first_lane_workspace("estate") == "estate"


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
        join(lanes, present, name, lane)
        most = max(most, len(present))
        assert lane in lanes.open_lanes
        if others[lane] >= workers_per_lane:
            # Only where all are full, and no more may be opened.
            assert len(lanes.open_lanes) == max_lanes
            assert all(others[lane] <= others[each] for each in lanes.open_lanes if each != former)
    assert len(lanes.open_lanes) <= lanes.needed_for(most)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "join", "join at the door", "is lost", "can't open"]),
        st.integers(0, 12),
        st.sampled_from([0.0, 0.5, 4.0, 20.0]),
    ),
    max_size=80,
)


@given(STEPS, st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))
def test_whatever_happens_lanes_are_bounded_and_none_is_left_when_all_have_gone(
    steps: list[tuple[str, int, float]], max_lanes: int, workers_per_lane: int, group_size: int
) -> None:
    lanes = Lanes(max_lanes, workers_per_lane)
    present: dict[str, int] = {}
    sent: dict[str, int] = {}
    unclosed: set[int] = set()
    ever: set[int] = set()
    now = 0.0

    def close() -> None:
        groups: dict[int, set[int]] = {}
        for lane in unclosed:
            groups.setdefault(lane // group_size, set()).add(lane)
        groups.setdefault(0, set()).add(FIRST_LANE)
        # The door is alone, so that all others can be closed.
        together = [{FIRST_LANE}, *(group - {FIRST_LANE} for group in groups.values())]
        closed = lanes.close_unused(now, present, together)
        assert not set(closed) & {*present.values()}
        assert set(closed) <= unclosed
        unclosed.difference_update(closed)

    for doing, who, passes in steps:
        now += passes
        close()
        name = NAMES[who]
        if doing == "ask":
            lane = lanes.place(name, now, present)
            if lane != FIRST_LANE and lane not in unclosed:
                assert lane not in ever
                unclosed.add(lane)
                ever.add(lane)
            sent[name] = lane
        elif (
            doing == "can't open"
            and name in sent
            and sent[name] not in {FIRST_LANE, *present.values()}
        ):
            lanes.give_up(sent[name], now)
            unclosed.discard(sent.pop(name))
        elif doing.startswith("join") and name in sent:
            lane = sent.pop(name) if doing == "join" else FIRST_LANE
            if lane == FIRST_LANE or lane in unclosed:
                join(lanes, present, name, lane)
        elif doing == "is lost":
            present.pop(name, None)
        assert len(unclosed) <= 2 * max_lanes
        assert len(lanes.open_lanes) <= max_lanes
        assert set(lanes.open_lanes) <= {FIRST_LANE, *unclosed}
    present.clear()
    for _ in range(2):
        now += PLACE_RESERVED_S + CLOSED_AFTER_S
        close()
    assert unclosed == set()
