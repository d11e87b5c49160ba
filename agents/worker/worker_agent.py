"""`WorkerAgent`: a Ceylon agent that joins a TaskManager and performs the tasks it is assigned."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from ...messages import Task, TaskAssignment, TaskResult, WorkerProfile
from ...messages.frame import EVERYONE
from ...messages.functions import TaskFunction
from ...messages.worker_profile import FOLLOW_FROM_HANDLERS
from ..execution.attempt_state import AttemptStates
from ..execution.handler_executor import ExecutorSource, HandlerExecutor
from ..execution.handlers import Handlers
from ..execution.own_method import OwnMethod
from ..execution.task_performer import TaskPerformer
from ..kernel.model.config import check_grace
from ..kernel.security.seal import Seal
from ..kernel.security.workspace_secret import WorkspaceSecret
from ..runtime.background import BackgroundRun
from ..runtime.log import log
from ..runtime.ports import DEFAULT_PORT, DEFAULT_WORKSPACE, LOOPBACK
from ..runtime.started_block import StartedInBlock
from ..security.ticket import Ticket
from ..transport.ceylon_api import AgentDetail, PeerMode
from ..transport.start_group import start_group_of_workers
from .activity import WorkerActivity
from .manager_session import Connect
from .options import ROLE, check_abilities, check_costs, check_kind, check_types
from .registration import HandlerRegistration
from .shell import WorkerShell
from .ways import Ways

if TYPE_CHECKING:
    from ..transport.ceylon_api import UnifiedAgent
    from ..transport.link import Link


class WorkerAgent(StartedInBlock, WorkerActivity, HandlerRegistration):
    """A worker: it joins a manager's workspace and performs the tasks that are assigned to it.

    Without handlers it simulates work: it sleeps for the task's processing time, and succeeds if
    its skill, plus 2 for a specialty, reaches the difficulty. With handlers the work is real:

    ```python
    worker = WorkerAgent("Ada", skill_level=7, slots=4)

    @worker.task("count_words")
    def count_words(task):
        return len(task.data["text"].split())
    ```

    Subclass it and override `handle_task` to perform all tasks yourself.

    Args:
        name: unique in its workspace.
        skill_level: compared with the difficulty of tasks, which goes from 1 to 10. A subclass may
            leave it out and set the attribute before it calls `super().__init__`.
        workspace_id: the workspace to join, unless a ticket or the manager that starts the worker
            overrides it; by default that of an admin in this process.
        admin_peer: the peer id of the workspace's admin.
        mode: must be `PeerMode.CLIENT`.
        role: must be "worker".
        specialties: task types for which its skill counts 2 more; may be set like `skill_level`.
        skills: named skills with their levels, 0 to 1,000, for tasks with `required_skills`.
        cost_per_s: what a second of its work costs, in the manager's unit of cost, 0 or more.
        cost_per_task: what each attempt costs besides, 0 or more.
        slots: how many tasks it runs at once, 1 or more.
        handlers: functions that perform tasks, by type.
        executor: where plain functions run, or a function that makes it, and makes a new one if it
            broke; by default as many threads as slots. Outside of threads, functions get the task
            but no context. A worker whose executor broke and can't be replaced leaves.
        kill_after_s: how long a plain function may go on after its task timed out or was cancelled,
            in seconds, 0 or more; then its process is killed. None never kills. It needs an
            executor of processes: `ProcessPool` loses only that one; Python's own
            `ProcessPoolExecutor` breaks, and everything in it fails.
        time_scale: how long one second of simulated work takes, in seconds.
        port: the admin's UDP port; by default that of an admin in this process.
        host: the admin's IPv4 address.
        ticket: workspace, peer, host and port in one, as the manager gave it, or the path of a file
            that holds it; see `join`.
        secret: the secret that all members of the workspace share. By default that of the ticket,
            of a manager in the same process, or of `MUSTER_SECRET`.
        insecure: do not seal frames; only for a manager that does not.
        nats_creds: a NATS credentials file, for a ticket over NATS; by default the one that
            `MUSTER_NATS_CREDS` names.
        tls_ca: a file with the certificates of authorities that NATS servers are checked against;
            by default the one that `MUSTER_NATS_TLS_CA` names, or else those of this machine.
        send_tracebacks: whether results have the tracebacks of failed handlers, which name files
            and quote lines of source; the worker logs them in any case.

    Raises:
        InvalidInput: an argument is out of range.
    """

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
        skills: Mapping[str, float] | None = None,
        cost_per_s: float = 0.0,
        cost_per_task: float = 0.0,
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
        nats_creds: str | Path | None = None,
        tls_ca: str | Path | None = None,
        send_tracebacks: bool = True,
    ) -> None:
        # Attributes that a subclass has set hold where no argument is passed.
        skill_level = getattr(self, "skill_level", None) if skill_level is None else skill_level
        if specialties is None:
            specialties = getattr(self, "specialties", ())
        skill_level = check_abilities(name, skill_level, slots, time_scale)
        check_types(name, specialties, handlers)
        check_costs(name, cost_per_s, cost_per_task, skills or {})
        check_kind(name, mode, role, host)
        super().__init__(
            name,
            mode,
            role,
            workspace_id=workspace_id,
            admin_peer=admin_peer,
            port=port,
            host=host,
        )
        self.dials_again = False
        self._shell = WorkerShell(self)
        self._ways = Ways(
            self,
            self._shell,
            self._converse,
            secret=secret,
            insecure=insecure,
            nats_creds=nats_creds,
            tls_ca=tls_ca,
        )
        if ticket is not None:
            self.join(ticket)
        self.skill_level: int = skill_level
        self.specialties = list(specialties or ())
        self.skills = dict(skills or {})
        self.cost_per_s, self.cost_per_task = cost_per_s, cost_per_task
        self.slots = slots
        self.time_scale, self.send_tracebacks = time_scale, send_tracebacks
        self.handlers = handlers if handlers is not None else Handlers()
        self._executor = HandlerExecutor(executor, slots, name, self._note_unusable, kill_after_s)
        if self._executor.is_known_to_pass_no_context:
            self.handlers.refuse_contexts()
        self._background = BackgroundRun(name, lambda: self._shell.leave("stopped"))
        self._attempt_states = AttemptStates(self)
        self._adopt_history()
        self._performer = TaskPerformer(
            self,
            self._executor,
            self._attempt_states,
            self._find_own_method,
            lambda: self._who_is(self._shell.manager_address),
        )

    # ---------------------------------------------------------- performing tasks

    async def handle_task(
        self, data: TaskAssignment, time: int = 0, agent: AgentDetail | None = None
    ) -> TaskResult | bool | None:
        """Perform one task; override it to perform all tasks yourself.

        An override may take fewer arguments. It returns a `TaskResult`, or whether it succeeded, or
        None after `await self.broadcast_message(result)` or `await super().handle_task(data)`. Up
        to `slots` calls run concurrently, beside the message loop; a call is cancelled when the
        manager says so. An override that is not async runs in a thread. Whatever it returns, the
        attempt has failed if a failed result of it was broadcast.

        Args:
            data: the assignment.
            time: when it arrived, in seconds since 1970.
            agent: who sent it.
        """
        del time, agent
        return await self._performer.perform_by_default(data)

    def perform(self, assignment: TaskAssignment) -> Awaitable[TaskResult]:
        """Perform a task by whichever method a subclass has for it.

        That is `handle_task`, or else a method declared by `@on(TaskAssignment)`, or else
        `execute_task`; if none is overridden, the worker's handlers.
        """
        return self._performer.perform(assignment)

    def _find_own_method(self) -> OwnMethod | None:
        """The method of a subclass that performs assigned tasks, or None."""
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
        """Where plain functions run, as it was passed; it can be replaced at any time."""
        return self._executor.source

    @executor.setter
    def executor(self, executor: ExecutorSource | None) -> None:
        self._executor.source = executor

    def _note_unusable(self) -> None:
        # Deferred, so that the failed task's result goes first, and the executor can be replaced.
        asyncio.get_running_loop().call_soon(self._leave_if_unusable)

    def _leave_if_unusable(self) -> None:
        # It would fail one task after the other, faster than other workers could perform them.
        if self._executor.is_unusable and self._shell.has_begun and not self._shell.is_over:
            log.error("the executor is broken and can't be replaced: leaving", worker=self.name)
            self._shell.leave("its executor is broken")

    async def execute_task(self, task: Task) -> TaskResult:
        """Perform a task here and now, without a manager.

        No timeout applies and no slot is taken, since the manager controls both. If it is
        overridden it also performs assigned tasks, unless `handle_task` is overridden: what the
        override returns is the output, or a `TaskResult`, or a bool that says whether it succeeded.

        Returns:
            The result; a failure is not raised.
        """
        return await self._performer.execute(task)

    # ---------------------------------------------------------- sending

    async def broadcast(self, message: bytes) -> None:
        """Send bytes to everyone; a pickled `TaskResult` becomes that of the running task."""
        attempt = self._attempt_states.here
        if attempt is not None:
            attempt.sent_bytes = True
        await super().broadcast(message)

    def send_model(self, to: str, message: BaseModel) -> None:
        """Send a user's own message by our codec, to an address or to everyone.

        A `TaskResult` for everyone or the manager becomes the result of the running task.
        """
        is_for_manager = to in (EVERYONE, self._shell.manager_address)
        if not (is_for_manager and isinstance(message, TaskResult)):
            self._shell.send_to(to, message)
        elif not self._attempt_states.note_broadcast(message):
            log.warning(
                "dropped a broadcast result: its task is not running on this worker",
                worker=self.name,
                task=message.task_id,
            )

    def hand_to_handlers(self, message: BaseModel, sender: str) -> bool:
        """Start the user's `@on` handlers for a message; False if there are none.

        A handler for assignments is called by `perform` alone, so never for this.
        """
        if isinstance(message, TaskAssignment):
            return False
        return super().hand_to_handlers(message, sender)

    # ---------------------------------------------------------- life cycle

    async def start(
        self, inputs: bytes = b"", workers: Sequence[UnifiedAgent] | None = None
    ) -> None:
        """Begin to work in the background; returns when a manager has accepted the worker.

        Args:
            inputs: passed to `@on_run` handlers as they are; they are never unpickled.
            workers: agents that start together with this one and end with it.

        Raises:
            JoinRefused: the manager refuses this worker.
            WrongSecret: the manager and this worker do not share a secret.
            InvalidInput: no admin is known, the host is no IPv4 address, or it was started before.
        """
        await self._background.start(lambda: self.start_agent(inputs, workers), self._shell.joined)

    async def start_agent(
        self, inputs: bytes = b"", workers: Sequence[UnifiedAgent] | None = None
    ) -> None:
        """Join the workspace, and work until the manager shuts down or `stop` is called.

        If the manager is silent for long, the worker reads its ticket file again, if there is one,
        and dials again, as often as it takes. Its attempts go on meanwhile, and their results are
        sent once a manager answers.

        Args:
            inputs: passed to `@on_run` handlers as they are; they are never unpickled.
            workers: agents that start together with this one and end with it.

        Raises:
            JoinRefused: the manager refuses this worker.
            WrongSecret: the manager and this worker do not share a secret.
            NatsUnusable: the NATS servers of its ticket refuse the connection.
            InvalidInput: no admin is known, the host is no IPv4 address, or the admin is in another
                workspace.
        """
        self.dials_again = True
        self.start_group = start_group_of_workers()
        await self._ways.run(inputs, workers)

    def can_dial_again(self) -> bool:
        """Whether the worker dials by itself; one that its manager started does not."""
        return self.dials_again and self._ways.can_dial_again()

    def is_ticket_outdated(self) -> bool:
        """Whether its ticket file holds another ticket than the one in use."""
        return self._ways.is_ticket_outdated()

    def is_done(self) -> bool:
        """Whether it will not dial again."""
        return self._shell.is_over or not self.dials_again

    def join(self, ticket: Ticket | str | Path) -> None:
        """Set the workspace to join to that of a ticket; call this before the start.

        Args:
            ticket: the ticket, its text, or the path of the file that holds it. The file is read
                again whenever the worker must dial again, since a manager that is restarted has
                another ticket.

        Raises:
            InvalidInput: the file can't be read, or holds no ticket.
        """
        self._ways.use_ticket(ticket)

    async def serve(self) -> None:
        """Join, work, and return when it is over."""
        seal, connect = self._ways.ceylon.seal_and_connect(uses_own_address=not self.dials_again)
        await self.serve_over(self, seal=seal, connect=connect)

    async def _converse(self, link: Link, seal: Seal, connect: Connect | None) -> None:
        await self.serve_over(link, seal=seal, connect=connect)

    async def serve_over(
        self,
        link: Link,
        session: str = "",
        *,
        seal: Seal | None = None,
        connect: Connect | None = None,
    ) -> None:
        """Join and work over any link; `start_agent` does it over Ceylon.

        Args:
            link: the way into the workspace.
            session: identifies this start; a random number if empty.
            seal: seals and opens frames; None leaves them unsealed.
            connect: asks the manager for a direct connection; None sends all frames by the link.

        Raises:
            JoinRefused: the manager refuses this worker.
            WrongSecret: the manager and this worker do not share a secret.
            InvalidInput: a plain handler takes a context that its executor can't pass.
        """
        await self._check_executor()
        self.handlers.watch(self._introduce_again)
        try:
            also = dict(self.model_handlers())
            await self._shell.run(link, self._profile(), also, session, seal, connect=connect)
        finally:
            if self.is_done():
                self._executor.close()

    def _profile(self) -> WorkerProfile:
        task_types = self.handlers.task_types
        if not len(self.handlers) and self._find_own_method() is not None:
            # Its own method takes any type, also if it has reviewers besides.
            task_types = None
        told = {name: getattr(self.handlers, name) for name in FOLLOW_FROM_HANDLERS}
        return WorkerProfile.of(self, **{**told, "task_types": task_types})

    def _introduce_again(self) -> None:
        self._shell.introduce(self._profile())

    def task_functions(self) -> list[TaskFunction]:
        """The functions behind its task types whose arguments are known."""
        return self.handlers.functions()

    async def _check_executor(self) -> None:
        """Check, before it joins, that its plain handlers can run."""
        if self.handlers.has_plain:
            await self._executor.open()
            if self._executor.is_known_to_pass_no_context:
                self.handlers.refuse_contexts()

    def member_appeared(self, address: str) -> None:
        """Ask the manager to join as soon as it can receive the request."""
        if address == self.admin_peer:
            self._shell.greet()

    def address_changed(self) -> None:
        """Send from and receive at the new address."""
        self._shell.address_changed()

    def receive(self, frame: bytes) -> None:
        """Take in a frame from the workspace."""
        self._shell.receive(frame)

    async def stop(self, *, grace_s: float = 0.0) -> None:
        """Say goodbye and stop; unfinished tasks go to other workers.

        With a time of grace it first gives back the tasks that it has not begun, takes no more, and
        lets those that run go on. It stops as soon as their results are recorded. Another call of
        `stop` meanwhile ends the time of grace.

        After `start`, it returns once everything has ended.

        Args:
            grace_s: for how long running tasks may go on, in seconds, 0 or more.

        Raises:
            InvalidInput: the time of grace is negative.
            MusterError: what the worker failed with.
        """
        check_grace(grace_s)
        if grace_s and not self._shell.is_leaving:
            await self._shell.drain(grace_s, "stopped")
        self._shell.leave("stopped")
        await self._background.wait()

    def report_fault(self, doing: str, fault: BaseException) -> None:
        """Log an exception that a user's handler raised."""
        log.error("a handler failed", worker=self.name, doing=doing, exc_info=fault)
