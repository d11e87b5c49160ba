"""A wall clock to set, and a manager with schedules that can be killed and started again."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from muster.agents import BestFit, run_in_virtual_time
from muster.agents.kernel.board.invariants import check_invariants
from muster.agents.kernel.board.rows import Rows
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import ListeningStarted
from muster.agents.manager.awaited_results import AwaitedResults
from muster.agents.manager.board_driver import BoardDriver
from muster.agents.manager.schedule_runner import ScheduleRunner
from muster.agents.runtime.clock import LoopInVirtualTime, wall_now
from muster.agents.schedules.making import make_maker
from muster.agents.schedules.terms import check_terms
from muster.agents.simulation.crashing_store import CrashingStore, ManagerKilled
from muster.agents.simulation.faults import Crash
from muster.agents.store.memory import SharedRows
from muster.messages import TaskId


def set_wall_clock(at: float) -> None:
    """Set the wall clock of the running loop, in seconds since 1970."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, LoopInVirtualTime)
    loop.wall_offset_s = at - loop.time()


def play(story: Any, at: float = 0.0) -> Any:
    """Run a coroutine function in virtual time, from a time of the wall clock on."""

    async def run() -> Any:
        set_wall_clock(at)
        return await story()

    return run_in_virtual_time(run())


class CountingRows(SharedRows):
    """Rows in memory that count how often each task was added."""

    def __init__(self) -> None:
        super().__init__()
        self.added: Counter[TaskId] = Counter()

    def keep(self, rows: Rows) -> None:
        super().keep(rows)
        self.added.update(row.task_id for row in rows.tasks if row.definition is not None)


class Scheduler:
    """What of a manager makes the tasks of schedules: no network, no workers.

    It can be killed, and started again with what is in the store.
    """

    def __init__(self, **schedules: dict[str, Any]) -> None:
        self.memory = CountingRows()
        self.schedules = schedules
        self.driver: BoardDriver
        self.runner: ScheduleRunner
        self.store: Any
        self.running: asyncio.Future[None] | None = None

    def make_store(self) -> Any:
        return CrashingStore(self.memory, self.memory.release)

    def prepare(self) -> None:
        self.store = self.make_store()
        self.driver = BoardDriver("boss", Rules(ends_when_done=False), BestFit())
        self.driver.keep_in(self.store)
        self.runner = ScheduleRunner(self.driver, AwaitedResults(self.driver, lambda _: None))
        for name, options in self.schedules.items():
            self.declare(name, **options)

    def start(self) -> None:
        self.prepare()
        try:
            self.runner.begin()
            self.driver.apply(ListeningStarted(), at_once=True)
        except ManagerKilled:
            return
        self.running = asyncio.ensure_future(self.runner.run())

    def declare(self, name: str, make: Any = "work", data: Any = None, **options: Any) -> None:
        given = {
            "cron": "",
            "every_s": None,
            "tz": "UTC",
            "missed": "all",
            "overlap": "allow",
            **options,
        }
        self.runner.declare(name, check_terms(name, **given), make_maker(name, make, data))

    @property
    def is_dead(self) -> bool:
        # One that dies may have more to do before its loop ends.
        is_over = self.running is None or self.running.done()
        return is_over or not self.memory.is_held_by(self.store)

    async def kill(self) -> None:
        """End it as `kill -9` would, and let its store be opened again."""
        check_invariants(self.driver.board)
        running, self.running = self.running, None
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            if not running.cancelled() and running.exception() is not None:
                assert isinstance(running.exception(), ManagerKilled)
        self.memory.release()

    def crash_at_next_write(self, crash: Crash) -> None:
        self.store.crash_at_next_write(crash)

    def settle_and_forget(self) -> None:
        """Cancel all tasks and forget them, as a service does that runs for months."""
        for task_id, record in list(self.driver.board.tasks.items()):
            if not record.status.is_final:
                self.driver.cancel(task_id, "enough")
        self.driver.forget(tuple(self.driver.board.tasks))
        self.driver.commit.write_at_once()

    def record(self, name: str) -> Any:
        return self.driver.board.schedules.by_name[name]


async def until_wall(at: float) -> None:
    """Wait until the wall clock shows a time."""
    await asyncio.sleep(max(at - wall_now(), 0.0))
