"""A board made from what a store kept."""

from __future__ import annotations

from .board import Board
from .ledger import NOTHING, Rows, read_snapshot
from .matching import MatchingPolicy
from .records import Rules


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
        rules: what the board is to go by.
        policy: who gets which task; `best_fit` by default.
        now: the time in seconds.

    Raises:
        DecodeError: a row can't be read; says which and why.
    """
    board = Board(rules, policy)
    if rows != NOTHING:
        board.restore(read_snapshot(rows), now)
    return board
