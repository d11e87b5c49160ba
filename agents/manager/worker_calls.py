"""Answers what the handlers that workers run ask of a manager, and sends results to them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import BaseModel

from ...messages import (
    BacklogFull,
    EncodeError,
    ManagerReply,
    ManagerRequest,
    TaskId,
    TaskResult,
    UnknownPeer,
    encode_message,
)
from ..kernel.model.occurrences import Watcher
from ..runtime.log import log
from ..submission.result_source import Outcome
from ..transport.lane_router import LaneRouter
from .awaited_results import AwaitedResults
from .board_driver import BoardDriver
from .question_desk import QuestionDesk
from .request_answers import Request, RequestAnswers

RESEND_AFTER_S = 0.05
"""How long a reply waits for a worker whose send queue is full."""


@dataclass(slots=True, eq=False)
class _WorkerCaller:
    """One start of a worker, whose handlers ask.

    Args:
        calls: sends what it is told.
        name: the worker's name.
        session: identifies its start.
        address: its address.
        awaiting: the tasks whose results it wants, and that are not settled.
        replies: its latest requests by number, with the replies.
    """

    calls: WorkerCalls
    name: str
    session: str
    address: str
    awaiting: set[TaskId] = field(default_factory=set)
    replies: OrderedDict[int, ManagerReply] = field(default_factory=OrderedDict)

    def settle(self, task_id: TaskId, outcome: Outcome) -> None:
        """Send it the outcome of a task."""
        self.awaiting.discard(task_id)
        # The end of the run is told by its shutdown.
        if isinstance(outcome, TaskResult):
            self.calls.post(self.address, outcome)


class WorkerCalls:
    """Serves the handlers of one manager's workers.

    They ask in the conversation that their worker has with the manager.

    Args:
        driver: drives the board.
        awaited: tells the results of tasks.
        answers: answers the requests.
        watch: has a function called with each occurrence.
    """

    def __init__(
        self,
        driver: BoardDriver,
        awaited: AwaitedResults,
        answers: RequestAnswers,
        watch: Callable[[Watcher], None],
    ) -> None:
        self._driver = driver
        self._awaited = awaited
        self._answers = answers
        self._questions = QuestionDesk(driver, watch, self.post)
        self._router: LaneRouter | None = None
        # By the worker's name.
        self._callers: dict[str, _WorkerCaller] = {}

    def start(self, router: LaneRouter) -> None:
        """Serve workers from now on.

        Args:
            router: sends the messages.
        """
        self._router = router

    def arrived(self, sender: str, request: Request) -> None:
        """Answer a request; ignored unless it comes from a connected worker."""
        worker = self._driver.board.worker_registry.present.get(sender)
        if worker is None:
            # It repeats the request once it has joined again.
            return
        caller = self._callers.get(worker.name)
        if caller is None or caller.session != worker.session:
            self._forget_the_lost()
            caller = _WorkerCaller(self, worker.name, worker.session, sender)
            self._callers[worker.name] = caller
        caller.address = sender
        if isinstance(request, ManagerRequest) and request.method == "ask_person":
            self._questions.take(sender, request)
        else:
            self.post(sender, self._answers.answer(caller, request, sender))

    def post(self, address: str, message: BaseModel) -> None:
        """Send a message to a worker, if it is still connected."""
        router = self._router
        if router is None or address not in self._driver.board.worker_registry.present:
            # It asks again once it has joined again.
            return
        try:
            router.post_encoded(address, encode_message(message))
        except UnknownPeer:
            # It is about to be welcomed again, and asks again then.
            pass
        except BacklogFull:
            asyncio.get_running_loop().call_later(RESEND_AFTER_S, self.post, address, message)
        except EncodeError as fault:
            log.warning("a reply can't be sent", manager=self._driver.name, error=str(fault))
            if isinstance(message, TaskResult):
                error = f"EncodeError: {fault}"
                update = {"success": False, "output": None, "error_message": error}
                self.post(address, message.model_copy(update=update))

    def _forget_the_lost(self) -> None:
        workers = self._driver.board.workers
        for name, caller in tuple(self._callers.items()):
            worker = workers.get(name)
            is_same = worker is not None and worker.session == caller.session
            if worker is None or not is_same or not worker.may_have_leases:
                del self._callers[name]
                self._awaited.stop_waiting(caller.awaiting, caller.settle)
