"""`WorkerAgent`: a Ceylon agent that joins a TaskManager and does what it is assigned."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from pydantic import BaseModel
from typing_extensions import Unpack

from ...messages import (
    InvalidInput,
    NotConnected,
    Task,
    TaskAssignment,
    TaskProgress,
    TaskResult,
    WorkerProfile,
)
from ...messages.frame import EVERYONE
from ..execution.attempt_state import AttemptStates
from ..execution.handler_executor import ExecutorSource, HandlerExecutor
from ..execution.handlers import Handlers, HandlerT, TaskContext, current_context
from ..execution.outcome import judge_output, result_of
from ..execution.own_method import OwnMethod
from ..execution.task_runner import TaskRunner
from ..kernel.discovery import DiscoveryCodec, LaneAddress
from ..kernel.matching.policies import SPECIALTY_BONUS
from ..kernel.security.identity import Identity
from ..kernel.security.seal import Seal
from ..kernel.security.workspace_secret import WorkspaceSecret
from ..runtime.background import BackgroundRun
from ..runtime.clock import now
from ..runtime.log import log
from ..runtime.ports import DEFAULT_PORT, DEFAULT_WORKSPACE, LOOPBACK, check_address
from ..security.sealing import find_client_secret, seal_client
from ..security.ticket import SCHEME, Ticket, read_ticket
from ..transport.ceylon_agent import CeylonAgent
from ..transport.ceylon_api import AgentDetail, PeerMode
from ..transport.direct_connection import ConnectionHolder, DirectConnection
from ..transport.discovery import ask_for_lane, request_direct_connection
from ..transport.quic_probe import answers_probe
from ..transport.start_group import start_group_of_workers
from .history import TaskHistory
from .shell import Around, DialDirect, WorkerShell

if TYPE_CHECKING:
    from ..transport.ceylon_api import UnifiedAgent
    from ..transport.link import Link

WorkerStatus: TypeAlias = Literal["Stopped", "Connecting", "Idle", "Busy"]
"""What a worker is doing, in a word."""

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
"""How long a worker waits on average before it looks for its manager again: at first, at most."""

LONGEST_PAUSE_AFTER_DIAL_S = 300.0
"""The same, if somebody answers who does not let it in: each dial costs file descriptors."""

LOOK_FOR_TICKET_EVERY_S = 1.0

DISCOVERY_TIMEOUT_S = 3.0
"""How long a worker looks whether its manager is there before it dials for the first time."""

FIRST_LOOK_AGAIN_S = 0.01
MAX_DISCOVERY_PAUSE_S = 0.1
"""How long it waits between two looks: at first, for a manager that starts as well, and at last."""

DISCOVERY_FOLLOWS_S = 0.02
FOLLOWING_DISCOVERY_PAUSE_S = 0.005
"""By how much the door of a manager that starts may be later than its agent; and how often it looks
for it meanwhile."""

REFUSED_WITHIN_S = 0.2
"""Whoever gets no answer sooner than this is refused by a machine that it reaches."""

ROLE = "worker"
"""What Ceylon announces a worker as."""


class WorkerAgent(CeylonAgent):
    """A worker: it joins a manager's workspace and does the tasks that are assigned to it.

    Without handlers it simulates: it sleeps for the task's processing time and succeeds if its
    skill, plus 2 for a specialty, reaches the task's difficulty. With handlers it does real work:

    ```python
    worker = WorkerAgent("Ada", skill_level=7, slots=4)

    @worker.task("count_words")
    def count_words(task):
        return len(task.data["text"].split())
    ```

    Subclass it and override `handle_task` to do everything yourself.

    Args:
        name: unique in its workspace.
        skill_level: what it can do; tasks have difficulties from 1 to 10. A subclass may leave it
            out and set the attribute before it calls `super().__init__`.
        workspace_id: the workspace to join; a manager that starts it in its own process, and a
            ticket, know better. Where none is named, and the admin is in this process, it is the
            admin's.
        admin_peer: the peer id of the workspace's admin.
        mode: `PeerMode.CLIENT`, which alone is possible.
        role: "worker", which alone is possible.
        specialties: types of task for which its skill counts 2 more; likewise.
        slots: how many tasks it runs at once, 1 or more.
        handlers: functions that do tasks, by type.
        executor: where plain functions run, or a function that makes that, and makes it anew when
            it broke; by default threads, as many as slots. Outside a thread pool functions take
            the task alone. A worker whose executor broke for good leaves.
        kill_after_s: how long a plain function may go on after its task timed out or was cancelled,
            in seconds, 0 or more; then its process is killed, and the slot is free. None for as
            long as it likes. Only an executor of processes takes it, since nobody can kill a
            thread or a coroutine. A `ProcessPool` loses that one process; Python's own
            `ProcessPoolExecutor` breaks, and all that was in it fails.
        time_scale: how long a second of simulated work lasts, in seconds.
        port: the UDP port of the admin; where none is named, and the admin is in this process, it
            is the admin's.
        host: the IPv4 address of the admin.
        ticket: all of workspace, peer, host and port, as the manager gave it, or the path of the
            file that it is in; see `join`.
        secret: what all members of the workspace share. Without one it takes its ticket's, that of
            its manager if that lives in the same process, or that in `MUSTER_SECRET`.
        insecure: do not seal; only for a manager that does not.

    Raises:
        InvalidInput: an argument is out of range.
    """

    _has_task_by_hand = False
    _current_task_by_hand: Task | None = None
    """What somebody set from outside of an attempt, or before `__init__`."""

    def __init__(
        self,
        name: str,
        skill_level: int | None = None,
        workspace_id: str = DEFAULT_WORKSPACE,
        admin_peer: str = "",
        *,
        mode: PeerMode = PeerMode.CLIENT,
        role: str = ROLE,
        specialties: Iterable[str] | None = None,
        slots: int = 1,
        handlers: Handlers | None = None,
        executor: ExecutorSource | None = None,
        kill_after_s: float | None = None,
        time_scale: float = 1.0,
        port: int = DEFAULT_PORT,
        host: str = LOOPBACK,
        ticket: Ticket | str | Path | None = None,
        secret: WorkspaceSecret | str | None = None,
        insecure: bool = False,
    ) -> None:
        # What a subclass has set before holds where no argument says otherwise.
        if skill_level is None:
            skill_level = getattr(self, "skill_level", None)
        if specialties is None:
            specialties = getattr(self, "specialties", ())
        skill_level = _check(name, skill_level, slots, time_scale)
        _check_kind(name, mode, role)
        super().__init__(
            name,
            mode,
            role,
            workspace_id=workspace_id,
            admin_peer=admin_peer,
            port=port,
            host=host,
        )
        self._home = self._here()
        self._is_place_bad = False
        self._ticket: Ticket | None = None
        self._ticket_file: Path | None = None
        self.dials_again = False
        if ticket is not None:
            self.join(ticket)
        self._secret = secret
        self._insecure = insecure
        self.skill_level: int = skill_level
        self.specialties = list(specialties or ())
        self.slots = slots
        self.time_scale = time_scale
        self.handlers = handlers if handlers is not None else Handlers()
        self._workplace = HandlerExecutor(executor, slots, name, self._find_unusable, kill_after_s)
        if self._workplace.surely_carries_no_context:
            self.handlers.refuse_contexts()
        self._shell = WorkerShell(self)
        self._service = BackgroundRun(name, lambda: self._shell.leave("stopped"))
        self._shell.history = vars(self).pop("_history_before", self._shell.history)
        self._attempt_states = AttemptStates(self)

    # ---------------------------------------------------------- what it is doing

    # A subclass may set these before it calls `__init__`, as the documents' do.

    @property
    def has_task(self) -> bool:
        """Whether it is doing anything right now.

        In an override of `handle_task` the attempt that this does is not counted, and neither are
        those beside it: there it is False until the override sets it.
        """
        if not self._is_made:
            return self._has_task_by_hand
        attempt = self._attempt_states.own_here
        if attempt is not None:
            return attempt.has_task
        return self._has_task_by_hand or bool(self._shell.running)

    @has_task.setter
    def has_task(self, has_task: bool) -> None:
        attempt = self._attempt_states.own_here if self._is_made else None
        if attempt is None:
            self._has_task_by_hand = has_task
        else:
            attempt.has_task = has_task

    @property
    def current_task(self) -> Task | None:
        """The task it took up last and is still doing, or None; in an override, that of the call.

        An override of `handle_task` may set it, which holds until it returns.
        """
        if not self._is_made:
            return self._current_task_by_hand
        attempt = self._attempt_states.own_here
        if attempt is not None:
            return attempt.current_task
        running = self._shell.running
        return running[-1].task if running else self._current_task_by_hand

    @current_task.setter
    def current_task(self, task: Task | None) -> None:
        attempt = self._attempt_states.own_here if self._is_made else None
        if attempt is None:
            self._current_task_by_hand = task
        else:
            attempt.current_task = task

    @property
    def task_history(self) -> TaskHistory:
        """The results of what it did, the latest 10,000, or as many of them as 16 MiB hold.

        A list: what an override of `handle_task` appends there is taken for the result that the
        attempt ends with, and counts once.
        """
        if self._is_made:
            return self._shell.history
        return vars(self).setdefault("_history_before", TaskHistory())

    @task_history.setter
    def task_history(self, results: Iterable[TaskResult]) -> None:
        history = results if isinstance(results, TaskHistory) else TaskHistory(results)
        if self._is_made:
            self._shell.history = history
        else:
            vars(self)["_history_before"] = history

    @property
    def _is_made(self) -> bool:
        return "_attempt_states" in vars(self)

    def get_worker_status(self) -> WorkerStatus:
        """What it is doing, in a word.

        Returns:
            "Stopped" before its start and after its end, "Connecting" while no manager answers it,
            "Busy" while it does a task, and else "Idle".
        """
        shell = self._shell
        if shell.is_over or not (shell.has_begun or self.dials_again):
            return "Stopped"
        if not shell.is_member:
            return "Connecting"
        return "Busy" if shell.running else "Idle"

    async def ping(self) -> None:
        """See that its manager answers it.

        Raises:
            NotConnected: it does not.
        """
        if self._shell.is_over or not self._shell.is_member:
            raise NotConnected(self.name, self.get_worker_status())

    @property
    def dropped(self) -> dict[str, int]:
        """How many frames and messages it could not read, by what was wrong with them."""
        return self._shell.dropped

    # ---------------------------------------------------------- doing it

    def task(self, task_type: str) -> Callable[[HandlerT], HandlerT]:
        """Register the decorated function for a type of task; see `Handlers.task`."""
        register = self.handlers.task(task_type)

        def register_here(function: HandlerT) -> HandlerT:
            register(function)
            if self._workplace.surely_carries_no_context:
                self.handlers.refuse_contexts()
            return function

        return register_here

    async def handle_task(
        self, data: TaskAssignment, time: int = 0, agent: AgentDetail | None = None
    ) -> TaskResult | bool | None:
        """Do one task; override it to do everything yourself.

        An override may take fewer arguments. It returns a `TaskResult`, or whether it succeeded, or
        None after `await self.broadcast_message(result)` or `await super().handle_task(data)`. It
        is called once for each slot at a time, beside the message loop, and is cancelled when the
        manager says so. One that is not async runs in a thread. Whatever it returns, an attempt has
        failed if a failed result of it was broadcast.

        Args:
            data: the assignment.
            time: when it arrived, in seconds since 1970.
            agent: who sent it.
        """
        del time, agent
        result = await self._do_by_default(data)
        attempt = self._attempt_states.own_here
        if attempt is not None:
            attempt.default = result
        return result

    async def _do_by_default(self, data: TaskAssignment) -> TaskResult:
        started_at = now()
        if len(self.handlers):
            output = await self.handlers.run(data, self._workplace)
            return judge_output(data, self._attempt_states.here, output, now() - started_at)
        await asyncio.sleep(data.task.get_processing_time() * self.time_scale)
        reach = self.skill_level
        if data.task.type in self.specialties:
            reach += SPECIALTY_BONUS
        took_s = now() - started_at
        if reach >= data.task.difficulty:
            return result_of(data, success=True, took_s=took_s)
        error = f"too difficult: skill {reach} is below difficulty {data.task.difficulty}"
        return result_of(data, success=False, error=error, took_s=took_s)

    def surround(self, around: Around) -> None:
        """Have one function called around each task that is done; call this before it starts.

        Args:
            around: takes what does a task, and the task's assignment.
        """
        self._shell.surround(around)

    async def perform(self, assignment: TaskAssignment) -> TaskResult:
        """Do a task by whichever method a subclass has for it, and make a result of what it says.

        That is `handle_task`, or else a method declared by `@on(TaskAssignment)`, or else
        `execute_task`; and where none is overridden, the worker's handlers.
        """
        return await self._perform_attempt(assignment, self._find_own_method())

    async def _perform_attempt(
        self, assignment: TaskAssignment, method: OwnMethod | None
    ) -> TaskResult:
        attempt = self._attempt_states.begin(assignment, is_own=method is not None)
        try:
            if method is not None:
                sender = self._who_is(self._shell.manager_address)
                return await method.do(attempt, sender, self._workplace)
            # Most tasks are done by a coroutine, and these without any layer between.
            doing = self.handlers.begin(assignment.task)
            if doing is None:
                return await self._do_by_default(assignment)
            started_at = now()
            output = await doing
            return judge_output(assignment, attempt, output, now() - started_at)
        finally:
            self._attempt_states.end(attempt)

    def _find_own_method(self) -> OwnMethod | None:
        """The method of a subclass that does assigned tasks, or None."""
        if getattr(self.handle_task, "__func__", None) is not WorkerAgent.handle_task:
            return OwnMethod(self.handle_task)
        if self._declared_method is not None:
            return OwnMethod(self._declared_method)
        if getattr(self.execute_task, "__func__", None) is not WorkerAgent.execute_task:
            return OwnMethod(self.execute_task, takes_assignment=False)
        return None

    @cached_property
    def _declared_method(self) -> Callable[..., Any] | None:
        return self.find_declared_handler(TaskAssignment)

    @property
    def executor(self) -> ExecutorSource | None:
        """Where plain functions run, as it was given; another may take its place at any time."""
        return self._workplace.source

    @executor.setter
    def executor(self, executor: ExecutorSource | None) -> None:
        self._workplace.source = executor

    def _find_unusable(self) -> None:
        # Later, so that the result that told of it goes first, and another may take its place.
        asyncio.get_running_loop().call_soon(self._leave_if_unusable)

    def _leave_if_unusable(self) -> None:
        # It would fail one task after the other, faster than anyone else could do them.
        if self._workplace.is_unusable and self._shell.has_begun and not self._shell.is_over:
            log.error("the executor is broken, and there is no other: leaving", worker=self.name)
            self._shell.leave("its executor is broken")

    async def execute_task(self, task: Task) -> TaskResult:
        """Do a task here and now, without a manager; nobody else hears of it.

        No timeout applies and no slot is taken; both are the manager's. Overridden, it does the
        tasks that are assigned as well, unless `handle_task` is overridden: what an override
        returns is the output, or a `TaskResult`, or a bool that says whether it succeeded.

        Returns:
            How it went; a failure is not raised.
        """
        outcome: asyncio.Future[TaskResult] = asyncio.get_running_loop().create_future()
        attempt = self._attempt_states.own_here
        assignment = TaskAssignment(task=task, assigned_at=int(now()), worker=self.name)
        context: TaskContext | None = None
        if attempt is None:
            own = self._find_own_method()
            perform = partial(
                self._perform_attempt,
                method=own if own is not None and own.takes_assignment else None,
            )
        else:
            # An override leans on this, which must not come back to it.
            perform = self._do_by_default
            if attempt.assignment.task.id == task.id:
                assignment = attempt.assignment.model_copy(update={"task": task})
                context = current_context.get(None)
        jobs = TaskRunner(self.name, 1, perform, outcome.set_result, _tell(context))
        jobs.take(assignment)
        try:
            result = await outcome
        finally:
            await jobs.stop()
        if attempt is not None:
            attempt.default = result
        return result

    # ---------------------------------------------------------- talking

    async def broadcast(self, message: bytes) -> None:
        """Send bytes to everyone; the pickle of a `TaskResult` is that of the task being done."""
        attempt = self._attempt_states.here
        if attempt is not None:
            attempt.sent_bytes = True
        await super().broadcast(message)

    def send_model(self, to: str, message: BaseModel) -> None:
        """Send a user's own message by our codec, to an address or to everyone.

        A `TaskResult` for everyone, or the manager, is taken for that of the task being done.
        """
        is_for_manager = to in (EVERYONE, self._shell.manager_address)
        if not (is_for_manager and isinstance(message, TaskResult)):
            self._shell.send_to(to, message)
        elif not self._attempt_states.note_broadcast(message):
            log.warning(
                "a result was broadcast of a task that is not being done here; it goes nowhere",
                worker=self.name,
                task=message.task_id,
            )

    def hand_to_handlers(self, message: BaseModel, sender: str) -> bool:
        """Start the user's `@on` handlers for a message; False if there are none.

        Those for assignments do what the manager assigned to this worker, and hear of nothing else.
        """
        if isinstance(message, TaskAssignment):
            return False
        return super().hand_to_handlers(message, sender)

    # ---------------------------------------------------------- life cycle

    async def start(
        self, inputs: bytes = b"", workers: Sequence[UnifiedAgent] | None = None
    ) -> None:
        """Begin to work in the background; returns when a manager has let it in.

        Args:
            inputs: handed to `@on_run` handlers as they are; they are never unpickled.
            workers: agents that start together with this one and end with it.

        Raises:
            JoinRefused: the manager does not want this worker.
            WrongSecret: the manager and this worker do not share a secret.
            InvalidInput: it knows no admin, the host is no IPv4 address, or it was started before.
        """
        await self._service.start(lambda: self.start_agent(inputs, workers), self._shell.joined)

    async def start_agent(
        self, inputs: bytes = b"", workers: Sequence[UnifiedAgent] | None = None
    ) -> None:
        """Join the workspace and work until the manager shuts down or `stop` is called.

        When the manager falls silent for long the worker reads its ticket anew, if that is in a
        file, and dials again, as often as it takes. It goes on with what it does meanwhile, and
        hands in the results once there is a manager again.

        Args:
            inputs: handed to `@on_run` handlers as they are; they are never unpickled.
            workers: agents that start together with this one and end with it.

        Raises:
            JoinRefused: the manager does not want this worker.
            WrongSecret: the manager and this worker do not share a secret.
            InvalidInput: it knows no admin, the host is no IPv4 address, or its admin is in another
                workspace.
        """
        self.dials_again = True
        if self._ticket is None:
            self.go_to_admin(is_starting=True)
        self._home = self._here()
        check_address(self.name, self.admin_peer, self.admin_ip)
        self.start_group = start_group = start_group_of_workers()
        if not (inputs or workers):
            start_group.announce(self)
        try:
            await self._wait_for_discovery()
            await super().start_agent(inputs, workers)
            async for _ in self._redials():
                self.renew()
                await super().start_agent()
        finally:
            start_group.withdraw(self)

    async def _wait_for_discovery(self) -> None:
        """Look for the manager before the first dial; if that takes too long, dial nevertheless."""
        ends_at = now() + DISCOVERY_TIMEOUT_S
        pause_s = FIRST_LOOK_AGAIN_S
        while not await self._find_place(may_be_starting=True):
            if self._shell.is_over or now() >= ends_at:
                return
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.2, MAX_DISCOVERY_PAUSE_S)

    async def _find_place(self, *, may_be_starting: bool = False) -> bool:
        """Take the place that the manager's door names; the door's own if it names none.

        Args:
            may_be_starting: whether the door may only just be opening.

        Returns:
            Whether anybody is at home there.
        """
        host, discovery = self._home
        if self._is_place_bad:
            # Its port may be closed to us, and the door's open.
            self._is_place_bad = False
            self._go_to(host, discovery)
            return await answers_probe(host, discovery.port)
        asking = partial(
            ask_for_lane, host, discovery.port, self._discovery_codec(discovery), self.name
        )
        asked_at = now()
        place = await asking()
        if place is None:
            may_follow = may_be_starting and now() - asked_at < REFUSED_WITHIN_S
            if not await answers_probe(host, discovery.port):
                self._go_to(host, discovery)
                return False
            ends_at = now() + DISCOVERY_FOLLOWS_S
            while place is None and may_follow and now() < ends_at:
                await asyncio.sleep(FOLLOWING_DISCOVERY_PAUSE_S)
                place = await asking()
        self._go_to(host, place or discovery)
        return True

    def _discovery_codec(
        self, discovery: LaneAddress, identity: Identity | None = None
    ) -> DiscoveryCodec:
        secret = find_client_secret(
            self.name,
            discovery.peer_id,
            secret=self._secret,
            insecure=self._insecure,
            ticket=self._ticket,
        )
        return DiscoveryCodec(secret, discovery.workspace_id, identity)

    async def _dial_direct(
        self, identity: Identity | None, holder: ConnectionHolder
    ) -> DirectConnection | None:
        # Those that their manager starts have no home but where they are.
        host, discovery = self._home if self.dials_again else self._here()
        talk = self._discovery_codec(discovery, identity)
        return await request_direct_connection(
            host, discovery.port, talk, address=self.address, manager=self.admin_peer, holder=holder
        )

    def _here(self) -> tuple[str, LaneAddress]:
        return self.admin_ip, LaneAddress(self.workspace_id, self.admin_peer, self.port)

    def _go_to(self, host: str, place: LaneAddress) -> None:
        self.admin_ip = host
        self.workspace_id, self.admin_peer, self.port = place

    async def _redials(self) -> AsyncIterator[None]:
        """The moments at which to dial again, until the worker is to stop."""
        pause_s = FIRST_PAUSE_S
        while not self._shell.is_over:
            has_joined = self._shell.has_joined_by_this_line
            self._is_place_bad = self._here() != self._home and not has_joined
            start_group_of_workers().announce(self)
            # Not all at once, or a manager that comes back is overrun.
            await self._wait_for_ticket(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            if self._shell.is_over:
                return
            self._read_ticket_again()
            if not await self._find_place():
                pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)
                continue
            yield
            if self._shell.has_joined_by_this_line:
                pause_s = FIRST_PAUSE_S
            elif not self._shell.is_over:
                log.warning(
                    "somebody answers there, but not as the manager of this ticket; "
                    "if that was started again it has a new one",
                    worker=self.name,
                    host=self._home[0],
                    port=self._home[1].port,
                )
                pause_s = min(pause_s * 2, LONGEST_PAUSE_AFTER_DIAL_S)

    async def _wait_for_ticket(self, patience_s: float) -> None:
        """Wait, but not longer than until the ticket file has a new ticket, or it is over."""
        ends_at = now() + patience_s
        while (left_s := ends_at - now()) > 0:
            await asyncio.sleep(min(left_s, LOOK_FOR_TICKET_EVERY_S))
            if self._shell.is_over or self.is_line_outdated():
                return

    def _read_ticket_again(self) -> None:
        """Take the newest ticket, if it is in a file and can be read there."""
        if self._ticket_file is not None:
            with contextlib.suppress(InvalidInput):
                self._settle_by(read_ticket(self._ticket_file))

    def can_dial_again(self) -> bool:
        """Whether it dials for itself, and not its manager for it."""
        return self.dials_again

    def is_line_outdated(self) -> bool:
        """Whether its ticket file holds another ticket than the one it came by."""
        if self._ticket_file is None:
            return False
        try:
            return read_ticket(self._ticket_file) != self._ticket
        except InvalidInput:
            # It is gone, or half of a copy: the next look will tell.
            return False

    def is_done(self) -> bool:
        """Whether it will not dial again."""
        return self._shell.is_over or not self.dials_again

    def join(self, ticket: Ticket | str | Path) -> None:
        """Decide where it belongs, before it starts: the workspace that the ticket was made for.

        Args:
            ticket: the ticket, its line, or the path of the file that it is in. From a file it is
                read anew whenever the worker must dial again, since a manager that is started
                again has another one.

        Raises:
            InvalidInput: the file can't be read, or holds no ticket.
        """
        if isinstance(ticket, Ticket):
            self._settle_by(ticket)
        else:
            is_line = isinstance(ticket, str) and ticket.strip().startswith(SCHEME)
            self._ticket_file = None if is_line else Path(ticket)
            self._settle_by(read_ticket(ticket))

    def _settle_by(self, ticket: Ticket) -> None:
        self._ticket = ticket
        self._home = (ticket.host, LaneAddress(ticket.workspace_id, ticket.peer_id, ticket.port))
        self._go_to(*self._home)

    async def serve(self) -> None:
        """Join, work, and return when it is over."""
        seal = seal_client(
            self.name,
            self.workspace_id,
            self.admin_peer,
            secret=self._secret,
            insecure=self._insecure,
            ticket=self._ticket,
        )
        await self.serve_over(
            self, seal=seal, dial_direct=partial(self._dial_direct, seal.identity)
        )

    async def serve_over(
        self,
        link: Link,
        session: str = "",
        *,
        seal: Seal | None = None,
        dial_direct: DialDirect | None = None,
    ) -> None:
        """Join and work over any link; `start_agent` does it over Ceylon.

        Args:
            link: the way into the workspace.
            session: names this start; a number nobody can guess if empty.
            seal: what its frames pass through; None leaves them unsealed.
            dial_direct: asks the manager for a wire; None lets all frames go by the link.

        Raises:
            JoinRefused: the manager does not want this worker.
            WrongSecret: the manager and this worker do not share a secret.
            InvalidInput: a plain handler takes a context that its executor can't carry.
        """
        task_types = tuple(self.handlers) if len(self.handlers) else None
        profile = WorkerProfile.of(self, task_types=task_types)
        await self._see_to_workplace()
        try:
            also = dict(self.model_handlers())
            await self._shell.run(link, profile, also, session, seal, dial_direct=dial_direct)
        finally:
            if self.is_done():
                self._workplace.close()

    async def _see_to_workplace(self) -> None:
        """See, before it joins, that its plain handlers can run."""
        if any(self.handlers.plain):
            await self._workplace.open()
            if self._workplace.surely_carries_no_context:
                self.handlers.refuse_contexts()

    def member_appeared(self, address: str) -> None:
        """Ask the manager to be let in as soon as it can hear it."""
        if address == self.admin_peer:
            self._shell.greet()

    def address_changed(self) -> None:
        """Speak and be spoken to at the new address."""
        self._shell.address_changed()

    def receive(self, frame: bytes) -> None:
        """Take in a frame from the workspace."""
        self._shell.receive(frame)

    async def stop(self) -> None:
        """Say goodbye and stop; what is unfinished goes to other workers.

        Of a worker that was begun with `start` it returns when all has ended.

        Raises:
            MusterError: what it failed with.
        """
        self._shell.leave("stopped")
        await self._service.wait()

    def report_fault(self, doing: str, fault: BaseException) -> None:
        """Log an exception that a user's handler let escape."""
        log.error("a handler failed", worker=self.name, doing=doing, exc_info=fault)


class WorkerOptions(TypedDict, total=False):
    """What a `WorkerAgent` takes besides name, skill and specialties."""

    workspace_id: str
    admin_peer: str
    mode: PeerMode
    role: str
    slots: int
    handlers: Handlers | None
    executor: ExecutorSource | None
    kill_after_s: float | None
    time_scale: float
    port: int
    host: str
    ticket: Ticket | str | Path | None
    secret: WorkspaceSecret | str | None
    insecure: bool


def _tell(context: TaskContext | None) -> Callable[[TaskProgress], None]:
    """What passes progress on to the attempt that a context is of, or to nobody."""

    def tell(told: TaskProgress) -> None:
        if context is not None:
            context.progress(told.percent, told.note)

    return tell


class SpecializedWorker(WorkerAgent):
    """A worker whose skill counts 2 more for some types of task.

    Args:
        name: unique in its workspace.
        skill_level: what it can do.
        specialties: the types of task that it does better.
        options: whatever else `WorkerAgent` takes.
    """

    def __init__(
        self,
        name: str,
        skill_level: int,
        specialties: Iterable[str],
        **options: Unpack[WorkerOptions],
    ) -> None:
        super().__init__(name, skill_level, specialties=specialties, **options)


def _check_kind(name: str, mode: PeerMode, role: str) -> None:
    if mode != PeerMode.CLIENT:
        raise InvalidInput(
            f"worker {name!r}: mode is {mode!r}; a worker is a client, so leave it out or pass "
            "PeerMode.CLIENT"
        )
    if role != ROLE:
        raise InvalidInput(
            f"worker {name!r}: role is {role!r}; a worker's role is {ROLE!r}, so leave it out"
        )


def _check(name: str, skill_level: int | None, slots: int, time_scale: float) -> int:
    if not name.strip():
        raise InvalidInput(f"a worker needs a name that is not blank, not {name!r}")
    if skill_level is None:
        raise InvalidInput(
            f"worker {name!r} has no skill_level; pass it to WorkerAgent.__init__, or set "
            "self.skill_level before you call that"
        )
    if skill_level < 0:
        raise InvalidInput(f"worker {name!r}: skill_level is {skill_level!r}; it must be 0 or more")
    if slots < 1:
        raise InvalidInput(f"worker {name!r}: slots is {slots!r}; it must be 1 or more")
    if not time_scale >= 0:
        raise InvalidInput(f"worker {name!r}: time_scale is {time_scale!r}; it must be 0 or more")
    return skill_level
