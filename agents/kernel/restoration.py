"""A board made from what a store kept."""

from __future__ import annotations

from dataclasses import replace

from .board import Board
from .ledger import NOTHING, Rows, read_snapshot
from .matching import POLICIES, MatchingPolicy
from .records import Rules, Snapshot


def read_board(
    rows: Rows,
    rules: Rules | None = None,
    policy: MatchingPolicy | None = None,
    *,
    now: float,
) -> Board:
    """Make a board that stands where the run stood when the rows were written.

    It stands still, to be looked at, until `DoorsOpened`: then it takes the run over.

    Args:
        rows: all that a store has.
        rules: what the board is to go by; by default, for one that is only looked at, it waits for
            whom the run waited.
        policy: who gets which task; by default as in the run, or `best_fit` if that was of a
            user's own.
        now: the time in seconds.

    Raises:
        DecodeError: a row can't be read; says which and why.
    """
    if rows == NOTHING:
        return Board(rules, policy)
    snapshot = read_snapshot(rows)
    board = Board(rules or _rules_of(snapshot), policy or POLICIES.get(snapshot.policy))
    board.restore(snapshot, now)
    return board


def _rules_of(snapshot: Snapshot) -> Rules:
    waited_for = Rules(expected_workers=snapshot.expected_workers, roster=snapshot.roster)
    if snapshot.heartbeat_s is None or snapshot.lost_after_s is None:
        return waited_for
    return replace(waited_for, heartbeat_s=snapshot.heartbeat_s, lost_after_s=snapshot.lost_after_s)
