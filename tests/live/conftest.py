"""A board with a page that follows it, and a manager whose API is called without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from muster.agents import MemoryNetwork, TaskManager, WorkerAgent
from muster.agents.kernel.board.board import Board
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import (
    AssigningBegun,
    CancelRequested,
    Event,
    ListeningStarted,
    ResultReceived,
    TasksAdded,
    TasksForgotten,
    WorkerJoined,
)
from muster.agents.kernel.model.occurrences import Occurrence
from muster.agents.live.application import live_application
from muster.agents.live.guard import Admission
from muster.agents.live.page_state import PageState
from muster.messages import Task, TaskId, TaskResult, WorkerProfile


class Desk:
    """A board, and what pages are told of it; time stands still unless it is moved."""

    def __init__(self, **rules: Any) -> None:
        self.board = Board(Rules(**{"ends_when_done": False, **rules}))
        self.now = 1000.0
        self.page = PageState("estate", self.now)

    def handle(self, event: Event) -> None:
        for said in self.board.handle(event, self.now):
            if isinstance(said, Occurrence):
                self.page.note(said)

    def open(self) -> None:
        """The first page is opened, and told all there is."""
        self.page.begin(self.board)
        self.page.change(self.board, self.now)

    def change(self) -> dict[str, Any]:
        return self.page.change(self.board, self.now)

    def add(self, *ids: TaskId, **fields: Any) -> None:
        made = tuple(Task(id=each, description=f"task {each}", **fields) for each in ids)
        self.handle(TasksAdded(made))

    def join(self, name: str, skill: int = 5, slots: int = 1) -> None:
        self.handle(
            WorkerJoined(
                f"at {name}", WorkerProfile(name, skill_level=skill, slots=slots), session="1"
            )
        )

    def begin(self) -> None:
        self.handle(ListeningStarted())
        self.handle(AssigningBegun())

    def end_attempt(self, task_id: TaskId, *, success: bool = True) -> None:
        record = self.board.tasks[task_id]
        error = None if success else "ValueError: too wet"
        result = TaskResult(
            task_id=task_id,
            worker=record.worker,
            success=success,
            attempt=record.attempt,
            error_message=error,
        )
        self.handle(ResultReceived(f"at {record.worker}", result))

    def cancel(self, task_id: TaskId) -> None:
        self.handle(CancelRequested(task_id))

    def forget(self, *ids: TaskId) -> None:
        self.handle(TasksForgotten(ids))


@pytest.fixture
def desk() -> Callable[..., Desk]:
    """Makes a board with a page; takes the board's rules."""
    return Desk


class House:
    """A manager as a service over a memory network, with workers of its own."""

    def __init__(self, **options: Any) -> None:
        self.network = MemoryNetwork()
        self.manager: TaskManager = self._settle(TaskManager(quiet=True, port=0, **options))

    async def employ(self, name: str, skill: int = 5, **options: Any) -> WorkerAgent:
        worker = self._settle(WorkerAgent(name, skill, **options))
        await worker.start()
        return worker

    def _settle(self, agent: Any) -> Any:
        async def start_agent(*_: Any) -> None:
            await agent.serve_over(self.network.join(agent.name, agent.receive))

        agent.start_agent = start_agent
        return agent


@pytest.fixture
def house() -> Callable[..., Any]:
    """Opens a manager with its doors open, in the loop that runs."""

    @asynccontextmanager
    async def open_house(**options: Any) -> AsyncIterator[House]:
        opened = House(**options)
        await opened.manager.start()
        try:
            yield opened
        finally:
            await opened.manager.stop()

    return open_house


@pytest.fixture
def client() -> Callable[..., httpx.AsyncClient]:
    """Makes a caller of a manager's API, from this machine, without a network."""

    def make(
        manager: TaskManager, admission: Admission | None = None, **options: Any
    ) -> httpx.AsyncClient:
        application = live_application(manager, admission=admission, **options)
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(application), base_url="http://localhost:8080"
        )

    return make
