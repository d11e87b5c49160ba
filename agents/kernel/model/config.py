"""The configuration of a board."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Literal, cast

from ....messages import InvalidInput, Retry, Task
from ....messages.limit import Limit, check_limits, check_weights
from ....messages.task import MAX_LOSSES

_NUMBERS = (
    *("expected_workers", "join_timeout_s", "lost_after_s", "heartbeat_s", "time_scale"),
    *("unmatched_after_s", "max_losses", "max_workers", "quarantine_after", "quarantine_s"),
    *("prefetch_s", "thrift", "budget", "aging_s", "keep_results_s", "keep_results"),
)

LONGEST_PREFETCH_S = 10.0

MAX_UNIT_CHARACTERS = 20

DEFAULT_MAX_LOSSES = 10
"""How often an attempt at a task may be lost by default, before the task fails."""

MAX_WORKERS = 4_096
"""The default maximum number of workers connected to a manager."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The configuration of a board.

    Args:
        expected_workers: the number of workers to wait for; 0 begins with the first one.
        roster: the names of the workers to wait for, in the order in which they get tasks.
        join_timeout_s: how long to wait for them, in seconds; None waits without limit.
        on_missing: on that timeout, "start" with the workers that have joined, or "fail".
        lost_after_s: the time without a message after which a worker is lost, in seconds.
        heartbeat_s: the interval of a worker's heartbeats, in seconds.
        time_scale: the real duration of one second of a task's timeout, in seconds.
        unmatched_after_s: the time after which a task fails that no connected worker can run, in
            seconds; None never.
        max_losses: the number of attempts at a task that may be lost before the task fails, 0 to
            1,000; for tasks that do not say it.
        retry: which failed attempts are followed by another, for tasks that do not say it; None for
            none.
        retries: the same for tasks of one type each, by type; they come before `retry`.
        ends_when_done: whether the run ends as soon as every task is settled.
        confirms_end: whether it ends only with `RestConfirmed`, since tasks may still be added.
        allow: the names of the workers that may join; None admits all.
        max_workers: the maximum number of connected workers, 1 or more.
        reassigns_failed: whether a task without attempts left gets one more attempt at each
            connected worker that can run it and has not failed it yet.
        quarantine_after: the number of consecutive failures that start a worker's quarantine; None
            never.
        quarantine_s: the duration of a quarantine, in seconds.
        prefetch_s: the amount of work that a worker may prefetch per slot, in seconds; 0 for none.
            `quarantine_after` limits it further: no prefetched task begins in a quarantine.
        thrift: how much of a success one unit of cost is worth, 0 or more.
        budget: what all attempts together may cost; None for no limit.
        cost_unit: the unit of costs.
        aging_s: a waiting task gains one level of priority each time this many seconds pass; None
            never.
        on_late: what happens to a task that can't be completed by its deadline any more: "run" it
            all the same, or "fail" it.
        keep_results_s: for how long a settled task is kept, in seconds; None for ever.
        keep_results: how many settled tasks are kept at least, the latest ones; None for all.
        limits: how many tasks may begin in a period, or be in progress at once.
        weights: how many tasks each key may begin in its turn; 1 for all others.

    Raises:
        InvalidInput: a value is out of range.
    """

    expected_workers: int = 0
    roster: tuple[str, ...] = ()
    join_timeout_s: float | None = None
    on_missing: Literal["fail", "start"] = "fail"
    lost_after_s: float = 10.0
    heartbeat_s: float = 2.0
    time_scale: float = 1.0
    unmatched_after_s: float | None = 30.0
    max_losses: int = DEFAULT_MAX_LOSSES
    retry: Retry | None = None
    retries: Mapping[str, Retry] = field(default_factory=dict[str, Retry])
    ends_when_done: bool = True
    confirms_end: bool = False
    allow: tuple[str, ...] | None = None
    max_workers: int = MAX_WORKERS
    reassigns_failed: bool = False
    quarantine_after: int | None = None
    quarantine_s: float = 60.0
    prefetch_s: float = 0.0
    thrift: float = 0.0
    budget: float | None = None
    cost_unit: str = "USD"
    aging_s: float | None = None
    on_late: Literal["run", "fail"] = "run"
    keep_results_s: float | None = None
    keep_results: int | None = None
    limits: tuple[Limit, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def return_within_s(self) -> float:
        """How long a resumed run waits for its former workers, in seconds.

        A worker may take `lost_after_s` to detect the loss of its manager, and as long to join.
        """
        return 2 * self.lost_after_s

    def retry_of(self, task: Task) -> Retry | None:
        """Which failed attempts at a task are followed by another; None if `max_attempts` says it.

        Args:
            task: the task; if it has no `retry` of its own, and not several attempts, it has that
                of its type, or that of all types.
        """
        if task.retry is not None or task.max_attempts > 1:
            return task.retry
        return self.retries.get(task.type, self.retry)

    def __post_init__(self) -> None:
        for name in _NUMBERS:
            check_is_number(name, getattr(self, name))
        for name in ("expected_workers", "max_losses"):
            count: int = getattr(self, name)
            if count < 0:
                raise InvalidInput(f"{name} is {count}; it must be 0 or more")
        if self.max_losses > MAX_LOSSES:
            raise InvalidInput(
                f"max_losses is {self.max_losses}; it must be from 0 to {MAX_LOSSES:,}"
            )
        check_retries(self.retry, self.retries)
        if self.max_workers < max(self.expected_workers, len(self.roster), 1):
            raise InvalidInput(
                f"max_workers is {self.max_workers}; it must be 1 or more, and not less than the "
                f"{max(self.expected_workers, len(self.roster))} expected workers"
            )
        if self.quarantine_after is not None and self.quarantine_after < 1:
            raise InvalidInput(
                f"quarantine_after is {self.quarantine_after}; it must be 1 or more, or None"
            )
        for name in ("lost_after_s", "heartbeat_s", "time_scale", "quarantine_s"):
            seconds: float = getattr(self, name)
            if not (seconds > 0 and math.isfinite(seconds)):
                raise InvalidInput(f"{name} is {seconds}; it must be above 0")
        if not 0 <= self.prefetch_s <= LONGEST_PREFETCH_S:
            raise InvalidInput(
                f"prefetch_s is {self.prefetch_s}; it must be from 0 to {LONGEST_PREFETCH_S:g}"
            )
        if not (self.thrift >= 0 and math.isfinite(self.thrift)):
            raise InvalidInput(f"thrift is {self.thrift}; it must be 0 or more")
        if self.budget is not None and not (self.budget >= 0 and math.isfinite(self.budget)):
            raise InvalidInput(f"budget is {self.budget}; it must be 0 or more, or None")
        if self.aging_s is not None and not (self.aging_s > 0 and math.isfinite(self.aging_s)):
            raise InvalidInput(f"aging_s is {self.aging_s}; it must be above 0, or None")
        check_retention(self.keep_results_s, self.keep_results)
        if self.on_late not in ("run", "fail"):
            raise InvalidInput(f"on_late is {self.on_late!r}; it must be 'run' or 'fail'")
        check_cost_unit(self.cost_unit)
        check_limits(self.limits)
        check_weights(self.weights)
        for name in ("join_timeout_s", "unmatched_after_s"):
            limit_s: float | None = getattr(self, name)
            if limit_s is not None and not limit_s >= 0:
                raise InvalidInput(f"{name} is {limit_s}; it must be 0 or more, or None")
        if self.on_missing not in ("fail", "start"):
            raise InvalidInput(f"on_missing is {self.on_missing!r}; it must be 'fail' or 'start'")
        doubled = {name for name in self.roster if self.roster.count(name) > 1}
        if doubled:
            raise InvalidInput(f"the roster names {min(doubled)!r} twice; name each worker once")
        if self.allow is not None:
            if not self.allow:
                raise InvalidInput("allow is empty; list the workers that may join, or omit it")
            missing = set(self.roster) - set(self.allow)
            if missing:
                raise InvalidInput(f"worker {min(missing)!r} is expected, but not in allow; add it")


def check_retries(retry: object, retries: object) -> None:
    """Check the default retries of tasks.

    Raises:
        InvalidInput: they are not of the class `Retry`, or not by type.
    """
    if retry is not None and not isinstance(retry, Retry):
        raise InvalidInput(f"retry is {retry!r}; it must be a muster.messages.Retry, or None")
    if not isinstance(retries, Mapping):
        raise InvalidInput(
            f"retries is {retries!r}; it must be a dict with a Retry for each task type"
        )
    for kind, each in cast("Mapping[object, object]", retries).items():
        if not isinstance(kind, str) or not isinstance(each, Retry):
            raise InvalidInput(
                f"retries has {each!r} for {kind!r}; it must be a dict with a "
                "muster.messages.Retry for each task type"
            )


def check_cost_unit(unit: object) -> None:
    """Check the unit of costs.

    Raises:
        InvalidInput: it is no text, blank or too long.
    """
    if not isinstance(unit, str) or not unit.strip() or len(unit) > MAX_UNIT_CHARACTERS:
        raise InvalidInput(
            f"cost_unit is {unit!r}; it must be text that is not blank, "
            f"{MAX_UNIT_CHARACTERS} characters at most"
        )


def check_is_number(name: str, value: object) -> None:
    """Check that an argument is a number or None.

    Raises:
        InvalidInput: it is not.
    """
    if value is not None and not isinstance(value, Real):
        raise InvalidInput(f"{name} is {value!r}; it must be a number")


def check_retention(keep_results_s: float | None, keep_results: int | None) -> None:
    """Check for how long, and how many, settled tasks are kept.

    Raises:
        InvalidInput: one is out of range.
    """
    if keep_results_s is not None and not keep_results_s > 0:
        raise InvalidInput(
            f"keep_results_s is {keep_results_s}; it must be above 0, or None to keep results for "
            "ever"
        )
    if keep_results is not None and keep_results < 1:
        raise InvalidInput(
            f"keep_results is {keep_results}; it must be 1 or more, or None to keep all results"
        )


def check_grace(grace_s: float) -> None:
    """Check for how long running tasks may go on when a worker or manager stops.

    Raises:
        InvalidInput: it is negative.
    """
    check_is_number("grace_s", grace_s)
    if not grace_s >= 0:
        raise InvalidInput(f"grace_s is {grace_s!r}; it must be 0 seconds or more")
