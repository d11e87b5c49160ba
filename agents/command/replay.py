"""`muster replay`: estimates what another policy would have done with a recorded run."""

from __future__ import annotations

from pathlib import Path

from ...messages import InvalidInput
from ..kernel.matching.policy_names import find_policy
from ..replay.comparison import Comparison, compare
from ..replay.recorded_run import RecordedRun, recorded_in_store, recorded_in_trace
from ..replay.replaying import replay_run
from ..skills.policy_skills import find_scorecards, load_skills
from ..skills.skills_file import read_skills
from ..store.places import StorePlace
from .stored_run import read_stored_run
from .trace_sources import trace_from_file


def replay(
    store: StorePlace | None, trace: Path | None, policy_name: str, skills: Path | None = None
) -> Comparison:
    """Replay a recorded run.

    Args:
        store: the store of the run, or None.
        trace: the trace of the run, or None.
        policy_name: the policy of the replay.
        skills: a skills file with which it begins, or None.

    Raises:
        UnknownName: there is no such policy.
        InvalidInput: not exactly one of store and trace is given, or there is no task in it; the
            skills can't be read, or the policy learns none.
        StoreUnusable: there is no store, or it can't be read.
        InvalidTrace: the trace can't be read.
    """
    policy = find_policy(policy_name)
    recorded = _read(store, trace)
    if not recorded.tasks:
        raise InvalidInput("the record has no tasks, so there is nothing to replay")
    if skills is not None:
        begins_at = min(recorded.arrivals.values())
        load_skills(find_scorecards(policy, "--skills"), read_skills(skills), begins_at)
    return compare(recorded, replay_run(recorded, policy), policy.name)


def _read(store: StorePlace | None, trace: Path | None) -> RecordedRun:
    if store is not None and trace is None:
        return recorded_in_store(read_stored_run(store).board)
    if trace is not None and store is None:
        return recorded_in_trace(trace_from_file(trace))
    raise InvalidInput("give exactly one of --store and --trace")
