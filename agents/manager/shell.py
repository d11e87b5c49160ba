"""Runs a manager over a link: starts what it consists of, waits for the end, and stops all of it.

It knows the link and the event loop, and decides nothing.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel

from ...messages import Heartbeat, ManagerReplaced, MusterError, RunHandedOver, StoreTaken
from ...messages.frame import ANY_MANAGER, EVERYONE
from ..blobs.store import BlobStore
from ..kernel.discovery import DiscoveryCodec
from ..kernel.matching.policies import MatchingPolicy
from ..kernel.model.config import Rules
from ..kernel.model.events import ListeningStarted, StopRequested
from ..kernel.model.occurrences import Watcher
from ..kernel.model.workspace_names import NATS_LANE
from ..kernel.security.seal import Seal
from ..runtime.clock import now
from ..runtime.error_text import describe_fault
from ..runtime.loop_watch import LoopWatch
from ..transport.lane_manager import LaneManager
from ..transport.lane_router import LaneRouter
from ..transport.link import Link
from ..transport.traffic import Traffic
from .awaited_results import AwaitedResults
from .board_driver import BoardDriver
from .clients import Clients
from .handover import Handover
from .hook_calls import HookCalls
from .incoming import Incoming, MessageHandlers
from .outgoing import OutgoingHooks, OutgoingMessages, SettlementListener, Stamp
from .request_answers import RequestAnswers
from .schedule_runner import ScheduleRunner
from .stuck_log import log_stuck_tasks
from .task_parts import TaskParts
from .worker_calls import WorkerCalls

if TYPE_CHECKING:
    from ..transport.nats_link import NatsLink

CLOSING_CHECK_EVERY_S = 0.02
"""How often a manager that is about to stop looks whether all its workers are idle."""

HANDOVER_TIMEOUT_S = 0.5
"""How long a manager that hands its run over waits until its members know, in seconds."""

SHUTDOWN_TIMEOUT_S = 2.0
"""How long a manager waits for its workers to acknowledge the shutdown, in seconds."""

TRANSFER_TIMEOUT_S = 10.0
"""How long a manager waits until its clients have their large results, in seconds."""

TELLS_FOR_TIMEOUTS = 2.0
"""For how long a manager that resumes a run says so, as a multiple of `lost_after_s`."""

RUN_CUT_SHORT = "its workspace ended, or its asyncio task was cancelled"
"""The reason of a broken-off run if no other is known."""


class ManagerHooks(OutgoingHooks, MessageHandlers, Protocol):
    """What the shell needs of the agent around it."""

    def report_fault(self, doing: str, fault: BaseException) -> None:
        """Log an exception that a hook raised."""
        ...


class ManagerShell:
    """Runs one board over a link.

    Args:
        name: the manager's name.
        rules: the board's configuration.
        policy: decides which worker gets which task.
        hooks: the agent around it.
        open_blobs: opens the blob store when it is first needed; may block.
        blob_threshold_bytes: up to which length a message is sent in a frame; None: always.
    """

    def __init__(
        self,
        name: str,
        rules: Rules,
        policy: MatchingPolicy,
        hooks: ManagerHooks,
        *,
        open_blobs: Callable[[], BlobStore],
        blob_threshold_bytes: int | None,
    ) -> None:
        self.driver = BoardDriver(name, rules, policy)
        self._ended = asyncio.Event()
        self._calls = HookCalls(hooks.report_fault, self._is_over)
        self._outgoing = OutgoingMessages(
            self.driver,
            hooks,
            self._calls,
            self._ended.set,
            open_blobs=open_blobs,
            blob_threshold_bytes=blob_threshold_bytes,
        )
        self.awaited = AwaitedResults(self.driver, self._outgoing.notify)
        """Tells the results of tasks to those who wait for them."""
        self.parts = TaskParts(self.driver, self.awaited, self._outgoing.post)
        """Tells the parts of tasks to those who read them."""
        self.handover = Handover(self.driver, self.hand_over, self._lose)
        """Knows who shares the store."""
        answers = RequestAnswers(self.driver, self.awaited, self.handover)
        self._clients = Clients(
            self.driver, self.awaited, answers, self.parts, self._outgoing.offload
        )
        self._worker_calls = WorkerCalls(self.driver, self.awaited, answers, self._outgoing.watch)
        self._incoming = Incoming(
            self.driver,
            self._outgoing,
            hooks,
            self._clients,
            parts=self.parts,
            worker_calls=self._worker_calls,
        )
        self.schedules = ScheduleRunner(self.driver, self.awaited)
        """Makes the tasks of schedules."""
        self.driver.connect(self._outgoing.carry_out)
        self._router: LaneRouter | None = None
        self._beyond: tuple[NatsLink, Seal | None] | None = None
        self._accepting: tuple[NatsLink, DiscoveryCodec] | None = None
        self._session = secrets.token_hex(8)
        self.receive: Callable[[bytes], None] = _ignore
        """Takes a frame from the link."""
        self.address_changed: Callable[[], None] = _nothing
        """Called when the link has a new address, at which no peer has been met."""
        self.fault: MusterError | None = None
        """Why the run failed, unless workers were missing."""
        self.opened = asyncio.Event()
        self.is_broken_off = False
        self._leads_no_more = False
        self.is_running = False

    # ------------------------------------------------------------------ watching and sending

    def add_link(self, link: NatsLink, seal: Seal | None) -> None:
        """Manage over a second link as well; call this before `run`."""
        self._beyond = (link, seal)

    def accept_over(self, link: NatsLink, talk: DiscoveryCodec) -> None:
        """Let members open direct connections over a link; call this before `run`."""
        self._accepting = (link, talk)

    def watch(self, watcher: Watcher) -> None:
        """Call a function with each occurrence."""
        self._outgoing.watch(watcher)

    def stamp_assignments(self, stamp: Stamp) -> None:
        """Send a traceparent with each assignment."""
        self._outgoing.stamp_assignments(stamp)

    def notify(self, listener: SettlementListener) -> None:
        """Notify a listener of settled tasks and of the run's end; there is only one."""
        self._outgoing.notify(listener)

    def call_hook(self, doing: str, call: Awaitable[None]) -> None:
        """Queue a hook call; the run does not end before it has returned."""
        self._calls.add(doing, call)

    def send_to(self, address: str, message: BaseModel) -> None:
        """Send a message of the user's own to one member, or to everyone."""
        self._outgoing.post_datagram(address, message)

    @property
    def dropped(self) -> dict[str, int]:
        """How many frames and messages could not be read, by reason."""
        return {} if self._router is None else dict(self._router.dropped)

    @property
    def traffic(self) -> Traffic:
        """How much has been sent and received."""
        return Traffic() if self._router is None else self._router.traffic

    # ------------------------------------------------------------------ the end

    def end(self, reason: str) -> None:
        """End the run now; workers are told to stop."""
        self._outgoing.farewell = reason
        try:
            self.driver.request_stop(reason)
        finally:
            # Also when the store can't be written to: nobody may wait for the end for ever.
            self._ended.set()

    async def close(self, grace_s: float) -> None:
        """Assign no more tasks, and wait until no worker runs one, or the run ends.

        Args:
            grace_s: how long to wait at most, in seconds.
        """
        driver, ends_at = self.driver, now() + grace_s
        if not self.is_running or driver.board.pause.is_closing:
            return
        driver.begin_closing()
        workers = driver.board.worker_registry.present
        while not self._ended.is_set() and now() < ends_at:
            if all(worker.is_idle for worker in workers.values()):
                return
            await asyncio.sleep(CLOSING_CHECK_EVERY_S)

    def fail(self, fault: MusterError) -> None:
        """End the run now, since it can't continue; `fault` is raised by whoever awaits it."""
        if not self.driver.board.has_ended:
            self.fault = fault
            self.end(str(fault))

    def finish(self) -> None:
        """End the run now, since the user ended it, settled or not."""
        if not self._ended.is_set():
            try:
                self.driver.request_stop("" if self.driver.is_all_settled() else "ended early")
            finally:
                self._ended.set()

    @property
    def has_link(self) -> bool:
        """Whether it has ever had a link to members."""
        return self._router is not None

    def break_off(self, why: str) -> None:
        """End a run that can't continue; does nothing if the run has ended.

        The store is not written to, so that another manager resumes the run as after a crash.

        Args:
            why: why the run can't continue.
        """
        if self._ended.is_set():
            return
        board = self.driver.board
        tasks, unsettled = len(board.tasks), board.unsettled
        is_over = board.has_ended and not board.is_suspended
        if not is_over and (unsettled or not board.ends_when_settled):
            self.is_broken_off = True
            reason = f"broken off with {unsettled} of {tasks} tasks unsettled: {why}"
            self.driver.apply_uncommitted(StopRequested(reason, is_failure=True))
            self._outgoing.farewell = reason
        self._ended.set()

    def hand_over(self) -> None:
        """End the run here, so that a standby manager leads it; what workers run goes on."""
        if self._ended.is_set() or self.driver.board.has_ended:
            return
        self.fault = RunHandedOver(
            f"the run of {self.driver.name!r} was handed over: a standby manager leads it now"
        )
        self._leads_no_more = True
        # What is assigned now would be lost on its way.
        self.driver.begin_closing()
        self._ended.set()

    def _lose(self, fault: StoreTaken) -> None:
        """End the run here, since the store is lost; nothing can be written any more."""
        if not self._ended.is_set():
            self.fault = fault
            self._leads_no_more = True
            self._ended.set()

    def _is_over(self) -> bool:
        board = self.driver.board
        return self._ended.is_set() or board.has_ended or board.is_at_rest

    # ------------------------------------------------------------------ the run

    async def run(
        self,
        link: Link,
        models: dict[str, type[BaseModel]] | None = None,
        session: str = "",
        seal: Seal | None = None,
        lanes: LaneManager | None = None,
    ) -> None:
        """Manage until every task is settled or `end` is called.

        Args:
            link: the connection to the workspace.
            models: the user's own classes of messages by qualified name.
            session: identifies this start; random if empty.
            seal: encrypts and decrypts all frames; None leaves them unencrypted.
            lanes: opens further workspaces for the workers; None keeps all of them in this one.
        """
        self.is_running = True
        try:
            with self.driver.gate.open():
                await self._run(link, models or {}, session or self._session, seal, lanes)
        finally:
            self.is_running = False
            self.driver.close_store()

    async def _run(
        self,
        link: Link,
        models: dict[str, type[BaseModel]],
        session: str,
        seal: Seal | None,
        lanes: LaneManager | None,
    ) -> None:
        driver = self.driver
        driver.follow_clock()
        router = self._router = self._open_router(link, models, seal, lanes)
        self._outgoing.start(router, session, None if seal is None else seal.blob_key, models)
        self._clients.start(router, session)
        self._worker_calls.start(router)
        self._incoming.start(lanes)
        self.receive = router.receive
        driver.start(router.wake)
        # Before the run is resumed, which ends at once if all is settled and no schedule is active.
        self.schedules.begin()
        driver.apply(ListeningStarted())
        background = [
            asyncio.ensure_future(router.run()),
            asyncio.ensure_future(self._send_heartbeats()),
            asyncio.ensure_future(self._calls.run()),
            asyncio.ensure_future(log_stuck_tasks(driver)),
            asyncio.ensure_future(self.schedules.run()),
        ]
        watching = asyncio.ensure_future(self.handover.watch())
        if lanes is not None:
            lane_keeping = lanes.keep(router, self.workers_by_lane)
            background.append(asyncio.ensure_future(lane_keeping))
        ended = asyncio.ensure_future(self._ended.wait())
        loop_watch = LoopWatch.begin(_name_no_task)
        driver.watch_loop(loop_watch)
        self.opened.set()
        try:
            done, _ = await asyncio.wait([ended, *background], return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                future.result()
            if isinstance(self.fault, StoreTaken):
                return
            await self._calls.finish()
            if self._leads_no_more:
                self._tell_members_to_ask_again()
                await router.settle(HANDOVER_TIMEOUT_S)
            else:
                await self._clients.transfers.settle(TRANSFER_TIMEOUT_S)
                self._outgoing.dismiss_workers()
                self._clients.dismiss(self._outgoing.farewell)
                await router.settle(SHUTDOWN_TIMEOUT_S)
            if driver.commit is not None:
                driver.commit.write_at_once()
        except asyncio.CancelledError:
            self.break_off(RUN_CUT_SHORT)
            raise
        except Exception as fault:
            self.break_off(describe_fault(fault))
            raise
        finally:
            loop_watch.end(_name_no_task)
            if lanes is not None:
                lanes.close()
            router.close_direct_connections()
            driver.close_store()
            driver.cancel_timer()
            for future in (ended, watching, *background):
                future.cancel()
            await asyncio.gather(ended, watching, *background, return_exceptions=True)
            may_be_resumed = driver.commit is not None and (
                self._leads_no_more or self.is_broken_off or not driver.is_all_settled()
            )
            await self._outgoing.offload.close(keeps=may_be_resumed)
            self._calls.close()

    def _open_router(
        self,
        link: Link,
        models: dict[str, type[BaseModel]],
        seal: Seal | None,
        lanes: LaneManager | None,
    ) -> LaneRouter:
        commit = self.driver.commit
        router = LaneRouter(
            link,
            listens_to=frozenset({EVERYONE, ANY_MANAGER}),
            arrived=self._incoming.arrived,
            results_arrived=self.driver.results_received,
            also=models,
            seal=seal,
            before_sending=None if commit is None else commit.write,
        )
        if self._beyond is not None:
            beyond, seal_beyond = self._beyond
            beyond.receive = router.add(NATS_LANE, beyond, seal_beyond).receive
        if self._accepting is not None:
            accepting, talk = self._accepting
            accepting.circuits.accept(talk, router)
        if lanes is None:
            # A manager with lanes opens its workspaces itself, and keeps its address.
            self.address_changed = router.take_address
        return router

    def workers_by_lane(self) -> dict[str, int]:
        """The lane of each connected worker in Ceylon by its name; empty without lanes."""
        router = self._router
        if router is None:
            return {}
        lanes = {
            worker.name: router.lane_of(worker.worker_id)
            for worker in self.driver.board.workers.values()
            if worker.alive
        }
        return {name: lane for name, lane in lanes.items() if lane != NATS_LANE}

    def _tell_members_to_ask_again(self) -> None:
        replaced = ManagerReplaced(manager=self.driver.name)
        self._incoming.is_closed = True
        self._outgoing.post_to_workers(replaced)
        self._clients.post_to_all(replaced)

    async def _send_heartbeats(self) -> None:
        rules = self.driver.rules
        tells_until = now() + TELLS_FOR_TIMEOUTS * rules.lost_after_s
        while True:
            if self.driver.has_resumed and now() < tells_until:
                # Members of the former manager need not wait until they miss it.
                self._outgoing.post_datagram(
                    EVERYONE, ManagerReplaced(manager=self.driver.name, leads=True)
                )
            await asyncio.sleep(rules.heartbeat_s)
            self._outgoing.post_datagram(EVERYONE, Heartbeat())
            self._clients.drop_silent()
            if self.driver.commit is not None:
                self.driver.commit.add_heartbeats()


def _ignore(frame: bytes) -> None:
    """Ignore a frame that arrives before the run."""


def _nothing() -> None:
    """Do nothing: there is no router, or its link never changes its address."""


def _name_no_task(_: asyncio.Task[Any]) -> None:
    """A manager's own asyncio tasks need no further names."""
