"""The worker's half of the work: joins a manager, runs what it is assigned, tells how it went.

A thin shell: it decides nothing about tasks, it only does what the manager says.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel

from ..messages import (
    CancelTask,
    EncodeError,
    Goodbye,
    Heartbeat,
    Hello,
    JoinRefused,
    Refusal,
    Shutdown,
    TaskAssignment,
    TaskId,
    TaskProgress,
    TaskResult,
    Welcome,
    WrongSecret,
)
from ..messages.frame import ANY_MANAGER, EVERYONE
from .clock import now
from .handlers import TaskContext, current_context
from .kernel.seal import Seal
from .link import Link
from .log import log
from .postman import Postman

HELLO_EVERY_S = 0.1
SLOWEST_HELLO_S = 1.0
WORTH_A_WARNING_S = 5.0
"""How long a worker asks in vain before it says so."""

PROGRESS_EVERY_S = 0.1
LAST_WORDS_S = 2.0
"""How long a worker that stops waits for its last messages to be acknowledged."""

MAX_ERROR_CHARACTERS = 10_000
MAX_HISTORY = 10_000


@dataclass(frozen=True, slots=True)
class Profile:
    """What a worker tells about itself when it joins."""

    name: str
    skill_level: int
    specialties: tuple[str, ...]
    slots: int
    task_types: tuple[str, ...] | None


class WorkerHooks(Protocol):
    """What the shell needs of the agent around it."""

    async def perform(self, assignment: TaskAssignment) -> TaskResult:
        """Do a task; whatever it raises becomes the task's error."""
        ...

    def hand_to_handlers(self, message: BaseModel, sender: str) -> bool:
        """Give a user's own message to the user's handlers; False if there are none."""
        ...


@dataclass(slots=True)
class _Job:
    assignment: TaskAssignment
    context: TaskContext
    work: asyncio.Task[None]
    has_begun: bool = False


class WorkerShell:
    """Drives one worker over a link.

    Args:
        hooks: the agent that does the work.
    """

    def __init__(self, hooks: WorkerHooks) -> None:
        self._hooks = hooks
        self._postman: Postman | None = None
        self._manager: str | None = None
        self._asks_again = False
        self._admission = ("", 0)
        self._welcomed_at = 0.0
        self._heartbeat_s = 1.0
        self._lost_after_s = 10.0
        self._jobs: dict[tuple[TaskId, int], _Job] = {}
        self._free_slots = asyncio.Semaphore(1)
        self._ended = asyncio.Event()
        self._failure: JoinRefused | WrongSecret | None = None
        self._session = ""
        self._kept: deque[TaskResult] = deque(maxlen=MAX_HISTORY)
        self.manager_name = ""
        self.farewell = ""
        self.history: deque[TaskResult] = deque(maxlen=MAX_HISTORY)

    @property
    def running(self) -> list[TaskAssignment]:
        """What is being done right now."""
        return [job.assignment for job in self._jobs.values()]

    @property
    def is_member(self) -> bool:
        """Whether a manager has let this worker in."""
        return self._manager is not None and not self._asks_again

    @property
    def manager_address(self) -> str:
        """Where the manager is reached, or "" before it has let this worker in."""
        return self._manager or ""

    async def run(
        self,
        link: Link,
        profile: Profile,
        also: dict[str, type[BaseModel]] | None = None,
        session: str = "",
        seal: Seal | None = None,
    ) -> None:
        """Join, work, and return when the manager shuts down or `leave` was called.

        Args:
            link: the way into the workspace.
            profile: what it tells about itself.
            also: the user's own classes of message, by qualified name.
            session: names this start; a number nobody can guess if empty.
            seal: what its frames pass through; None leaves them unsealed.

        Raises:
            JoinRefused: the manager does not want this worker.
            WrongSecret: the manager and this worker do not share a secret.
        """
        self._session = session or self._session or secrets.token_hex(8)
        self._profile = profile
        self._free_slots = asyncio.Semaphore(profile.slots)
        self._postman = Postman(
            link,
            listens_to=frozenset({EVERYONE}),
            arrived=self._arrived,
            also=also or {},
            seal=seal,
        )
        background = [
            asyncio.ensure_future(self._postman.run()),
            asyncio.ensure_future(self._keep_in_touch()),
        ]
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            done, _ = await asyncio.wait([ended, *background], return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                future.result()
            await self._stop_jobs()
            await self._postman.settle(LAST_WORDS_S)
        finally:
            for future in (ended, *background, *(job.work for job in self._jobs.values())):
                future.cancel()
            await asyncio.gather(ended, *background, return_exceptions=True)
            self._manager = None
        if self._failure is not None:
            raise self._failure

    def receive(self, frame: bytes) -> None:
        """Take in a frame from the link."""
        if self._postman is not None:
            self._postman.receive(frame)

    def leave(self, reason: str) -> None:
        """Stop: say goodbye, so that others take over at once what is unfinished here."""
        if self._manager is not None and self._postman is not None and not self._ended.is_set():
            self._postman.post(self._manager, Goodbye(reason=reason))
        self.farewell = self.farewell or reason
        self._ended.set()

    def send_to(self, address: str, message: BaseModel) -> None:
        """Send a user's own message to one member, or to everyone."""
        if self._postman is not None:
            self._postman.post_loose(address, message)

    @property
    def dropped(self) -> dict[str, int]:
        """How many frames and messages could not be read, by what was wrong with them."""
        return {} if self._postman is None else dict(self._postman.dropped)

    # ------------------------------------------------------------------ coming in

    def _arrived(self, sender: str, message: BaseModel) -> None:
        match message:
            case Welcome():
                self._welcomed(sender, message)
            case Refusal() if message.worker_session == self._session and not self.is_member:
                self._failure = JoinRefused(message.reason)
                self._ended.set()
            case _ if sender == self._manager:
                self._from_manager(message)
            case _:
                self._hooks.hand_to_handlers(message, sender)

    def _welcomed(self, sender: str, welcome: Welcome) -> None:
        if welcome.worker_session != self._session or self._postman is None:
            return
        session, admission = self._admission
        if welcome.session == session and welcome.admission < admission:
            # It was long on its way; the manager has lost us and let us in again since.
            return
        self._admission = (welcome.session, welcome.admission)
        self._postman.open(
            sender, f"{welcome.worker_session}/{welcome.session}/{welcome.admission}"
        )
        if self._manager != sender:
            log.info("joined", worker=self._profile.name, manager=welcome.manager)
        self._manager = sender
        self._asks_again = False
        self._welcomed_at = now()
        self.manager_name = welcome.manager
        self._heartbeat_s = welcome.heartbeat_s
        self._lost_after_s = welcome.lost_after_s
        while self._kept:
            self._post(self._kept.popleft())

    def _from_manager(self, message: BaseModel) -> None:
        match message:
            case TaskAssignment() if message.worker == self._profile.name:
                self._take(message)
            case CancelTask():
                self._cancel(message)
            case Shutdown():
                self.farewell = message.reason
                self._ended.set()
            case Heartbeat():
                pass
            case _:
                self._hooks.hand_to_handlers(message, self._manager or "")

    # ------------------------------------------------------------------ keeping in touch

    async def _keep_in_touch(self) -> None:
        pause_s, asked_s = HELLO_EVERY_S, 0.0
        while True:
            if not self.is_member:
                self._say_hello()
                await asyncio.sleep(pause_s)
                self._heed_refusal()
                if asked_s < WORTH_A_WARNING_S <= asked_s + pause_s:
                    log.warning(
                        "no manager answers yet; it is not up, or the ticket is an old one",
                        worker=self._profile.name,
                    )
                asked_s += pause_s
                pause_s = min(pause_s * 1.2, SLOWEST_HELLO_S)
                continue
            pause_s, asked_s = HELLO_EVERY_S, 0.0
            self._post(Heartbeat(running=len(self._jobs)))
            await asyncio.sleep(self._heartbeat_s)
            if now() - self._manager_heard_at() > self._lost_after_s:
                log.warning(
                    "the manager is silent; asking to be let in again", worker=self._profile.name
                )
                # The conversation stays open: if the manager has not lost us, it goes on.
                self._asks_again = True

    def _heed_refusal(self) -> None:
        # Anybody can forge the word that this comes from: it ends nobody who was ever let in.
        if self._postman is not None and self._postman.refusal and self._manager is None:
            self._failure = WrongSecret(f"worker {self._profile.name!r}: {self._postman.refusal}")
            self._ended.set()

    def _manager_heard_at(self) -> float:
        """When the manager last spoke to this worker, and not only to everyone.

        A manager that has lost us still sends its heartbeats to all.
        """
        assert self._postman is not None
        heard_at = self._postman.heard_at(self._manager or "")
        return self._welcomed_at if heard_at is None else max(heard_at, self._welcomed_at)

    def _say_hello(self) -> None:
        assert self._postman is not None
        profile = self._profile
        hello = Hello(
            name=profile.name,
            skill_level=profile.skill_level,
            specialties=profile.specialties,
            slots=profile.slots,
            task_types=profile.task_types,
            session=self._session,
        )
        self._postman.post_loose(ANY_MANAGER, hello)

    def _post(self, message: BaseModel) -> None:
        if self._manager is not None and self._postman is not None:
            self._postman.post(self._manager, message)

    # ------------------------------------------------------------------ working

    def _take(self, assignment: TaskAssignment) -> None:
        key = (assignment.task.id, assignment.attempt)
        if key in self._jobs or self._ended.is_set():
            return
        context = TaskContext(assignment, self._progress_of(assignment), asyncio.get_running_loop())
        work = asyncio.ensure_future(self._work(assignment, context))
        self._jobs[key] = _Job(assignment, context, work)

    async def _work(self, assignment: TaskAssignment, context: TaskContext) -> None:
        key = (assignment.task.id, assignment.attempt)
        self._jobs[key].has_begun = True
        try:
            if context.cancel_reason is not None:
                self._report(assignment, _failure(context.cancel_reason), 0.0)
                return
            async with self._free_slots:
                started_at = now()
                outcome = await self._attempt(assignment, context)
                self._report(assignment, outcome, now() - started_at)
        except asyncio.CancelledError:
            if context.cancel_reason is None or self._ended.is_set():
                raise
            self._report(assignment, _failure(context.cancel_reason), 0.0)
        finally:
            del self._jobs[key]

    async def _attempt(self, assignment: TaskAssignment, context: TaskContext) -> TaskResult:
        current_context.set(context)
        try:
            return await self._hooks.perform(assignment)
        except asyncio.CancelledError:
            # Who stops has not failed the task: it is unfinished, and the manager knows.
            if context.cancel_reason is None or self._ended.is_set():
                raise
            return _failure(context.cancel_reason)
        except KeyboardInterrupt:
            raise
        except BaseException as fault:  # noqa: BLE001 - a handler may even call sys.exit()
            return _failure(describe_fault(fault))

    def _report(self, assignment: TaskAssignment, outcome: TaskResult, took_s: float) -> None:
        result = TaskResult(
            task_id=assignment.task.id,
            worker=self._profile.name,
            success=outcome.success,
            execution_time=outcome.execution_time or max(took_s, 0.0),
            error_message=None if outcome.success else outcome.error_message or "failed: no reason",
            attempt=assignment.attempt,
            output=outcome.output,
        )
        try:
            self._hand_in(result)
        except EncodeError as fault:
            result = result.model_copy(
                update={
                    "success": False,
                    "output": None,
                    "error_message": f"EncodeError: {fault}"[:MAX_ERROR_CHARACTERS],
                }
            )
            self._hand_in(result)
        self.history.append(result)

    def _hand_in(self, result: TaskResult) -> None:
        if not self.is_member:
            self._kept.append(result)
        else:
            self._post(result)

    def _cancel(self, order: CancelTask) -> None:
        job = self._jobs.get((order.task_id, order.attempt))
        if job is not None:
            job.context.mark_cancelled(order.reason or "cancelled")
            # A cancel may come with the assignment. A coroutine that is cancelled before its first
            # step never takes one, and nobody would hear how the attempt ended.
            if job.has_begun:
                job.work.cancel()

    async def _stop_jobs(self) -> None:
        works = [job.work for job in self._jobs.values()]
        for job in self._jobs.values():
            job.context.mark_cancelled("worker stopped")
            job.work.cancel()
        if works:
            # A handler that runs in a thread, or ignores its cancel, is not waited for.
            await asyncio.wait(works, timeout=LAST_WORDS_S / 2)

    def _progress_of(self, assignment: TaskAssignment) -> Callable[[float, str], None]:
        """Takes progress and passes on the newest, not more often than a manager can use."""
        newest: list[tuple[float, str]] = []
        timer: list[asyncio.TimerHandle] = []
        key = (assignment.task.id, assignment.attempt)

        def pass_on() -> None:
            timer.clear()
            if newest and key in self._jobs:
                percent, note = newest.pop()
                self._post(
                    TaskProgress(
                        task_id=key[0],
                        worker=self._profile.name,
                        attempt=key[1],
                        percent=percent,
                        note=note[:1_000],
                    )
                )
                timer.append(asyncio.get_running_loop().call_later(PROGRESS_EVERY_S, pass_on))

        def tell(percent: float, note: str) -> None:
            newest[:] = [(percent, note)]
            if not timer:
                pass_on()

        return tell


def describe_fault(fault: BaseException) -> str:
    """An exception as "Type: text", whatever its `__str__` does."""
    text = ""
    with contextlib.suppress(Exception):
        text = str(fault)
    name = type(fault).__name__
    return (f"{name}: {text}" if text else name)[:MAX_ERROR_CHARACTERS]


def _failure(reason: str) -> TaskResult:
    return TaskResult(task_id=1, worker="", success=False, error_message=reason)
