"""The manager's half of the work: feeds the board with what happens and does what it says.

A thin shell: it knows the clock, the link and the loop, and decides nothing.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeAlias

from pydantic import BaseModel

from ...messages import (
    Answer,
    AskAboutAttempts,
    BacklogFull,
    BlobsReached,
    BlobsWanted,
    CancelTask,
    DecodeError,
    EncodeError,
    Goodbye,
    Heartbeat,
    Hello,
    Inquiry,
    InvalidInput,
    MusterError,
    Parcel,
    RecallTasks,
    Refusal,
    ResultRecorded,
    ReturnTasks,
    Shutdown,
    StoreUnusable,
    Task,
    TaskAssignment,
    TaskId,
    TaskProgress,
    TaskResult,
    UnknownTask,
    Welcome,
    WorkerProfile,
    encode_message,
)
from ...messages.codec import encode_assignment, has_large_bytes, open_assignment, pack_task
from ...messages.frame import ANY_MANAGER, EVERYONE
from ..blobs.manager_offload import ManagerOffload
from ..blobs.offload import DEFAULT_THRESHOLD_BYTES
from ..blobs.places import OwnDirectory
from ..blobs.store import BlobStore
from ..execution.held_slots import warn_of_held_slot
from ..kernel.board.board import Board
from ..kernel.board.restoration import read_board
from ..kernel.matching.policies import MatchingPolicy
from ..kernel.model.events import (
    AskAboutLeases,
    AssigningBegun,
    CancelRequested,
    ComeToRest,
    ConfirmResult,
    DropWorker,
    EndRun,
    Event,
    HandOut,
    Instruction,
    ListeningInterrupted,
    ListeningStarted,
    Occurrence,
    OccurrenceKind,
    PriorityChanged,
    ProgressReported,
    RecoveryRequested,
    RefuseWorker,
    RestConfirmed,
    ResultReceived,
    ResultsReceived,
    RetirementRequested,
    RetireWorker,
    SendAssignment,
    SendCancel,
    SendRecall,
    SendWelcome,
    StartAssigning,
    StopRequested,
    TasksAdded,
    TasksForgotten,
    TasksGivenBack,
    TasksHandedOut,
    TimePassed,
    Watcher,
    WorkerHeard,
    WorkerJoined,
    WorkerLeft,
)
from ..kernel.model.records import Rules
from ..kernel.security.seal import Seal
from ..runtime.clock import Clock, now
from ..runtime.error_text import describe_fault
from ..runtime.log import log
from ..runtime.loop_watch import LATE_FROM_S, LoopWatch
from ..runtime.thread_gate import ThreadGate
from ..store.protocol import Store
from ..transport.lane_manager import LaneManager
from ..transport.lane_router import LaneRouter
from ..transport.link import Link
from ..transport.traffic import Traffic
from .group_commit import GroupCommit
from .hook_calls import HookCalls

LAST_WORDS_S = 2.0
"""How long a manager that ends waits for its workers to acknowledge the shutdown."""

Stamp: TypeAlias = Callable[[TaskAssignment], str | None]
"""Tells what trace an assignment belongs to, as a W3C traceparent; must not wait."""

CUT_SHORT = "its workspace ended, or what ran it was cancelled"
"""Why a run is broken off whose manager is not told why."""

_SETTLING = frozenset(
    {OccurrenceKind.TASK_COMPLETED, OccurrenceKind.TASK_FAILED, OccurrenceKind.TASK_CANCELLED}
)


class ManagerHooks(Protocol):
    """What the shell needs of the agent around it."""

    async def assign_tasks(self) -> None:
        """Everyone expected is there: let the assigning begin."""
        ...

    def recorded(self, result: TaskResult, at: float) -> Awaitable[None]:
        """A result has been recorded; what tells of it, to be awaited in its turn."""
        ...

    async def run_settled(self) -> None:
        """Every task is settled, or the run can't go on."""
        ...

    def hand_to_handlers(self, message: BaseModel, sender: str) -> bool:
        """Give a user's own message to the user's handlers; False if there are none."""
        ...

    def wants_results(self) -> bool:
        """Whether anyone wants to be told of results."""
        ...

    def report_fault(self, doing: str, fault: BaseException) -> None:
        """Tell of an exception that a hook let escape."""
        ...


class ManagerShell:
    """Drives one board over a link.

    Args:
        name: the manager's name.
        rules: what the board is to go by.
        policy: who gets which task.
        hooks: the agent around it.
        open_blobs: opens the store for large data, when it is first needed; may wait.
        blob_threshold_bytes: how long a message may be to go in a frame; None sends all so.
    """

    def __init__(
        self,
        name: str,
        rules: Rules,
        policy: MatchingPolicy,
        hooks: ManagerHooks,
        *,
        open_blobs: Callable[[], BlobStore] = OwnDirectory,
        blob_threshold_bytes: int | None = DEFAULT_THRESHOLD_BYTES,
    ) -> None:
        self.name = name
        self.board = Board(rules, policy)
        self._keeper: GroupCommit | None = None
        self._is_alarm_due = False
        self._clock = Clock.current()
        self._watch: LoopWatch | None = None
        self._looked_at = 0.0
        self._rules = rules
        self._hooks = hooks
        self._endpoint: LaneRouter | None = None
        self._parcels = ManagerOffload(
            blob_threshold_bytes,
            open_blobs,
            post=self._post_encoded,
            refuse=self._refuse,
            unpacked=self._take_unpacked,
            is_settled=self._is_settled,
        )
        self._session = secrets.token_hex(8)
        # Who is let in again after it was lost begins a new conversation: of the old one this end
        # has forgotten everything, the other end nothing. One entry for each connected worker.
        self._admissions: dict[str, int] = {}
        self._lanes: LaneManager | None = None
        self._last_admission = 0
        self._watchers: list[Watcher] = []
        self._stamp: Stamp | None = None
        self._watch_write: Callable[[float], None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        self._calls = HookCalls(hooks.report_fault, self._is_over)
        self.fault: MusterError | None = None
        """What the run failed with, besides workers that are missing."""
        self.opened = asyncio.Event()
        self._ended = asyncio.Event()
        self.is_broken_off = False
        self._farewell = "the run has ended"
        self.entry = ThreadGate()

    # ------------------------------------------------------------------ asked for

    def add_tasks(self, tasks: Iterable[Task]) -> None:
        """Add tasks, before or while it runs.

        Raises:
            InvalidTask: one is no task, an id is taken, or a dependency is unknown or runs in a
                circle; none of the tasks is added.
            EncodeError: a task's data holds what msgpack can't carry; none is added.
        """
        batch = tuple(tasks)
        packed = tuple(map(pack_task, batch))
        self._apply(TasksAdded(batch, packed), at_once=True)

    def keep_in(self, store: Store) -> None:
        """Keep the run in a store from now on, and go on with the one that is there.

        Raises:
            StoreUnusable: what the store has can't be read, or it can't be written.
            DifferentTask: it knows a task of ours with another content.
        """
        self._clock = Clock.current()
        try:
            board = read_board(store.load(), self._rules, self.board.queue.policy, now=now())
        except DecodeError as fault:
            raise StoreUnusable(
                f"the store holds what can't be read: {fault.detail}; a class of tasks must be "
                "imported before the run goes on"
            ) from None
        records = self.board.tasks.values()
        tasks = tuple(record.added for record in records)
        packed = tuple(record.packed or pack_task(record.added) for record in records)
        self.board = board
        self._keeper = GroupCommit(store, board, self._carry_out)
        if self._watch_write is not None:
            self._keeper.watch_writes(self._watch_write)
        self._apply(TasksAdded(tasks, packed))

    @property
    def keeper(self) -> GroupCommit | None:
        """What keeps the run in a store, or None."""
        return self._keeper

    def begin_assigning(self) -> None:
        """Hand out tasks from now on, all expected workers there or not."""
        self._apply(AssigningBegun())

    def hand_out(self, orders: tuple[HandOut, ...]) -> None:
        """Hand out some tasks; see `TasksHandedOut`."""
        self._apply(TasksHandedOut(orders), at_once=True)

    def change_rules(self, rules: Rules) -> None:
        """Have the board go by other rules from now on."""
        self._rules = rules
        self.board.change_rules(rules)

    @property
    def rules(self) -> Rules:
        """What the board goes by."""
        return self._rules

    def cancel(self, task_id: TaskId, reason: str) -> None:
        """Cancel a task that is not settled yet."""
        self._apply(CancelRequested(task_id, reason), at_once=True)

    def set_priority(self, task_id: TaskId, priority: int) -> None:
        """Change the priority of a waiting task."""
        self._apply(PriorityChanged(task_id, priority), at_once=True)

    def recover(self, task_id: TaskId) -> TaskId:
        """Add a task in the place of a failed one; its id."""
        recovery_id = self.board.next_recovery_id(task_id)
        self._apply(RecoveryRequested(task_id, recovery_id), at_once=True)
        return recovery_id

    def forget(self, task_ids: tuple[TaskId, ...]) -> None:
        """Forget settled tasks, all or none."""
        self._apply(TasksForgotten(task_ids))

    def retire(self, worker: str) -> None:
        """Tell a worker that holds no work to stop."""
        self._apply(RetirementRequested(worker), at_once=True)

    def stay(self, *, reassigns_failed: bool) -> None:
        """Go on when every task is settled, until `end` is called; before it runs.

        Args:
            reassigns_failed: see `Rules`.
        """
        self.change_rules(
            replace(self._rules, ends_when_done=False, reassigns_failed=reassigns_failed)
        )

    def watch(self, watcher: Watcher) -> None:
        """Have a function called with each occurrence."""
        self._watchers.append(watcher)

    def watch_writes(self, watcher: Callable[[float], None]) -> None:
        """Have a function called with the seconds that each write to the store took."""
        self._watch_write = watcher
        if self._keeper is not None:
            self._keeper.watch_writes(watcher)

    def stamp_assignments(self, stamp: Stamp) -> None:
        """Have each assignment carry a traceparent on its way to the worker."""
        self._stamp = stamp

    def end(self, reason: str) -> None:
        """End the run now; workers are told to stop."""
        self._farewell = reason
        try:
            self._apply(StopRequested(reason), at_once=True)
        finally:
            # Also when the store can't take it: whoever waits for the end must not wait for ever.
            self._ended.set()

    def fail(self, fault: MusterError) -> None:
        """End the run now, since it can't go on; whoever waits for it is told."""
        if not self.board.has_ended:
            self.fault = fault
            self.end(str(fault))

    def finish(self) -> None:
        """End the run now, since the user has ended it, settled or not."""
        if not self._ended.is_set():
            all_done = self._is_all_done()
            try:
                self._apply(StopRequested("" if all_done else "ended early"), at_once=True)
            finally:
                self._ended.set()

    def break_off(self, why: str) -> None:
        """End a run that can't go on; no matter if it has ended, or if all its work is done.

        The run's store is not written to, so that another manager goes on as after a crash.

        Args:
            why: why it can't go on.
        """
        if self._ended.is_set():
            return
        board = self.board
        tasks, unsettled = len(board.tasks), board.unsettled
        is_over = board.has_ended and not board.is_suspended
        if not is_over and (unsettled or not self._rules.ends_when_done):
            self.is_broken_off = True
            told = f"broken off with {unsettled} of {tasks} tasks unsettled: {why}"
            for instruction in board.handle(StopRequested(told, is_failure=True), now()):
                self._carry_out(instruction)
            self._farewell = told
        self._ended.set()

    @property
    def dropped(self) -> dict[str, int]:
        """How many frames and messages could not be read, by what was wrong with them."""
        return {} if self._endpoint is None else dict(self._endpoint.dropped)

    @property
    def traffic(self) -> Traffic:
        """How much it has sent and received."""
        return Traffic() if self._endpoint is None else self._endpoint.traffic

    def call_hook(self, doing: str, call: Awaitable[None]) -> None:
        """Have something awaited after the hooks that wait to be called, before the run ends."""
        self._calls.add(doing, call)

    def send_to(self, address: str, message: BaseModel) -> None:
        """Send a user's own message to one member, or to everyone."""
        if self._endpoint is not None:
            self._endpoint.post_datagram(address, message)

    # ------------------------------------------------------------------ running

    async def run(
        self,
        link: Link,
        also: dict[str, type[BaseModel]] | None = None,
        session: str = "",
        seal: Seal | None = None,
        lanes: LaneManager | None = None,
    ) -> None:
        """Open the doors and manage until every task is settled or `end` was called.

        Args:
            link: the way into the workspace.
            also: the user's own classes of message, by qualified name.
            session: names this start; a number nobody can guess if empty.
            seal: what its frames pass through; None leaves them unsealed.
            lanes: opens further workspaces for its workers; None keeps them all in this one.
        """
        with self.entry.open():
            await self._run(link, also or {}, session, seal, lanes)

    async def _run(
        self,
        link: Link,
        also: dict[str, type[BaseModel]],
        session: str,
        seal: Seal | None,
        lanes: LaneManager | None,
    ) -> None:
        self._take_clock()
        self._session = session or self._session
        self._lanes = lanes
        self._endpoint = LaneRouter(
            link,
            listens_to=frozenset({EVERYONE, ANY_MANAGER}),
            arrived=self._arrived,
            results_arrived=self._results_arrived,
            also=also,
            seal=seal,
            before_sending=None if self._keeper is None else self._save,
        )
        self._parcels.begin(None if seal is None else seal.blob_key, also)
        self._apply(ListeningStarted())
        background = [
            asyncio.ensure_future(self._endpoint.run()),
            asyncio.ensure_future(self._beat()),
            asyncio.ensure_future(self._calls.run()),
        ]
        if lanes is not None:
            keeping = lanes.keep(self._endpoint, self._workers_by_lane)
            background.append(asyncio.ensure_future(keeping))
        ended = asyncio.ensure_future(self._ended.wait())
        self._watch = LoopWatch.begin(_name_no_task)
        self._looked_at = now()
        self.opened.set()
        try:
            done, _ = await asyncio.wait([ended, *background], return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                future.result()
            await self._calls.see_through()
            self._dismiss()
            await self._endpoint.settle(LAST_WORDS_S)
            if self._keeper is not None:
                self._keeper.write_at_once()
        except asyncio.CancelledError:
            self.break_off(CUT_SHORT)
            raise
        except Exception as fault:
            self.break_off(describe_fault(fault))
            raise
        finally:
            self._watch.end(_name_no_task)
            if lanes is not None:
                lanes.close()
            self._endpoint.close_direct_connections()
            if self._keeper is not None:
                self._keeper.close()
            if self._alarm is not None:
                self._alarm.cancel()
            for future in (ended, *background):
                future.cancel()
            await asyncio.gather(ended, *background, return_exceptions=True)
            await self._parcels.close(keeps=self._keeper is not None and not self._is_all_done())
            self._calls.close()

    def receive(self, frame: bytes) -> None:
        """Take in a frame from the link."""
        if self._endpoint is not None:
            self._endpoint.receive(frame)

    def address_changed(self) -> None:
        """Go by the link's new address; nobody has been met at the old one."""
        if self._endpoint is not None:
            self._endpoint.take_address()

    def _workers_by_lane(self) -> dict[str, int]:
        assert self._endpoint is not None
        return {
            worker.name: self._endpoint.lane_of(worker.worker_id)
            for worker in self.board.workers.values()
            if worker.alive
        }

    def _dismiss(self) -> None:
        self._parcels.release_lines()
        for worker in self.board.workers.values():
            if worker.alive:
                self._post(worker.worker_id, Shutdown(reason=self._farewell))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._rules.heartbeat_s)
            assert self._endpoint is not None
            self._endpoint.post_datagram(EVERYONE, Heartbeat())
            if self._keeper is not None:
                self._keeper.note_seen()

    # ------------------------------------------------------------------ coming in

    def _results_arrived(self, sender: str, results: Sequence[TaskResult]) -> None:
        self._apply(ResultsReceived(sender, tuple(results)))

    def _arrived(self, sender: str, message: BaseModel) -> None:
        match message:
            case Heartbeat():
                self._apply(WorkerHeard(sender))
            case TaskProgress():
                self._apply(ProgressReported(sender, message))
            case Hello():
                if self._lanes is not None:
                    self._lanes.note_seen(message.name, sender)
                self._apply(_joined(sender, message))
            case ReturnTasks():
                self._apply(TasksGivenBack(sender, message.attempts))
            case Goodbye():
                left = WorkerLeft(sender, message.reason)
                self._parcels.after_reads(sender, lambda: self._apply(left))
            case Inquiry():
                self._answer(sender, message)
            case Parcel() if sender in self._admissions:
                self._parcels.receive(sender, message)
            case BlobsWanted() if sender in self._admissions:
                self._parcels.wanted(sender)
            case BlobsReached() if sender in self._admissions:
                self._parcels.reached(sender, message)
            case _:
                self._hooks.hand_to_handlers(message, sender)

    def _answer(self, sender: str, inquiry: Inquiry) -> None:
        try:
            lines = tuple(self.board.explain(inquiry.task_id).lines())
            answer = Answer(session=inquiry.session, lines=lines, at=now())
        except UnknownTask as fault:
            lines = (str(fault),)
            answer = Answer(session=inquiry.session, lines=lines, found=False, at=now())
        if self._endpoint is not None:
            self._endpoint.post_datagram(sender, answer)

    # ------------------------------------------------------------------ the board's instructions

    def _apply(
        self, event: Event, *, at_once: bool = False, then: Instruction | None = None
    ) -> None:
        """Tell the board what happened, and do what it says.

        Args:
            event: what happened.
            at_once: whether whoever told of it goes by it as soon as this returns.
            then: what to do besides, in the end.
        """
        if self._endpoint is None:
            self._take_clock()
        said = self.board.handle(event, now())
        if then is not None:
            said.append(then)
        if self._keeper is None:
            for instruction in said:
                self._carry_out(instruction)
        else:
            self._keeper.note(said)
            if at_once or self._endpoint is None:
                self._keeper.write_at_once()
            else:
                self._endpoint.wake()
        self._set_alarm()

    def _take_clock(self) -> None:
        """Go by the clock that tells the time here, though the board was made by another.

        Raises:
            InvalidInput: the run has begun by the other clock.
        """
        clock = Clock.current()
        if clock == self._clock:
            return
        if not self.board.can_move_to_another_clock:
            raise InvalidInput(
                f"the run of manager {self.name!r} has begun in {self._clock}, and can't go on in "
                f"{clock} of another clock; open its store, and start it, in one and the same loop"
            )
        self._clock = clock
        self.board.move_to_another_clock(clock.now())

    def now(self) -> float:
        """The time of the run, in seconds; where another clock goes, that of its last event."""
        clock = Clock.current()
        return clock.now() if clock == self._clock else self.board.last_event_at

    async def _save(self) -> None:
        """Write what happened before anyone is told of it."""
        assert self._keeper is not None
        if self._is_alarm_due:
            # Only now, so that no worker counts as silent whose word waits to be taken in.
            self._is_alarm_due = False
            self._let_time_pass()
        if self._keeper.has_unwritten:
            await self._keeper.write()

    def _carry_out(self, instruction: Instruction) -> None:
        match instruction:
            case Occurrence():
                self._tell(instruction)
            case SendAssignment():
                self._assign(instruction)
            case SendCancel(worker_id, task_id, attempt, reason):
                self._post(worker_id, CancelTask(task_id=task_id, attempt=attempt, reason=reason))
            case SendRecall(worker_id, attempts):
                self._post(worker_id, RecallTasks(attempts=attempts))
            case AskAboutLeases(worker_id, attempts):
                self._post(worker_id, AskAboutAttempts(attempts=attempts))
            case SendWelcome():
                self._welcome(instruction)
            case RefuseWorker(worker_id, session, reason):
                self._post_datagram(worker_id, Refusal(worker_session=session, reason=reason))
            case ConfirmResult():
                self._confirm(instruction)
            case DropWorker(worker_id):
                self._parcels.forget_worker(worker_id)
                self._admissions.pop(worker_id, None)
                if self._endpoint is not None:
                    self._endpoint.close(worker_id)
            case RetireWorker(worker_id):
                self._post(worker_id, Shutdown(reason="not needed any more", goes_on=True))
            case StartAssigning():
                self._calls.add("assign_tasks", self._hooks.assign_tasks())
            case ComeToRest():
                self._calls.add("rest", self._rest())
            case EndRun(failure):
                self._farewell = failure or self._farewell
                self._calls.add("end_task_management", self._finish())

    def _assign(self, order: SendAssignment) -> None:
        worker_id, packed, assignment = order.worker_id, order.packed, None
        if packed is not None and not order.inputs and self._stamp is None:
            opening = open_assignment(order.assigned_at, order.timeout, order.attempt, order.worker)
            message = opening + packed
        else:
            assignment = order.assignment
            if self._stamp is not None:
                assignment.traceparent = self._stamp(assignment)
            if packed is None and has_large_bytes(assignment.task):
                # To pack it takes long.
                self._parcels.send(worker_id, assignment)
                return
            try:
                message = (
                    encode_message(assignment)
                    if packed is None
                    else encode_assignment(assignment, packed)
                )
            except EncodeError as fault:
                self._refuse(worker_id, assignment, f"EncodeError: {fault}")
                return
        if self._parcels.is_large(message):
            self._parcels.send(worker_id, assignment or order.assignment, message)
        elif not self._parcels.holds_back(worker_id, message):
            self._post_encoded(worker_id, message)

    def _refuse(self, worker_id: str, assignment: TaskAssignment, reason: str) -> None:
        refused = TaskResult(
            task_id=assignment.task.id,
            worker=assignment.worker,
            success=False,
            error_message=reason,
            attempt=assignment.attempt,
        )
        loop = asyncio.get_running_loop()
        loop.call_soon(self._apply, ResultReceived(worker_id, refused))

    def _take_unpacked(self, sender: str, result: TaskResult, holder: Hashable) -> None:
        confirm = ConfirmResult(sender, result.task_id, result.attempt, holder)
        self._apply(ResultReceived(sender, result), then=confirm)

    def _confirm(self, order: ConfirmResult) -> None:
        if order.worker_id in self._admissions:
            recorded = ResultRecorded(task_id=order.task_id, attempt=order.attempt)
            self._post(order.worker_id, recorded)
        self._parcels.confirm(order.holder)

    def _is_settled(self, task_id: TaskId) -> bool:
        record = self.board.tasks.get(task_id)
        return record is None or record.status.is_final

    def _is_all_done(self) -> bool:
        return all(record.status.is_final for record in self.board.tasks.values())

    def _welcome(self, order: SendWelcome) -> None:
        if self._endpoint is None:
            return
        worker_id, session, call = order.worker_id, order.session, order.call
        if worker_id not in self._admissions:
            self._last_admission += 1
            self._admissions[worker_id] = self._last_admission
        admission = self._admissions[worker_id]
        self._endpoint.open(worker_id, f"{session}.{call}/{self._session}/{admission}")
        welcome = Welcome(
            manager=self.name,
            worker=order.name,
            session=self._session,
            admission=admission,
            worker_session=session,
            worker_call=call,
            heartbeat_s=self._rules.heartbeat_s,
            lost_after_s=self._rules.lost_after_s,
            blob_threshold_bytes=self._parcels.threshold_bytes,
        )
        # What follows in the conversation is sooner there by wire than this by the link.
        self._endpoint.post_datagram(worker_id, welcome, also_direct=True)

    def _tell(self, occurrence: Occurrence) -> None:
        for watcher in self._watchers:
            watcher(occurrence)
        if occurrence.what not in _SETTLING:
            if occurrence.what is OccurrenceKind.SLOT_HELD:
                warn_of_held_slot(occurrence.worker, occurrence.detail)
            return
        assert occurrence.task_id is not None
        self._parcels.settle(occurrence.task_id)
        if self._hooks.wants_results():
            result = self.board.tasks[occurrence.task_id].result
            if result is not None:
                self._calls.add("handle_result", self._hooks.recorded(result, occurrence.at))

    async def _rest(self) -> None:
        if held := self.board.held:
            log.info("what assign_tasks has left is handed out", manager=self.name, tasks=len(held))
        self._apply(RestConfirmed())

    async def _finish(self) -> None:
        try:
            await self._hooks.run_settled()
        finally:
            self._ended.set()

    def _is_over(self) -> bool:
        return self._ended.is_set() or self.board.has_ended or self.board.is_at_rest

    def _post(self, worker_id: str, message: BaseModel) -> None:
        encoded = encode_message(message)
        if not self._parcels.holds_back(worker_id, encoded):
            self._post_encoded(worker_id, encoded)

    def _post_encoded(self, worker_id: str, message: bytes) -> None:
        if self._endpoint is None:
            return
        try:
            self._endpoint.post_encoded(worker_id, message)
        except BacklogFull:
            left = WorkerLeft(worker_id, "takes in nothing: too much waits for it")
            asyncio.get_running_loop().call_soon(self._apply, left)

    def _post_datagram(self, to: str, message: BaseModel) -> None:
        if self._endpoint is not None:
            self._endpoint.post_datagram(to, message)

    def _set_alarm(self) -> None:
        alarm_at = self.board.next_alarm()
        if self._endpoint is None or alarm_at is None:
            return
        if self._alarm is not None:
            if self._alarm_at <= alarm_at:
                return
            self._alarm.cancel()
        self._alarm_at = alarm_at
        self._alarm = asyncio.get_running_loop().call_later(alarm_at - now(), self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if self._keeper is None or self._endpoint is None:
            self._let_time_pass()
        else:
            self._is_alarm_due = True
            self._endpoint.wake()

    def _let_time_pass(self) -> None:
        if self._watch is not None:
            late_s = self._watch.late_since(self._looked_at)
            self._looked_at = now()
            if late_s >= LATE_FROM_S:
                # What was said meanwhile waits to be taken in.
                self._apply(ListeningInterrupted(late_s))
        self._apply(TimePassed())


def _name_no_task(_: asyncio.Task[Any]) -> None:
    """A manager's own tasks have names enough."""


def _joined(sender: str, hello: Hello) -> WorkerJoined:
    return WorkerJoined(
        worker_id=sender,
        profile=WorkerProfile.of(hello),
        session=hello.session,
        call=hello.call,
        holding=frozenset(hello.holding),
    )
