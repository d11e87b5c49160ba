"""The live page and its HTTP API as an ASGI application, to be served or mounted elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeAlias

from fastapi import FastAPI, Query, Response
from fastapi.responses import FileResponse, JSONResponse

from ...messages import (
    IllegalTransition,
    TaskId,
    TaskStatus,
)
from ..manager.task_manager import TaskManager
from ..runtime.clock import now
from ..schedules.listing import ScheduleState
from .api_errors import ERROR_ANSWERS, Wrong
from .api_models import (
    Added,
    Alive,
    Ready,
    Retried,
    Skills,
    Stats,
    Story,
    TaskList,
    TicketView,
    WholeTask,
    WorkerView,
)
from .api_orders import (
    MAX_TASKS_PER_CALL,
    CancelOrder,
    DrainOrder,
    PauseOrder,
    PriorityOrder,
    ResumeOrder,
    RetryAllOrder,
    RetryOrder,
    SubmittedTasks,
)
from .api_views import (
    view_skills,
    view_stats,
    view_story,
    view_task,
    view_whole_task,
    view_worker,
)
from .event_stream import EventStream
from .feed import Feed
from .guard import Admission, Guard
from .part_stream import MAX_STREAMS, PartStreams
from .question_view import AnswerOrder, QuestionView, view_question
from .readiness import find_readiness
from .strict_route import StrictRoute
from .task_addresses import read_task_id
from .task_list import TaskFilter, find_tasks

ASSETS = Path(__file__).with_name("assets")
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format."""

MAX_WORKERS_PER_CALL = 1_000
"""Of how many workers one call tells the skills."""

MetricsSource: TypeAlias = Callable[[TaskManager], bytes]
"""Returns a manager's metrics in Prometheus' text format."""

DESCRIPTION = """\
Tasks and workers of one manager.

In a URL a task's id is JSON: `7` is the integer, `"7"` (that is `%227%22`) the text. A text that is
not a number needs no quotes. Errors are `{"error": "..."}`, with `faults` for each field that is
not valid. Requests that change something need `Content-Type: application/json`. Unless the page
listens on loopback, all of `/api` needs `Authorization: Bearer SECRET`, the workspace's secret.
"""


def live_application(
    manager: TaskManager,
    *,
    admission: Admission | None = None,
    feed: Feed | None = None,
    metrics: MetricsSource | None = None,
) -> Guard:
    """The live page of a manager, for an ASGI server.

    If you mount it in your own application, run that in the manager's event loop if possible. The
    page is then at the path of the mount with a trailing slash.

    Args:
        manager: the manager whose run is shown.
        admission: which requests are accepted; by default those to a loopback name of this machine.
        feed: the source of the page's updates; by default a new one.
        metrics: what `/metrics` serves; None: there is no `/metrics`.
    """
    admission = admission or Admission(secret=manager.secret)
    routes = _Routes(manager, feed or Feed(manager), metrics, admission)
    return Guard(routes.application(), admission)


class _Routes:
    def __init__(
        self,
        manager: TaskManager,
        feed: Feed,
        metrics: MetricsSource | None,
        admission: Admission,
    ) -> None:
        self._manager = manager
        self._feed = feed
        self._metrics = metrics
        self._admission = admission
        self._part_streams = PartStreams(manager)

    def application(self) -> FastAPI:
        application = FastAPI(
            title="Muster",
            summary=f"The tasks and workers of {self._manager.name}",
            description=DESCRIPTION,
            # These load scripts from other hosts; our own page shows the same document.
            docs_url=None,
            redoc_url=None,
            exception_handlers=ERROR_ANSWERS,
        )
        application.router.route_class = StrictRoute
        add = application.add_api_route
        add("/", _file("index.html"), include_in_schema=False)
        add("/docs", _file("api.html"), include_in_schema=False)
        for file in sorted(ASSETS.iterdir()):
            if file.suffix in {".css", ".js", ".svg"}:
                add(f"/assets/{file.name}", _file(file.name), include_in_schema=False)
        wrong: dict[int | str, dict[str, object]] = {422: {"model": Wrong}}
        unknown: dict[int | str, dict[str, object]] = {404: {"model": Wrong}, **wrong}
        too_late: dict[int | str, dict[str, object]] = {409: {"model": Wrong}, **unknown}
        taken: dict[int | str, dict[str, object]] = {409: {"model": Wrong}, **wrong}
        taken[200] = {"model": Added}
        add("/api/tasks", self.submit, methods=["POST"], status_code=201, responses=taken)
        add("/api/tasks", self.list_tasks, responses=wrong)
        task = "/api/tasks/{task_id:path}"
        add(f"{task}/cancel", self.cancel, methods=["POST"], status_code=204, responses=too_late)
        add(f"{task}/retry", self.retry, methods=["POST"], responses=too_late)
        add(
            f"{task}/priority",
            self.prioritize,
            methods=["PUT"],
            status_code=204,
            responses=too_late,
        )
        add(f"{task}/answer", self.answer, methods=["POST"], status_code=204, responses=too_late)
        add(f"{task}/parts", self.parts, response_class=Response, responses=unknown)
        add("/api/questions", self.questions)
        add("/api/retry", self.retry_all, methods=["POST"], responses=too_late)
        ended: dict[int | str, dict[str, object]] = {409: {"model": Wrong}, **wrong}
        for name, order in (("pause", self.pause), ("resume", self.resume), ("drain", self.drain)):
            add(f"/api/{name}", order, methods=["POST"], status_code=204, responses=ended)
        add(f"{task}/story", self.story, responses=unknown)
        add(task, self.get_task, responses=unknown)
        add("/api/stats", self.stats)
        add("/api/workers", self.workers)
        add("/api/skills", self.skills)
        add("/api/schedules", self.schedules)
        add("/api/ticket", self.ticket, responses={401: {"model": Wrong}, 403: {"model": Wrong}})
        add("/api/events", self.events, include_in_schema=False)
        add("/healthz", self.healthz)
        add("/readyz", self.readyz, responses={503: {"model": Ready}})
        if self._metrics is not None:
            add("/metrics", self.metrics, response_class=Response)
        return application

    # ------------------------------------------------------------------ tasks

    async def submit(self, body: SubmittedTasks, response: Response) -> Added:
        """Add one task or a list of tasks, all or none.

        The fields are those of `muster.messages.Task`. Without an `id`, a task gets one. An id is
        an idempotency key: a task that the run has already, with the same content, is not added
        again, and the answer is 200 if that is so of all; with other content the answer is 409.
        """
        tasks = body if isinstance(body, list) else [body]
        self._check_not_ended()
        board = self._manager.board
        known = self._manager.ask(lambda: {each.id for each in tasks if each.id in board.tasks})
        await self._manager.batch_assign_tasks(tasks, len(tasks))
        ids = dict.fromkeys(task.id for task in tasks)
        if len(known) == len(ids):
            response.status_code = 200
        return Added(
            added=[each for each in ids if each not in known],
            known=[each for each in ids if each in known],
        )

    async def list_tasks(
        self,
        status: TaskStatus | None = None,
        worker: Annotated[str, Query(max_length=200)] = "",
        text: Annotated[str, Query(max_length=200)] = "",
        after: Annotated[int | None, Query(ge=-1, le=2**63)] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_TASKS_PER_CALL)] = 100,
    ) -> TaskList:
        """List tasks in the order in which they were added, in parts.

        Call it again with the returned `after` until that is null.
        """
        task_filter = TaskFilter(status, worker, text)

        def find() -> TaskList:
            tasks = self._manager.board.tasks
            part = find_tasks(tasks, task_filter, after, limit)
            views = [view_task(record) for record in part.records]
            return TaskList(tasks=views, total=len(tasks), after=part.after)

        return self._manager.ask(find)

    async def get_task(self, task_id: str) -> WholeTask:
        """Return the state of a task, with its data and output."""
        parsed_id = read_task_id(task_id)
        return self._manager.ask(lambda: view_whole_task(self._manager.board.find(parsed_id)))

    async def story(self, task_id: str) -> Story:
        """Return what happened to a task, and why it has its status."""
        parsed_id = read_task_id(task_id)
        return self._manager.ask(lambda: view_story(self._manager.board, parsed_id))

    async def cancel(self, task_id: str, order: CancelOrder) -> None:
        """Cancel a task that is not settled yet; a worker that runs it is told to stop."""
        self._manager.cancel_task(read_task_id(task_id), order.reason)

    async def retry(self, task_id: str, order: RetryOrder) -> Retried:
        """Try a failed or cancelled task again.

        It begins anew with all its attempts, and so do the tasks that were cancelled because they
        depend on it.
        """
        return self._retry([read_task_id(task_id)], order.reason)

    async def retry_all(self, order: RetryAllOrder) -> Retried:
        """Try several settled tasks again, or all that failed; all of them or none."""
        return self._retry(order.tasks, order.reason)

    def _retry(self, task_ids: list[TaskId] | None, reason: str) -> Retried:
        return Retried(retried=self._manager.retry_tasks(task_ids, reason))

    async def prioritize(self, task_id: str, order: PriorityOrder) -> None:
        """Change the priority of a waiting task."""
        self._manager.set_priority(read_task_id(task_id), order.priority)

    async def answer(self, task_id: str, order: AnswerOrder) -> None:
        """Answer what a task asks; whoever is first decides."""
        self._manager.answer(
            read_task_id(task_id), order.answer, by=order.by, question=order.question
        )

    async def pause(self, _: PauseOrder) -> None:
        """Assign no more tasks until the run is resumed; those that run go on."""
        self._check_not_ended()
        self._manager.pause()

    async def resume(self, order: ResumeOrder) -> None:
        """Assign tasks again, or give tasks to a drained worker again."""
        self._check_not_ended()
        self._manager.resume(order.worker)

    async def drain(self, order: DrainOrder) -> None:
        """Give a worker no more tasks; it finishes those that it has begun, and leaves."""
        self._check_not_ended()
        self._manager.drain(order.worker, leaves=order.leaves)

    def _check_not_ended(self) -> None:
        if self._manager.ask(lambda: self._manager.board.has_ended):
            raise IllegalTransition("the run has ended")

    async def questions(self) -> list[QuestionView]:
        """List the questions that wait for an answer."""

        def view() -> list[QuestionView]:
            found = self._manager.board.questions.open()
            return [view_question(record, question) for record, question in found]

        return self._manager.ask(view)

    async def parts(self, task_id: str) -> Response:
        """Stream the parts of a task's output, as server-sent events.

        Each event `part` has `attempt`, `number` and `data`; `begins_anew` if what earlier
        attempts yielded is void, and `missed` if so many parts before it are not kept. The last
        event is `end`, with the `error` of a task that failed.
        """
        parsed_id = read_task_id(task_id)
        self._manager.ask(lambda: self._manager.board.find(parsed_id))
        if self._part_streams.is_full:
            error = f"{MAX_STREAMS} streams of parts are read, which is the limit"
            return JSONResponse({"error": error}, 503)
        return EventStream(self._part_streams.frames(parsed_id))

    # ------------------------------------------------------------------ the run

    async def stats(self) -> Stats:
        """Return the state of the run."""
        manager = self._manager
        return manager.ask(lambda: view_stats(manager.board, manager.name, manager.dropped))

    async def workers(self) -> list[WorkerView]:
        """List the workers in the order in which they first joined, including lost ones."""

        def view() -> list[WorkerView]:
            board, at = self._manager.board, now()
            return [view_worker(board, each, at) for each in board.workers.values()]

        return self._manager.ask(view)

    async def skills(
        self, limit: Annotated[int, Query(ge=1, le=MAX_WORKERS_PER_CALL)] = 100
    ) -> Skills:
        """Return what the policy has learned of the workers with the most results, by type."""
        return self._manager.ask(lambda: view_skills(self._manager.board, limit))

    async def schedules(self) -> list[ScheduleState]:
        """List the schedules: when each is due next, and how its last tasks ended."""
        return self._manager.schedules()

    async def ticket(self) -> TicketView:
        """Return the ticket that workers join with, without the workspace's secret.

        It always needs the secret as a bearer token, since only members of the workspace may have
        the ticket.
        """
        return TicketView(ticket=str(self._manager.ticket(with_secret=False)))

    async def events(self) -> Response:
        """Stream the run as server-sent events, in the page's own format, which may change."""
        if self._feed.is_full:
            error = f"{self._feed.pages} pages are open, which is the limit; close some"
            return JSONResponse({"error": error}, 503)
        return EventStream(self._feed.frames())

    # ------------------------------------------------------------------ probes

    async def healthz(self) -> Alive:
        """Return that the process is alive, and how late its event loop is."""
        self._feed.run()
        return Alive(late_s=round(self._feed.late_s, 3))

    async def readyz(self, response: Response) -> Ready:
        """Return whether tasks that are added now will be done; 503 if not."""
        readiness = await find_readiness(self._manager)
        if not readiness.ready:
            response.status_code = 503
        return readiness

    async def metrics(self) -> Response:
        """Return the metrics in Prometheus' text format."""
        assert self._metrics is not None
        return Response(self._metrics(self._manager), media_type=METRICS_TYPE)


def _file(name: str) -> Callable[[], object]:
    async def answer() -> FileResponse:
        return FileResponse(ASSETS / name, headers={"Cache-Control": "no-cache"})

    return answer
