"""The content of the live page and its changes, as plain values made from a board.

It is pure: it takes occurrences and the time, and returns what to send. The page identifies each
task by its number in the order in which tasks were added. A task's row contains its state, never a
difference, so that a repeated or late row does no harm.

At 25,000 tasks a second it takes 75,000 occurrences a second. Therefore it only keeps the ids of
changed tasks; rows are made several times a second, for a limited number of tasks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TypeAlias

from pydantic import JsonValue

from ...messages import TaskId, TaskStatus
from ..kernel.board.state import BoardState
from ..kernel.model.occurrence_text import describe_facts
from ..kernel.model.occurrences import Occurrence, OccurrenceKind
from . import cost_view, schedule_view, skill_view, waiting_view
from .cost_view import CostView
from .history import History, Sample
from .page_times import PageTimes
from .question_view import page_questions
from .run_view import view_counts, view_run
from .schedule_view import view_schedules
from .skill_view import view_skill_map
from .task_addresses import write_task_id
from .task_rows import TaskRows, listed_from
from .timed_view import TimedView
from .waiting_view import WaitingView
from .worker_rows import WorkerRows

MAX_ROWS_PER_CHANGE = 1_000
"""How many rows of tasks one change contains at most; the others wait for the next."""

MAX_NEWS = 50
"""How many occurrences the page lists as news: the latest."""

_MAX_REASON_CHARACTERS = 120

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
        self._times = PageTimes(now)
        self._tasks = TaskRows(self._times)
        self._workers = WorkerRows(self._times)
        self._history = History()
        self._sent_step_s = self._history.step_s
        self._unsent_samples: list[Sample] = []
        self._is_watched = False
        # Bounded by the tasks of the run.
        self._changed: dict[TaskId, None] = {}
        self._news: deque[Occurrence] = deque(maxlen=MAX_NEWS)
        self._unsent_news: deque[Occurrence] = deque(maxlen=MAX_NEWS)
        self._sent_workers: dict[str, JsonValue] = {}
        costs, waiting = CostView(), WaitingView()
        times = self._times
        self._parts: Mapping[str, TimedView] = {
            "run": TimedView(lambda board, _: view_run(board, times)),
            "counts": TimedView(lambda board, _: view_counts(board)),
            "waiting": TimedView(waiting.make, waiting_view.EVERY_S),
            "wait_numbers": TimedView(waiting.make_numbers, waiting_view.EVERY_S),
            "questions": TimedView(lambda board, _: page_questions(board)),
            "skills": TimedView(view_skill_map, skill_view.EVERY_S),
            "costs": TimedView(costs.make, cost_view.EVERY_S),
            "schedules": TimedView(view_schedules, schedule_view.EVERY_S),
        }

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
            self._workers.note_lost(occurrence.worker)
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
        self._tasks.begin(board)
        self._sent_step_s = self._history.step_s

    def end(self) -> None:
        """Stop recording changes: the last page was closed."""
        self._is_watched = False
        self._changed.clear()
        self._unsent_news.clear()
        self._unsent_samples.clear()
        self._tasks.forget()
        self._sent_workers = {}
        for part in self._parts.values():
            part.forget()

    # ------------------------------------------------------------------ what to send

    def head(self, board: BoardState, now: float) -> View:
        """All that a new page is sent, except for the rows of the tasks."""
        return {
            "title": self._title,
            "at": self._times.since(now),
            "base": self._times.base,
            "heartbeat_s": board.rules.heartbeat_s,
            "lost_after_s": board.rules.lost_after_s,
            "workers": list(self._workers.rows(board, now).values()),
            "hidden_workers": self._workers.count_hidden(board),
            "names": {str(worker.order): worker.name for worker in board.workers.values()},
            "listed_from": listed_from(board),
            "history": self._history_view(self._history.samples),
            "news": [self._news_view(each) for each in self._news],
            **{name: part.make(board, now) for name, part in self._parts.items()},
        }

    def listed(self, board: BoardState) -> list[TaskId]:
        """The ids of the tasks that the page lists, in the order in which they were added."""
        return self._tasks.listed(board)

    def rows(self, board: BoardState, task_ids: Iterable[TaskId]) -> View:
        """The complete rows of tasks, without those that have been forgotten."""
        found = (board.tasks.get(task_id) for task_id in task_ids)
        return {
            "added": [
                self._tasks.whole_row(board, record) for record in found if record is not None
            ]
        }

    def change(self, board: BoardState, now: float) -> View:
        """What has changed since the last change; only the parts that have."""
        change: View = {"at": self._times.since(now)}
        for name, part in self._parts.items():
            if part.has_changed(board, now):
                change[name] = part.sent
        workers = self._workers.rows(board, now)
        changed = [row for name, row in workers.items() if self._sent_workers.get(name) != row]
        if changed or len(workers) != len(self._sent_workers):
            change["workers"] = changed
            change["shown_workers"] = [worker.order for worker in self._workers.shown(board)]
            change["hidden_workers"] = self._workers.count_hidden(board)
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
        if self._changed:
            change.update(self._tasks.change(board, self._take_changed()))
        return change

    @property
    def has_unsent_rows(self) -> bool:
        """Whether more tasks have changed than the last change could contain."""
        return bool(self._changed)

    def _take_changed(self) -> Sequence[TaskId]:
        if len(self._changed) <= MAX_ROWS_PER_CHANGE:
            taken, self._changed = list(self._changed), {}
            return taken
        taken = list(islice(self._changed, MAX_ROWS_PER_CHANGE))
        for task_id in taken:
            del self._changed[task_id]
        return taken

    def _history_view(self, samples: Sequence[Sample], *, is_whole: bool = True) -> View:
        return {
            "is_whole": is_whole,
            "samples": [[self._times.since(at), done, undone] for at, done, undone in samples],
        }

    def _news_view(self, occurrence: Occurrence) -> View:
        task_id = occurrence.task_id
        return {
            "at": self._times.since(occurrence.at),
            "what": occurrence.what.value,
            "task": None if task_id is None else write_task_id(task_id),
            "worker": occurrence.worker,
            "detail": describe_facts(occurrence)[:_MAX_REASON_CHARACTERS],
        }
