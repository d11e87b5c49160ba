"""Makes the tasks of a manager's schedules when they are due, by the wall clock."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import tzinfo
from math import inf

from ...messages import (
    EncodeError,
    InvalidInput,
    InvalidTask,
    Task,
    TaskId,
    UnknownName,
)
from ...messages.codec import pack_task
from ..kernel.model.events import ScheduleCameDue, ScheduleDeclared, ScheduleRemoved
from ..kernel.model.schedules import (
    MAX_CAUGHT_UP,
    NextDue,
    ScheduleRecord,
    ScheduleTerms,
    find_due,
    format_due,
)
from ..runtime.clock import wall_now
from ..runtime.error_text import describe_fault
from ..runtime.log import log
from ..schedules.making import TaskMaker, make_tasks
from ..schedules.terms import due_times_of, zone_of
from ..submission.result_source import Outcome
from .awaited_results import AwaitedResults
from .board_driver import BoardDriver

CHECK_CLOCK_EVERY_S = 5.0
"""How often to look whether the wall clock was set, which no timer tells."""

_MAX_FAILURE_CHARACTERS = 1_000


@dataclass(slots=True)
class _Active:
    """A schedule that this manager makes tasks for.

    Args:
        name: its name.
        terms: when it is due.
        make: makes the tasks of a due time.
        record: its state on the board, once the run has begun.
        next_due: computes its due times.
        zone: its time zone.
        noticed: up to which time its due times have been found.
        due_at: when there is more to find.
        waiting: the due times that are to be made.
        missed: how many were passed over, and are not counted on the board yet.
        working: makes the tasks of those that wait.
        changed: wakes it when its earlier tasks may be settled.
    """

    name: str
    terms: ScheduleTerms
    make: TaskMaker
    record: ScheduleRecord
    next_due: NextDue
    zone: tzinfo
    noticed: float
    due_at: float = -inf
    waiting: deque[float] = field(default_factory=deque)
    missed: int = 0
    working: asyncio.Future[None] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class ScheduleRunner:
    """Makes the tasks of schedules, each due time once.

    The board remembers in its store up to which due time a schedule has come, in the same write as
    the tasks, so it makes no difference when the manager is killed.

    Args:
        driver: drives the board.
        awaited: tells when tasks are settled.
    """

    def __init__(self, driver: BoardDriver, awaited: AwaitedResults) -> None:
        self._driver = driver
        self._awaited = awaited
        # Those that were declared before the run, and then those that are active.
        self._declared: dict[str, tuple[ScheduleTerms, TaskMaker]] = {}
        self._active: dict[str, _Active] = {}
        self._changed = asyncio.Event()
        self._fault: BaseException | None = None
        self._has_begun = False

    # ------------------------------------------------------------------ declaring

    def declare(self, name: str, terms: ScheduleTerms, make: TaskMaker) -> None:
        """Add a schedule, before or during the run.

        Raises:
            InvalidInput: there is one with this name already.
        """
        if name in self._declared:
            raise InvalidInput(
                f"there is a schedule {name!r} already; give this one another name, or remove "
                f"that one with unschedule({name!r})"
            )
        self._declared[name] = (terms, make)
        if self._has_begun:
            self._activate(name)

    def remove(self, name: str) -> None:
        """Remove a schedule, and forget what the store knows of it.

        Raises:
            UnknownName: there is none with this name.
        """
        known = {**self._declared, **self._driver.board.schedules.by_name}
        if name not in known:
            raise UnknownName("schedule", name, known)
        self._declared.pop(name, None)
        active = self._active.pop(name, None)
        if active is not None and active.working is not None:
            active.working.cancel()
        self._driver.apply(ScheduleRemoved(name), at_once=True)

    def begin(self) -> None:
        """Make the declared schedules active, when the run begins."""
        self._has_begun = True
        for name in self._declared:
            self._activate(name)

    def _activate(self, name: str) -> None:
        terms, make = self._declared[name]
        self._driver.apply(ScheduleDeclared(name, terms, wall_now()), at_once=True)
        record = self._driver.board.schedules.by_name[name]
        zone = zone_of(terms.tz)
        active = _Active(name, terms, make, record, due_times_of(record), zone, record.through)
        self._active[name] = active
        self._await_outcome(active)
        self._changed.set()

    # ------------------------------------------------------------------ the run

    async def run(self) -> None:
        """Make tasks when they are due; never returns."""
        loop = asyncio.get_running_loop()
        try:
            while self._fault is None:
                self._changed.clear()
                sleep_s = self._notice()
                timer = None if sleep_s is None else loop.call_later(sleep_s, self._changed.set)
                await self._changed.wait()
                if timer is not None:
                    timer.cancel()
            raise self._fault
        finally:
            self._has_begun = False
            works = [each.working for each in self._active.values() if each.working is not None]
            for working in works:
                working.cancel()
            await asyncio.gather(*works, return_exceptions=True)

    def _notice(self) -> float | None:
        """Find what is due, and begin to make it. Returns after how long to look again."""
        if not self._active:
            return None
        now = wall_now()
        sleep_s = CHECK_CLOCK_EVERY_S
        for active in self._active.values():
            if active.due_at <= now:
                self._find(active, now)
            sleep_s = min(sleep_s, max(active.due_at - now, 0.0))
        return sleep_s

    def _find(self, active: _Active, now: float) -> None:
        found = find_due(active.next_due, active.noticed, now, active.terms.missed)
        active.record.next_due = found.next_due
        active.due_at = inf if found.next_due is None else found.next_due
        active.noticed = found.through
        active.waiting.extend(found.to_make)
        left_out = max(len(active.waiting) - MAX_CAUGHT_UP, 0)
        if left_out or found.missed:
            active.missed += left_out + found.missed
            for _ in range(left_out):
                active.waiting.popleft()
            log.warning(
                "a schedule has missed due times, which are passed over",
                manager=self._driver.name,
                schedule=active.name,
                missed=left_out + found.missed,
                caught_up=len(active.waiting),
            )
            if not active.waiting:
                self._come_due(active, found.through)
        active.record.waiting = len(active.waiting)
        if active.waiting and (active.working is None or active.working.done()):
            active.working = asyncio.ensure_future(self._work(active))
            active.working.add_done_callback(self._work_ended)

    def _work_ended(self, working: asyncio.Future[None]) -> None:
        if not working.cancelled() and (fault := working.exception()) is not None:
            self._fault = fault
        self._changed.set()

    async def _work(self, active: _Active) -> None:
        """Make the tasks of the due times that wait, the earliest first."""
        board = self._driver.board
        while active.waiting and not board.has_ended:
            if active.terms.overlap in {"queue", "skip"}:
                active.changed.clear()
                if board.schedules.unsettled_tasks(active.record):
                    if active.terms.overlap == "queue":
                        await active.changed.wait()
                    else:
                        self._come_due(active, active.waiting.popleft(), skipped=1)
                        active.record.waiting = len(active.waiting)
                    continue
            await self._make(active, active.waiting[0])
            if active.waiting:
                active.waiting.popleft()
            active.record.waiting = len(active.waiting)

    async def _make(self, active: _Active, due: float) -> None:
        try:
            tasks = await make_tasks(active.make, active.name, due, active.zone)
            packed = tuple(map(pack_task, tasks))
        except (InvalidInput, EncodeError) as fault:
            self._report_failure(active, due, str(fault))
        except Exception as fault:  # noqa: BLE001 - a user's function; the schedule goes on
            self._report_failure(active, due, describe_fault(fault), fault)
        else:
            try:
                self._come_due(active, due, tasks, packed)
            except InvalidTask as fault:
                self._report_failure(active, due, str(fault))
            else:
                self._await_outcome(active)

    def _report_failure(
        self, active: _Active, due: float, failure: str, fault: Exception | None = None
    ) -> None:
        log.error(
            "a schedule can't make its tasks",
            manager=self._driver.name,
            schedule=active.name,
            due=format_due(due),
            reason=failure,
            exc_info=fault,
        )
        self._come_due(active, due, failure=failure[:_MAX_FAILURE_CHARACTERS])

    def _come_due(
        self,
        active: _Active,
        due: float,
        tasks: tuple[Task, ...] = (),
        packed: tuple[bytes | None, ...] = (),
        *,
        skipped: int = 0,
        failure: str = "",
    ) -> None:
        event = ScheduleCameDue(active.name, due, tasks, packed, active.missed, skipped, failure)
        self._driver.apply(event, at_once=True)
        active.missed = 0

    def _await_outcome(self, active: _Active) -> None:
        """Note how the tasks of the latest due time end, and go on with the next one then."""

        def settle(_: TaskId, __: Outcome) -> None:
            self._driver.board.schedules.note_outcome(active.record)
            active.changed.set()

        self._awaited.wait_for(active.record.last_tasks, settle)
