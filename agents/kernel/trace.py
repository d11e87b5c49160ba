"""The trace of a run: its occurrences in order, and the facts about its tasks and workers.

It consists of entries: occurrences recorded by the board, facts about the tasks and workers
concerned, and messages outside the run (`SideMessage`).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from ...messages import InvalidInput, Task, TaskId, WorkerProfile
from .board.state import BoardState
from .model.leases import limit_attempt
from .model.occurrences import JoinFacts, Occurrence, OccurrenceKind
from .model.records import MAX_STORY, TaskRecord, WorkerRecord

MAX_ENTRIES = 100_000
"""The maximum number of occurrences in a trace in memory, and of tasks and workers with facts."""

MAX_DESCRIPTION_CHARACTERS = 200
"""The maximum length of a task's description in a trace; longer ones are cut."""


class RunFacts(NamedTuple):
    """The manager of the run.

    Args:
        manager: the manager's name.
    """

    manager: str


class TaskFacts(NamedTuple):
    """The facts about a task.

    Args:
        task_id: its id.
        description: its description, cut if it is long.
        difficulty: its difficulty.
        type: the kind of work, or "".
        priority: its priority.
        timeout_s: the timeout of an attempt in seconds, before scaling; None for no limit.
        depends_on: the ids of its dependencies.
        parent_id: the task it belongs to, or None.
        required_skills: the named skills that it wants, with their levels.
        strict: whether a worker below one of those levels never gets it.
        deadline: how soon it should be completed, in seconds after it was added; None: no deadline.
        escalate: the steps of its ladder.
        review: whether a second worker reviews it.
        votes: how many workers run it.
    """

    task_id: TaskId
    description: str
    difficulty: int = 1
    type: str = ""
    priority: int = 0
    timeout_s: float | None = None
    depends_on: tuple[TaskId, ...] = ()
    parent_id: TaskId | None = None
    required_skills: Mapping[str, float] = MappingProxyType({})
    strict: bool = False
    deadline: float | None = None
    escalate: tuple[str, ...] = ()
    review: bool = False
    votes: int = 1


class SideMessage(NamedTuple):
    """A message outside the run, reported by the program that runs the manager.

    Args:
        at: the time in seconds.
        sender: the sender.
        receiver: the receiver.
        text: the content.
    """

    at: float
    sender: str
    receiver: str
    text: str


Entry: TypeAlias = RunFacts | TaskFacts | WorkerProfile | Occurrence | SideMessage

_OF_A_WORKER = (OccurrenceKind.WORKER_JOINED, OccurrenceKind.WORKER_RETURNED)
_OF_A_TASK = (OccurrenceKind.TASK_ADDED, OccurrenceKind.TASK_REPRIORITIZED)


@dataclass(frozen=True)
class Trace:
    """The recorded trace of a run.

    Args:
        manager: the manager's name.
        tasks: the facts about the tasks, by id, in the order of adding.
        workers: the facts about the workers, by name, in the order of joining.
        occurrences: the occurrences, the oldest first.
        asides: the messages outside the run, the oldest first.
        dropped: the number of missing occurrences, by kind. They lie between the oldest and the
            latest. Those dropped from the stories of tasks are "forgotten".
    """

    manager: str = "task_manager"
    tasks: Mapping[TaskId, TaskFacts] = field(default_factory=dict[TaskId, TaskFacts])
    workers: Mapping[str, WorkerProfile] = field(default_factory=dict[str, WorkerProfile])
    occurrences: tuple[Occurrence, ...] = ()
    asides: tuple[SideMessage, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])


class TraceLog:
    """Keeps the trace of a run in memory: the first entries and the latest.

    Args:
        max_entries: the maximum number of occurrences, and of tasks and workers with facts; 2 or
            more.

    Raises:
        InvalidInput: `max_entries` is below 2.
    """

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        if max_entries < 2:  # noqa: PLR2004 - one for the beginning, one for the end
            raise InvalidInput(f"max_entries is {max_entries}; it must be 2 or more")
        self._max_entries = max_entries
        self._manager = "task_manager"
        self._tasks: dict[TaskId, TaskFacts] = {}
        self._workers: dict[str, WorkerProfile] = {}
        self._room_for_first = max_entries // 2
        self._first: list[Occurrence] = []
        self._latest: deque[Occurrence] = deque(maxlen=max_entries - self._room_for_first)
        self._asides: deque[SideMessage] = deque(maxlen=max_entries)
        self._dropped: Counter[str] = Counter()

    def note(self, entry: Entry) -> None:
        """Add an entry."""
        if isinstance(entry, Occurrence):
            if len(self._first) < self._room_for_first:
                self._first.append(entry)
                return
            latest = self._latest
            if len(latest) == latest.maxlen:
                self._dropped[latest[0].what.value] += 1
            latest.append(entry)
        elif isinstance(entry, TaskFacts):
            if entry.task_id in self._tasks or len(self._tasks) < self._max_entries:
                self._tasks[entry.task_id] = entry
        elif isinstance(entry, WorkerProfile):
            if entry.name in self._workers or len(self._workers) < self._max_entries:
                self._workers[entry.name] = entry
        elif isinstance(entry, SideMessage):
            self._asides.append(entry)
        else:
            self._manager = entry.manager

    def count_dropped(self, dropped: Mapping[str, int]) -> None:
        """Count occurrences that were dropped before they reached this trace."""
        self._dropped.update(dropped)

    def trace(self) -> Trace:
        """The current trace."""
        return Trace(
            self._manager,
            dict(self._tasks),
            dict(self._workers),
            (*self._first, *self._latest),
            tuple(self._asides),
            dict(self._dropped),
        )


def trace_of(board: BoardState, manager: str, records: Iterable[TaskRecord] | None = None) -> Trace:
    """Build the trace of a run from its board; it has the latest part of each task's story.

    Args:
        board: the run.
        manager: the manager's name.
        records: some of its tasks; None for all.
    """
    log = TraceLog()
    chosen = board.tasks.values() if records is None else list(records)
    for entry in entries_of(board, manager, chosen):
        log.note(entry)
    # A story that is not full has dropped only progress and the like, each for a later one.
    forgotten = sum(record.forgotten for record in chosen if len(record.story) == MAX_STORY)
    if forgotten:
        log.count_dropped({"forgotten": forgotten})
    return log.trace()


def entries_of(
    board: BoardState, manager: str, records: Collection[TaskRecord] | None = None
) -> Iterator[Entry]:
    """Build the trace of a run from its board.

    Args:
        board: the run.
        manager: the manager's name.
        records: some of its tasks; None for all.
    """
    chosen = board.tasks.values() if records is None else records
    yield RunFacts(manager)
    for worker in board.workers.values():
        yield facts_of_worker(worker)
    for record in chosen:
        yield facts_of_task(record.task, board.rules.time_scale)
    yield from _in_order([*(record.story for record in chosen), *_beside(board)])


def introduce(occurrence: Occurrence, board: BoardState) -> Entry | None:
    """The facts that an occurrence needs if its task or worker is new or has changed."""
    what = occurrence.what
    if what in _OF_A_TASK and occurrence.task_id is not None:
        record = board.tasks.get(occurrence.task_id)
        return None if record is None else facts_of_task(record.task, board.rules.time_scale)
    if what in _OF_A_WORKER and occurrence.worker in board.workers:
        return facts_of_worker(board.workers[occurrence.worker])
    return None


def facts_of_task(task: Task, time_scale: float = 1.0) -> TaskFacts:
    """The facts that a trace keeps of a task."""
    return TaskFacts(
        task.id,
        task.description[:MAX_DESCRIPTION_CHARACTERS],
        task.difficulty,
        task.type,
        task.priority,
        limit_attempt(task, 0.0, time_scale)[0],
        task.depends_on,
        task.parent_id,
        task.required_skills,
        task.strict,
        task.deadline,
        task.escalate,
        task.review,
        task.votes,
    )


def facts_of_worker(worker: WorkerRecord) -> WorkerProfile:
    """The facts that a trace keeps of a worker: its profile without the task types."""
    in_order = tuple(sorted(worker.specialties))
    return worker.profile.model_copy(update={"specialties": in_order, "task_types": None})


# Stories have only times. At the same time, a board records occurrences in this order: joins,
# results, their consequences, and new assignments.
_AT_ONE_MOMENT = {
    OccurrenceKind.RUN_RESUMED: 0,
    OccurrenceKind.WORKER_JOINED: 1,
    OccurrenceKind.TASK_ADDED: 1,
    OccurrenceKind.WORKER_LOST: 3,
    OccurrenceKind.TASK_REQUEUED: 4,
    OccurrenceKind.TASK_DELAYED: 4,
    OccurrenceKind.ASSIGNING_BEGUN: 5,
    OccurrenceKind.TASK_ASSIGNED: 6,
    OccurrenceKind.RUN_ENDED: 7,
}
_IN_BETWEEN = 3


def _beside(board: BoardState) -> Iterator[tuple[Occurrence, ...]]:
    """The occurrences of a run that are not in the stories of its tasks."""
    for worker in board.workers.values():
        facts = JoinFacts(worker.skill_level, worker.slots)
        joined = Occurrence(
            worker.joined_at, OccurrenceKind.WORKER_JOINED, worker=worker.name, facts=facts
        )
        if worker.lost_at is None or (
            board.ended_at is not None and worker.lost_at > board.ended_at
        ):
            yield (joined,)
        else:
            yield joined, Occurrence(worker.lost_at, OccurrenceKind.WORKER_LOST, worker=worker.name)
    if board.began_at is not None:
        yield (Occurrence(board.began_at, OccurrenceKind.ASSIGNING_BEGUN),)
    if board.ended_at is not None:
        yield (Occurrence(board.ended_at, OccurrenceKind.RUN_ENDED, facts=board.failure),)


def _in_order(stories: Iterable[tuple[Occurrence, ...]]) -> list[Occurrence]:
    keyed: list[tuple[tuple[float, int], Occurrence]] = []
    for story in stories:
        key = (float("-inf"), 0)
        for occurrence in story:
            rank = _AT_ONE_MOMENT.get(occurrence.what, _IN_BETWEEN)
            # The order within a story comes before this rank.
            key = max(key, (occurrence.at, rank))
            keyed.append((key, occurrence))
    keyed.sort(key=lambda each: each[0])
    return [occurrence for _, occurrence in keyed]
