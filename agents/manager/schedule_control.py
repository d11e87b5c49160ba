"""The methods of a manager that declare and remove schedules, and list them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, overload

from ...messages import InvalidInput, Payload, Task
from ..execution.typed_function import typed_function_of
from ..kernel.model.schedules import Missed, Overlap
from ..runtime.clock import wall_now
from ..schedules.listing import ScheduleState, list_schedules
from ..schedules.making import TaskMaker, make_maker
from ..schedules.terms import check_name, check_terms
from .run_view import RunView

_MakerT = TypeVar("_MakerT", bound=TaskMaker)


class ScheduleControl(RunView):
    """Declares, removes and lists schedules, from any thread."""

    @overload
    def schedule(
        self,
        name: str,
        *,
        make: Task | str | TaskMaker,
        cron: str = "",
        every_s: float | None = None,
        tz: str = "UTC",
        data: Payload = None,
        missed: Missed = "all",
        overlap: Overlap = "queue",
    ) -> None: ...
    @overload
    def schedule(
        self,
        name: str,
        *,
        cron: str = "",
        every_s: float | None = None,
        tz: str = "UTC",
        missed: Missed = "all",
        overlap: Overlap = "queue",
    ) -> Callable[[_MakerT], _MakerT]: ...
    def schedule(
        self,
        name: str,
        *,
        cron: str = "",
        every_s: float | None = None,
        tz: str = "UTC",
        make: Task | str | TaskMaker | None = None,
        data: Payload = None,
        missed: Missed = "all",
        overlap: Overlap = "queue",
    ) -> Callable[[_MakerT], _MakerT] | None:
        """Make tasks again and again, before or during the run, from any thread.

        ```python
        manager.schedule("nightly", cron="0 3 * * *", tz="Europe/Berlin", make="clean_up")


        @manager.schedule("pulse", every_s=30)
        def make_pulse(due):
            return Task(type="measure", data=due.isoformat())
        ```

        Each due time has its tasks once, also when the manager is killed and resumed from its
        store. Their ids consist of the schedule's name and the due time, such as
        "nightly@2026-11-30T02:00:00+00:00"; ids that `make` gives are replaced.

        While a schedule is active, the run does not end by itself; end it with `stop`, or
        `unschedule`.

        Args:
            name: the schedule's name, at most 120 characters.
            cron: when it is due, in the five fields of cron, or as "@hourly", "@daily", "@weekly",
                "@monthly" or "@yearly".
            every_s: instead of `cron`, the interval in seconds, 0.1 or more. It is counted from
                when the schedule was first declared.
            tz: the time zone, such as "Europe/Berlin".
            make: a task, a task's type, a typed function without arguments, or a function, also a
                coroutine function, that takes the due time and returns a task or a list of tasks.
                If left out, `schedule` is used as a decorator of this function. With arguments
                there is `make=add.task(1, 2)` for the typed function `add`.
            data: the data of the task, if `make` is its type.
            missed: what becomes of due times that were missed, because no manager ran or the wall
                clock was set forward: "all" are made, the latest 1,000 at most, "latest" makes only
                the last one, "skip" makes none.
            overlap: what happens at a due time while the tasks of an earlier one are not settled:
                "queue" makes the next tasks when they are, "allow" makes them at once, "skip" does
                without, and "cancel" cancels the earlier ones.

        Raises:
            InvalidInput: an argument is not valid, or there is a schedule of this name.
            EncodeError: the task's data have no plain form; names the place.
            StoreUnusable: the store can't be written to.
        """
        check_name(name)
        terms = check_terms(name, cron, every_s, tz, missed, overlap)

        def declare(make: Task | str | TaskMaker) -> None:
            maker = make_maker(name, _task_of_function(make), data)
            self.ask(lambda: self._shell.schedules.declare(name, terms, maker))

        if make is not None:
            declare(make)
            return None

        def decorate(maker: _MakerT) -> _MakerT:
            declare(maker)
            return maker

        return decorate

    def unschedule(self, name: str) -> None:
        """Remove a schedule; tasks that it has made stay. One that is added again begins anew.

        Raises:
            UnknownName: there is no such schedule.
        """
        self.ask(lambda: self._shell.schedules.remove(name))

    def schedules(self) -> list[ScheduleState]:
        """The schedules, in the order of their names, with those that only the store knows."""
        return self.ask(lambda: list_schedules(self.board, wall_now()))


def _task_of_function(make: Task | str | TaskMaker) -> Task | str | TaskMaker:
    """The task of a registered typed function; anything else as it is."""
    if not callable(make):
        return make
    try:
        typed = typed_function_of(make)
    except InvalidInput:
        return make
    return typed.task()
