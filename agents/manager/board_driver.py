"""Feeds the board with events, commits what changes, and has its instructions carried out.

It knows the clock and the event loop, and decides nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from ...messages import (
    DecodeError,
    InvalidInput,
    Limit,
    StoreUnusable,
    Task,
    TaskId,
    TaskResult,
    TaskStatus,
)
from ...messages.codec import keep_packed, pack_task
from ...messages.limit import check_limits, check_weights
from ..kernel.board.board import Board
from ..kernel.board.restoration import restore_into
from ..kernel.matching.policies import MatchingPolicy
from ..kernel.model.config import Rules
from ..kernel.model.events import (
    AssigningBegun,
    BudgetChanged,
    CancelRequested,
    ClosingBegun,
    DrainEnded,
    DrainRequested,
    Event,
    HandOut,
    LimitsChanged,
    ListeningInterrupted,
    PauseEnded,
    PauseRequested,
    PriorityChanged,
    QuestionAnswered,
    RecoveryRequested,
    ResultsReceived,
    RetirementRequested,
    RetryRequested,
    StopRequested,
    TasksAdded,
    TasksForgotten,
    TasksHandedOut,
    TimePassed,
    WorkerLeft,
)
from ..kernel.model.occurrences import Occurrence, OccurrenceKind
from ..runtime.clock import Clock
from ..runtime.loop_watch import LATE_FROM_S, LoopWatch
from ..runtime.thread_gate import ThreadGate
from ..store.protocol import Store
from ..submission.questions import OpenQuestion
from .function_table import WorkerFunctionTable
from .group_commit import ConfirmResult, GroupCommit, ManagerInstruction

CarryOut: TypeAlias = Callable[["deque[ManagerInstruction]"], None]
"""Carries out instructions, the first one first, and removes each from the queue."""


MAX_BY_CHARACTERS = 200
"""How much is kept of the name of a person who answers."""


class BoardDriver:
    """Drives one board: applies events and user commands to it, and lets time pass for it.

    Before the run starts, each event is committed at once. While it runs, events are committed
    together with others, except those of user commands.

    Args:
        name: the manager's name.
        rules: the board's configuration.
        policy: decides which worker gets which task.
    """

    def __init__(self, name: str, rules: Rules, policy: MatchingPolicy) -> None:
        self.name = name
        self.board = Board(rules, policy)
        self.functions = WorkerFunctionTable(self.board)
        """The functions that connected workers have told."""
        self.gate = ThreadGate()
        self.commit: GroupCommit | None = None
        """What writes the run to its store; None without a store."""
        self.store: Store | None = None
        """The store, if there is one."""
        self.has_resumed = False
        """Whether the store held a run that had begun."""
        self._carry_out: CarryOut = _discard
        self._clock = Clock.current()
        self._wake: Callable[[], None] | None = None
        self._loop_watch: LoopWatch | None = None
        self._loop_watched_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._write_watcher: Callable[[float], None] | None = None

    def connect(self, carry_out: CarryOut) -> None:
        """Set the function that carries out the board's instructions; once, before any event."""
        self._carry_out = carry_out

    # ------------------------------------------------------------------ events

    def apply(
        self, event: Event, *, at_once: bool = False, then: ConfirmResult | None = None
    ) -> Sequence[ManagerInstruction]:
        """Apply an event to the board, and commit and carry out the instructions that result.

        Args:
            event: what happened.
            at_once: whether the instructions must be committed and carried out on return.
            then: one more instruction, after the board's own.

        Returns:
            All these instructions.
        """
        if self._wake is None:
            self.follow_clock()
        now = self._clock.now()
        instructions: Sequence[ManagerInstruction] = self.board.handle(event, now)
        if then is not None:
            instructions = [*instructions, then]
        if self.commit is None:
            self._carry_out(deque(instructions))
        elif at_once or self._wake is None:
            self.commit.write_at_once(instructions)
        else:
            self.commit.add(instructions)
            self._wake()
        self._set_timer(now)
        return instructions

    def apply_uncommitted(self, event: Event) -> None:
        """Apply an event that the store must not learn of, so that another manager can resume."""
        self._carry_out(deque(self.board.handle(event, self.now())))

    def results_received(self, sender: str, results: Sequence[TaskResult]) -> None:
        """Apply results that arrived together from one worker."""
        self.apply(ResultsReceived(sender, tuple(results)))

    # ------------------------------------------------------------------ commands

    def add_tasks(self, tasks: Iterable[Task], received: Sequence[bytes] = ()) -> None:
        """Add tasks, before or during the run; those `received` as bytes are not encoded again.

        Raises:
            InvalidTask: an item is not a task, an id is taken, or a dependency is unknown or
                circular; none of the tasks is added.
            EncodeError: a task's data have no plain form; none is added.
            WrongCall: a task's data do not match the schema that its workers have told.
        """
        batch = tuple(tasks)
        self.functions.check(batch)
        packed = tuple(map(keep_packed, batch, received) if received else map(pack_task, batch))
        self.apply(TasksAdded(batch, packed), at_once=True)

    def begin_assigning(self) -> None:
        """Assign tasks from now on, whether or not all expected workers have joined."""
        self.apply(AssigningBegun())

    def hand_out(self, orders: tuple[HandOut, ...]) -> None:
        """Make single tasks ready for assignment; see `TasksHandedOut`."""
        self.apply(TasksHandedOut(orders), at_once=True)

    def cancel(self, task_id: TaskId, reason: str) -> None:
        """Cancel a task that is not settled yet."""
        self.apply(CancelRequested(task_id, reason), at_once=True)

    def answer(self, task_id: TaskId, answer: str, by: str, question: int | None = None) -> None:
        """Answer the question of a task; see `QuestionAnswered`."""
        answered = QuestionAnswered(task_id, answer, by[:MAX_BY_CHARACTERS], question)
        self.apply(answered, at_once=True)

    def open_questions(self) -> list[OpenQuestion]:
        """The questions that wait for an answer."""
        found = self.board.questions.open()
        return [OpenQuestion.of(record.task_id, question) for record, question in found]

    def set_priority(self, task_id: TaskId, priority: int) -> None:
        """Change the priority of a waiting task."""
        self.apply(PriorityChanged(task_id, priority), at_once=True)

    def change_budget(self, budget: float | None) -> None:
        """Change what the run may cost."""
        self.apply(BudgetChanged(budget), at_once=True)

    def change_limits(self, limits: Iterable[Limit], weights: Mapping[str, float] | None) -> None:
        """Change the limits, and the weights of keys unless they are None."""
        checked = None if weights is None else check_weights(weights)
        self.apply(LimitsChanged(check_limits(limits), checked), at_once=True)

    def recover(self, task_id: TaskId) -> TaskId:
        """Add a task that replaces a failed one.

        Returns:
            The id of the new task.
        """
        instructions = self.apply(RecoveryRequested(task_id), at_once=True)
        return next(
            each.task_id
            for each in instructions
            if isinstance(each, Occurrence)
            and each.what is OccurrenceKind.TASK_ADDED
            and each.task_id is not None
        )

    def retry(self, task_ids: tuple[TaskId, ...] | None, reason: str) -> list[TaskId]:
        """Let settled tasks begin anew; None for all failed ones.

        Returns:
            The tasks that begin anew, with the dependents that were cancelled for their sake.
        """
        if task_ids is None:
            records = self.board.tasks.values()
            task_ids = tuple(each.task_id for each in records if each.status is TaskStatus.FAILED)
        instructions = self.apply(RetryRequested(task_ids, reason), at_once=True)
        return [
            each.task_id
            for each in instructions
            if isinstance(each, Occurrence)
            and each.what is OccurrenceKind.TASK_RETRIED
            and each.task_id is not None
        ]

    def forget(self, task_ids: tuple[TaskId, ...]) -> None:
        """Forget settled tasks, all of them or none."""
        self.apply(TasksForgotten(task_ids))

    def retire(self, worker: str) -> None:
        """Tell an idle worker to stop."""
        self.apply(RetirementRequested(worker), at_once=True)

    def lose_worker(self, worker: str, reason: str) -> None:
        """Note that a worker is gone, if it is connected; its tasks go to others."""
        record = self.board.workers.get(worker)
        if record is not None and record.alive:
            self.apply(WorkerLeft(record.worker_id, reason))

    def drain(self, worker: str, *, leaves: bool) -> None:
        """Give a worker no more tasks."""
        self.apply(DrainRequested(worker, leaves), at_once=True)

    def end_drain(self, worker: str) -> None:
        """Give tasks to a drained worker again."""
        self.apply(DrainEnded(worker), at_once=True)

    def pause(self) -> None:
        """Assign no more tasks."""
        self.apply(PauseRequested(), at_once=True)

    def end_pause(self) -> None:
        """Assign tasks again."""
        self.apply(PauseEnded(), at_once=True)

    def begin_closing(self) -> None:
        """Assign no more tasks, since the run is about to be stopped."""
        self.apply(ClosingBegun(), at_once=True)

    def request_stop(self, reason: str) -> None:
        """End the run; workers are told to stop."""
        self.apply(StopRequested(reason), at_once=True)

    # ------------------------------------------------------------------ configuration

    @property
    def rules(self) -> Rules:
        """The board's configuration."""
        return self.board.rules

    def change_rules(self, rules: Rules) -> None:
        """Replace the board's configuration."""
        self.board.change_rules(rules)

    def change_unmatched_after(self, unmatched_after_s: float | None) -> None:
        """Change after how long a task fails that no connected worker can run, in seconds."""
        self.change_rules(replace(self.rules, unmatched_after_s=unmatched_after_s))

    def wait_longer(self, more_s: float) -> None:
        """Extend the time for which the start waits for the expected workers, if it is limited."""
        timeout_s = self.rules.join_timeout_s
        if timeout_s is not None:
            self.change_rules(replace(self.rules, join_timeout_s=timeout_s + more_s))

    def stay(
        self,
        *,
        reassigns_failed: bool,
        keep_results_s: float | None = None,
        keep_results: int | None = None,
    ) -> None:
        """Do not end the run when all tasks are settled; call it before the run starts.

        Args:
            reassigns_failed: see `Rules`, also for the others.
            keep_results_s: for how long results are kept.
            keep_results: how many results are kept.
        """
        self.change_rules(
            replace(
                self.rules,
                ends_when_done=False,
                reassigns_failed=reassigns_failed,
                keep_results_s=keep_results_s,
                keep_results=keep_results,
            )
        )

    def is_settled(self, task_id: TaskId) -> bool:
        """Whether a task will not be assigned any more."""
        record = self.board.tasks.get(task_id)
        return record is None or record.status.is_final

    def is_all_settled(self) -> bool:
        """Whether no task will be assigned any more."""
        return all(record.status.is_final for record in self.board.tasks.values())

    # ------------------------------------------------------------------ store

    def keep_in(self, store: Store) -> None:
        """Write the run to a store from now on, and resume the run that the store holds.

        The store is closed if that fails.

        Raises:
            StoreUnusable: the store's content can't be read, or the store can't be written to.
            DifferentTask: the store holds a task of the same id with other content.
        """
        self._clock = Clock.current()
        try:
            added = restore_into(self.board, store.load(), self._clock.now())
        except DecodeError as fault:
            store.close()
            raise StoreUnusable(
                f"the store can't be read: {fault.detail}; import the classes of its tasks before "
                "you resume the run"
            ) from None
        except BaseException:
            store.close()
            raise
        self.has_resumed = self.board.is_suspended
        self.store = store
        self.commit = GroupCommit(store, self.board, self._carry_out)
        try:
            if self._write_watcher is not None:
                self.commit.watch_writes(self._write_watcher)
            self.commit.write_at_once(added)
        except BaseException:
            self.close_store()
            self.commit = None
            raise
        self._set_timer(self._clock.now())

    def close_store(self) -> None:
        """Close the store, if there is one and it is open."""
        if self.commit is not None:
            self.commit.close()

    def watch_writes(self, watcher: Callable[[float], None]) -> None:
        """Call a function with the duration in seconds of each write to the store."""
        self._write_watcher = watcher
        if self.commit is not None:
            self.commit.watch_writes(watcher)

    # ------------------------------------------------------------------ time

    def start(self, wake: Callable[[], None]) -> None:
        """Begin the run in the running loop.

        Args:
            wake: makes the endpoint commit, and send what is due.
        """
        self._wake = wake

    def watch_loop(self, loop_watch: LoopWatch) -> None:
        """Take delays of the event loop into account from now on."""
        self._loop_watch = loop_watch
        self._loop_watched_at = self._clock.now()

    def cancel_timer(self) -> None:
        """Let no more time pass."""
        if self._timer is not None:
            self._timer.cancel()

    def follow_clock(self) -> None:
        """Use the clock of this thread's loop, although the board was made with another.

        Raises:
            InvalidInput: the run has begun with the other clock.
        """
        clock = Clock.current()
        if clock == self._clock:
            return
        if not self.board.can_move_to_another_clock:
            raise InvalidInput(
                f"the run of manager {self.name!r} has begun in {self._clock}, and can't continue "
                f"in {clock} of another clock; open its store and start it in the same event loop"
            )
        self._clock = clock
        self.board.move_to_another_clock(clock.now())

    def now(self) -> float:
        """The run's time in seconds; where another clock runs, that of the run's last event."""
        clock = Clock.current()
        return clock.now() if clock == self._clock else self.board.last_event_at

    def _set_timer(self, now: float) -> None:
        due_at = self.board.next_timer_at()
        if self._wake is None or due_at is None:
            return
        if self._timer is not None:
            if self._timer_at <= due_at:
                return
            self._timer.cancel()
        self._timer_at = due_at
        self._timer = asyncio.get_running_loop().call_later(due_at - now, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        if self.commit is None or self._wake is None:
            self._let_time_pass()
        else:
            # A worker must not count as silent while its frames wait in the inbox.
            self.commit.call_before_write(self._let_time_pass)
            self._wake()

    def _let_time_pass(self) -> None:
        # During a slow write no message is handled, and no assignment sent.
        late_s = 0.0 if self.commit is None else self.commit.take_slow_s()
        if self._loop_watch is not None:
            late_s += self._loop_watch.late_since(self._loop_watched_at)
            self._loop_watched_at = self._clock.now()
        if late_s >= LATE_FROM_S:
            # Messages that arrived during the delay are not handled yet.
            self.apply(ListeningInterrupted(late_s))
        self.apply(TimePassed())


def _discard(instructions: deque[ManagerInstruction]) -> None:
    """Discard instructions that come before `connect`."""
    instructions.clear()
