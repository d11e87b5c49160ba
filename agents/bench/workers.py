"""A manager and worker processes to measure."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ...messages import InvalidInput, MeasurementFailed, Payload, Task, TaskId
from ..kernel.model.occurrence_text import describe_facts
from ..kernel.model.occurrences import SETTLING, Occurrence, OccurrenceKind
from ..manager.links import CEYLON
from ..manager.task_manager import TaskManager
from ..runtime.ports import ANY_PORT, DEFAULT_WORKSPACE
from ..store.places import StorePlace
from ..store.protocol import Store
from ..worker_pool.fork_server import ForkServer
from ..worker_pool.processes import EXIT_TIMEOUT_S, LocalProcess, LocalProcesses
from . import tasks as tasks_module

BATCH_SIZE = 1_000
"""How many tasks are submitted at once; the workers begin while further batches are submitted."""

JOIN_TIMEOUT_S = 60.0
SKILL = 10

_CHECK_PROCESSES_EVERY_S = 0.2
_POLL_EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """What is measured with.

    Args:
        workers: the number of worker processes, 1 or more.
        slots: how many tasks each runs at once, 1 or more.
        port: the manager's UDP port; 0 takes any free one.
        insecure: do not seal frames.
        store: where the run is stored: a file that does not exist yet, a URL, a store, or None.
        link: how workers reach the manager: "ceylon", or the URL of NATS servers.

    Raises:
        InvalidInput: a number is out of range, or the store's file exists.
    """

    workers: int = 2
    slots: int = 64
    port: int = ANY_PORT
    insecure: bool = False
    store: StorePlace | Store | None = None
    link: str = CEYLON

    def __post_init__(self) -> None:
        for name in ("workers", "slots"):
            count: int = getattr(self, name)
            if count < 1:
                raise InvalidInput(f"{name} is {count}; it must be 1 or more")
        if isinstance(self.store, Path) and self.store.exists():
            raise InvalidInput(
                f"the file {str(self.store)!r} exists already, and its contents would be measured "
                "as well; name a file that does not exist yet"
            )


class BenchWorkers:
    """A manager in the background of this process, and its worker processes.

    ```python
    workers = BenchWorkers(BenchPlan(workers=2))
    try:
        await workers.start()
        await workers.wait_until_joined()
        outputs = await workers.run((workers.new_task(NOTHING) for _ in range(9)), 9)
    finally:
        await workers.end()
    ```

    Args:
        plan: how many workers, and how they run.
        fork_server: forks the worker processes; None starts them one by one.

    Raises:
        PortInUse: the port belongs to somebody else.
        StoreUnusable: the store can't be made.
    """

    def __init__(self, plan: BenchPlan, fork_server: ForkServer | None = None) -> None:
        self.plan = plan
        self._fork_server = fork_server
        self._manager = TaskManager(
            expected_workers=0,
            port=plan.port,
            quiet=True,
            insecure=plan.insecure,
            store=plan.store,
            link=plan.link,
            workspace_id=DEFAULT_WORKSPACE if plan.link == CEYLON else secrets.token_hex(8),
        )
        self._manager.watch(self._note)
        self._ticket = self._manager.ticket()
        self._processes: dict[str, LocalProcess] = {}
        self._settled: asyncio.Future[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._joined: set[str] = set()
        self._has_news = asyncio.Event()
        self._unsettled = 0
        self._failure = ""
        self.next_id = 1

    @property
    def manager(self) -> TaskManager:
        """The manager, in this process."""
        return self._manager

    async def start(self) -> None:
        """Start the manager and the worker processes; returns before they have joined."""
        spawner = LocalProcesses(
            self._ticket,
            SKILL,
            slots=self.plan.slots,
            handlers=[tasks_module.__name__],
            fork_server=self._fork_server,
        )
        # They import while the manager starts, and ask to join until it has.
        for number in range(1, self.plan.workers + 1):
            name = f"worker{number}"
            self._processes[name] = await spawner.spawn(name)
        await self._manager.start()
        self._watching = asyncio.create_task(self._watch_processes())

    async def wait_until_joined(self) -> None:
        """Wait until all workers have joined.

        Raises:
            MeasurementFailed: they do not join in time.
        """
        try:
            await asyncio.wait_for(self._all_joined(), JOIN_TIMEOUT_S)
        except asyncio.TimeoutError:
            raise MeasurementFailed(
                f"{len(self._joined)} of {self.plan.workers} worker processes joined within "
                f"{JOIN_TIMEOUT_S:g} s; `muster doctor` checks what may prevent it"
            ) from None

    def new_task(self, task_type: str, data: Payload = None) -> Task:
        """A task with a new id.

        Args:
            task_type: the handler in the module `tasks` that performs it.
            data: the payload; by default a dict with the task's number as "n".
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
        """Submit many tasks, and wait until all have completed.

        Args:
            tasks: the tasks; each batch is read from here when it is submitted.
            count: the number of tasks.

        Returns:
            Their outputs, in the order of the tasks.

        Raises:
            MeasurementFailed: a task failed, or a worker process ended.
            EncodeError: a task is too large for a message.
        """
        self._unsettled += count
        settled = self._new_settled_future()
        ids: list[TaskId] = []
        await self._manager.batch_assign_tasks(_recording_ids(tasks, ids), BATCH_SIZE)
        await settled
        self._check_failure()
        return [self._output_of(task_id) for task_id in ids]

    async def run_one(self, task: Task) -> Payload:
        """Submit one task, and wait until it has completed; see `run`."""
        self._unsettled += 1
        settled = self._new_settled_future()
        self._manager.add_task(task)
        await settled
        self._check_failure()
        return self._output_of(task.id)

    async def end(self) -> None:
        """End the manager and the worker processes.

        Raises:
            MusterError: what the manager failed with.
        """
        if self._watching is not None:
            self._watching.cancel()
        try:
            await self._manager.stop()
        finally:
            ending = (self._end_process(name) for name in self._processes)
            await asyncio.gather(*ending)

    async def _end_process(self, name: str) -> None:
        process = self._processes[name]
        loop = asyncio.get_running_loop()
        # The manager has told workers that joined to stop.
        deadline = loop.time() + (EXIT_TIMEOUT_S if name in self._joined else 0.0)
        while process.is_alive and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_EVERY_S)
        await process.end()

    async def _all_joined(self) -> None:
        while len(self._joined) < self.plan.workers:
            self._check_failure()
            self._has_news.clear()
            await self._has_news.wait()

    def _new_settled_future(self) -> asyncio.Future[None]:
        """A future that is done when all tasks are settled, or when that has become impossible."""
        self._settled = asyncio.get_running_loop().create_future()
        return self._settled

    def _note(self, occurrence: Occurrence) -> None:
        if occurrence.what in SETTLING:
            self._unsettled -= 1
            if occurrence.what is not OccurrenceKind.TASK_COMPLETED:
                self._failure = f"a task was not completed, but {_describe(occurrence)}"
            if not self._unsettled:
                self._set_settled(None)
        elif occurrence.what is OccurrenceKind.WORKER_JOINED:
            self._joined.add(occurrence.worker)
            self._has_news.set()

    def _set_settled(self, fault: MeasurementFailed | None) -> None:
        if self._settled is None or self._settled.done():
            return
        if fault is None:
            self._settled.set_result(None)
        else:
            self._settled.set_exception(fault)

    async def _watch_processes(self) -> None:
        over = asyncio.ensure_future(self._manager.finished())
        try:
            while not over.done():
                ended = sum(not process.is_alive for process in self._processes.values())
                if ended:
                    reason = f"{ended} of {len(self._processes)} worker processes ended"
                    break
                await asyncio.wait([over], timeout=_CHECK_PROCESSES_EVERY_S)
            else:
                reason = "the manager ended"
        finally:
            if not over.cancel():
                # `end` raises what the manager failed with.
                over.exception()
        self._failure = f"{reason} before the measurement was complete"
        self._has_news.set()
        self._set_settled(MeasurementFailed(self._failure))

    def _check_failure(self) -> None:
        if self._failure:
            raise MeasurementFailed(self._failure)

    def _output_of(self, task_id: TaskId) -> Payload:
        result = self._manager.get_task_result(task_id)
        return None if result is None else result.output


def _recording_ids(tasks: Iterable[Task], ids: list[TaskId]) -> Iterator[Task]:
    for task in tasks:
        ids.append(task.id)
        yield task


def _describe(occurrence: Occurrence) -> str:
    how = occurrence.what.value.removeprefix("task_")
    detail = describe_facts(occurrence)
    return f"{how}: {detail}" if detail else how
