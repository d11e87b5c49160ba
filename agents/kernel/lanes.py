"""Who of a manager's workers goes to which of its workspaces, and when another one is opened.

What a frame costs in a Ceylon workspace grows with its members, since everyone hears every frame.
So a manager spreads its workers over several, its lanes. Lane 0 is the door: the workspace that
tickets name.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

from ...messages import InvalidInput

DOOR = 0

MAX_LANES = 16
WORKERS_PER_LANE = 4
"""How many workers a lane takes while another one may still be opened."""

PLACE_IS_KEPT_S = 15.0
"""How long a place waits for the worker that was sent to it."""

_MAX_ON_THE_WAY = 10_000


class _Sent(NamedTuple):
    lane: int
    until: float


class Lanes:
    """Decides about lanes; opening one is for others to do.

    The first workers all go to the door, and a further lane is opened when those that are open are
    full. When no more may be opened, all are filled evenly beyond that.

    Args:
        max_lanes: how many there may be, the door among them; 1 keeps everyone there.
        workers_per_lane: how many workers fill a lane.

    Raises:
        InvalidInput: one of them is below 1.
    """

    def __init__(
        self, max_lanes: int = MAX_LANES, workers_per_lane: int = WORKERS_PER_LANE
    ) -> None:
        for name, value in (("max_lanes", max_lanes), ("workers_per_lane", workers_per_lane)):
            if value < 1:
                raise InvalidInput(f"{name} is {value!r}; it must be 1 or more")
        self._max_lanes = max_lanes
        self._workers_per_lane = workers_per_lane
        # In the order of their numbers; a lane that failed stays among them, and takes nobody.
        self._usable: dict[int, bool] = {DOOR: True}
        self._on_the_way: OrderedDict[str, _Sent] = OrderedDict()

    @property
    def max_lanes(self) -> int:
        """How many there may be."""
        return self._max_lanes

    @property
    def open_lanes(self) -> tuple[int, ...]:
        """The lanes that take workers."""
        return tuple(lane for lane, usable in self._usable.items() if usable)

    def needed_for(self, workers: int) -> int:
        """How many lanes so many workers fill, the door among them."""
        return min(max(-(-workers // self._workers_per_lane), 1), self._max_lanes)

    def prepare(self, workers: int) -> tuple[int, ...]:
        """Open the lanes that so many workers need; the ones that were not open before."""
        opened: list[int] = []
        while len(self._usable) < self.needed_for(workers):
            opened.append(self._open())
        return tuple(opened)

    def place(self, name: str, now: float, present: Mapping[str, int]) -> int:
        """Choose a worker's lane; one that is not among `open_lanes` before is to be opened.

        A worker that asks again keeps its lane, unless others have less to carry by then.

        Args:
            name: the worker's name.
            now: the time in seconds.
            present: the lane of each worker that is connected, by name.
        """
        self._forget_the_late(now, present)
        former = present.get(name)
        if former is None and name in self._on_the_way:
            former = self._on_the_way[name].lane
        members = dict.fromkeys(self.open_lanes, 0)
        for other, lane in self._all_lanes(present):
            if other != name and lane in members:
                members[lane] += 1
        lane = self._choose(members, former)
        self._on_the_way[name] = _Sent(lane, now + PLACE_IS_KEPT_S)
        self._on_the_way.move_to_end(name)
        if len(self._on_the_way) > _MAX_ON_THE_WAY:
            self._on_the_way.popitem(last=False)
        return lane

    def give_up(self, lane: int) -> None:
        """Send nobody to a lane any more, since it can't be opened or has broken down."""
        if lane != DOOR and lane in self._usable:
            self._usable[lane] = False

    def _choose(self, members: Mapping[int, int], former: int | None) -> int:
        emptiest = min(members, key=lambda lane: (members[lane], lane))
        if (
            former is not None
            and former in members
            and (members[former] < self._workers_per_lane or members[former] <= members[emptiest])
        ):
            return former
        with_room = [lane for lane in members if members[lane] < self._workers_per_lane]
        if not with_room and len(self._usable) < self._max_lanes:
            return self._open()
        return emptiest

    def _open(self) -> int:
        lane = len(self._usable)
        self._usable[lane] = True
        return lane

    def _forget_the_late(self, now: float, present: Mapping[str, int]) -> None:
        gone = [
            name for name, sent in self._on_the_way.items() if sent.until <= now or name in present
        ]
        for name in gone:
            del self._on_the_way[name]

    def _all_lanes(self, present: Mapping[str, int]) -> list[tuple[str, int]]:
        return [*present.items(), *((name, sent.lane) for name, sent in self._on_the_way.items())]
