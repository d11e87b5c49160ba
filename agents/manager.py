"""`TaskManager`: a Ceylon agent that waits for its workers and sees every task through."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypedDict

from pydantic import BaseModel

from ..messages import InvalidInput, Task, TaskId, TaskResult, TaskStatus, WorkersMissing
from .ceylon_agent import AgentDetail, CeylonAgent, PeerMode, call_with
from .clock import now
from .kernel.board_state import BoardState
from .kernel.explanation import Explanation
from .kernel.matching import MatchingPolicy, find_policy
from .kernel.records import Rules
from .kernel.seal import Seal
from .kernel.workspace_secret import WorkspaceSecret
from .link import Link
from .log import log
from .manager_shell import ManagerShell, Watcher
from .report import RunReport, build_report
from .report_text import render_summary
from .sealing import choose_manager_sealing
from .shared_secrets import share
from .sqlite_store import SqliteStore
from .store import Store
from .surroundings import ANY_PORT, LOOPBACK
from .ticket import Ticket
from .worker import DEFAULT_PORT

DEFAULT_WORKSPACE = "default"


class WorkerStatsView(TypedDict):
    """What `TaskManager.worker_stats` tells of one worker."""

    completed_tasks: int
    successful_tasks: int
    total_time: float
    success_rate: float


class TaskManager(CeylonAgent):
    """The manager: waits for its workers, hands out tasks by skill, and collects the results.

    ```python
    manager = TaskManager(tasks, expected_workers=3)
    workers = [WorkerAgent("Junior", 3, admin_peer=manager.details().id), ...]
    await manager.start_agent(b"", workers)
    print(manager.report().success_rate)
    ```

    Override `assign_tasks`, `handle_result` or `end_task_management` to take part.

    A task that names no timeout and has a type may take any time; one of no type, which is
    simulated, may take twice its difficulty in seconds.

    Args:
        tasks: what is to be done; more may be added while it runs.
        expected_workers: how many workers to wait for, or the names of those to wait for, in the
            order in which `in_order` gives them tasks; 0 begins with the first that comes.
        name: the manager's name.
        port: the UDP port to listen on; 0 takes any free one.
        workspace_id: the workspace to open.
        policy: who gets which task: "best_fit", "in_order", "score", or a policy of your own.
        join_timeout_s: how long to wait for the expected workers, in seconds; None waits for ever.
        on_missing: whether then to "start" with those present or to "fail".
        unmatched_after_s: how long a task waits that no connected worker can do before it fails,
            in seconds; None waits for ever.
        lost_after_s: after how many seconds of silence a worker counts as lost.
        time_scale: how long a second of a task's timeout lasts, in seconds; see `WorkerAgent`.
        quiet: do not print the results when all is done.
        admin_peer: join the workspace of another Ceylon admin as a guest instead of opening one.
        host: the IPv4 address by which workers reach the workspace's admin.
        secret: what all members of the workspace share, as `muster secret` prints it. Without one
            it takes that in `MUSTER_SECRET`, or else makes one, which its tickets then carry.
        insecure: do not seal: whoever reaches the port may join, read and forge.
        allow: the names of the workers that may come; None lets in all that have the secret.
        store: where the run is kept, so that it outlives this manager: a file, or a store of your
            own. A run that is there already goes on where it was; tasks that it knows may be given
            again, and are not added twice.

    Raises:
        StoreUnusable: the store can't be opened or read, or a live manager has it.
        InvalidTask: an id stands twice, or a dependency is unknown or runs in a circle.
        UnknownName: there is no such policy; the message lists those there are.
        InvalidInput: an argument is out of range.
    """

    def __init__(
        self,
        tasks: Iterable[Task] = (),
        expected_workers: int | Sequence[str] = 0,
        name: str = "task_manager",
        port: int = DEFAULT_PORT,
        *,
        workspace_id: str = DEFAULT_WORKSPACE,
        policy: str | MatchingPolicy = "best_fit",
        join_timeout_s: float | None = None,
        on_missing: Literal["start", "fail"] = "fail",
        unmatched_after_s: float | None = 30.0,
        lost_after_s: float = 10.0,
        time_scale: float = 1.0,
        quiet: bool = False,
        admin_peer: str = "",
        host: str = LOOPBACK,
        secret: WorkspaceSecret | str | None = None,
        insecure: bool = False,
        allow: Sequence[str] | None = None,
        store: Store | str | Path | None = None,
    ) -> None:
        if not ANY_PORT <= port <= 65_535:  # noqa: PLR2004 - the largest port there is
            raise InvalidInput(f"port is {port!r}; it must be 0 (any free one) to 65535")
        super().__init__(
            name,
            PeerMode.CLIENT if admin_peer else PeerMode.ADMIN,
            "task_manager",
            workspace_id=workspace_id,
            port=port,
            admin_peer=admin_peer,
            host=host,
        )
        if isinstance(allow, str):
            raise InvalidInput(f"allow is the text {allow!r}; give a list of names")
        roster = () if isinstance(expected_workers, int) else tuple(expected_workers)
        count = expected_workers if isinstance(expected_workers, int) else len(roster)
        rules = Rules(
            expected_workers=count,
            roster=roster,
            join_timeout_s=join_timeout_s,
            on_missing=on_missing,
            unmatched_after_s=unmatched_after_s,
            lost_after_s=lost_after_s,
            heartbeat_s=min(2.0, lost_after_s / 4),
            time_scale=time_scale,
            allow=None if allow is None else tuple(allow),
        )
        chosen = find_policy(policy) if isinstance(policy, str) else policy
        self.expected_workers = count
        self._quiet = quiet
        self._sealing = choose_manager_sealing(secret, insecure=insecure, admin_peer=admin_peer)
        self._finished = asyncio.Event()
        self._shell = ManagerShell(name, rules, chosen, self)
        self._shell.add_tasks(tasks)
        self.tasks_assigned = False
        if store is not None:
            self.keep_in(store)

    # ---------------------------------------------------------- hooks

    async def assign_tasks(self) -> None:
        """Begin to hand out tasks; called once, when the expected workers are there."""
        if not self.tasks_assigned:
            self.tasks_assigned = True
            self._shell.begin_assigning()

    async def handle_result(
        self, data: TaskResult, time: int = 0, agent: AgentDetail | None = None
    ) -> None:
        """Called with each task's recorded result; an override may take fewer arguments.

        Args:
            data: the result.
            time: when it was recorded, in seconds since 1970.
            agent: the worker it came from.
        """

    async def end_task_management(self) -> None:
        """Called once when every task is settled; prints the results unless told to be quiet."""
        if not self._quiet:
            sys.stdout.write(render_summary(self.report()) + "\n")

    # ---------------------------------------------------------- tasks

    def add_task(self, task: Task) -> None:
        """Add a task, before or while it runs.

        Raises:
            InvalidTask: its id is taken, what it depends on is unknown, or the run has ended.
            EncodeError: its data holds what msgpack can't carry.
        """
        self._shell.add_tasks((task,))

    def cancel_task(self, task_id: TaskId, reason: str = "by the user") -> None:
        """Cancel a task; a worker that is doing it is told to stop.

        Raises:
            UnknownTask: no task has this id.
            IllegalTransition: it is settled already.
        """
        self._shell.cancel(task_id, reason)

    def set_priority(self, task_id: TaskId, priority: int) -> None:
        """Change the priority of a waiting task; higher numbers come sooner.

        Raises:
            UnknownTask: no task has this id.
            IllegalTransition: it waits no more.
        """
        self._shell.set_priority(task_id, priority)

    def explain(self, task_id: TaskId) -> Explanation:
        """Why a task stands where it stands: who was considered for it, or what it waits for.

        Raises:
            UnknownTask: no task has this id.
        """
        return self._shell.board.explain(task_id)

    @property
    def board(self) -> BoardState:
        """All that the manager knows of tasks and workers, to be read."""
        return self._shell.board

    @property
    def tasks(self) -> list[Task]:
        """All tasks, in the order of their adding."""
        return [record.task for record in self._shell.board.tasks.values()]

    @property
    def task_results(self) -> list[TaskResult]:
        """The recorded results, in the order of their recording."""
        return list(self._shell.board.results)

    @property
    def completed_tasks(self) -> set[TaskId]:
        """The ids of the tasks that are settled."""
        tasks = self._shell.board.tasks
        return {task_id for task_id, record in tasks.items() if record.status.is_final}

    @property
    def task_timeouts(self) -> Mapping[TaskId, float]:
        """When the running attempts that have a timeout will time out, in seconds since 1970."""
        return {
            task_id: record.deadline
            for task_id, record in self._shell.board.tasks.items()
            if record.status is TaskStatus.IN_PROGRESS and record.deadline is not None
        }

    @property
    def worker_stats(self) -> dict[str, WorkerStatsView]:
        """What each worker has done, by name; only workers that have finished something."""
        return {
            name: WorkerStatsView(
                completed_tasks=worker.stats.completed_tasks,
                successful_tasks=worker.stats.successful_tasks,
                total_time=worker.stats.total_time,
                success_rate=worker.stats.success_rate,
            )
            for name, worker in self._shell.board.workers.items()
            if worker.stats.completed_tasks
        }

    def report(self) -> RunReport:
        """The run so far, or as it ended."""
        return build_report(
            self._shell.board, name=self.name, now=now(), dropped=self._shell.dropped
        )

    def keep_in(self, store: Store | str | Path) -> None:
        """Keep the run in a store, before it starts, and go on with a run that is there already.

        Args:
            store: a file, or a store of your own.

        Raises:
            StoreUnusable: it can't be opened, read or written, or a live manager has it.
            DifferentTask: it knows a task of this manager with another content.
        """
        opened = SqliteStore(store) if isinstance(store, str | Path) else store
        try:
            self._shell.keep_in(opened)
        except BaseException:
            opened.close()
            raise
        self.tasks_assigned = self._shell.board.began_at is not None

    def watch(self, watcher: Watcher) -> None:
        """Have a function called with each occurrence, such as an assignment, as it happens."""
        self._shell.watch(watcher)

    @property
    def dropped(self) -> dict[str, int]:
        """How many frames and messages could not be read, by what was wrong with them."""
        return self._shell.dropped

    def details(self) -> AgentDetail:
        """Name, role and peer id; agents of this process find by it how the workspace is sealed."""
        detail = super().details()
        share(self.admin_peer or detail.id, self._sealing.secret)
        return detail

    def ticket(self, host: str | None = None, *, with_secret: bool | None = None) -> Ticket:
        """All that a worker in another process needs to join.

        Args:
            host: the IPv4 address by which the worker reaches this machine.
            with_secret: whether it carries the workspace's secret. By default it does if the
                manager made the secret itself, since nobody else has it.

        Raises:
            PortInUse: the manager's port belongs to somebody else.
        """
        self.claim_port()
        return Ticket(
            workspace_id=self.workspace_id,
            peer_id=self.admin_peer or self.address,
            host=host or self.admin_ip,
            port=self.port,
            sealed=self._sealing.secret is not None,
            secret=self._sealing.ticket_secret(with_secret),
        )

    def send_model(self, to: str, message: BaseModel) -> None:
        """Send a user's own message by our codec, to an address or to everyone."""
        self._shell.send_to(to, message)

    # ---------------------------------------------------------- life cycle

    async def serve(self) -> None:
        """Manage until every task is settled."""
        await self.serve_over(self, seal=self._sealing.seal(self.workspace_id))

    async def serve_over(self, link: Link, session: str = "", *, seal: Seal | None = None) -> None:
        """Manage over any link; `start_agent` does it over Ceylon.

        Args:
            link: the way into the workspace.
            session: names this start; a number nobody can guess if empty.
            seal: what its frames pass through; None leaves them unsealed.

        Raises:
            WorkersMissing: expected workers did not come in time, and `on_missing` is "fail".
        """
        try:
            await self._shell.run(link, dict(self.model_handlers()), session, seal)
        finally:
            self._finished.set()
        if self._shell.board.failure is not None:
            raise WorkersMissing(self._shell.board.failure)

    async def finished(self) -> None:
        """Wait until the run has ended and the workers have been told."""
        await self._finished.wait()

    def receive(self, frame: bytes) -> None:
        """Take in a frame from the workspace."""
        self._shell.receive(frame)

    async def stop(self) -> None:
        """End the run now: workers are told to stop, and what is unfinished stays unfinished."""
        self._shell.end("stopped")

    async def recorded(self, result: TaskResult, at: float) -> None:
        """Called by the shell with each recorded result."""
        named = {"time": int(at), "agent": self._detail_of(result.worker)}
        await call_with(self.handle_result, (result,), named)

    def wants_results(self) -> bool:
        """Whether a subclass has overridden `handle_result`."""
        return type(self).handle_result is not TaskManager.handle_result

    def report_fault(self, doing: str, fault: BaseException) -> None:
        """Log an exception that a user's handler let escape."""
        log.error("a handler failed", manager=self.name, doing=doing, exc_info=fault)

    def _detail_of(self, worker_name: str) -> AgentDetail:
        worker = self._shell.board.workers.get(worker_name)
        address = worker.worker_id if worker else ""
        return AgentDetail(name=worker_name, id=address, role="worker", extra_data=None)
