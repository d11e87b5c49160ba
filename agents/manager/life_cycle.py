"""The life of a manager: how it starts, runs over a link, and ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from ...messages import MusterError, RunEnded, WorkersMissing
from ..execution.current_submitter import enter_submitter, exit_submitter
from ..kernel.model.config import check_grace
from ..kernel.security.seal import Seal
from ..runtime.background import BackgroundRun
from ..runtime.log import log
from ..runtime.started_block import StartedInBlock
from ..submission.submission import Submission
from ..transport.lane_manager import LaneManager
from ..transport.link import Link
from .hook_calls import in_hook
from .hook_dispatch import HookDispatch
from .options import ManagerOptions
from .shell import RUN_CUT_SHORT
from .task_control import TaskControl
from .workspace_agent import WorkspaceAgent

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..transport.ceylon_api import UnifiedAgent
    from ..transport.nats_link import NatsLink

_HOW_TO_CONTINUE = (
    "to complete it, await `finished()` before you end the workspace; to resume it, give a new "
    "manager the same tasks or the same store"
)


class ManagerLifeCycle(StartedInBlock, TaskControl, Submission, HookDispatch, WorkspaceAgent):
    """Starts a manager, runs it, and ends it."""

    _manager_options: ManagerOptions
    _service: BackgroundRun
    _run_finished: asyncio.Event
    _has_logged_failure = False
    _kept_skills: AbstractAsyncContextManager[object, None]

    async def start(
        self, inputs: bytes = b"", workers: Sequence[UnifiedAgent] | None = None
    ) -> None:
        """Begin to manage in the background; returns when workers can join.

        It continues until `stop`; see `stay`.

        Args:
            inputs: passed to `@on_run` handlers as they are; they are never unpickled.
            workers: agents that start and end together with this one.

        Raises:
            PortInUse: another program uses the port.
            InvalidInput: it was started before.
        """
        self.stay()
        await self._service.start(lambda: self.start_agent(inputs, workers), self._shell.opened)

    def stay(self) -> None:
        """Continue until `stop`, whether or not there are tasks; call this before the start.

        A failed task is tried at another worker if one could do it, unless `reassign_failed` says
        otherwise. `start` does this by itself, `start_agent` does not.

        Results are kept for `keep_results_s`, and at most `keep_results` of them, or a few more.
        Then the tasks are forgotten, as by `forget_tasks`. A task is kept as long as a kept task
        depends on it or is its child, and a child as long as its parent is not settled.
        """
        options = self._manager_options
        self._shell.driver.stay(
            reassigns_failed=options.service_reassigns_failed,
            keep_results_s=options.keep_results_s,
            keep_results=options.keep_results,
        )

    async def __aenter__(self) -> Self:
        """Start the manager as a service; see `start`."""
        await self.start()
        enter_submitter(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop it; see `stop`."""
        exit_submitter(self)
        await self.stop()

    async def stop(self, *, grace_s: float = 0.0) -> None:
        """End the run: workers are told to stop, and unfinished tasks stay unfinished.

        With a time of grace, first no more tasks are assigned, and those that run go on. The run
        ends as soon as their results are recorded. Another call of `stop` meanwhile ends the time
        of grace.

        For a service it returns when everything has ended. Called by a hook it returns at once,
        since the run does not end before the hook has returned.

        Args:
            grace_s: for how long running tasks may go on, in seconds, 0 or more.

        Raises:
            InvalidInput: the time of grace is negative.
            MusterError: why the service failed.
        """
        check_grace(grace_s)
        if grace_s and not in_hook.get():
            await self._shell.close(grace_s)
        self._shell.end("stopped")
        if not in_hook.get():
            await self._service.wait()
            self._close_files()

    async def start_agent(
        self, inputs: bytes = b"", workers: Sequence[UnifiedAgent] | None = None
    ) -> None:
        """Open the workspace and manage until every task is settled, or until stopped.

        Args:
            inputs: passed to `@on_run` handlers as they are; they are never unpickled.
            workers: agents that start in this one's workspace and end together with it; plain
                Ceylon clients are told where it is as well.

        Raises:
            PortInUse: another program uses the port.
            WorkersMissing: expected workers did not join in time, and `on_missing` is "fail".
            AssigningFailed: a subclass's own `assign_tasks` or matching assigned nothing, or
                raised.
            RunEnded: its workspace ended before the tasks were settled, without a call of `stop`.
            InvalidInput: as a guest, its admin is in another workspace.
        """
        try:
            await self._start_in_workspace(inputs, workers)
        except asyncio.CancelledError:
            self._conclude("start_agent was cancelled")
            raise
        except MusterError as fault:
            # What was raised says already why a run has never begun.
            self._has_logged_failure = self._has_logged_failure or not self._shell.has_link
            self._conclude(str(fault))
            raise
        finally:
            # Ceylon may also end by itself, as it does at Ctrl-C.
            self._conclude()
        self._raise_failure()

    async def serve(self) -> None:
        """Manage until every task is settled; Ceylon calls it once the agent is up."""
        seal = self._sealing.seal(self.workspace_id)
        watching = self._watch_host()
        try:
            async with self._nats_link() as beyond:
                await self.serve_over(self, seal=seal, lanes=self._lane_manager, beyond=beyond)
        finally:
            if watching is not None:
                watching.cancel()
            self._conclude()

    async def _serve_over_nats(self, link: NatsLink) -> None:
        await self.serve_over(link, seal=self._sealing.seal(self.workspace_id))

    async def serve_over(
        self,
        link: Link,
        session: str = "",
        *,
        seal: Seal | None = None,
        lanes: LaneManager | None = None,
        beyond: NatsLink | None = None,
    ) -> None:
        """Manage over any link; `start_agent` does it over Ceylon.

        Args:
            link: the connection to the workspace.
            session: identifies this start; random if empty.
            seal: encrypts and decrypts its frames; None leaves them unencrypted.
            lanes: opens further workspaces for its workers; None keeps all of them in this one.
            beyond: a second link, over NATS; frames there have a seal of their own.

        Raises:
            WorkersMissing: expected workers did not join in time, and `on_missing` is "fail".
            AssigningFailed: a subclass's own `assign_tasks` or matching assigned nothing, or
                raised.
        """
        self._use_link(link)
        try:
            async with self._kept_skills:
                models = dict(self.model_handlers())
                if beyond is not None:
                    self._shell.add_link(beyond, self._sealing.seal(self.workspace_id))
                await self._shell.run(link, models, session, seal, lanes)
        finally:
            self._shell.awaited.close()
            self._cancel_timers()
            self._run_finished.set()
            self._close_files()
        self._raise_failure()

    async def finished(self) -> None:
        """Wait until the run has ended and the workers have been told.

        Raises:
            RunEnded: it ended before the tasks were settled, without a call of `stop`.
            WorkersMissing: expected workers did not join in time, and `on_missing` is "fail".
        """
        await self._run_finished.wait()
        self._raise_failure()

    def joining_failed(self, fault: MusterError) -> None:
        """Called when the agent that started this one can't open or join the workspace."""
        if not isinstance(fault, RunEnded):
            # That one has been logged.
            super().joining_failed(fault)
        self._conclude(str(fault))

    def report_fault(self, doing: str, fault: BaseException) -> None:
        """Log an exception that a user's handler raised."""
        log.error("a handler failed", manager=self.name, doing=doing, exc_info=fault)

    def _conclude(self, why: str = RUN_CUT_SHORT) -> None:
        """Make sure that a run that is over has ended, and log it if it was broken off.

        Args:
            why: why it is over, if it has not ended by itself.
        """
        self._shell.break_off(why)
        if self._shell.is_broken_off and not self._has_logged_failure:
            self._has_logged_failure = True
            log.error(f"the run was {self.board.failure}", manager=self.name)
        self._run_finished.set()
        self._close_files()

    def _raise_failure(self) -> None:
        if self._shell.fault is not None:
            raise self._shell.fault
        failure = self.board.failure
        if self._shell.is_broken_off:
            raise RunEnded(f"the run of {self.name!r} was {failure}; {_HOW_TO_CONTINUE}")
        if failure is not None:
            raise WorkersMissing(failure)
