"""Offers waiting tasks and free workers to a learning policy, and takes the pairs it chooses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..model.decision import Decision
from ..model.records import WorkerRecord
from .learning_policy import Choice, LearningPolicy, WaitingHead, WaitingTasks
from .policies import describe_unavailability
from .ready_queue import TaskGroup
from .waiting_heads import WaitingHeads
from .waiting_queue import Match, WaitingQueue


class Offers:
    """The matches that a learning policy makes."""

    def __init__(self, queue: WaitingQueue, policy: LearningPolicy) -> None:
        self._queue = queue
        self.policy = policy
        self.waiting = WaitingHeads()
        self.thrift = 0.0
        """How much of a success one unit of cost is worth."""
        self.wakes_at: float | None = None
        """When a task that is held back may go to another worker, in seconds; None for never."""
        self._choices: Iterator[Choice] | None = None
        self._has_met = False
        self._offered = 0
        # Many decisions in a row are equal, and then they are one object.
        self._last: Decision | None = None

    def forget_workers(self) -> None:
        """Tell the policy before its next choice that other workers may get tasks."""
        self._has_met = False

    def next_match(self, now: float) -> Match | None:
        """Remove and return a task with the worker that the policy has chosen.

        Call `begin` first, and assign it before the next call. None if all tasks had better wait.
        """
        queue = self._queue
        if queue.limiter is not None:
            return self._next_in_turn(now)
        while queue.count and queue.free and self.waiting.heads:
            is_first = self._choices is None
            if self._choices is None:
                self._choices = self._choose(self.waiting.heads, queue.free, now)
            choice = next(self._choices, None)
            if choice is not None:
                return self._take(choice)
            self._choices = None
            self.wakes_at = self.policy.wakes_at()
            if is_first:
                # Nothing has changed since the policy began to choose.
                return None
        self._choices = None
        return None

    def _next_in_turn(self, now: float) -> Match | None:
        """Remove and return a task of the first key in turn for which the policy has a worker."""
        queue = self._queue
        wakes: list[float] = []
        for heads in self.waiting.by_turns() if queue.count and queue.free else ():
            choice = next(self._choose(heads, queue.free, now), None)
            if choice is not None:
                return self._take(choice)
            wakes_at = self.policy.wakes_at()
            if wakes_at is not None:
                wakes.append(wakes_at)
        self.wakes_at = min(wakes, default=None)
        return None

    def begin(self) -> None:
        """Begin to match after an event."""
        self._choices = None
        self.wakes_at = None

    def take_ahead(
        self, worker: WorkerRecord, room_s: float, held: int, most: int
    ) -> Iterator[Match]:
        """Remove and yield the tasks that a busy worker prefetches.

        Args:
            worker: the worker.
            room_s: the expected duration of the tasks that it may prefetch, in seconds.
            held: how many tasks it has prefetched.
            most: how many it may prefetch at most.
        """
        if self._queue.limiter is not None:
            yield from self._take_in_turn(worker, room_s, held, most)
            return
        short = self._short(worker, self.waiting.heads, room_s, held)
        if not short:
            return
        for choice in self._choose(short, (worker,), 0.0, is_ahead=True):
            group = choice.head
            assert isinstance(group, TaskGroup)
            usual = group.duration
            if held >= most or not usual.allows_prefetch(held) or usual.expected_s > room_s:
                return
            yield self._take(choice)
            room_s -= usual.expected_s
            held += 1

    def _take_in_turn(
        self, worker: WorkerRecord, room_s: float, held: int, most: int
    ) -> Iterator[Match]:
        """As `take_ahead`, for the keys in turn."""
        while held < most:
            heads = next(self.waiting.by_turns(), ())
            short = self._short(worker, heads, room_s, held)
            offered = self._choose(short, (worker,), 0.0, is_ahead=True) if short else iter(())
            choice = next(offered, None)
            if choice is None:
                return
            assert isinstance(choice.head, TaskGroup)
            expected_s = choice.head.duration.expected_s
            yield self._take(choice)
            room_s -= expected_s
            held += 1

    def _short(
        self, worker: WorkerRecord, heads: Sequence[WaitingHead], room_s: float, held: int
    ) -> Sequence[WaitingHead]:
        """The first tasks, as far as they may be prefetched."""
        # A task that failed before is not prefetched; it waits for its best worker. A limited one
        # is not, since it would begin later than it was counted. Nor is one that must not begin
        # without the manager's knowledge.
        short: list[WaitingHead] = []
        limiter = self._queue.limiter
        for head in heads:
            assert isinstance(head, TaskGroup)
            duration = head.duration
            is_first = not head.failed_by and head.terms.restriction is None
            if not is_first or not duration.allows_prefetch(held) or duration.expected_s > room_s:
                break
            if limiter is not None and limiter.is_limited(head.task):
                break
            if head.task.type in worker.at_most_once_types:
                break
            short.append(head)
        return short

    def _choose(
        self,
        heads: Sequence[WaitingHead],
        free: Sequence[WorkerRecord] | set[WorkerRecord],
        now: float,
        *,
        is_ahead: bool = False,
    ) -> Iterator[Choice]:
        queue = self._queue
        if not self._has_met:
            self._has_met = True
            able = (each for each in queue.workers if describe_unavailability(each) is None)
            self.policy.meet(sorted(able, key=lambda worker: worker.order))
        version = self.waiting.version
        if queue.limiter is not None:
            # Each turn offers other tasks.
            self._offered += 1
            version = -self._offered
        left = queue.budget.left
        waiting = WaitingTasks(heads, free, self.thrift, left, is_ahead, version)
        return self.policy.choose(waiting, now)

    def _take(self, choice: Choice) -> Match:
        group, worker, figures = choice
        assert isinstance(group, TaskGroup)
        entry = group.listed
        assert entry is not None
        record, queue = entry.record, self._queue
        queue.take(entry)
        number, candidates = len(record.attempts) + 1, queue.candidates_of(group)
        last = self._last
        if (
            last is not None
            and last.figures is figures
            and last.candidates is candidates
            and last.attempt == number
        ):
            return record, worker, last, group.duration
        scored = tuple([(each.worker, each.value) for each in figures])
        decision = Decision(number, candidates, scored, len(figures), figures)
        self._last = decision
        return record, worker, decision, group.duration
