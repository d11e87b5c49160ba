"""The methods of a manager that add, change, recover and cancel tasks, and retire workers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from ...messages import InvalidInput, Limit, Task, TaskId, TaskResult
from ..runtime.log import log
from ..store.managers import ManagerEntry
from .options import expected_worker_rules
from .question_control import QuestionControl
from .schedule_control import ScheduleControl
from .task_parts import TaskParts


class TaskControl(ScheduleControl, QuestionControl):
    """Adds, changes, recovers and cancels tasks, and retires workers, from any thread."""

    @property
    def expected_workers(self) -> int:
        """How many workers to wait for; may be set, also to their names, before they join."""
        return self._shell.driver.rules.expected_workers

    @expected_workers.setter
    def expected_workers(self, expected: int | Sequence[str]) -> None:
        driver = self._shell.driver
        self.ask(
            lambda: driver.change_rules(replace(driver.rules, **expected_worker_rules(expected)))
        )

    @property
    def _parts(self) -> TaskParts:
        """Tells the parts of tasks; see `stream`."""
        return self._shell.parts

    def add_task(self, task: Task) -> None:
        """Add a task, before or during the run, from any thread.

        When it returns, the task is in the queue, and in the store if there is one. A task that the
        manager has already, with the same content, is not added again.

        Raises:
            DuplicateTask: a different task has its id; the message names the fields that differ.
            InvalidTask: a dependency is unknown, or the run has ended.
            EncodeError: its data have no plain form; names the place.
            StoreUnusable: the store can't be written to.
        """
        self.ask(lambda: self._shell.driver.add_tasks((task,)))

    async def batch_assign_tasks(self, tasks: Iterable[Task], batch_size: int = 3) -> None:
        """Add tasks in batches; the tasks of one batch are assigned together.

        Args:
            tasks: the tasks; a task may depend on others of its batch or of earlier batches.
            batch_size: how many are added at once, 1 or more.

        Raises:
            InvalidInput: the batch size is below 1.
            InvalidTask: a batch is not valid; the earlier batches stay.
        """
        if batch_size < 1:
            raise InvalidInput(f"batch_size is {batch_size}; it must be 1 or more")
        left = iter(tasks)
        while batch := tuple(islice(left, batch_size)):
            self.ask(lambda batch=batch: self._shell.driver.add_tasks(batch))
            await asyncio.sleep(0)

    async def recover_failed_task(self, task: Task, result: TaskResult) -> TaskId | None:
        """Try a failed task once more, if a worker is free that could do it.

        The failed task stays failed. A new task replaces it and is its child. It is assigned to the
        most skilled worker of those that have not failed the task.

        Args:
            task: the task.
            result: its result.

        Returns:
            The id of the new task; None if the task succeeded, or if no such worker is free.

        Raises:
            UnknownTask: no task has this id.
            IllegalTransition: the task has not failed for good.
        """
        if result.success:
            return None
        if not self.ask(lambda: self.board.has_free_worker_for(task.id)):
            log.error("no worker is free for the recovery", manager=self.name, task=task.id)
            return None
        return self.ask(lambda: self._shell.driver.recover(task.id))

    def retry_tasks(
        self, task_ids: Iterable[TaskId] | None = None, reason: str = "by the user"
    ) -> list[TaskId]:
        """Try failed or cancelled tasks again, all of them or none, while the run lasts.

        Each begins anew under its id, with all its attempts. Tasks that were cancelled because
        they depend on one of them begin anew, too.

        Args:
            task_ids: the tasks; None for all that failed.
            reason: who asks for it, or why; the tasks' stories contain it.

        Returns:
            The ids of all tasks that begin anew, in the order in which they were added.

        Raises:
            UnknownTask: no task has this id.
            IllegalTransition: a task is not settled or is completed, depends on a task that will
                never be completed, or the run has ended.
        """
        asked = None if task_ids is None else tuple(task_ids)
        return self.ask(lambda: self._shell.driver.retry(asked, reason))

    def retire_worker(self, name: str) -> None:
        """Tell an idle worker to stop, since it is not needed any more.

        Raises:
            UnknownName: no worker of this name is connected.
            IllegalTransition: it has tasks.
        """
        self.ask(lambda: self._shell.driver.retire(name))

    def lose_worker(self, name: str, reason: str) -> None:
        """Note that a connected worker is gone, as somebody knows who watches its process.

        Its tasks go to other workers at once. Does nothing if no worker of this name is connected.

        Args:
            name: its name.
            reason: how that is known, for people.
        """
        self.ask(lambda: self._shell.driver.lose_worker(name, reason))

    def drain(self, worker: str, *, leaves: bool = True) -> None:
        """Give a worker no more tasks; it finishes those that it has begun.

        Those that it has not begun go to other workers at once.

        Args:
            worker: its name.
            leaves: whether it is told to stop once it has finished them. If not, it stays without
                tasks until `resume`.

        Raises:
            UnknownName: no worker of this name is connected; the message lists those that are.
        """
        self.ask(lambda: self._shell.driver.drain(worker, leaves=leaves))

    def pause(self) -> None:
        """Assign no more tasks until `resume`; those that run go on, and tasks can be added.

        A task does not fail meanwhile because no connected worker can do it. The pause is kept in
        the store, so that a manager that is started again is paused, too.
        """
        self.ask(self._shell.driver.pause)

    def resume(self, worker: str | None = None) -> None:
        """Assign tasks again.

        Args:
            worker: a drained worker that gets tasks again, if it has not left yet; None ends the
                pause of the whole run.

        Raises:
            UnknownName: no worker of this name is connected.
        """
        driver = self._shell.driver
        if worker is None:
            self.ask(driver.end_pause)
        else:
            self.ask(lambda: driver.end_drain(worker))

    def managers(self) -> list[ManagerEntry]:
        """The managers that share the store: the one that leads, then those that stand by.

        Without a store there are none.
        """
        return self._shell.handover.managers()

    def hand_over(self) -> list[ManagerEntry]:
        """End the run here, so that a standby manager leads it; what workers run goes on.

        `start_agent` and `stop` then raise `RunHandedOver`.

        Returns:
            The managers that stand by, one of which is about to lead.

        Raises:
            InvalidInput: none stands by.
        """
        return self.ask(self._shell.handover.request)

    @property
    def is_paused(self) -> bool:
        """Whether no tasks are assigned until `resume`."""
        return self.board.is_paused

    def set_budget(self, budget: float | None) -> None:
        """Change what all attempts together may cost, before or during the run.

        What has been spent stays spent: with a budget of 5 of which 5 are spent, `set_budget(8)`
        allows 3 more. A manager that is started again has the budget that it is started with.

        Args:
            budget: the new budget in `cost_unit`, 0 or more; None for no limit.

        Raises:
            InvalidInput: it is below 0 or not finite.
        """
        self.ask(lambda: self._shell.driver.change_budget(budget))

    def set_limits(
        self, limits: Iterable[Limit], weights: Mapping[str, float] | None = None
    ) -> None:
        """Change the limits, before or during the run; they take the place of those there are.

        What has begun within a period, and what is in progress, counts for the new limits, too. A
        manager that is started again has the limits that it is started with.

        Args:
            limits: all limits from now on; none ends all of them.
            weights: how many tasks each key may begin in its turn, 0.01 to 100; 1 for those that
                are not named. None keeps the weights there are.

        Raises:
            InvalidInput: two limits are for the same tasks, or a weight is out of range.
        """
        self.ask(lambda: self._shell.driver.change_limits(tuple(limits), weights))

    def wait_longer(self, more_s: float) -> None:
        """Extend the time for which the manager waits for the expected workers, if it is limited.

        Args:
            more_s: by how many seconds, above 0.
        """
        self.ask(lambda: self._shell.driver.wait_longer(more_s))

    def missing_workers(self) -> list[str]:
        """The names of expected workers for which the start still waits; none once it is over."""
        return self.ask(lambda: self.board.start_barrier.awaited(self.board.worker_registry))

    def set_unmatched_after(self, unmatched_after_s: float | None) -> None:
        """Change after how long a task fails that no connected worker can do; before the start.

        Args:
            unmatched_after_s: the time in seconds, 0 or more; None for never.

        Raises:
            InvalidInput: it is below 0.
        """
        self.ask(lambda: self._shell.driver.change_unmatched_after(unmatched_after_s))

    def cancel_task(self, task_id: TaskId, reason: str = "by the user") -> None:
        """Cancel a task; a worker that runs it is told to stop.

        Raises:
            UnknownTask: no task has this id.
            IllegalTransition: it is settled already.
        """
        self.ask(lambda: self._shell.driver.cancel(task_id, reason))

    def set_priority(self, task_id: TaskId, priority: int) -> None:
        """Change the priority of a waiting task; higher numbers are assigned sooner.

        Raises:
            UnknownTask: no task has this id.
            IllegalTransition: it does not wait any more.
        """
        self.ask(lambda: self._shell.driver.set_priority(task_id, priority))

    def forget_tasks(self, task_ids: Iterable[TaskId]) -> None:
        """Forget settled tasks and their results, so that a manager can run for years.

        The report does not contain them any more. A task that is submitted with the id of one is
        a new task, and is done again.

        Raises:
            UnknownTask: there is no such task; none is forgotten.
            IllegalTransition: a task is not settled, its worker has not confirmed that it stopped,
                or a task that is kept depends on it or is its child; none is forgotten.
        """
        self._forget(tuple(task_ids))

    def _forget(self, task_ids: Sequence[TaskId]) -> None:
        forgotten = tuple(task_ids)
        self.ask(lambda: self._shell.driver.forget(forgotten))
