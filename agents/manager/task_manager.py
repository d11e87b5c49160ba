"""`TaskManager`: a Ceylon agent that waits for its workers and sees every task through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, TypeVar

from pydantic import BaseModel

from ...messages import (
    InvalidInput,
    MusterError,
    RunEnded,
    Task,
    TaskAssignment,
    TaskId,
    TaskResult,
    WorkersMissing,
)
from ..blobs.offload import DEFAULT_THRESHOLD_BYTES
from ..blobs.places import OwnDirectory, check_place, open_place
from ..blobs.store import BlobStore
from ..kernel.board.state import BoardState
from ..kernel.lanes import MAX_LANES, Lanes
from ..kernel.matching.policies import MatchingPolicy, find_policy
from ..kernel.model.events import Watcher
from ..kernel.model.records import MAX_WORKERS, Rules
from ..kernel.security.seal import Seal
from ..kernel.security.workspace_secret import WorkspaceSecret
from ..runtime.background import BackgroundRun
from ..runtime.log import log
from ..runtime.ports import (
    ANY_PORT,
    DEFAULT_PORT,
    DEFAULT_WORKSPACE,
    LOOPBACK,
    check_address,
    check_lane_ports,
)
from ..security.sealing import choose_manager_sealing
from ..security.shared_secrets import share
from ..security.ticket import Ticket
from ..store.protocol import Store
from ..transport.ceylon_agent import CeylonAgent
from ..transport.ceylon_api import AgentDetail, PeerMode
from ..transport.host_watch import wait_for_host, watch_host
from ..transport.lane_manager import LaneManager
from ..transport.link import Link
from ..transport.traffic import Traffic
from .assigning import Assigning
from .awaited_results import AwaitedResults
from .hook_calls import in_hook
from .overridable_hooks import OverridableHooks
from .own_matching import WorkerDetail
from .shell import CUT_SHORT, ManagerShell, Stamp
from .submission import Submission

if TYPE_CHECKING:
    from ..report.model import RunReport
    from ..trace.file import TraceFile
    from ..transport.ceylon_api import UnifiedAgent

ROLE = "task_manager"

PREFETCH_S = 0.05
"""How much work a worker holds beyond each of its slots: some round trips' worth."""

_WHAT_TO_DO = (
    "to carry it through, let whoever ends the workspace await `finished()` first; to go on with "
    "it, give a new manager the same tasks or the same store"
)

_Answer = TypeVar("_Answer")


class TaskManager(Submission, OverridableHooks, CeylonAgent):
    """The manager: waits for its workers, hands out tasks by skill, and collects the results.

    ```python
    manager = TaskManager(tasks, expected_workers=3)
    workers = [WorkerAgent("Junior", 3, admin_peer=manager.details().id), ...]
    await manager.start_agent(b"", workers)
    print(manager.report().success_rate)
    ```

    As a service it runs in the background, and until it is stopped; see `start`.

    Override `assign_tasks`, `handle_result`, `end_task_management` and others to take part; see
    `OverridableHooks`.

    A task that names no timeout and has a type may take any time; one of no type, which is
    simulated, may take twice its difficulty in seconds.

    Args:
        tasks: what is to be done; more may be added while it runs.
        expected_workers: how many workers to wait for, or the names of those to wait for, in the
            order in which `in_order` gives them tasks; 0 begins with the first that comes.
        num_workers: another name of `expected_workers`.
        name: the manager's name.
        port: the UDP port to listen on; 0 takes any free one.
        workspace_id: the workspace to open or, as a guest, to join; a guest that names none, and
            whose admin is in this process, joins the admin's.
        policy: who gets which task: "best_fit", "in_order", "score", or a policy of your own.
        join_timeout_s: how long to wait for the expected workers, in seconds; None waits for ever.
        on_missing: whether then to "start" with those present or to "fail".
        unmatched_after_s: how long a task waits that no connected worker can do before it fails,
            in seconds; None waits for ever.
        lost_after_s: after how many seconds of silence a worker counts as lost.
        reassign_failed: whether a task that has used up its attempts is still tried once at each
            connected worker that could do it and has not failed it; by default a service does so.
        quarantine_after: after how many failures in a row a worker is given nothing for a while;
            None never, since often it is the tasks that are to blame.
        quarantine_s: for how long, in seconds.
        prefetch_s: how much work, in seconds, a worker with short tasks may hold beyond each of its
            slots, so that it need not wait for the network; 0 gives it none. With
            `quarantine_after` it holds no more than may fail before its quarantine begins.
        time_scale: how long a second of a task's timeout lasts, in seconds; see `WorkerAgent`.
        quiet: do not print the results when all is done.
        admin_peer: join the workspace of another Ceylon admin as a guest instead of opening one.
        host: the IPv4 address by which workers reach the workspace's admin.
        secret: what all members of the workspace share, as `muster secret` prints it. Without one
            it takes that in `MUSTER_SECRET`, or else makes one, which its tickets then carry.
        insecure: do not seal: whoever reaches the port may join, read and forge.
        allow: the names of the workers that may come; None lets in all that have the secret.
        max_workers: how many workers may be connected at the same time; others are refused. Only
            100 newcomers a second are answered, after the first 2,000.
        store: where the run is kept, so that it outlives this manager: a file, or a store of your
            own. A run that is there already goes on where it was; tasks that it knows may be given
            again, and are not added twice.
        trace: a file for what happens in the run, line by line; see `trace_to`.
        blobs: where large data is put that travels beside the frames: a directory, an fsspec URL
            (needs the extra `blobs`) or a store of your own. By default a directory that is made
            when it is first needed: beside the file of `store`, or a temporary one.
        blob_threshold_bytes: how long an assignment or result may be, encoded, to travel in a
            frame; None lets all of them.
        max_lanes: over how many Ceylon workspaces, each with a port of its own, it spreads its
            workers at most; they are opened when they are needed. 1 keeps all in one.
        lane_ports: the UDP ports that these may listen on, besides `port`; by default any free one.
        mode: `PeerMode.ADMIN`, or for a guest `PeerMode.CLIENT`; it follows from `admin_peer`, so
            it may be left out, and another is refused.
        role: "task_manager"; another is refused.
        direct_connections: whether workers that reach the TCP port of the same number may use
            a direct connection in place of Ceylon, which is faster.

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
        mode: PeerMode | None = None,
        role: str = ROLE,
        num_workers: int | None = None,
        workspace_id: str = DEFAULT_WORKSPACE,
        policy: str | MatchingPolicy = "best_fit",
        join_timeout_s: float | None = None,
        on_missing: Literal["start", "fail"] = "fail",
        unmatched_after_s: float | None = 30.0,
        lost_after_s: float = 10.0,
        reassign_failed: bool | None = None,
        quarantine_after: int | None = None,
        quarantine_s: float = 60.0,
        prefetch_s: float = PREFETCH_S,
        time_scale: float = 1.0,
        quiet: bool = False,
        admin_peer: str = "",
        host: str = LOOPBACK,
        secret: WorkspaceSecret | str | None = None,
        insecure: bool = False,
        allow: Sequence[str] | None = None,
        max_workers: int = MAX_WORKERS,
        store: Store | str | Path | None = None,
        trace: str | Path | None = None,
        blobs: BlobStore | str | Path | None = None,
        blob_threshold_bytes: int | None = DEFAULT_THRESHOLD_BYTES,
        max_lanes: int = MAX_LANES,
        lane_ports: Sequence[int] = (),
        direct_connections: bool = True,
    ) -> None:
        if not ANY_PORT <= port <= 65_535:  # noqa: PLR2004 - the largest port there is
            raise InvalidInput(f"port is {port!r}; it must be 0 (any free one) to 65535")
        if isinstance(tasks, int):
            raise InvalidInput(f"tasks is {tasks}; for so many workers say num_workers={tasks}")
        if num_workers is not None:
            if expected_workers:
                raise InvalidInput("give num_workers or expected_workers, which mean the same")
            expected_workers = num_workers
        self._prepare_hooks()
        super().__init__(
            name,
            _check_mode(mode, role, admin_peer),
            ROLE,
            workspace_id=workspace_id,
            port=port,
            admin_peer=admin_peer,
            host=host,
        )
        if blob_threshold_bytes is not None and blob_threshold_bytes < 0:
            raise InvalidInput(
                f"blob_threshold_bytes is {blob_threshold_bytes}; it must be 0 or more, or None"
            )
        if isinstance(blobs, str | Path):
            check_place(blobs)
        if isinstance(allow, str):
            raise InvalidInput(f"allow is the text {allow!r}; give a list of names")
        rules = Rules(
            **_expectation(expected_workers),
            join_timeout_s=join_timeout_s,
            on_missing=on_missing,
            unmatched_after_s=unmatched_after_s,
            lost_after_s=lost_after_s,
            heartbeat_s=min(2.0, lost_after_s / 4),
            time_scale=time_scale,
            allow=None if allow is None else tuple(allow),
            max_workers=max_workers,
            reassigns_failed=reassign_failed or False,
            quarantine_after=quarantine_after,
            quarantine_s=quarantine_s,
            # What goes ahead of a slot has no deadline yet that could be told of.
            prefetch_s=0.0 if self._overrides("_handle_timeout") else prefetch_s,
            confirms_end=self.wants_results() or self._overrides("_handle_timeout"),
        )
        chosen = find_policy(policy) if isinstance(policy, str) else policy
        self._lanes = Lanes(max_lanes)
        self._lane_ports = check_lane_ports(lane_ports)
        self._direct_connections = direct_connections
        self._is_over_ceylon = True
        self._lane_keeper: LaneManager | None = None
        self._quiet = quiet
        self._sealing = choose_manager_sealing(secret, insecure=insecure, admin_peer=admin_peer)
        self._reassigns_failed = reassign_failed is not False
        self._service = BackgroundRun(name, lambda: self._shell.end("stopped"))
        self._run_finished = asyncio.Event()
        self._has_told_failure = False
        self._trace_files: list[TraceFile] = []
        self._blobs = blobs
        self._blob_directory: Path | None = None
        self._shell = ManagerShell(
            name,
            rules,
            self._own_policy(chosen),
            self,
            open_blobs=self._open_blobs,
            blob_threshold_bytes=blob_threshold_bytes,
        )
        self._awaited = AwaitedResults(self._shell)
        self._assigning = Assigning(self._shell, type(self).__name__)
        self._watch_timeouts()
        self._shell.add_tasks(tasks)
        self.tasks_assigned = False
        if store is not None:
            self.keep_in(store)
        if trace is not None:
            self.trace_to(trace)

    # ---------------------------------------------------------- tasks

    @property
    def expected_workers(self) -> int:
        """How many workers are waited for; to be set, or their names, before they come."""
        return self._shell.rules.expected_workers

    @expected_workers.setter
    def expected_workers(self, expected: int | Sequence[str]) -> None:
        self.ask(
            lambda: self._shell.change_rules(replace(self._shell.rules, **_expectation(expected)))
        )

    def add_task(self, task: Task) -> None:
        """Add a task, before or while it runs, from any thread.

        When it returns the task is in the queue, and in the store if there is one.

        Raises:
            InvalidTask: its id is taken, what it depends on is unknown, or the run has ended.
            EncodeError: its data holds what msgpack can't carry.
            StoreUnusable: it can't be written.
        """
        self.ask(lambda: self._shell.add_tasks((task,)))

    async def batch_assign_tasks(self, tasks: Iterable[Task], batch_size: int = 3) -> None:
        """Add tasks batch by batch; those of one batch are handed out together.

        Args:
            tasks: what is to be done; a task may depend on others of its batch or of earlier ones.
            batch_size: how many are added at once, 1 or more.

        Raises:
            InvalidInput: the batch size is below 1.
            InvalidTask: a batch can't be taken; the earlier ones stay.
        """
        if batch_size < 1:
            raise InvalidInput(f"batch_size is {batch_size}; it must be 1 or more")
        left = iter(tasks)
        while batch := tuple(islice(left, batch_size)):
            self.ask(lambda batch=batch: self._shell.add_tasks(batch))
            await asyncio.sleep(0)

    async def recover_failed_task(self, task: Task, result: TaskResult) -> TaskId | None:
        """Have a failed task tried once more, if a worker is free that could do it.

        The failed task stays failed. Another takes its place, is its child, and goes to the most
        skilled of those that have not failed it.

        Args:
            task: the task.
            result: how it went.

        Returns:
            The id of the task that takes its place; None if it succeeded, or if nobody is free.

        Raises:
            UnknownTask: no task has this id.
            IllegalTransition: it has not failed for good.
        """
        if result.success:
            return None
        if not self.ask(lambda: self.board.has_free_worker_for(task.id)):
            log.error("no worker is free for the recovery", manager=self.name, task=task.id)
            return None
        return self.ask(lambda: self._shell.recover(task.id))

    def retire_worker(self, name: str) -> None:
        """Tell a worker that holds no work to stop, since it is not needed any more.

        Raises:
            UnknownName: no worker of this name is connected.
            IllegalTransition: it holds work.
        """
        self.ask(lambda: self._shell.retire(name))

    def cancel_task(self, task_id: TaskId, reason: str = "by the user") -> None:
        """Cancel a task; a worker that is doing it is told to stop.

        Raises:
            UnknownTask: no task has this id.
            IllegalTransition: it is settled already.
        """
        self.ask(lambda: self._shell.cancel(task_id, reason))

    def set_priority(self, task_id: TaskId, priority: int) -> None:
        """Change the priority of a waiting task; higher numbers come sooner.

        Raises:
            UnknownTask: no task has this id.
            IllegalTransition: it waits no more.
        """
        self.ask(lambda: self._shell.set_priority(task_id, priority))

    @property
    def board(self) -> BoardState:
        """All that the manager knows of tasks and workers, to be read."""
        return self._shell.board

    def ask(self, question: Callable[[], _Answer]) -> _Answer:
        """Call a function in the manager's loop, from any thread, and wait for what it returns."""
        return self._shell.entry.ask(question)

    def report(self) -> RunReport:
        """The run so far, or as it ended."""
        from ..report.model import build_report  # noqa: PLC0415 - its models take long to build

        return self.ask(
            lambda: build_report(
                self._shell.board,
                name=self.name,
                now=self._shell.now(),
                dropped=self._shell.dropped,
            )
        )

    def keep_in(self, store: Store | str | Path) -> None:
        """Keep the run in a store, before it starts, and go on with a run that is there already.

        Args:
            store: a file, or a store of your own.

        Raises:
            StoreUnusable: it can't be opened, read or written, or a live manager has it.
            DifferentTask: it knows a task of this manager with another content.
        """
        from ..store.sqlite import SqliteStore  # noqa: PLC0415 - most runs have no store

        opened = SqliteStore(store) if isinstance(store, str | Path) else store
        try:
            self._shell.keep_in(opened)
        except BaseException:
            opened.close()
            raise
        if isinstance(opened, SqliteStore):
            self._blob_directory = opened.path.with_name(f"{opened.path.name}.blobs")
        self.tasks_assigned = self._shell.board.began_at is not None

    def trace_to(self, file: str | Path) -> TraceFile:
        """Write what happens in the run to a file, from what is known already to the run's end.

        Args:
            file: the file; one that is there is replaced.

        Returns:
            What writes it; it is closed when the run ends.

        Raises:
            InvalidInput: it can't be written.
        """
        from ..trace.file import TraceFile  # noqa: PLC0415 - its models take long to build
        from ..trace.follow import follow  # noqa: PLC0415

        written = TraceFile(file)
        self._trace_files.append(written)
        follow(self, written)
        return written

    def _open_blobs(self) -> BlobStore:
        match self._blobs:
            case None:
                return OwnDirectory(self._blob_directory)
            case str() | Path():
                return open_place(self._blobs, create=True)
            case _:
                return self._blobs

    @property
    def has_store(self) -> bool:
        """Whether the run is kept in a store."""
        return self._shell.keeper is not None

    async def try_store(self) -> None:
        """See whether the store can be written to, if there is one.

        Raises:
            StoreUnusable: it can't.
        """
        if self._shell.keeper is not None:
            await self._shell.keeper.try_to_write()

    @property
    def secret(self) -> WorkspaceSecret | None:
        """What the workspace's frames are sealed with, or None if they are not."""
        return self._sealing.secret

    def watch(self, watcher: Watcher) -> None:
        """Have a function called with each occurrence, such as an assignment, as it happens."""
        self._shell.watch(watcher)

    def watch_writes(self, watcher: Callable[[float], None]) -> None:
        """Have one function called with the seconds that each write to the store took."""
        self._shell.watch_writes(watcher)

    def stamp_assignments(self, stamp: Stamp) -> None:
        """Have one function tell the trace that each assignment carries to its worker."""
        self._shell.stamp_assignments(stamp)

    @property
    def dropped(self) -> dict[str, int]:
        """How many frames and messages could not be read, by what was wrong with them."""
        return self._shell.dropped

    @property
    def traffic(self) -> Traffic:
        """How much has gone out to the workspace and come in from it."""
        return self._shell.traffic

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

    async def broadcast_message(self, message: object) -> None:
        """Send a message to everyone; a `TaskAssignment` is handed out to one worker instead.

        Raises:
            DifferentTask: the manager has another task under the id of the assigned one.
            InvalidTask: the task can't be added, or the assignment's timeout is not above 0.
        """
        if isinstance(message, TaskAssignment):
            self._assigning.hand_out(message)
        else:
            await super().broadcast_message(message)

    async def send_message(self, peer_id: str, message: object) -> None:
        """Send a message to one member; a `TaskAssignment` is handed out to that worker alone.

        Raises:
            InvalidInput: nobody is known who could be assigned a task at this address.
            DifferentTask: the manager has another task under the id of the assigned one.
            InvalidTask: the task can't be added, or the assignment's timeout is not above 0.
        """
        if isinstance(message, TaskAssignment):
            self._assigning.hand_out(message, self._name_at(peer_id))
        else:
            await super().send_message(peer_id, message)

    def _name_at(self, peer_id: str) -> str:
        worker = self.ask(lambda: self.board.members.find(peer_id))
        found = worker or self.connected_agents.get(peer_id)
        if found is None:
            raise InvalidInput(f"a task is assigned to {peer_id!r}, but no worker has this address")
        return found.name

    def send_model(self, to: str, message: BaseModel) -> None:
        """Send a user's own message by our codec, to an address or to everyone."""
        self._shell.send_to(to, message)

    # ---------------------------------------------------------- life cycle

    async def start(
        self, inputs: bytes = b"", workers: Sequence[UnifiedAgent] | None = None
    ) -> None:
        """Begin to manage in the background; returns when workers can come.

        It goes on until `stop`, whether there is something to do or not. A failed task goes to
        another worker if one could do it, unless `reassign_failed` says otherwise.

        Args:
            inputs: handed to `@on_run` handlers as they are; they are never unpickled.
            workers: agents that start together with this one and end with it.

        Raises:
            PortInUse: the port belongs to somebody else.
            InvalidInput: it was started before.
        """
        self._shell.stay(reassigns_failed=self._reassigns_failed)
        await self._service.start(lambda: self.start_agent(inputs, workers), self._shell.opened)

    async def serve(self) -> None:
        """Manage until every task is settled."""
        seal = self._sealing.seal(self.workspace_id)
        watching: asyncio.Future[None] | None = None
        if self.mode != PeerMode.ADMIN:
            patience_s = self._shell.board.rules.lost_after_s
            watching = asyncio.ensure_future(watch_host(self, patience_s, self._shell.break_off))
        try:
            await self.serve_over(self, seal=seal, lanes=self._lane_keeper)
        finally:
            if watching is not None:
                watching.cancel()
            self._conclude()

    async def start_agent(
        self, inputs: bytes = b"", workers: Sequence[UnifiedAgent] | None = None
    ) -> None:
        """Open the workspace and manage until every task is settled, or until stopped.

        Args:
            inputs: handed to `@on_run` handlers as they are; they are never unpickled.
            workers: agents that start together with this one, in its workspace, and end with it;
                plain Ceylon clients are told as well where that is.

        Raises:
            PortInUse: the port belongs to somebody else.
            WorkersMissing: expected workers did not come in time, and `on_missing` is "fail".
            AssigningFailed: a subclass's own `assign_tasks` or matching handed out nothing, or
                raised.
            RunEnded: its workspace ended before the tasks were settled, and nobody called `stop`.
            InvalidInput: as a guest, its admin is in another workspace.
        """
        try:
            await self._start_in_workspace(inputs, workers)
        except asyncio.CancelledError:
            self._conclude("start_agent was cancelled")
            raise
        except MusterError as fault:
            self._conclude(str(fault))
            raise
        finally:
            # Ceylon may also end by itself, as it does at Ctrl-C.
            self._conclude()
        self._raise_failure()

    async def _start_in_workspace(
        self, inputs: bytes, workers: Sequence[UnifiedAgent] | None
    ) -> None:
        if self.mode != PeerMode.ADMIN:
            self.go_to_admin(is_starting=True)
            check_address(self.name, self.admin_peer, self.admin_ip)
            await wait_for_host(self)
            await super().start_agent(inputs, workers)
            return
        self.claim_port()
        keeper = self._lane_keeper = LaneManager(
            self,
            self._sealing,
            self._lanes,
            self._lane_ports,
            direct_connections=self._direct_connections,
        )
        if not (inputs or workers):
            # Those that it starts itself would be in no lane but the door's.
            self.start_group = keeper.start_group
            keeper.prepare(self.expected_workers)
        try:
            await super().start_agent(inputs, workers)
        finally:
            keeper.close()
            await keeper.closed()

    async def get_connected_agents(self) -> list[AgentDetail]:
        """Who has appeared in its workspaces, in that order; nobody ever leaves Ceylon's list.

        Workers that have joined have their `skill_level`, `specialties` and `slots` told, too. Over
        another link than Ceylon these are all.
        """
        found: list[AgentDetail] = []
        if self._is_over_ceylon:
            found += await super().get_connected_agents()
            if self._lane_keeper is not None:
                found += await self._lane_keeper.connected()
        # A worker may have joined before Ceylon has noted it.
        known = {each.id: each for each in found}
        joined = {each: WorkerDetail(of) for each, of in self.board.members.present.items()}
        return list({**known, **joined}.values())

    async def serve_over(
        self,
        link: Link,
        session: str = "",
        *,
        seal: Seal | None = None,
        lanes: LaneManager | None = None,
    ) -> None:
        """Manage over any link; `start_agent` does it over Ceylon.

        Args:
            link: the way into the workspace.
            session: names this start; a number nobody can guess if empty.
            seal: what its frames pass through; None leaves them unsealed.
            lanes: opens further workspaces for its workers; None keeps them all in this one.

        Raises:
            WorkersMissing: expected workers did not come in time, and `on_missing` is "fail".
            AssigningFailed: a subclass's own `assign_tasks` or matching handed out nothing, or
                raised.
        """
        self._is_over_ceylon = link is self
        try:
            await self._shell.run(link, dict(self.model_handlers()), session, seal, lanes)
        finally:
            self._awaited.close()
            self._cancel_timers()
            self._run_finished.set()
            for file in self._trace_files:
                file.close()
        self._raise_failure()

    async def finished(self) -> None:
        """Wait until the run has ended and the workers have been told.

        Raises:
            RunEnded: it ended before the tasks were settled, and nobody called `stop`.
            WorkersMissing: expected workers did not come in time, and `on_missing` is "fail".
        """
        await self._run_finished.wait()
        self._raise_failure()

    def has_met_admin(self) -> bool:
        """Whether the admin of its workspace has made itself known."""
        return self.admin_peer in self.connected_agents

    def count_received(self) -> int:
        """How many frames have come in."""
        return self._shell.traffic.frames_received

    def joining_failed(self, fault: MusterError) -> None:
        """Tell those who wait for the end that there is nothing to wait for."""
        if not isinstance(fault, RunEnded):
            # That has been told.
            super().joining_failed(fault)
        self._conclude(str(fault))

    def _conclude(self, why: str = CUT_SHORT) -> None:
        """See that a run that is over has ended, and that this is told if it was broken off.

        Args:
            why: why it is over, if it has not ended by itself.
        """
        self._shell.break_off(why)
        if self._shell.is_broken_off and not self._has_told_failure:
            self._has_told_failure = True
            log.error(f"the run was {self._shell.board.failure}", manager=self.name)
        self._run_finished.set()

    def _raise_failure(self) -> None:
        if self._shell.fault is not None:
            raise self._shell.fault
        failure = self._shell.board.failure
        if self._shell.is_broken_off:
            raise RunEnded(f"the run of {self.name!r} was {failure}; {_WHAT_TO_DO}")
        if failure is not None:
            raise WorkersMissing(failure)

    def address_changed(self) -> None:
        """Speak and be spoken to at the new address."""
        self._shell.address_changed()

    def receive(self, frame: bytes) -> None:
        """Take in a frame from the workspace."""
        self._shell.receive(frame)

    async def stop(self) -> None:
        """End the run now: workers are told to stop, and what is unfinished stays unfinished.

        Of a service it returns when all has ended; called by a hook at once, since that goes on
        until the hook has returned.

        Raises:
            MusterError: what the service failed with.
        """
        self._shell.end("stopped")
        if not in_hook.get():
            await self._service.wait()

    def report_fault(self, doing: str, fault: BaseException) -> None:
        """Log an exception that a user's handler let escape."""
        log.error("a handler failed", manager=self.name, doing=doing, exc_info=fault)


class _Expectation(TypedDict):
    expected_workers: int
    roster: tuple[str, ...]


def _expectation(expected: int | Sequence[str]) -> _Expectation:
    if isinstance(expected, int):
        return _Expectation(expected_workers=expected, roster=())
    return _Expectation(expected_workers=len(expected), roster=tuple(expected))


def _check_mode(mode: PeerMode | None, role: str, admin_peer: str) -> PeerMode:
    """The only mode that a manager can have; the one that is given must be that."""
    possible = PeerMode.CLIENT if admin_peer else PeerMode.ADMIN
    if mode not in (None, possible):
        why = "with an admin_peer it is a guest" if admin_peer else "it opens the workspace"
        raise InvalidInput(f"mode is {mode}; {why}, so mode must be {possible}, or left out")
    if role != ROLE:
        raise InvalidInput(
            f"role is {role!r}; workers know a manager by the role {ROLE!r}, so leave it out"
        )
    return possible
