"""Plans the faults of a simulated run from a seed."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import NamedTuple

from ...messages import InvalidInput, UnknownName


class FaultKind(str, Enum):
    """The kinds of fault."""

    LOSS = "loss"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    DELAY = "delay"
    PARTITION = "partition"
    KILL = "kill"
    PAUSE = "pause"
    RESTART = "restart"
    TAKEOVER = "takeover"
    HANDOVER = "handover"


OF_MANAGERS = frozenset({FaultKind.RESTART, FaultKind.TAKEOVER, FaultKind.HANDOVER})
"""The kinds that affect the manager, whose run then needs a store."""


class Crash(str, Enum):
    """When a manager is killed."""

    AT_ONCE = "at once"
    BEFORE_WRITE = "before its next write"
    AFTER_WRITE = "after its next write, before it acts on it"


ALL_FAULTS: tuple[FaultKind, ...] = tuple(FaultKind)

# The shares differ between runs: if every fault were frequent, rare sequences would never occur.
_SHARES = {
    FaultKind.LOSS: (0.0, 0.02, 0.1, 0.3),
    FaultKind.DUPLICATE: (0.0, 0.05, 0.2, 0.5),
    FaultKind.REORDER: (0.0, 0.1, 0.3, 0.6),
    FaultKind.DELAY: (0.0, 0.01, 0.05, 0.15),
}
_GAPS_S = (3.0, 6.0, 12.0, math.inf)
"""The average times between two disturbances of a kind, in seconds; a run draws one of them."""

_REORDER_BY_S = 0.05
_DURATIONS_S = ((0.05, 2.0), (0.05, 2.0), (2.0, 20.0))
"""Ranges of durations, in seconds: two of three are short, the third exceeds the timeouts."""

_ON_TIME = (0.0,)


class Disturbance(NamedTuple):
    """A fault that lasts for some time and affects some workers, or the manager.

    Args:
        at: when it begins, in seconds from the start of the run.
        kind: kill, pause, partition, restart, takeover or handover.
        workers: the names of the workers that it affects, or the address of the manager; a
            partition separates them from all others. Empty if it will affect the manager.
        lasts_s: how long it lasts, in seconds.
        spares_inbound: whether a partition delivers frames that are sent to them.
        spares_outbound: whether a partition delivers frames that they send.
        crash: when a restart kills the manager.
    """

    at: float
    kind: FaultKind
    workers: frozenset[str]
    lasts_s: float
    spares_inbound: bool = False
    spares_outbound: bool = False
    crash: Crash = Crash.AT_ONCE

    @property
    def ends_at(self) -> float:
        """When it ends, in seconds from the start of the run."""
        return self.at + self.lasts_s


class PlannedFaults:
    """A fault plan for a `MemoryNetwork`, with a list of disturbances of workers and the manager.

    Args:
        seed: the seed of all faults.
        workers: the names of the workers, in a fixed order.
        kinds: the kinds of fault to inject. Leaving one out does not change the others.
        storm_s: for how many seconds from the start faults are injected. The faults of a shorter
            time are the first ones of a longer time.

    Raises:
        InvalidInput: `storm_s` is below 0.
    """

    def __init__(
        self,
        seed: int,
        workers: Sequence[str],
        kinds: Iterable[FaultKind] = ALL_FAULTS,
        storm_s: float = 30.0,
    ) -> None:
        if not storm_s >= 0:
            raise InvalidInput(f"storm_s is {storm_s!r}; give 0 or more seconds")
        self.storm_s = storm_s
        self.injected: Counter[FaultKind] = Counter()
        allowed = set(kinds)
        chances = {kind: _chance(seed, kind) for kind in FaultKind}
        self._chances = chances
        self._shares = {
            kind: chances[kind].choice(shares) if kind in allowed else 0.0
            for kind, shares in _SHARES.items()
        }
        drawn = (
            disturbance
            for kind in (
                FaultKind.PARTITION,
                FaultKind.KILL,
                FaultKind.PAUSE,
                FaultKind.RESTART,
                FaultKind.TAKEOVER,
                FaultKind.HANDOVER,
            )
            if kind in allowed
            for disturbance in _draw(chances[kind], kind, workers, storm_s)
        )
        self.disturbances: list[Disturbance] = sorted(drawn, key=lambda each: each.at)
        self._active: list[Disturbance] = []

    def begin(self, disturbance: Disturbance) -> None:
        """Begin a disturbance; the caller must end the process for a kill or a restart."""
        self.injected[disturbance.kind] += 1
        if disturbance.kind in {FaultKind.PARTITION, FaultKind.PAUSE}:
            self._active.append(disturbance)

    def cut_off(self, address: str, disturbance: Disturbance) -> None:
        """Separate the manager at an address from all others for as long as a takeover lasts."""
        self._active.append(disturbance._replace(workers=frozenset({address})))

    def fates(self, sender: str, to: str, frame: bytes, now: float) -> Sequence[float]:
        """Decide about one frame and one receiver; see `FaultPlan`."""
        del frame
        if now >= self.storm_s:
            return _ON_TIME
        paused_s = 0.0
        if self._active:
            self._active = [each for each in self._active if now < each.ends_at]
            from_ends, to_ends = {sender, worker_at(sender)}, {to, worker_at(to)}
            for each in self._active:
                is_from = not from_ends.isdisjoint(each.workers)
                is_to = not to_ends.isdisjoint(each.workers)
                if each.kind is not FaultKind.PAUSE:
                    if (is_from and not is_to and not each.spares_outbound) or (
                        is_to and not is_from and not each.spares_inbound
                    ):
                        return ()
                elif is_from or is_to:
                    paused_s = max(paused_s, each.ends_at - now)
        if self._occurs(FaultKind.LOSS):
            return ()
        late_s = paused_s
        if self._occurs(FaultKind.DELAY):
            late_s += self._duration(FaultKind.DELAY)
        if self._occurs(FaultKind.REORDER):
            late_s += self._chances[FaultKind.REORDER].uniform(0.0, _REORDER_BY_S)
        if self._occurs(FaultKind.DUPLICATE):
            return late_s, paused_s + self._duration(FaultKind.DUPLICATE)
        return (late_s,)

    def _occurs(self, kind: FaultKind) -> bool:
        share = self._shares[kind]
        if not share or self._chances[kind].random() >= share:
            return False
        self.injected[kind] += 1
        return True

    def _duration(self, kind: FaultKind) -> float:
        return _duration(self._chances[kind])


def address_of(name: str, start: int, connection: int = 1) -> str:
    """The address of a worker or manager on a simulated network.

    Args:
        name: its name.
        start: the number of its start, from 1.
        connection: the number of its connection since that start, from 1.
    """
    return f"{name}#{start}" if connection == 1 else f"{name}#{start}.{connection}"


def worker_at(address: str) -> str:
    """The name of the worker at an address of `address_of`."""
    return address.rpartition("#")[0]


def read_fault_kinds(text: str) -> tuple[FaultKind, ...]:
    """Parse kinds of fault, separated by commas.

    Raises:
        UnknownName: a kind is unknown; the message lists the known ones.
    """
    known = {kind.value: kind for kind in FaultKind}
    kinds: list[FaultKind] = []
    for name in filter(None, (part.strip() for part in text.split(","))):
        if name not in known:
            raise UnknownName("fault", name, known)
        kinds.append(known[name])
    return tuple(kind for kind in FaultKind if kind in kinds)


def _chance(seed: int, kind: FaultKind) -> random.Random:
    # One generator for each kind, seeded by text, which gives the same numbers in every process.
    return random.Random(f"{seed}/{kind.value}")  # noqa: S311 - reproducible, no secret


def _duration(chance: random.Random) -> float:
    return chance.uniform(*chance.choice(_DURATIONS_S))


def _draw(
    chance: random.Random, kind: FaultKind, workers: Sequence[str], storm_s: float
) -> list[Disturbance]:
    drawn: list[Disturbance] = []
    if not workers and kind not in OF_MANAGERS:
        return drawn
    gap_s = chance.choice(_GAPS_S)
    at = chance.expovariate(1.0) * gap_s
    while at < storm_s:
        lasts_s = min(_duration(chance), storm_s - at)
        if kind is FaultKind.PARTITION:
            affected = frozenset(chance.sample(workers, chance.randint(1, len(workers))))
            spares = chance.choice(((False, False), (False, True), (True, False)))
            drawn.append(Disturbance(at, kind, affected, lasts_s, *spares))
        elif kind is FaultKind.TAKEOVER:
            # With both spared, the former manager goes on to talk to its workers.
            spares = chance.choice(((False, False), (False, True), (True, False), (True, True)))
            drawn.append(Disturbance(at, kind, frozenset(), lasts_s, *spares))
        elif kind is FaultKind.HANDOVER:
            drawn.append(Disturbance(at, kind, frozenset(), lasts_s))
        elif kind is FaultKind.RESTART:
            crash = chance.choice(list(Crash))
            drawn.append(Disturbance(at, kind, frozenset(), lasts_s, crash=crash))
        else:
            drawn.append(Disturbance(at, kind, frozenset({chance.choice(workers)}), lasts_s))
        at += chance.expovariate(1.0) * gap_s
    return drawn
