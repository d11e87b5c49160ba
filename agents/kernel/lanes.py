"""Assigns each worker to one of the manager's workspaces, and decides when to open another one.

A frame in a Ceylon workspace costs more with each member: every member receives every frame.
So a manager distributes its workers over several workspaces, its lanes. Lane 0 is the workspace in
tickets.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from ...messages import InvalidInput
from .model.workspace_names import FIRST_LANE
from .security.token_bucket import TokenBucket

MAX_LANES = 16
WORKERS_PER_LANE = 4
"""How many workers fill a lane while another one may still be opened."""

PLACE_RESERVED_S = 15.0
"""How long a place is reserved for a worker that was assigned to it, in seconds."""

CLOSED_AFTER_S = 15.0
"""How long a lane must be empty before it is closed, in seconds."""

REOPENED_AFTER_S = 30.0
"""The delay before the next lane is opened after one could not be opened, in seconds; also the
interval between openings after many of them."""

_MAX_ON_THE_WAY = 10_000
_MAX_STRIKES = 3
_MAX_TURNS = 2
"""The maximum number of lanes that are not closed, as a multiple of `max_lanes`."""


class _Sent(NamedTuple):
    """A worker's assignment to a lane.

    Args:
        lane: the lane.
        until: the time until which its place is reserved, in seconds.
        came_from: the lane where the worker was connected before, or None. A join request that
            still arrives from there is ignored.
    """

    lane: int
    until: float
    came_from: int | None


class Lanes:
    """Decides about lanes; the caller opens and closes them.

    The first workers join lane 0, and a further lane is opened when the open ones are full. When no
    more may be opened, all are filled evenly. A lane that several consecutive workers did not reach
    gets no more workers, even lane 0, and another may replace it: Ceylon can fail for a whole
    workspace. A lane that is empty for a while is closed.

    Args:
        max_lanes: the maximum number of lanes, including lane 0; 1 keeps all workers there.
        workers_per_lane: how many workers fill a lane.

    Raises:
        InvalidInput: an argument is below 1.
    """

    def __init__(
        self, max_lanes: int = MAX_LANES, workers_per_lane: int = WORKERS_PER_LANE
    ) -> None:
        for name, value in (("max_lanes", max_lanes), ("workers_per_lane", workers_per_lane)):
            if value < 1:
                raise InvalidInput(f"{name} is {value!r}; it must be 1 or more")
        self._max_lanes = max_lanes
        self._max_unclosed = max_lanes * _MAX_TURNS
        self._workers_per_lane = workers_per_lane
        # Whether each lane that is not closed takes workers.
        self._usable: dict[int, bool] = {FIRST_LANE: True}
        self._last_lane = FIRST_LANE
        self._opening = TokenBucket(1 / REOPENED_AFTER_S, self._max_unclosed)
        self._none_opened_until = -math.inf
        # How many workers in a row did not arrive, by lane.
        self._strikes: Counter[int] = Counter()
        self._on_the_way: OrderedDict[str, _Sent] = OrderedDict()
        # Since when a lane is empty.
        self._empty_since: dict[int, float] = {}

    @property
    def max_lanes(self) -> int:
        """The maximum number of lanes."""
        return self._max_lanes

    @property
    def open_lanes(self) -> tuple[int, ...]:
        """The lanes that take workers; lane 0 if there is no other."""
        return tuple(self._in_use()) or (FIRST_LANE,)

    def _in_use(self) -> list[int]:
        return [lane for lane, usable in self._usable.items() if usable]

    def needed_for(self, workers: int) -> int:
        """How many lanes a number of workers fills, including lane 0."""
        return min(max(-(-workers // self._workers_per_lane), 1), self._max_lanes)

    def prepare(self, workers: int) -> tuple[int, ...]:
        """Open the lanes that a number of workers needs; return those that were not open before."""
        opened: list[int] = []
        while len(self.open_lanes) < self.needed_for(workers):
            opened.append(self._open())
        return tuple(opened)

    def place(self, name: str, now: float, present: Mapping[str, int]) -> int:
        """Choose a worker's lane; one that is not in `open_lanes` before has to be opened.

        A worker that retries has lost its manager, so it joins another lane if there is room. A
        lane that several workers did not reach gets no more workers.

        Args:
            name: the worker's name.
            now: the time in seconds.
            present: the lane of each connected worker, by name.
        """
        self._forget_missing(now)
        if name in self._on_the_way:
            self._strike(self._on_the_way[name].lane)
        # A worker on its way to another lane is still connected to the former one.
        lane_of = {**present, **{each: sent.lane for each, sent in self._on_the_way.items()}}
        former = lane_of.pop(name, None)
        members = dict.fromkeys(self._in_use(), 0)
        for lane in lane_of.values():
            if lane in members:
                members[lane] += 1
        lane = self._choose(members, former, now)
        self._on_the_way[name] = _Sent(lane, now + PLACE_RESERVED_S, present.get(name))
        self._on_the_way.move_to_end(name)
        if len(self._on_the_way) > _MAX_ON_THE_WAY:
            self._on_the_way.popitem(last=False)
        return lane

    def note_arrived(self, name: str, lane: int) -> None:
        """Record a worker's join request.

        It does not matter whether it is admitted: its name may still be in use, for example after
        its process was restarted. And it may be lost again before the next worker asks for a lane.

        Args:
            name: the worker's name.
            lane: the lane where it asks.
        """
        sent = self._on_the_way.get(name)
        if sent is None:
            return
        if lane == sent.lane:
            self._strikes[lane] = 0
        elif lane == sent.came_from:
            return
        else:
            # The worker could not join its lane, and fell back to lane 0.
            self._strike(sent.lane)
        del self._on_the_way[name]

    def give_up(self, lane: int, now: float) -> None:
        """Mark a lane that could not be opened as closed, and open no other for a while.

        Args:
            lane: the lane.
            now: the time in seconds.
        """
        self._forget(lane)
        self._none_opened_until = now + REOPENED_AFTER_S

    def close_unused(
        self, now: float, present: Mapping[str, int], groups: Iterable[Collection[int]]
    ) -> tuple[int, ...]:
        """Choose lanes to close now; they count as closed from here on.

        Args:
            now: the time in seconds.
            present: the lane of each connected worker, by name.
            groups: the lanes that can only be closed together; a lane in no group is not closed.
        """
        self._forget_missing(now)
        used = {*present.values(), *(sent.lane for sent in self._on_the_way.values())}
        for lane in self._usable:
            if lane in used:
                self._empty_since.pop(lane, None)
            else:
                self._empty_since.setdefault(lane, now)
        closed: list[int] = []
        for group in groups:
            if all(self._is_unused(lane, now) for lane in group):
                closed += [lane for lane in group if lane in self._usable]
        for lane in closed:
            self._forget(lane)
        return tuple(closed)

    def _is_unused(self, lane: int, now: float) -> bool:
        if lane == FIRST_LANE:
            return False
        # A lane that is not known any more is already closed.
        since = self._empty_since.get(lane)
        return lane not in self._usable or (since is not None and now - since >= CLOSED_AFTER_S)

    def _forget(self, lane: int) -> None:
        if lane != FIRST_LANE:
            self._usable.pop(lane, None)
        self._empty_since.pop(lane, None)
        self._strikes.pop(lane, None)

    def _choose(self, members: Mapping[int, int], former: int | None, now: float) -> int:
        others = [lane for lane in members if lane != former] or list(members) or [FIRST_LANE]
        emptiest = min(others, key=lambda lane: (members.get(lane, 0), lane))
        for lane in (emptiest, former):
            if lane is not None and members.get(lane, math.inf) < self._workers_per_lane:
                return lane
        if len(members) < self._max_lanes and self._may_open(now):
            return self._open()
        return emptiest

    def _may_open(self, now: float) -> bool:
        if now < self._none_opened_until or len(self._usable) >= self._max_unclosed:
            return False
        return self._opening.take(now)

    def _open(self) -> int:
        # Numbers are not reused: a worker must not confuse a new lane with a former one.
        self._last_lane += 1
        self._usable[self._last_lane] = True
        return self._last_lane

    def _strike(self, lane: int) -> None:
        if lane not in self._usable:
            return
        self._strikes[lane] += 1
        if self._strikes[lane] >= _MAX_STRIKES and self._max_lanes > 1:
            self._usable[lane] = False

    def _forget_missing(self, now: float) -> None:
        for name, sent in list(self._on_the_way.items()):
            if sent.until <= now:
                del self._on_the_way[name]
