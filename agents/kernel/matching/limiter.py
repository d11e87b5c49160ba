"""The limits of a run, and the turns of its keys: what may begin now, and what waits for what."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from ....messages import Task, TaskId
from ....messages.limit import Limit
from ..model.records import Attempt, TaskRecord
from .gate import Gate
from .grant_queue import GrantQueue
from .keyed_queue import KeyedQueue, Lane, LimitGate
from .ready_queue import QueueEntry, TaskGroup
from .turns import Turns

_IDLE_KEYS_KEPT = 1_000


class Begin(NamedTuple):
    """An attempt that had begun before the limits were set.

    Args:
        task_type: the type of its task.
        limit_key: the key of its task.
        at: when it began, in seconds.
        number: how many such attempts there are.
        held: the task's id and the number of the attempt, if it is in progress or may be.
    """

    task_type: str
    limit_key: str | None
    at: float
    number: int = 1
    held: tuple[TaskId, int] | None = None


class Limiter:
    """Decides which waiting tasks may begin, as far as limits and the turns of keys go.

    Args:
        limits: the limits; checked.
        weights: the weights of keys.
        has_levels: whether the first value of an urgency is the level of priority.
        show_head: is told of each group whose first task has changed.
    """

    def __init__(
        self,
        limits: Iterable[Limit],
        weights: Mapping[str, float],
        *,
        has_levels: bool,
        show_head: Callable[[TaskGroup], None],
    ) -> None:
        self._limits = {limit.scope: limit for limit in limits}
        self._turns = Turns[Lane](weights)
        self._has_levels = has_levels
        self._show_head = show_head
        # Bounded by the limits, and by the keys that have work or had some lately.
        self._gates: dict[tuple[Limit, str | None], LimitGate] = {}
        self._key_gates: dict[tuple[str, str], tuple[LimitGate, ...]] = {}
        self._type_gates: dict[str, tuple[LimitGate, ...]] = {}
        self._max_keys = _IDLE_KEYS_KEPT
        self.overall = self._gate_of((None, None, False))
        """The limit of all tasks; None if there is none."""
        # The gates that attempts hold; bounded by the slots.
        self._held: dict[tuple[TaskId, int], tuple[LimitGate, ...]] = {}
        self.grants = GrantQueue(self._held, self._shut_full)
        """The suspended attempts that want to go on."""
        self._absent: dict[str, dict[tuple[TaskId, int], None]] = {}
        self._due: list[tuple[float, int, LimitGate]] = []
        self._planned = 0
        self._now = 0.0

    # ------------------------------------------------------------------ waiting tasks

    def take_over(self, group: TaskGroup) -> None:
        """Order the tasks of a group by their keys and limits."""
        former = group.entries
        if isinstance(former, KeyedQueue):
            entries = former.take_all()
            for gate in former.gates:
                gate.queues.pop(former, None)
        else:
            entries = [each for each in former if each.record.queue_entry is each]
        gates = self._gates_of_type(group.sample.type)
        queue = KeyedQueue(group, self, gates)
        for gate in gates:
            gate.queues[queue] = None
        for entry in sorted(entries):
            queue.push(entry)
        group.entries = queue

    def drop(self, groups: Iterable[TaskGroup]) -> None:
        """Forget groups without tasks."""
        for group in groups:
            queue = group.entries
            if isinstance(queue, KeyedQueue):
                queue.take_all()
                for gate in queue.gates:
                    gate.queues.pop(queue, None)

    def name_lane(self, entry: QueueEntry) -> tuple[str, float]:
        """The key and the level of a task."""
        return entry.record.task.limit_key or "", entry.urgency[0] if self._has_levels else 0.0

    def lane_for(self, queue: KeyedQueue, entry: QueueEntry) -> Lane:
        """A new lane for a task."""
        key, level = self.name_lane(entry)
        gates = self._gates_of_key(entry.record.task.type, key)
        lane = Lane(queue, self._turns.join(key, level), gates)
        lane.share.lanes[lane] = None
        for gate in gates:
            gate.lanes[lane] = None
        return lane

    def drop_lane(self, lane: Lane) -> None:
        """Forget a lane without tasks."""
        if lane.parked_at is not None:
            lane.parked_at.parked.pop(lane, None)
        for gate in lane.gates:
            del gate.lanes[lane]
        share = lane.share
        del share.lanes[lane]
        if not share.lanes:
            self._turns.leave(share)

    def rank(self, lane: Lane, entry: QueueEntry) -> tuple[float, ...]:
        """The urgency of a task with the turn of its key."""
        share = lane.share
        others = entry.urgency[1:] if self._has_levels else entry.urgency
        return (share.level, share.round, share.turn, *others)

    def serve(self, head: QueueEntry) -> None:
        """Count a task that is about to begin in the turn of its key."""
        queue = head.group.entries
        assert isinstance(queue, KeyedQueue)
        lane = queue.first_lane
        assert lane is not None
        if self._turns.serve(lane.share):
            for other in tuple(lane.share.lanes):
                if other is not lane and other.queue.first_lane is other:
                    self._settle(other.queue)

    # ------------------------------------------------------------------ attempts

    def begin(self, task: Task, key: tuple[TaskId, int], now: float) -> None:
        """Count an attempt that begins.

        Args:
            task: its task.
            key: the task's id and the number of the attempt.
            now: the time in seconds.
        """
        self._now = now
        gates = self.gates_of(task)
        if gates:
            self._held[key] = gates
            for gate in gates:
                gate.begin(now)
            self._shut_full(gates, now)

    def hold_on(self, task: Task, key: tuple[TaskId, int], now: float) -> None:
        """Count an attempt as in progress that had ended on the board, but still runs."""
        if key not in self._held:
            gates = self.gates_of(task)
            if gates:
                self._held[key] = gates
                for gate in gates:
                    gate.running += 1
                self._shut_full(gates, now)

    def regain(self, attempt: Attempt, now: float) -> None:
        """Count an attempt that was suspended as in progress, as soon as its limits allow it."""
        self.grants.want(attempt, self.gates_of(attempt.task.task), now)

    def end(self, key: tuple[TaskId, int], now: float) -> None:
        """Count an attempt as ended or suspended, if it was counted as in progress."""
        if self._absent and any(key in keys for keys in self._absent.values()):
            return
        for gate in self._held.pop(key, ()) or self.grants.drop(key):
            gate.running -= 1
            if gate.wanting:
                self.grants.serve(gate, now)
            if gate.is_shut:
                self._look_again(gate, now)

    def end_all(self, keys: Iterable[tuple[TaskId, int]], now: float) -> None:
        """Count attempts as ended."""
        for key in keys:
            self.end(key, now)

    def await_worker(self, worker: str, key: tuple[TaskId, int]) -> None:
        """Count an attempt as in progress until its worker is back, or lost for good."""
        if key in self._held:
            self._absent.setdefault(worker, {})[key] = None

    def forget_worker(self, worker: str, now: float) -> None:
        """Count the attempts for which a worker was awaited as ended."""
        if worker in self._absent:
            self.end_all(self._absent.pop(worker), now)

    def restore(self, begins: Iterable[Begin], now: float) -> None:
        """Count attempts that had begun before."""
        touched: dict[LimitGate, None] = {}
        for begin in sorted(begins, key=lambda each: each.at):
            gates = self._gates_for(begin.task_type, begin.limit_key)
            if begin.held is not None and gates:
                self._held[begin.held] = gates
            for gate in gates:
                touched[gate] = None
                gate.running += begin.held is not None
                per_s = gate.limit.per_s
                if per_s is not None and begin.at + per_s > now:
                    for _ in range(begin.number):
                        # A clock that was wrong must not shut it for longer than a period.
                        gate.note_begun(min(begin.at, now))
        self._shut_full(touched, now)

    @property
    def has_limits(self) -> bool:
        """Whether there are limits, not only turns."""
        return bool(self._limits)

    def period_s(self, task: Task) -> float:
        """The longest period of the rates of a task, in seconds; 0 if it has none."""
        return max((gate.limit.per_s or 0.0 for gate in self.gates_of(task)), default=0.0)

    @property
    def longest_period_s(self) -> float:
        """The longest period of a rate, in seconds; 0 if there is no rate."""
        return max((limit.per_s or 0.0 for limit in self._limits.values()), default=0.0)

    # ------------------------------------------------------------------ time

    def open_due(self, now: float) -> bool:
        """Open what may open now. Returns whether any task may begin."""
        due = self._due
        while due and due[0][0] <= now:
            _, _, gate = heapq.heappop(due)
            if gate.is_shut:
                self._look_again(gate, now)
        return not self.is_shut

    @property
    def is_shut(self) -> bool:
        """Whether the limit of all tasks allows no more tasks now."""
        return self.overall is not None and self.overall.is_shut

    def wakes_at(self) -> float | None:
        """When the next limit allows more tasks, in seconds; None for never."""
        due = self._due
        while due and not (due[0][2].is_shut and due[0][2].opens_at == due[0][0]):
            heapq.heappop(due)
        return due[0][0] if due else None

    # ------------------------------------------------------------------ asked

    def allows(self, record: TaskRecord) -> bool:
        """Whether the limits allow a task to begin now."""
        return not any(gate.is_shut for gate in self.gates_of(record.task))

    def is_limited(self, task: Task) -> bool:
        """Whether there is a limit for a task."""
        return bool(self.gates_of(task))

    def limits_running(self, task: Task) -> bool:
        """Whether a limit counts how many tasks like this one are in progress."""
        return any(gate.limit.concurrent is not None for gate in self.gates_of(task))

    def gates_of(self, task: Task) -> tuple[LimitGate, ...]:
        """The limits of a task, as they count now."""
        return self._gates_for(task.type, task.limit_key)

    def held(self) -> Mapping[tuple[TaskId, int], tuple[LimitGate, ...]]:
        """The limits that attempts hold, by task and number."""
        return self._held

    def awaited(self) -> set[tuple[TaskId, int]]:
        """The attempts that count until their workers are back or lost."""
        return {key for keys in self._absent.values() for key in keys}

    def describe_wait(self, record: TaskRecord, now: float) -> str | None:
        """For which limits a task waits, in words; None if they allow it to begin."""
        shut = [gate for gate in self.gates_of(record.task) if gate.is_shut]
        if not shut:
            return None
        return f"waits for its limit: {'; '.join(gate.describe(now) for gate in shut)}"

    def describe_turns(self, task: Task) -> str | None:
        """With how many others the key of a task takes turns, in words; None if with none."""
        key = task.limit_key or ""
        others = self._turns.others(key)
        if not others:
            return None
        weight = self._turns.weights.get(key, 1.0)
        weighted = "" if weight == 1.0 else f", with the weight {weight:g}"
        name = f"its key {key}" if key else "tasks without a key"
        takes = "takes" if key else "take"
        return f"{name} {takes} turns with {others:,} other{'s' if others > 1 else ''}{weighted}"

    # ------------------------------------------------------------------ gates

    def _gates_for(self, task_type: str, key: str | None) -> tuple[LimitGate, ...]:
        if not self._limits:
            return ()
        gates = self._gates_of_type(task_type)
        if key is not None:
            gates += self._gates_of_key(task_type, key)
        return gates if self.overall is None else (self.overall, *gates)

    def _gates_of_type(self, task_type: str) -> tuple[LimitGate, ...]:
        gates = self._type_gates.get(task_type)
        if gates is None:
            gate = self._gate_of((task_type, None, False))
            gates = () if gate is None else (gate,)
            if gate is not None:
                self._type_gates[task_type] = gates
        return gates

    def _gates_of_key(self, task_type: str, key: str) -> tuple[LimitGate, ...]:
        if not key or not self._limits:
            return ()
        gates = self._key_gates.get((task_type, key))
        if gates is None:
            found = (self._gate_of_key(each, key) for each in (None, task_type))
            gates = tuple(gate for gate in found if gate is not None)
            if len(self._key_gates) >= self._max_keys:
                self._drop_idle_keys()
            self._key_gates[task_type, key] = gates
        return gates

    def _gate_of_key(self, task_type: str | None, key: str) -> LimitGate | None:
        """The limit of this key, or else that of each key."""
        gate = self._gate_of((task_type, key, False))
        return gate or self._gate_of((task_type, None, True), key)

    def _gate_of(
        self, scope: tuple[str | None, str | None, bool], key: str | None = None
    ) -> LimitGate | None:
        limit = self._limits.get(scope)
        if limit is None:
            return None
        gate = self._gates.get((limit, key))
        if gate is None:
            gate = self._gates[limit, key] = Gate[KeyedQueue, Lane](limit, key)
        return gate

    def _drop_idle_keys(self) -> None:
        for gate in self._gates.values():
            if not gate.is_shut:
                gate.look(self._now)
        used = {
            name: gates
            for name, gates in self._key_gates.items()
            if not all(gate.is_idle for gate in gates)
        }
        kept = {gate for gates in used.values() for gate in gates}
        self._key_gates = used
        self._gates = {
            name: gate for name, gate in self._gates.items() if name[1] is None or gate in kept
        }
        self._max_keys = 2 * len(used) + _IDLE_KEYS_KEPT

    def _shut_full(self, gates: Iterable[LimitGate], now: float) -> None:
        for gate in gates:
            if gate.is_shut or gate.look(now):
                continue
            gate.is_shut = True
            self._plan(gate)
            for queue in gate.queues:
                self._settle(queue)
            for lane in tuple(gate.lanes):
                if lane.queue.first_lane is lane:
                    self._settle(lane.queue)

    def _look_again(self, gate: LimitGate, now: float) -> None:
        """Open a gate that was shut, if it may open."""
        if not gate.look(now):
            self._plan(gate)
            return
        gate.is_shut = False
        parked, gate.parked = gate.parked, {}
        for lane in parked:
            lane.queue.release(lane)
            self._settle(lane.queue)
        for queue in gate.queues:
            self._settle(queue)

    def _plan(self, gate: LimitGate) -> None:
        if gate.opens_at < math.inf:
            self._planned += 1
            heapq.heappush(self._due, (gate.opens_at, self._planned, gate))

    def _settle(self, queue: KeyedQueue) -> None:
        before = queue.first
        queue.settle()
        if queue.first is not before:
            self._show_head(queue.group)
