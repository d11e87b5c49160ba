"""Carries out the board's instructions: messages to workers, calls of hooks, notifications."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Protocol, TypeAlias

from pydantic import BaseModel

from ...messages import (
    AskAboutAttempts,
    BacklogFull,
    CancelTask,
    ChangeGrant,
    EncodeError,
    RecallTasks,
    Refusal,
    ResultRecorded,
    Shutdown,
    TaskAssignment,
    TaskResult,
    UnknownPeer,
    Welcome,
    encode_message,
)
from ...messages.codec import encode_assignment, has_large_bytes, open_assignment
from ..blobs.manager_offload import ManagerOffload
from ..blobs.store import BlobStore
from ..execution.held_slots import warn_of_held_slot
from ..kernel.model.events import RestConfirmed, ResultReceived, WorkerLeft
from ..kernel.model.instructions import (
    AskAboutLeases,
    ComeToRest,
    DropWorker,
    EndRun,
    RefuseWorker,
    RetireWorker,
    SendAssignment,
    SendCancel,
    SendGrant,
    SendRecall,
    SendWelcome,
    StartAssigning,
)
from ..kernel.model.occurrence_text import describe_facts
from ..kernel.model.occurrences import SETTLING, Occurrence, OccurrenceKind, Watcher
from ..kernel.model.records import TaskRecord
from ..runtime.log import log
from ..transport.lane_router import LaneRouter
from .board_driver import BoardDriver
from .group_commit import ConfirmResult, ManagerInstruction
from .hook_calls import HookCalls

ACKNOWLEDGE_WITHIN_S = 1.0
"""How long a conversation stays open after its other end said goodbye, so that this is
acknowledged; otherwise the other end would wait in vain for that."""

Stamp: TypeAlias = Callable[[TaskAssignment], str | None]
"""Returns the trace that an assignment belongs to, as a W3C traceparent; must not block."""


class OutgoingHooks(Protocol):
    """The hooks that instructions lead to."""

    async def assign_tasks(self) -> None:
        """Begin to assign tasks: all expected workers have joined."""
        ...

    def recorded(self, result: TaskResult, at: float) -> Awaitable[None]:
        """Take note of a recorded result; returns the call of the hooks that handle it."""
        ...

    async def run_settled(self) -> None:
        """Finish the run: every task is settled, or the run can't continue."""
        ...

    def wants_results(self) -> bool:
        """Whether a hook or handler takes results."""
        ...


class SettlementListener(Protocol):
    """Is notified of settled tasks and of the run's end."""

    def task_settled(self, record: TaskRecord) -> None:
        """Take note of a task that will not change any more."""
        ...

    def run_ended(self) -> None:
        """Take note that no task will be settled any more."""
        ...


class OutgoingMessages:
    """Carries out the instructions of one board.

    Args:
        driver: drives the board.
        hooks: the agent's hooks.
        calls: the queue of hook calls.
        run_is_over: called when the hooks of the run's end have returned.
        open_blobs: opens the blob store when it is first needed; may block.
        blob_threshold_bytes: up to which length a message is sent in a frame; None: always.
    """

    def __init__(
        self,
        driver: BoardDriver,
        hooks: OutgoingHooks,
        calls: HookCalls,
        run_is_over: Callable[[], None],
        *,
        open_blobs: Callable[[], BlobStore],
        blob_threshold_bytes: int | None,
    ) -> None:
        self._driver = driver
        self._hooks = hooks
        self._calls = calls
        self._run_is_over = run_is_over
        self._endpoint: LaneRouter | None = None
        self._session = ""
        # A worker that rejoins after it was lost starts a new conversation: this end has forgotten
        # the old one, the other end has not. One entry for each connected worker.
        self._admissions: dict[str, int] = {}
        self._last_admission = 0
        # What is posted while instructions are carried out, by worker: it is posted together.
        self._gathered: dict[str, list[bytes]] = {}
        self._is_carrying_out = False
        # Those that have said goodbye, and are not dropped yet.
        self._leaving: set[str] = set()
        self._stamp: Stamp | None = None
        self._watchers: list[Watcher] = []
        self._listener: SettlementListener | None = None
        self.farewell = "the run has ended"
        """The reason that workers are given when the run ends."""
        self.offload = ManagerOffload(
            blob_threshold_bytes,
            open_blobs,
            post=self._post_encoded,
            refuse=self._fail_attempt,
            unpacked=self._result_unpacked,
            is_settled=driver.is_settled,
        )

    def start(
        self,
        endpoint: LaneRouter,
        session: str,
        blob_key: bytes | None,
        models: Mapping[str, type[BaseModel]],
    ) -> None:
        """Send messages from now on.

        Args:
            endpoint: sends the messages.
            session: identifies this start of the manager.
            blob_key: the key that blobs are encrypted with; None leaves them unencrypted.
            models: the user's own classes of messages by qualified name.
        """
        self._endpoint = endpoint
        self._session = session
        self.offload.begin(blob_key, models)

    def watch(self, watcher: Watcher) -> None:
        """Call a function with each occurrence."""
        self._watchers.append(watcher)

    def stamp_assignments(self, stamp: Stamp) -> None:
        """Send a traceparent with each assignment."""
        self._stamp = stamp

    def notify(self, listener: SettlementListener) -> None:
        """Notify a listener of settled tasks and of the run's end; there is only one."""
        self._listener = listener

    def is_admitted(self, address: str) -> bool:
        """Whether an address belongs to a worker that has been welcomed and is connected."""
        return address in self._admissions

    def carry_out(self, instructions: deque[ManagerInstruction]) -> None:
        """Carry out instructions, the first one first, and remove each from the queue."""
        self._is_carrying_out = True
        try:
            while instructions:
                instruction = instructions.popleft()
                match instruction:
                    case Occurrence():
                        self._report(instruction)
                    case SendAssignment():
                        self._assign(instruction)
                    # The frequent ones come first: each case costs time.
                    case ConfirmResult():
                        self._confirm(instruction)
                    case SendCancel(worker_id, task_id, attempt, reason):
                        self._post(
                            worker_id, CancelTask(task_id=task_id, attempt=attempt, reason=reason)
                        )
                    case SendGrant(worker_id, task_id, attempt, is_given):
                        change = ChangeGrant(task_id=task_id, attempt=attempt, is_given=is_given)
                        self._post(worker_id, change)
                    case SendRecall(worker_id, attempts):
                        self._post(worker_id, RecallTasks(attempts=attempts))
                    case AskAboutLeases(worker_id, attempts):
                        self._post(worker_id, AskAboutAttempts(attempts=attempts))
                    case SendWelcome():
                        self._welcome(instruction)
                    case RefuseWorker(worker_id, session, reason):
                        self.post_datagram(
                            worker_id, Refusal(worker_session=session, reason=reason)
                        )
                    case DropWorker(worker_id):
                        self._drop(worker_id)
                    case RetireWorker(worker_id):
                        self._post(worker_id, Shutdown(reason="not needed any more", goes_on=True))
                    case StartAssigning():
                        self._calls.add("assign_tasks", self._hooks.assign_tasks())
                    case ComeToRest():
                        self._calls.add("rest", self._confirm_rest())
                    case EndRun(failure):
                        self.farewell = failure or self.farewell
                        self._calls.add("end_task_management", self._finish())
        finally:
            self._is_carrying_out = False
            self._post_gathered()

    def dismiss_workers(self) -> None:
        """Tell all connected workers to stop."""
        self.offload.cancel_sending()
        for worker in self._driver.board.workers.values():
            if worker.alive:
                self._post(worker.worker_id, Shutdown(reason=self.farewell))

    def post_to_workers(self, message: BaseModel) -> None:
        """Send a message to all connected workers."""
        for worker in self._driver.board.workers.values():
            if worker.alive:
                self.post(worker.worker_id, message)

    def post_datagram(self, to: str, message: BaseModel) -> None:
        """Send a message that may get lost, to one address or to everyone."""
        if self._endpoint is not None:
            self._endpoint.post_datagram(to, message)

    def post(self, worker_id: str, message: BaseModel) -> None:
        """Send a message to a worker, if it is connected."""
        if self.is_admitted(worker_id):
            self._post(worker_id, message)

    # ------------------------------------------------------------------ assignments and results

    def _assign(self, order: SendAssignment) -> None:
        worker_id, packed, assignment = order.worker_id, order.packed, None
        has_more = order.reviewed is not None or order.upstream_errors is not None
        is_plain = not order.inputs and not has_more and self._stamp is None
        if packed is not None and is_plain:
            opening = open_assignment(order.assigned_at, order.timeout, order.attempt, order.worker)
            message = opening + packed
        else:
            assignment = order.assignment
            if self._stamp is not None:
                assignment.traceparent = self._stamp(assignment)
            if packed is None and has_large_bytes(assignment.task):
                # A thread encodes it, since that takes long.
                self.offload.send(worker_id, assignment)
                return
            try:
                message = (
                    encode_message(assignment)
                    if packed is None
                    else encode_assignment(assignment, packed)
                )
            except EncodeError as fault:
                self._fail_attempt(worker_id, assignment, f"EncodeError: {fault}")
                return
        threshold_bytes = self.offload.threshold_bytes
        if threshold_bytes is not None and len(message) > threshold_bytes:
            self.offload.send(worker_id, assignment or order.assignment, message)
        elif not self.offload.holds_back(worker_id, message):
            self._post_encoded(worker_id, message)

    def _fail_attempt(self, worker_id: str, assignment: TaskAssignment, reason: str) -> None:
        result = TaskResult(
            task_id=assignment.task.id,
            worker=assignment.worker,
            success=False,
            error_message=reason,
            attempt=assignment.attempt,
        )
        loop = asyncio.get_running_loop()
        loop.call_soon(self._driver.apply, ResultReceived(worker_id, result))

    def _result_unpacked(self, sender: str, result: TaskResult, holder: Hashable) -> None:
        confirm = ConfirmResult(sender, result.task_id, result.attempt, holder)
        self._driver.apply(ResultReceived(sender, result), then=confirm)

    def _confirm(self, order: ConfirmResult) -> None:
        if order.worker_id in self._admissions:
            recorded = ResultRecorded(task_id=order.task_id, attempt=order.attempt)
            self._post(order.worker_id, recorded)
        self.offload.confirm(order.holder)

    # ------------------------------------------------------------------ workers

    def said_goodbye(self, worker_id: str) -> None:
        """Keep the conversation for a moment when this worker is dropped; see the constant."""
        if worker_id in self._admissions:
            self._leaving.add(worker_id)

    def _welcome(self, order: SendWelcome) -> None:
        if self._endpoint is None:
            return
        worker_id, session, call = order.worker_id, order.session, order.call
        if worker_id not in self._admissions:
            self._last_admission += 1
            self._admissions[worker_id] = self._last_admission
        admission = self._admissions[worker_id]
        # What was posted before belongs to an earlier conversation.
        self._post_gathered()
        self._endpoint.open(worker_id, f"{session}.{call}/{self._session}/{admission}")
        rules = self._driver.rules
        welcome = Welcome(
            manager=self._driver.name,
            worker=order.name,
            session=self._session,
            admission=admission,
            worker_session=session,
            worker_call=call,
            heartbeat_s=rules.heartbeat_s,
            lost_after_s=rules.lost_after_s,
            blob_threshold_bytes=self.offload.threshold_bytes,
        )
        # The messages of the conversation may arrive by a direct connection before this one
        # arrives by the link.
        self._endpoint.post_datagram(worker_id, welcome, also_direct=True)

    def _drop(self, worker_id: str) -> None:
        self.offload.forget_worker(worker_id)
        self._admissions.pop(worker_id, None)
        self._post_gathered()
        if worker_id in self._leaving:
            self._leaving.discard(worker_id)
            loop = asyncio.get_running_loop()
            loop.call_later(ACKNOWLEDGE_WITHIN_S, self._close, worker_id)
        else:
            self._close(worker_id)

    def _close(self, worker_id: str) -> None:
        if self._endpoint is not None and worker_id not in self._admissions:
            self._endpoint.close(worker_id)

    def _post(self, worker_id: str, message: BaseModel) -> None:
        encoded = encode_message(message)
        if not self.offload.holds_back(worker_id, encoded):
            self._post_encoded(worker_id, encoded)

    def _post_encoded(self, worker_id: str, message: bytes) -> None:
        self._gathered.setdefault(worker_id, []).append(message)
        if not self._is_carrying_out:
            self._post_gathered()

    def _post_gathered(self) -> None:
        gathered, self._gathered = self._gathered, {}
        if self._endpoint is None:
            return
        for worker_id, messages in gathered.items():
            try:
                self._endpoint.post_encoded(worker_id, *messages)
            except UnknownPeer:
                # Its welcome is not written to the store yet, or it has just left.
                log.info("a worker without a conversation is told nothing", worker=worker_id[:80])
            except BacklogFull:
                left = WorkerLeft(worker_id, "does not receive: its send queue is full")
                asyncio.get_running_loop().call_soon(self._driver.apply, left)

    # ------------------------------------------------------------------ notifications and hooks

    def _report(self, occurrence: Occurrence) -> None:
        what, task_id = occurrence.what, occurrence.task_id
        record = None
        if what in SETTLING and task_id is not None:
            # A task may have been forgotten while the store was written to.
            record = self._driver.board.tasks.get(task_id)
            if record is not None and self._listener is not None:
                self._listener.task_settled(record)
            self.offload.settle(task_id)
        elif what is OccurrenceKind.SLOT_HELD:
            warn_of_held_slot(occurrence.worker, describe_facts(occurrence))
        elif what is OccurrenceKind.RUN_ENDED and self._listener is not None:
            self._listener.run_ended()
        for watcher in self._watchers:
            watcher(occurrence)
        if record is not None and record.result is not None and self._hooks.wants_results():
            self._calls.add("handle_result", self._hooks.recorded(record.result, occurrence.at))

    async def _confirm_rest(self) -> None:
        if held := self._driver.board.held:
            log.info(
                "assigning the tasks that assign_tasks left over",
                manager=self._driver.name,
                tasks=len(held),
            )
        self._driver.apply(RestConfirmed())

    async def _finish(self) -> None:
        try:
            await self._hooks.run_settled()
        finally:
            self._run_is_over()
