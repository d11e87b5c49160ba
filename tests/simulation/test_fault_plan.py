"""Each kind of fault does what it says, alone and reproducibly."""

from __future__ import annotations

import pytest
from muster.agents.simulation.faults import (
    ALL_FAULTS,
    Disturbance,
    FaultKind,
    PlannedFaults,
    address_of,
    read_fault_kinds,
    worker_at,
)
from muster.messages import InvalidInput, UnknownName

WORKERS = ("Ada", "Ben", "Cleo")
ADA, BEN, MANAGER = "Ada#1", "Ben#1", "boss#manager"


def plan_with(kind: FaultKind, storm_s: float = 30.0) -> PlannedFaults:
    """The first plan in which frames suffer from this kind."""
    for seed in range(50):
        plan = PlannedFaults(seed, WORKERS, (kind,), storm_s)
        for _ in range(200):
            plan.fates(MANAGER, ADA, b"", 0.0)
        if plan.injected[kind]:
            return PlannedFaults(seed, WORKERS, (kind,), storm_s)
    raise AssertionError(f"no seed brings {kind}")


def fates_of(plan: PlannedFaults) -> list[tuple[float, ...]]:
    return [tuple(plan.fates(MANAGER, ADA, b"", 0.0)) for _ in range(200)]


def test_loss_loses_frames_and_counts_them() -> None:
    plan = plan_with(FaultKind.LOSS)
    fates = fates_of(plan)
    assert set(fates) == {(), (0.0,)}
    assert fates.count(()) == plan.injected[FaultKind.LOSS]


def test_duplicate_brings_a_second_copy_later() -> None:
    plan = plan_with(FaultKind.DUPLICATE)
    doubled = [fates for fates in fates_of(plan) if len(fates) == 2]
    assert len(doubled) == plan.injected[FaultKind.DUPLICATE]
    assert all(first == 0.0 < second for first, second in doubled)


def test_reorder_delays_by_less_than_a_twentieth_of_a_second() -> None:
    plan = plan_with(FaultKind.REORDER)
    late = [fates[0] for fates in fates_of(plan) if fates[0]]
    assert len(late) == plan.injected[FaultKind.REORDER]
    assert 0.0 < max(late) <= 0.05


def test_delay_delays_beyond_the_patience_of_the_manager() -> None:
    plan = plan_with(FaultKind.DELAY)
    late = [fates[0] for _ in range(5) for fates in fates_of(plan) if fates[0]]
    assert len(late) == plan.injected[FaultKind.DELAY]
    assert max(late) > 10.0


def test_a_partition_cuts_off_who_is_in_it_until_it_ends() -> None:
    plan = PlannedFaults(0, WORKERS, ())
    plan.begin(Disturbance(1.0, FaultKind.PARTITION, frozenset({"Ada", "Ben"}), 2.0))
    assert plan.fates(MANAGER, ADA, b"", 1.5) == ()
    assert plan.fates(ADA, MANAGER, b"", 1.5) == ()
    assert plan.fates(ADA, BEN, b"", 1.5) == (0.0,)
    assert plan.fates(MANAGER, ADA, b"", 3.0) == (0.0,)


def test_a_partition_may_be_one_way() -> None:
    plan = PlannedFaults(0, WORKERS, ())
    plan.begin(Disturbance(1.0, FaultKind.PARTITION, frozenset({"Ada"}), 2.0, spares_outbound=True))
    assert plan.fates(MANAGER, ADA, b"", 1.5) == ()
    assert plan.fates(ADA, MANAGER, b"", 1.5) == (0.0,)


def test_frames_of_a_paused_worker_are_held_until_it_goes_on() -> None:
    plan = PlannedFaults(0, WORKERS, ())
    plan.begin(Disturbance(1.0, FaultKind.PAUSE, frozenset({"Ada"}), 2.0))
    assert plan.fates(MANAGER, ADA, b"", 1.5) == (1.5,)
    assert plan.fates(ADA, MANAGER, b"", 2.0) == (1.0,)
    assert plan.fates(BEN, MANAGER, b"", 1.5) == (0.0,)


def test_after_the_storm_nothing_goes_wrong() -> None:
    plan = plan_with(FaultKind.LOSS, storm_s=5.0)
    assert {tuple(plan.fates(MANAGER, ADA, b"", 5.0)) for _ in range(200)} == {(0.0,)}


def test_kinds_that_are_not_wanted_do_not_happen() -> None:
    plans = [PlannedFaults(seed, WORKERS, (FaultKind.KILL,)) for seed in range(20)]
    befalling = {each.kind for plan in plans for each in plan.disturbances}
    assert befalling == {FaultKind.KILL}
    assert {fates for plan in plans for fates in fates_of(plan)} == {(0.0,)}


def test_leaving_out_a_kind_changes_no_other() -> None:
    for seed in range(20):
        everything = PlannedFaults(seed, WORKERS, ALL_FAULTS).disturbances
        only_kills = PlannedFaults(seed, WORKERS, (FaultKind.KILL,)).disturbances
        assert only_kills == [each for each in everything if each.kind is FaultKind.KILL]


def test_a_shorter_storm_begins_as_a_longer_one() -> None:
    for seed in range(20):
        longer = PlannedFaults(seed, WORKERS, ALL_FAULTS, 30.0).disturbances
        shorter = PlannedFaults(seed, WORKERS, ALL_FAULTS, 15.0).disturbances
        assert [each[:3] for each in shorter] == [each[:3] for each in longer if each.at < 15.0]


def test_every_disturbance_ends_with_the_storm() -> None:
    for seed in range(20):
        ends = [each.ends_at for each in PlannedFaults(seed, WORKERS).disturbances]
        assert all(end <= 30.0 + 1e-9 for end in ends)


def test_a_negative_storm_is_refused() -> None:
    with pytest.raises(InvalidInput, match="storm_s is -1"):
        PlannedFaults(0, WORKERS, storm_s=-1)


def test_an_address_tells_the_worker() -> None:
    assert worker_at(address_of("Ada#x", 3)) == "Ada#x"


def test_kinds_are_read_in_any_order() -> None:
    assert read_fault_kinds("kill, loss") == (FaultKind.LOSS, FaultKind.KILL)


def test_no_kinds_are_no_faults() -> None:
    assert read_fault_kinds("") == ()


def test_an_unknown_kind_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match=r"no fault 'los'; did you mean 'loss'"):
        read_fault_kinds("loss,los")
