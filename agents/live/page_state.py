"""The content of the live page and its changes, as plain values made from a board.

It is pure: it takes occurrences and the time, and returns what to send. The page identifies each
task by its number in the order in which tasks were added. A task's row contains its state, never a
difference, so that a repeated or late row does no harm.

At 25,000 tasks a second it takes 75,000 occurrences a second. Therefore it only keeps the ids of
changed tasks; rows are made several times a second, for a limited number of tasks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeAlias, cast

from pydantic import JsonValue

from ...messages import TaskId, TaskStatus
from ..kernel.board.held_slots import held_slots
from ..kernel.board.state import BoardState
from ..kernel.model.error_kind import error_kind
from ..kernel.model.occurrence_text import describe_facts
from ..kernel.model.occurrences import Occurrence, OccurrenceKind
from ..kernel.model.records import TaskRecord, WorkerRecord
from ..report.sums import cost_of
from .history import History, Sample
from .question_view import page_questions
from .schedule_view import ScheduleView
from .skill_view import SkillView
from .states import run_state, worker_state
from .task_addresses import write_task_id
from .waiting_view import WaitingView

MAX_LISTED = 100_000
"""How many tasks the page lists: the latest. All are counted."""

MAX_ROWS_PER_CHANGE = 1_000
"""How many rows of tasks one change contains at most; the others wait for the next."""

MAX_WORKERS = 200
"""How many workers the page shows: first the connected ones, then the latest lost ones."""

MAX_NEWS = 50
"""How many occurrences the page lists as news: the latest."""

MAX_DEPENDENCIES = 100
"""How many of the tasks that a task depends on its row names."""

MAX_HELD = 5
"""How many held slots a worker's row lists: those that were held the longest."""

_COST_PLACE = 10
"""Where the cost stands in a row."""

_MAX_DESCRIPTION_CHARACTERS = 160
_MAX_REASON_CHARACTERS = 120
_MAX_NAME_CHARACTERS = 40

View: TypeAlias = "dict[str, JsonValue]"
"""A value to send to the page as JSON."""


class PageState:
    """Keeps what has been sent to the open pages, and returns what has changed since.

    Args:
        title: the manager's name.
        now: the time in seconds; the page gets all times in milliseconds from here on.
    """

    def __init__(self, title: str, now: float) -> None:
        self._title = title
        self._base = now
        self._history = History()
        self._sent_step_s = self._history.step_s
        self._unsent_samples: list[Sample] = []
        self._is_watched = False
        # Bounded by the tasks of the run.
        self._changed: dict[TaskId, None] = {}
        self._next_number = 0
        self._named: set[int] = set()
        self._news: deque[Occurrence] = deque(maxlen=MAX_NEWS)
        self._unsent_news: deque[Occurrence] = deque(maxlen=MAX_NEWS)
        self._lost: deque[str] = deque(maxlen=MAX_WORKERS)
        self._sent_run: View = {}
        self._sent_counts: View = {}
        self._sent_workers: dict[str, JsonValue] = {}
        self._skills = SkillView()
        self._schedules = ScheduleView()
        self._waiting = WaitingView()
        self._sent_waiting: View = {}
        self._sent_questions: JsonValue = None

    # ------------------------------------------------------------------ taking events

    def note(self, occurrence: Occurrence) -> None:
        """Take an occurrence; called many thousand times a second."""
        task_id = occurrence.task_id
        if task_id is not None:
            if self._is_watched:
                self._changed[task_id] = None
            what = occurrence.what
            # Not in a set: enums hash slowly.
            if (
                what is not OccurrenceKind.TASK_FAILED
                and what is not OccurrenceKind.ATTEMPT_FAILED
                and what is not OccurrenceKind.ATTEMPT_REJECTED
            ):
                return
        elif occurrence.what is OccurrenceKind.WORKER_LOST:
            self._lost.append(occurrence.worker)
        self._news.append(occurrence)
        if self._is_watched:
            self._unsent_news.append(occurrence)

    def sample(self, board: BoardState, now: float) -> None:
        """Add to the history how many tasks are settled, until the run has ended."""
        if board.began_at is None or board.is_suspended:
            return
        samples = self._history.samples
        if board.ended_at is not None and samples and samples[-1].at >= board.ended_at:
            return
        counts = board.counts
        undone = counts[TaskStatus.FAILED] + counts[TaskStatus.CANCELLED]
        taken = [Sample(now, counts[TaskStatus.COMPLETED], undone)]
        if not samples:
            taken.insert(0, Sample(board.began_at, 0, 0))
        for sample in taken:
            if self._history.add(sample) and self._is_watched:
                self._unsent_samples.append(sample)

    def begin(self, board: BoardState) -> None:
        """Begin to record changes: the first page was opened."""
        self._is_watched = True
        self._next_number = _next_number(board)
        self._sent_step_s = self._history.step_s

    def end(self) -> None:
        """Stop recording changes: the last page was closed."""
        self._is_watched = False
        self._changed.clear()
        self._unsent_news.clear()
        self._unsent_samples.clear()
        self._named.clear()
        self._sent_run, self._sent_counts, self._sent_workers = {}, {}, {}
        self._sent_waiting, self._sent_questions = {}, None
        self._skills.forget()
        self._schedules.forget()

    # ------------------------------------------------------------------ what to send

    def head(self, board: BoardState, now: float) -> View:
        """All that a new page is sent, except for the rows of the tasks."""
        return {
            "title": self._title,
            "at": self._since(now),
            "base": self._base,
            "heartbeat_s": board.rules.heartbeat_s,
            "lost_after_s": board.rules.lost_after_s,
            "run": self._run(board),
            "counts": _counts(board),
            "waiting": self._waiting.change(board, now),
            "questions": page_questions(board),
            "workers": list(self._workers(board, now).values()),
            "hidden_workers": self._hidden_workers(board),
            "names": {str(worker.order): worker.name for worker in board.workers.values()},
            "listed_from": _listed_from(board),
            "history": self._history_view(self._history.samples),
            "news": [self._news_view(each) for each in self._news],
            "skills": self._skills.whole(board),
            "schedules": self._schedules.whole(board, now),
        }

    def listed(self, board: BoardState) -> list[TaskId]:
        """The ids of the tasks that the page lists, in the order in which they were added."""
        tasks = cast("dict[TaskId, TaskRecord]", board.tasks)
        latest = list(islice(reversed(tasks), MAX_LISTED))
        latest.reverse()
        return latest

    def rows(self, board: BoardState, task_ids: Iterable[TaskId]) -> View:
        """The complete rows of tasks, without those that have been forgotten."""
        found = (board.tasks.get(task_id) for task_id in task_ids)
        return {"added": [self._whole_row(board, record) for record in found if record is not None]}

    def change(self, board: BoardState, now: float) -> View:
        """What has changed since the last change; only the parts that have."""
        change: View = {"at": self._since(now)}
        run, counts = self._run(board), _counts(board)
        if run != self._sent_run:
            change["run"] = self._sent_run = run
        if counts != self._sent_counts:
            change["counts"] = self._sent_counts = counts
        waiting = self._waiting.change(board, now)
        if waiting != self._sent_waiting:
            change["waiting"] = self._sent_waiting = waiting
        questions = page_questions(board)
        if questions != self._sent_questions:
            change["questions"] = self._sent_questions = questions
        workers = self._workers(board, now)
        changed = [row for name, row in workers.items() if self._sent_workers.get(name) != row]
        if changed or len(workers) != len(self._sent_workers):
            change["workers"] = changed
            change["shown_workers"] = [worker.order for worker in self._shown(board)]
            change["hidden_workers"] = self._hidden_workers(board)
            self._sent_workers = workers
        if self._unsent_samples:
            is_coarser = self._history.step_s != self._sent_step_s
            samples = self._history.samples if is_coarser else self._unsent_samples
            change["history"] = self._history_view(samples, is_whole=is_coarser)
            self._sent_step_s = self._history.step_s
            self._unsent_samples.clear()
        if self._unsent_news:
            change["news"] = [self._news_view(each) for each in self._unsent_news]
            self._unsent_news.clear()
        skills = self._skills.change(board, now)
        if skills is not None:
            change["skills"] = skills
        schedules = self._schedules.change(board, now)
        if schedules is not None:
            change["schedules"] = schedules
        if self._changed:
            self._add_rows(board, change)
        return change

    @property
    def has_unsent_rows(self) -> bool:
        """Whether more tasks have changed than the last change could contain."""
        return bool(self._changed)

    # ------------------------------------------------------------------ tasks

    def _add_rows(self, board: BoardState, change: View) -> None:
        task_ids = self._take_changed()
        listed_from = _listed_from(board)
        added: list[JsonValue] = []
        rows: list[JsonValue] = []
        forgotten: list[JsonValue] = []
        names: dict[str, JsonValue] = {}
        for task_id in task_ids:
            record = board.tasks.get(task_id)
            if record is None:
                forgotten.append(write_task_id(task_id))
                continue
            if record.attempts:
                worker = record.attempts[-1].worker
                if worker.order not in self._named:
                    self._named.add(worker.order)
                    names[str(worker.order)] = worker.name
            number = record.sequence
            if number >= self._next_number:
                self._next_number = number + 1
                added.append(self._whole_row(board, record))
            elif number >= listed_from:
                rows.append(self._row(record))
        parts = {"added": added, "rows": rows, "forgotten": forgotten, "names": names}
        change.update({name: part for name, part in parts.items() if part})
        change["listed_from"] = listed_from

    def _take_changed(self) -> Sequence[TaskId]:
        if len(self._changed) <= MAX_ROWS_PER_CHANGE:
            taken, self._changed = list(self._changed), {}
            return taken
        taken = list(islice(self._changed, MAX_ROWS_PER_CHANGE))
        for task_id in taken:
            del self._changed[task_id]
        return taken

    def _whole_row(self, board: BoardState, record: TaskRecord) -> list[JsonValue]:
        task = record.task
        description = task.description[:_MAX_DESCRIPTION_CHARACTERS]
        row: list[JsonValue] = [
            write_task_id(task.id),
            description,
            task.difficulty,
            task.type,
            self._row(record),
        ]
        if task.depends_on:
            row.append(self._numbers_of(board, task.depends_on))
        return row

    def _numbers_of(self, board: BoardState, task_ids: Iterable[TaskId]) -> list[JsonValue]:
        records = (board.tasks.get(task_id) for task_id in islice(task_ids, MAX_DEPENDENCIES))
        return [record.sequence for record in records if record is not None]

    def _row(self, record: TaskRecord) -> list[JsonValue]:
        """Number, status, attempts, worker, start and end, priority, percent, error, kind, cost."""
        status, attempts, priority = record.status, record.attempts, record.task.priority
        error = record.error_message
        if not attempts:
            row: list[JsonValue] = [record.sequence, _number_of(status), 0]
            if priority or error is not None:
                row += (None, None, self._moment(record.finished_at), priority, 0)
        else:
            last = attempts[-1]
            ended_at = record.finished_at
            if status is TaskStatus.PENDING:
                # It waits again; its last attempt is over.
                ended_at = record.story[-1].at
            row = [
                record.sequence,
                _number_of(status),
                len(attempts),
                last.worker.order,
                # An attempt that waits for a slot has not started.
                None if last.is_prefetched else self._moment(last.started_at),
                self._moment(ended_at),
            ]
            percent = int(record.progress) if status is TaskStatus.IN_PROGRESS else 0
            if priority or percent or error is not None:
                row += (priority, percent)
        if error is not None:
            row.append(error[:_MAX_REASON_CHARACTERS])
        if not attempts and error is None:
            return row
        cost = cost_of(record)
        if error is not None and status is TaskStatus.FAILED:
            row.append(error_kind(error))
        if cost:
            row += (None,) * (_COST_PLACE - len(row))
            row.append(round(cost, 6))
        return row

    # ------------------------------------------------------------------ workers

    def _shown(self, board: BoardState) -> list[WorkerRecord]:
        shown = {
            worker.name: worker
            for worker in islice(board.worker_registry.present.values(), MAX_WORKERS)
        }
        for name in self._lost_workers(board):
            if len(shown) >= MAX_WORKERS:
                break
            worker = board.workers.get(name)
            if worker is not None:
                shown.setdefault(name, worker)
        return sorted(shown.values(), key=_order)

    def _lost_workers(self, board: BoardState) -> Iterator[str]:
        yield from reversed(self._lost)
        # Those that were lost before the page existed; a store may have thousands.
        yield from islice(board.workers, MAX_WORKERS)

    def _hidden_workers(self, board: BoardState) -> int:
        return max(len(board.workers) - MAX_WORKERS, 0)

    def _workers(self, board: BoardState, now: float) -> dict[str, JsonValue]:
        return {worker.name: self._worker_row(board, worker, now) for worker in self._shown(board)}

    def _worker_row(self, board: BoardState, worker: WorkerRecord, now: float) -> JsonValue:
        stats = worker.stats
        held = held_slots(worker, board.tasks)
        return {
            "order": worker.order,
            "name": worker.name,
            "state": worker_state(board, worker, now),
            "skill": worker.skill_level,
            "specialties": cast("list[JsonValue]", sorted(worker.specialties)[:5]),
            "slots": worker.slots,
            "taken": worker.taken,
            "ahead": len(worker.prefetched),
            "held": [
                [str(each.task_id)[:_MAX_NAME_CHARACTERS], self._since(each.since), each.reason]
                for each in held[:MAX_HELD]
            ],
            "succeeded": stats.successful_tasks,
            "ended": stats.completed_tasks,
            "cost": round(stats.cost, 6),
            # Whole seconds, so that a busy worker is not sent again with each change.
            "heard_at": self._since(worker.last_heard_at) // 1000 * 1000,
        }

    # ------------------------------------------------------------------ the rest

    def _run(self, board: BoardState) -> View:
        present, budget = len(board.worker_registry.present), board.budget
        waits_for = ""
        if board.began_at is None and not board.has_ended and not board.start_barrier.is_over:
            waits_for = board.start_barrier.progress(board.worker_registry)
        return {
            "state": run_state(board),
            "began_at": None if board.began_at is None else self._since(board.began_at),
            "ended_at": None if board.ended_at is None else self._since(board.ended_at),
            "failure": board.failure,
            "waits_for": waits_for,
            "policy": board.policy_name,
            "workers": present,
            "cost": round(budget.spent, 6),
            "unit": budget.unit,
            "budget": budget.limit,
        }

    def _history_view(self, samples: Sequence[Sample], *, is_whole: bool = True) -> View:
        return {
            "is_whole": is_whole,
            "samples": [[self._since(at), done, undone] for at, done, undone in samples],
        }

    def _news_view(self, occurrence: Occurrence) -> View:
        task_id = occurrence.task_id
        return {
            "at": self._since(occurrence.at),
            "what": occurrence.what.value,
            "task": None if task_id is None else write_task_id(task_id),
            "worker": occurrence.worker,
            "detail": describe_facts(occurrence)[:_MAX_REASON_CHARACTERS],
        }

    def _since(self, at: float) -> int:
        return round((at - self._base) * 1000)

    def _moment(self, at: float | None) -> int | None:
        return None if at is None else round((at - self._base) * 1000)


def _number_of(status: TaskStatus) -> int:
    # A lookup in a dict would take as long as the rest of the row: enums hash slowly.
    if status is TaskStatus.COMPLETED:
        return 2
    if status is TaskStatus.IN_PROGRESS:
        return 1
    if status is TaskStatus.PENDING:
        return 0
    return 3 if status is TaskStatus.FAILED else 4


def _counts(board: BoardState) -> View:
    counts: Mapping[TaskStatus, int] = board.counts
    return {status.value: counts[status] for status in TaskStatus}


def _next_number(board: BoardState) -> int:
    tasks = cast("dict[TaskId, TaskRecord]", board.tasks)
    return tasks[next(reversed(tasks))].sequence + 1 if tasks else 0


def _listed_from(board: BoardState) -> int:
    return max(_next_number(board) - MAX_LISTED, 0)


def _order(worker: WorkerRecord) -> int:
    return worker.order
