"""Reads the row of a run itself."""

from __future__ import annotations

from ....messages import Payload, TaskStatus
from ....messages.values import unpack
from ..model.snapshot import Snapshot
from .rows import NO_COSTS


def read_run(state: bytes) -> Snapshot:
    """The state of a run, as it was written, without tasks and workers."""
    began_at, ended_at, failure, ignored, policy, expected_workers, roster, *later = unpack(state)
    heartbeat_s, lost_after_s, on_forgotten, in_other_units, budget, cost_unit, more = (
        *later,
        *_LATER_IN_THE_RUN[len(later) :],
    )
    return Snapshot(
        began_at=began_at,
        ended_at=ended_at,
        failure=failure,
        ignored=ignored,
        policy=policy,
        expected_workers=expected_workers,
        roster=tuple(roster),
        heartbeat_s=heartbeat_s,
        lost_after_s=lost_after_s,
        spent_on_forgotten=on_forgotten,
        spent_in_other_units=in_other_units,
        budget=budget,
        cost_unit=cost_unit,
        paused_since=more.get("paused_since"),
        forgotten={TaskStatus(each): n for each, n in more.get("forgotten", {}).items()},
        forgotten_begins=more.get("forgotten_begins", ()),
        forgotten_sums=more.get("forgotten_sums", {}),
    )


_LATER_IN_THE_RUN: tuple[Payload, ...] = (None, None, *NO_COSTS, {})
"""The defaults of the last values of a run, which older stores lack."""
