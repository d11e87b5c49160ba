"""Stops giving a worker tasks of a type that it keeps failing in the same way, and probes it."""

from __future__ import annotations

from math import log

from ...model.error_kind import MAX_KIND_CHARACTERS
from .change_detector import STEADY_RESULTS

OPENS_AFTER = 3
"""So many failures of one kind in a row open a breaker, if skill does not explain them."""

OPENS_AT = 6.0
"""The surprise of a row of failures, as the sum of -log(chance of failure), that opens a breaker.

About one row in exp(6) = 400 is that surprising by chance. A kind of error that has opened the
breaker before needs half of it. It grows with twice the logarithm of the worker's results with all
types: the more rows there are, the more of them are surprising by chance. So the expected number of
false openings stays bounded.
"""

FIRST_PAUSE_S = 60.0
"""How long a breaker stays open before its first probe, in seconds."""

LONGEST_PAUSE_S = 3600.0
"""The longest time between two probes, in seconds."""

CLOSES_AFTER = 3
"""So many successes in a row close a breaker."""

SURPRISE_OF_NO_SKILL = 2.0
"""The surprise of a failure that says nothing about skill: three in a row open a breaker."""

SURPRISE_OF_HASTE = 1.7
"""What haste adds: four hasty failures in a row open a breaker, however hard the tasks."""

MAX_KINDS = 8
"""So many kinds of error are told apart; further kinds are not counted."""

_GROWTH = 4.0


class Breaker:
    """The breaker of one worker for one type of task, by kind of error.

    Closed, it lets every task pass. Open, it lets none pass until its pause is over; then one easy
    task at a time, the probe. A failed probe makes the next pause longer. A few successes in a row
    close it, and what opened it is kept: fewer failures of that kind open it again, for longer.
    """

    __slots__ = ("failures", "opened_at", "pause_s", "reason", "strikes", "successes")

    def __init__(self) -> None:
        # By kind of error: the failures in a row, and how surprising they are together.
        self.failures: dict[str, tuple[int, float]] = {}
        # How often each kind opened it; never erased.
        self.strikes: dict[str, int] = {}
        self.reason = ""
        self.opened_at = 0.0
        self.pause_s = 0.0
        self.successes = 0

    @property
    def is_open(self) -> bool:
        """Whether it lets only probes pass."""
        return bool(self.reason)

    @property
    def probes_from(self) -> float:
        """When the next probe may begin, in seconds of the board."""
        return self.opened_at + self.pause_s

    def note_success(self) -> None:
        """Note a success, which ends every row of failures."""
        if self.failures:
            self.failures.clear()
        if self.reason:
            self.successes += 1
            if self.successes >= CLOSES_AFTER:
                self.reason = ""
                self.successes = 0

    def note_failure(
        self,
        kind: str,
        chance: float | None,
        at: float,
        results: float,
        *,
        is_hasty: bool = False,
    ) -> None:
        """Note a failure.

        Args:
            kind: the kind of error.
            chance: the chance of success that was expected; None if skill plays no part in it.
            at: when it failed, in seconds of the board.
            results: how many results the worker has had with all types of tasks; 0 if it has never
                succeeded with this one, for which a few failures suffice.
            is_hasty: whether the worker has never succeeded, and fails faster than others work.
        """
        kind = kind[:MAX_KIND_CHARACTERS]
        self.successes = 0
        if self.reason:
            # A result of an attempt that began before the breaker opened is no probe.
            if at >= self.probes_from:
                self._open(kind, 0, at)
            return
        surprise = SURPRISE_OF_NO_SKILL if chance is None else -log(max(1.0 - chance, 1e-3))
        if is_hasty:
            surprise += SURPRISE_OF_HASTE
        if kind not in self.failures and len(self.failures) >= MAX_KINDS:
            return
        count, total = self.failures.get(kind, (0, 0.0))
        count, total = count + 1, total + surprise
        self.failures[kind] = (count, total)
        needed, needed_surprise = OPENS_AFTER, OPENS_AT
        if kind in self.strikes:
            needed, needed_surprise = OPENS_AFTER - 1, OPENS_AT / 2.0
        if chance is not None:
            needed_surprise += 2.0 * log(max(results / STEADY_RESULTS, 1.0))
        if count >= needed and total >= needed_surprise:
            self._open(kind, count, at)

    def describe(self, task_type: str) -> str:
        """Why it is open, as text for people."""
        kind = f" for {task_type!r}" if task_type else ""
        return f"broken{kind}: {self.reason}"

    def _open(self, kind: str, count: int, at: float) -> None:
        strikes = self.strikes.get(kind, 0) + 1
        if kind in self.strikes or len(self.strikes) < MAX_KINDS:
            self.strikes[kind] = strikes
        if count:
            self.reason = f"{kind or 'failure'}, {count} times in a row"
        self.opened_at = at
        self.pause_s = min(FIRST_PAUSE_S * _GROWTH ** min(strikes - 1, 10), LONGEST_PAUSE_S)
        self.failures.clear()
