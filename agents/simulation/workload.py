"""A random workload for simulations, with as many features as a few tasks can combine."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import cast, get_args

from typing_extensions import Unpack

from ...messages import (
    IllegalTransition,
    InvalidTask,
    Limit,
    MusterError,
    Payload,
    Retry,
    Task,
    TaskAssignment,
    TaskResult,
)
from ..execution.handler_requests import GiveUp, RetryLater, TaskDeclined
from ..execution.handlers import TaskContext, current_context
from ..kernel.matching.policy_names import POLICIES
from ..kernel.model.schedules import Missed, Overlap
from ..manager.task_manager import TaskManager
from ..transport.ceylon_api import AgentDetail
from ..worker.options import WorkerOptions
from ..worker.worker_agent import WorkerAgent
from .handler_endings import COROUTINE_ENDINGS, PLAIN_ENDINGS

TASKS = 30
WORKERS = 4
TIME_SCALE = 0.2
"""How long a second of its tasks lasts, so that a run takes about ten virtual seconds."""

_TYPES = ("", "", "paint", "sing")
_LONGEST_S = 12.0
_SPECIAL_ENDINGS = 0.25
"""The share of attempts that end in one of the ways of `handler_endings`."""

_IN_THREADS = 0.5
_REVIEWED = 0.2
_VOTED_ON = 0.1
"""The shares of tasks that are reviewed, if they have a type, and on which workers vote."""
_FAMILIES = 0.2
"""The share of tasks that have subtasks."""
_GENERATIONS = 2
_SETTLED = 0.1
_SCHEDULED = 0.4
"""The share of runs in which a schedule makes tasks for a while."""

_SCHEDULE = "pulse"
_DECLINED = 0.05
_STREAMED = 0.2
_ASKED = 0.1
"""The shares of attempts that yield parts, and that ask a person."""
_QUESTION = "Go on?"
_POSTPONED = 0.05
_GIVEN_UP = 0.02
_COSTLY = 0.2
_STRICT = 0.2
_RETRIED = 0.4
_AT_SAME_WORKER = 0.3
_LIMITED = 0.5
"""The share of runs with limits, and of runs whose tasks have keys."""
_LIMITS = (
    Limit(concurrent=3, rate=5, per_s=2.0),
    Limit("paint", concurrent=1),
    Limit("sing", rate=2, per_s=1.5, burst=1),
    Limit(each_key=True, concurrent=1),
    Limit(key="a", rate=3, per_s=2.0),
)
_STEPS = ("w1", "w2", "vision")
"""The steps of ladders; the last worker stands on each."""


class StressStory:
    """30 tasks with dependencies, priorities, timeouts, retries and cancellations, on 4 workers.

    Some tasks have deadlines, ladders and strict skills, some are reviewed, on some the workers
    vote, some have subtasks, some run however others ended, and some workers cost something. In
    some runs a schedule makes more tasks for a while. A quarter of the attempts ends in a random
    one of all the ways in which a handler can end; some workers decline tasks.

    Args:
        seed: the seed of the workload.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def manager(self) -> TaskManager:
        """A new manager with its tasks."""
        chance = self._chance("manager")
        manager = TaskManager(
            [self._with_key(_make_task(chance, number)) for number in range(1, TASKS + 1)],
            expected_workers=chance.randint(0, WORKERS),
            port=0,
            policy=chance.choice(sorted(POLICIES)),
            join_timeout_s=10.0,
            on_missing="start",
            unmatched_after_s=chance.choice((2.0, 10.0, None)),
            lost_after_s=chance.choice((2.0, 4.0, 8.0)),
            time_scale=TIME_SCALE,
            quiet=True,
            reassign_failed=chance.choice((False, True)),
            quarantine_after=chance.choice((None, 1, 3)),
            quarantine_s=3.0,
            prefetch_s=chance.choice((0.0, 0.1, 2.0)),
            budget=chance.choice((None, None, 0.0, 5.0, 20.0)),
            on_late=chance.choice(("run", "fail")),
            retries=chance.choice(({}, {"paint": Retry(max_attempts=3, wait_s=2.0)})),
            max_losses=chance.choice((1, 10)),
        )
        chance = self._chance("limits")
        if chance.random() < _LIMITED:
            for scope in chance.sample(_LIMITS, chance.randint(1, 2)):
                manager.set_limits([*manager.board.rules.limits, scope], {"b": 2.0})
        chance = self._chance("schedules")
        if self._has_schedule:
            manager.schedule(
                _SCHEDULE,
                every_s=chance.choice((0.5, 1.3, 4.0)),
                make=chance.choice((_make_scheduled, "paint")),
                missed=chance.choice(get_args(Missed)),
                overlap=chance.choice(get_args(Overlap)),
            )
        return manager

    def _with_key(self, task: Task) -> Task:
        """In half of the runs some tasks have a key, by which limits and turns go."""
        if self._chance("keys").random() < _LIMITED:
            task.limit_key = self._chance(f"key of {task.id}").choice((None, "a", "a", "b"))
        return task

    @property
    def _has_schedule(self) -> bool:
        return self._chance("has a schedule").random() < _SCHEDULED

    def workers(self) -> list[WorkerAgent]:
        """New workers; the last one can do every task for nothing, so that no run hangs."""
        chance = self._chance("workers")
        return [
            _RandomEndingWorker(
                self._seed,
                f"w{number}",
                10 if number == WORKERS else chance.randint(3, 10),
                (*chance.choice(((), ("paint",))), *(_STEPS if number == WORKERS else ())),
                time_scale=TIME_SCALE,
                slots=chance.randint(1, 2),
                cost_per_s=chance.choice((0.0, 0.5)) if number < WORKERS else 0.0,
                skills={"vision": 10.0 if number == WORKERS else chance.uniform(1.0, 9.0)},
            )
            for number in range(1, WORKERS + 1)
        ]

    async def direct(self, manager: TaskManager) -> None:
        """Cancel, reprioritize, add and retry tasks while the manager runs."""
        await asyncio.gather(
            self._change(manager),
            self._try_again(manager),
            self._end_schedule(manager),
            self._answer(manager),
            self._read_parts(manager),
            self._pause(manager),
            self._drain(manager),
        )

    async def _pause(self, manager: TaskManager) -> None:
        """Pause the run at random moments, and let it go on."""
        chance = self._chance("pauses")
        for _ in range(chance.choice((0, 0, 1, 2))):
            await asyncio.sleep(chance.uniform(0.0, _LONGEST_S / 2))
            if not _is_early():
                break
            # The run may end meanwhile.
            with contextlib.suppress(MusterError):
                manager.pause()
            await asyncio.sleep(chance.uniform(0.0, _LONGEST_S / 4))
            with contextlib.suppress(MusterError):
                manager.resume()
        # A manager that was replaced may have left it paused.
        await _sleep_until_late()
        with contextlib.suppress(MusterError):
            manager.resume()

    async def _drain(self, manager: TaskManager) -> None:
        """Give a worker no tasks for a while at random moments."""
        chance = self._chance("drains")
        for _ in range(chance.choice((0, 0, 1, 3))):
            await asyncio.sleep(chance.uniform(0.0, _LONGEST_S / 3))
            if not _is_early():
                break
            worker = f"w{chance.randint(1, WORKERS)}"
            # It may not be connected, and may be gone when its drain is to end.
            with contextlib.suppress(MusterError):
                manager.drain(worker, leaves=False)
            await asyncio.sleep(chance.uniform(0.0, _LONGEST_S / 3))
            with contextlib.suppress(MusterError):
                manager.resume(worker)
        await _sleep_until_late()
        while drained := [each for each in manager.board.workers.values() if each.drain]:
            for worker_record in drained:
                with contextlib.suppress(MusterError):
                    manager.resume(worker_record.name)
            # One that is not connected can't be told.
            await asyncio.sleep(1.0)

    async def _answer(self, manager: TaskManager) -> None:
        """Answer what tasks ask at random moments; they go on without an answer later."""
        chance = self._chance("answers")
        for _ in range(12):
            await asyncio.sleep(chance.uniform(0.0, _LONGEST_S / 6))
            for question in manager.questions():
                # The task may be settled meanwhile, or the store may fail.
                with contextlib.suppress(MusterError):
                    manager.answer(question.task_id, chance.choice(question.choices))

    async def _read_parts(self, manager: TaskManager) -> None:
        """Read the parts of some tasks, which come in order and without gaps."""
        chance = self._chance("readers")
        await asyncio.gather(
            *(self._read(manager, task_id) for task_id in chance.sample(range(1, TASKS + 1), 5))
        )

    async def _read(self, manager: TaskManager, task_id: int) -> None:
        attempt = last = 0
        # The task may fail, and the run may end before.
        with contextlib.suppress(MusterError):
            async for part in manager.stream(task_id):
                is_next = part.number == (last if part.attempt == attempt else 0) + 1 + part.missed
                if part.attempt < attempt or not is_next or part.data != part.number:
                    raise AssertionError(f"{part} of task {task_id} came after part {last}")
                attempt, last = part.attempt, part.number

    async def _end_schedule(self, manager: TaskManager) -> None:
        """Remove the schedule after a while, or the run would not end."""
        if self._has_schedule:
            loop = asyncio.get_running_loop()
            await asyncio.sleep(_LONGEST_S - loop.time())
            manager.unschedule(_SCHEDULE)

    async def _change(self, manager: TaskManager) -> None:
        """Cancel, reprioritize and add tasks at random moments."""
        chance = self._chance("direct")
        loop = asyncio.get_running_loop()
        moments = sorted(chance.uniform(0.0, _LONGEST_S) for _ in range(chance.randint(0, 6)))
        for number, moment in enumerate(moments, TASKS + 1):
            await asyncio.sleep(moment - loop.time())
            task_id = chance.randint(1, TASKS)
            # A settled task can't be changed, and a run that has ended takes no more tasks.
            with contextlib.suppress(IllegalTransition, InvalidTask):
                match chance.randint(1, 3):
                    case 1:
                        manager.cancel_task(task_id)
                    case 2:
                        manager.set_priority(task_id, chance.randint(-3, 3))
                    case _:
                        manager.add_task(_make_task(chance, number, most_needed=TASKS))

    async def _try_again(self, manager: TaskManager) -> None:
        """Try failed and cancelled tasks again at random moments."""
        chance = self._chance("retries")
        for _ in range(chance.randint(0, 4)):
            await asyncio.sleep(chance.uniform(0.0, _LONGEST_S / 3))
            # Only what is settled can be tried again, and only before the run ends.
            with contextlib.suppress(IllegalTransition):
                manager.retry_tasks([chance.randint(1, TASKS)])
            with contextlib.suppress(IllegalTransition):
                manager.retry_tasks(reason="all that failed")

    def _chance(self, role: str) -> random.Random:
        return random.Random(f"{self._seed}/{role}")  # noqa: S311 - reproducible, no secret


class _RandomEndingWorker(WorkerAgent):
    """A worker some of whose attempts end in a random way."""

    def __init__(
        self,
        seed: int,
        name: str,
        skill_level: int,
        specialties: Sequence[str],
        **options: Unpack[WorkerOptions],
    ) -> None:
        super().__init__(name, skill_level, specialties=specialties, **options)
        self._seed = seed
        # One worker declines nothing, or too few tasks would run.
        self._may_decline = name != f"w{WORKERS}"
        for task_type in sorted(set(_TYPES) - {""}):
            self.review(task_type)(self._review)

    async def _review(self, task: Task, result: TaskResult, context: TaskContext) -> float:
        """Give a random grade, after a while, or fail."""
        chance = random.Random(f"{self._seed}/review/{task.id}/{context.attempt}")  # noqa: S311 - as above
        await asyncio.sleep(chance.uniform(0.0, 2.0) * TIME_SCALE)
        if chance.random() < _SPECIAL_ENDINGS:
            raise KeyError(result.task_id)
        return chance.random()

    async def handle_task(
        self, data: TaskAssignment, time: int = 0, agent: AgentDetail | None = None
    ) -> TaskResult | bool | None:
        """Perform the task, and then end in a random way."""
        # Every worker ends the same attempt in the same way.
        key = f"{self._seed}/ending/{data.task.id}/{data.attempt}"
        chance = random.Random(key)  # noqa: S311 - reproducible, no secret
        result = await super().handle_task(data, time, agent)
        await self._involve_people(data)
        await self._submit_subtasks(data.task)
        if chance.random() < _DECLINED and self._may_decline:
            raise TaskDeclined("not me")
        if chance.random() < _POSTPONED:
            raise RetryLater(chance.uniform(0.0, 10.0), "busy")
        if chance.random() < _GIVEN_UP:
            raise GiveUp("no use")
        if chance.random() < _COSTLY and isinstance(result, TaskResult) and self.cost_per_s:
            unit = chance.choice(("", "USD", "EUR"))
            result = result.model_copy(update={"cost": chance.random(), "cost_unit": unit})
        if chance.random() >= _SPECIAL_ENDINGS or not isinstance(result, TaskResult):
            return result
        ending = chance.choice((*PLAIN_ENDINGS, *COROUTINE_ENDINGS))
        if ending in COROUTINE_ENDINGS:
            output = await cast("Awaitable[Payload]", ending(data.task))
        elif chance.random() < _IN_THREADS:
            output = await self._executor.run(ending, data.task)
        else:
            output = ending(data.task)
        return result.model_copy(update={"output": output})

    async def _involve_people(self, data: TaskAssignment) -> None:
        """Yield some parts, or ask a person, in some attempts."""
        context = current_context.get()
        chance = random.Random(f"{self._seed}/people/{data.task.id}/{data.attempt}")  # noqa: S311 - as above
        if chance.random() < _STREAMED:
            sender, _ = context.open_stream()
            for number in range(1, chance.randint(1, 100)):
                await sender.send(number)
        if chance.random() < _ASKED:
            await context.ask(_QUESTION, ["yes", "no"], expires_s=10.0, default="no")

    async def _submit_subtasks(self, task: Task) -> None:
        """Submit a few subtasks, the same in each attempt, and mostly wait for them."""
        chance = random.Random(f"{self._seed}/family/{task.id}")  # noqa: S311 - as above
        if chance.random() >= _FAMILIES or sum(map(str(task.id).count, "/:")) >= _GENERATIONS:
            return
        context = current_context.get()
        subtasks = [
            context.submit(
                Task(
                    description="a part",
                    type=chance.choice(_TYPES),
                    difficulty=chance.randint(1, 4),
                    max_attempts=chance.randint(1, 2),
                    limit_key=chance.choice((None, task.limit_key)),
                ),
                key=chance.choice((None, f"part {number}")),
                on_parent_cancel=chance.choice(("cancel", "keep")),
                unwrap=False,
            )
            for number in range(chance.randint(1, 3))
        ]
        match chance.randint(1, 4):
            case 1:
                # Nobody waits for them.
                return
            case 2:
                await asyncio.gather(*subtasks)
            case _:
                await context.gather(*subtasks)


async def _make_scheduled(due: datetime) -> list[Task]:
    """Make one to three tasks, of which each depends on the one before."""
    await asyncio.sleep(due.microsecond / 1e6)
    tasks = [Task(id=number, description="a pulse") for number in range(1, 2 + due.second % 3)]
    return [
        task.model_copy(update={"depends_on": (task.id - 1,)} if task.id != 1 else {})
        for task in tasks
        if isinstance(task.id, int)
    ]


def _make_task(chance: random.Random, number: int, most_needed: int | None = None) -> Task:
    earlier = range(1, number if most_needed is None else most_needed + 1)
    needed = chance.sample(earlier, min(len(earlier), chance.choice((0, 0, 0, 1, 1, 2))))
    retry = _make_retry(chance) if chance.random() < _RETRIED else None
    return Task(
        id=number,
        description="a stress",
        difficulty=chance.choice((1, 1, 2, 3, 4, 5, 7, 9)),
        type=chance.choice(_TYPES),
        priority=chance.randint(-2, 2),
        depends_on=tuple(needed),
        run_if=chance.choice(("settled", "failed")) if chance.random() < _SETTLED else "completed",
        timeout=chance.choice((None, None, 1.5, 6.0)),
        max_attempts=chance.randint(1, 3) if retry is None else 1,
        retry=retry,
        max_losses=chance.choice((None, None, 0, 2)),
        not_before=chance.choice((None, None, None, 10.0, 40.0)),
        expires_s=chance.choice((None, None, None, 20.0, 60.0)),
        deadline=chance.choice((None, None, None, 20.0, 60.0)),
        escalate=chance.choice(((), (), (), _STEPS[:2], _STEPS)),
        required_skills={"vision": chance.uniform(1.0, 10.0)},
        strict=chance.random() < _STRICT,
    )


def _make_retry(chance: random.Random) -> Retry:
    wait_s = chance.choice((0.0, 1.0, 10.0))
    return Retry(
        max_attempts=chance.randint(1, 4),
        wait_s=wait_s,
        factor=chance.choice((1.0, 2.0)),
        max_wait_s=max(wait_s, 15.0),
        jitter=chance.choice((0.0, 0.1, 1.0)),
        on=chance.choice(((), (), ("*Error", "timed out", "rejected"))),
        unless=chance.choice(((), ("KeyError", "ValueError:*no*"))),
        same_worker=chance.random() < _AT_SAME_WORKER,
    )


def _is_early() -> bool:
    return asyncio.get_running_loop().time() < _LONGEST_S


async def _sleep_until_late() -> None:
    await asyncio.sleep(_LONGEST_S - asyncio.get_running_loop().time())
