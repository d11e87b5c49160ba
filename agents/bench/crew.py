"""A manager and its worker processes, who are there to be measured."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ...messages import InvalidInput, MeasurementFailed, Payload, Task, TaskId
from ..kernel.model.occurrence_text import describe_facts
from ..kernel.model.occurrences import SETTLING, Occurrence, OccurrenceKind
from ..manager.task_manager import TaskManager
from ..runtime.ports import ANY_PORT
from ..store.protocol import Store
from ..worker_pool.fork_server import ForkServer
from ..worker_pool.processes import ORDERLY_END_S, LocalProcess, LocalProcesses
from . import tasks as handlers_room

BATCH_SIZE = 1_000
"""How many tasks are submitted at once: the workers begin with the first while others follow."""

JOINING_MAY_TAKE_S = 60.0
SKILL = 10

_LOOK_FOR_DEATHS_EVERY_S = 0.2
_LOOK_AGAIN_S = 0.02


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """What crew there is to be.

    Args:
        workers: how many worker processes, 1 or more.
        slots: how many tasks each runs at once, 1 or more.
        port: the manager's UDP port; 0 takes any free one.
        insecure: do not seal frames.
        store: where the run is kept: a file that does not exist yet, a store, or None.

    Raises:
        InvalidInput: a number is out of range, or the store's file exists.
    """

    workers: int = 2
    slots: int = 64
    port: int = ANY_PORT
    insecure: bool = False
    store: Path | Store | None = None

    def __post_init__(self) -> None:
        for name in ("workers", "slots"):
            count: int = getattr(self, name)
            if count < 1:
                raise InvalidInput(f"{name} is {count}; it must be 1 or more")
        if isinstance(self.store, Path) and self.store.exists():
            raise InvalidInput(
                f"the file {str(self.store)!r} exists already, and what is in it would be measured "
                "as well; name a file that does not exist yet"
            )


class BenchWorkers:
    """A manager in the background of this process, and its worker processes.

    ```python
    crew = Crew(BenchPlan(workers=2))
    try:
        await crew.start()
        await crew.gather()
        outputs = await crew.run((crew.new_task(NOTHING) for _ in range(9)), 9)
    finally:
        await crew.end()
    ```

    Args:
        order: what crew there is to be.
        nursery: makes its worker processes, if there is one.

    Raises:
        PortInUse: the port belongs to somebody else.
        StoreUnusable: the store can't be made.
    """

    def __init__(self, order: BenchPlan, nursery: ForkServer | None = None) -> None:
        self.order = order
        self._nursery = nursery
        self._manager = TaskManager(
            expected_workers=0,
            port=order.port,
            quiet=True,
            insecure=order.insecure,
            store=order.store,
        )
        self._manager.watch(self._note)
        self._ticket = self._manager.ticket()
        self._processes: dict[str, LocalProcess] = {}
        self._settled: asyncio.Future[None] | None = None
        self._guard: asyncio.Task[None] | None = None
        self._joined: set[str] = set()
        self._somebody_came = asyncio.Event()
        self._unsettled = 0
        self._failure = ""
        self.next_id = 1

    async def start(self) -> None:
        """Start the manager and the worker processes; returns before they have joined."""
        spawner = LocalProcesses(
            self._ticket,
            SKILL,
            slots=self.order.slots,
            handlers=[handlers_room.__name__],
            nursery=self._nursery,
        )
        # They import while the manager opens its doors, and knock until it has.
        for number in range(1, self.order.workers + 1):
            name = f"worker{number}"
            self._processes[name] = await spawner.spawn(name)
        await self._manager.start()
        self._guard = asyncio.create_task(self._look_for_deaths())

    async def gather(self) -> None:
        """Wait until all workers have joined.

        Raises:
            MeasurementFailed: they do not.
        """
        try:
            await asyncio.wait_for(self._come_together(), JOINING_MAY_TAKE_S)
        except asyncio.TimeoutError:
            raise MeasurementFailed(
                f"{len(self._joined)} of {self.order.workers} worker processes joined within "
                f"{JOINING_MAY_TAKE_S:g} s; `muster doctor` tells what may be in their way"
            ) from None

    def new_task(self, task_type: str, data: Payload = None) -> Task:
        """A task with an id of its own.

        Args:
            task_type: which of the handlers in the room `tasks` is to do it.
            data: what that needs; a dict is given the task's number as "n".
        """
        number = self.next_id
        self.next_id += 1
        return Task(
            id=number,
            description=task_type,
            type=task_type,
            data={"n": number} if data is None else data,
        )

    async def run(self, tasks: Iterable[Task], count: int) -> list[Payload]:
        """Submit many tasks, and wait until all are done.

        Args:
            tasks: what is to be done; each batch is taken from here when it is its turn.
            count: how many there are.

        Returns:
            Their outputs, in the order of the tasks.

        Raises:
            MeasurementFailed: one failed, or a worker process ended.
            EncodeError: a task holds more than a message may.
        """
        self._unsettled += count
        settled = self._await_end_of_tasks()
        ids: list[TaskId] = []
        await self._manager.batch_assign_tasks(_noting_ids(tasks, ids), BATCH_SIZE)
        await settled
        self._check_failure()
        return [self._output_of(task_id) for task_id in ids]

    async def run_one(self, task: Task) -> Payload:
        """Submit one task, and wait until it is done; see `run`."""
        self._unsettled += 1
        settled = self._await_end_of_tasks()
        self._manager.add_task(task)
        await settled
        self._check_failure()
        return self._output_of(task.id)

    async def end(self) -> None:
        """End the manager and the worker processes.

        Raises:
            MusterError: what the manager failed with.
        """
        if self._guard is not None:
            self._guard.cancel()
        try:
            await self._manager.stop()
        finally:
            ending = (self._end_process(name) for name in self._processes)
            await asyncio.gather(*ending)

    async def _end_process(self, name: str) -> None:
        process = self._processes[name]
        loop = asyncio.get_running_loop()
        # Who has joined was told by the manager to stop; nothing tells when it has.
        deadline = loop.time() + (ORDERLY_END_S if name in self._joined else 0.0)
        while process.is_alive and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_AGAIN_S)
        await process.end()

    async def _come_together(self) -> None:
        while len(self._joined) < self.order.workers:
            self._check_failure()
            self._somebody_came.clear()
            await self._somebody_came.wait()

    def _await_end_of_tasks(self) -> asyncio.Future[None]:
        """What is set when every task is settled, or fails when that can't be any more."""
        self._settled = asyncio.get_running_loop().create_future()
        return self._settled

    def _note(self, occurrence: Occurrence) -> None:
        if occurrence.what in SETTLING:
            self._unsettled -= 1
            if occurrence.what is not OccurrenceKind.TASK_COMPLETED:
                self._failure = f"a task was not completed, but {_words(occurrence)}"
            if not self._unsettled:
                self._tell_end_of_tasks(None)
        elif occurrence.what is OccurrenceKind.WORKER_JOINED:
            self._joined.add(occurrence.worker)
            self._somebody_came.set()

    def _tell_end_of_tasks(self, fault: MeasurementFailed | None) -> None:
        if self._settled is None or self._settled.done():
            return
        if fault is None:
            self._settled.set_result(None)
        else:
            self._settled.set_exception(fault)

    async def _look_for_deaths(self) -> None:
        over = asyncio.ensure_future(self._manager.finished())
        try:
            while not over.done():
                ended = sum(not process.is_alive for process in self._processes.values())
                if ended:
                    told = f"{ended} of {len(self._processes)} worker processes ended"
                    break
                await asyncio.wait([over], timeout=_LOOK_FOR_DEATHS_EVERY_S)
            else:
                told = "the manager ended"
        finally:
            if not over.cancel():
                # What the manager failed with is told by who started it.
                over.exception()
        self._failure = f"{told} before the measuring was done"
        self._somebody_came.set()
        self._tell_end_of_tasks(MeasurementFailed(self._failure))

    def _check_failure(self) -> None:
        if self._failure:
            raise MeasurementFailed(self._failure)

    def _output_of(self, task_id: TaskId) -> Payload:
        result = self._manager.get_task_result(task_id)
        return None if result is None else result.output


def _noting_ids(tasks: Iterable[Task], ids: list[TaskId]) -> Iterator[Task]:
    for task in tasks:
        ids.append(task.id)
        yield task


def _words(occurrence: Occurrence) -> str:
    how = occurrence.what.value.removeprefix("task_")
    detail = describe_facts(occurrence)
    return f"{how}: {detail}" if detail else how
