"""A manager whose store is taken over while it goes on does no harm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.board.rows import Rows
from muster.agents.simulation import runner
from muster.agents.simulation.faults import FaultKind
from muster.agents.simulation.fenced_store import FencedStore, SequencedRows
from muster.agents.simulation.runner import Conditions, simulate
from muster.agents.simulation.workload import StressStory
from muster.messages import StoreTaken

NOBODY: Callable[[], None] = lambda: None  # noqa: E731
ROWS = Rows(b"run")
TAKEOVERS = (FaultKind.TAKEOVER, FaultKind.HANDOVER)


def store(memory: SequencedRows, wrote: Callable[[], None] = NOBODY) -> FencedStore:
    return FencedStore(memory, NOBODY, wrote)


def test_a_store_that_was_opened_again_takes_no_writes_of_its_former_manager() -> None:
    memory = SequencedRows()
    former = store(memory)
    former.write(ROWS)
    newer = store(memory)
    with pytest.raises(StoreTaken):
        former.write(Rows(b"late"))
    newer.write(ROWS)
    with pytest.raises(StoreTaken):
        former.write(Rows(b"late"))
    former.close()
    newer.write(Rows(b"the last"))
    assert memory.read().run == b"the last"


def test_managers_that_are_taken_over_and_hand_over_lose_nothing() -> None:
    injected: Counter[FaultKind] = Counter()
    for seed in range(3):
        outcome = simulate(StressStory(seed), Conditions(seed, (*TAKEOVERS, FaultKind.LOSS), 15.0))
        assert outcome.violation is None
        injected += outcome.injected
    assert all(injected[kind] for kind in TAKEOVERS)


def find_violation(story: Callable[[int], Any], seeds: range) -> str:
    for seed in seeds:
        violation = simulate(story(seed), Conditions(seed, (FaultKind.TAKEOVER,), 10.0)).violation
        if violation is not None:
            return violation.invariant
    return "none"


def test_a_store_that_does_not_check_the_sequence_is_noticed(
    monkeypatch: pytest.MonkeyPatch, small_story: Callable[[], Any]
) -> None:
    monkeypatch.setattr(FencedStore, "is_expected", lambda _: True)
    monkeypatch.setattr(runner, "CALM_S", 30.0)
    found = find_violation(lambda _: small_story(), range(20))
    assert found == "a manager that was taken over writes nothing"


@pytest.mark.slow
def test_such_a_store_is_also_noticed_by_what_it_does_to_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FencedStore, "is_expected", lambda _: True)
    write = FencedStore.__init__

    def without_witness(self: FencedStore, memory: Any, kill: Any, wrote: Any) -> None:
        del wrote
        write(self, memory, kill, NOBODY)

    monkeypatch.setattr(FencedStore, "__init__", without_witness)
    monkeypatch.setattr(runner, "CALM_S", 120.0)
    assert find_violation(StressStory, range(20)) in {
        "every task is settled exactly once",
        "an attempt runs at most once, on one worker",
        "a manager that was taken over does not end its run",
        "a settled task stays settled when the manager is replaced",
        "a schedule makes each due time once",
    }
