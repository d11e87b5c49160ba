"""`TaskManager`: a Ceylon agent that assigns tasks to workers and collects their results."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ...messages import InvalidInput, Limit, Payload, Retry, Task
from ..blobs.offload import DEFAULT_THRESHOLD_BYTES
from ..blobs.places import OwnDirectory, open_place
from ..blobs.store import BlobStore
from ..kernel.lanes import MAX_LANES
from ..kernel.matching.policies import MatchingPolicy
from ..kernel.model.config import DEFAULT_MAX_LOSSES, MAX_WORKERS
from ..kernel.security.workspace_secret import WorkspaceSecret
from ..runtime.background import BackgroundRun
from ..runtime.ports import DEFAULT_PORT, DEFAULT_WORKSPACE, LOOPBACK
from ..store.protocol import Store
from ..transport.ceylon_api import PeerMode
from .assigning import Assigning
from .life_cycle import ManagerLifeCycle
from .links import CEYLON
from .options import ROLE, ManagerOptions, check_tasks_argument
from .shell import ManagerShell

if TYPE_CHECKING:
    from ..trace.file import TraceFile
    from .kept_skills import KeptSkills

KEEP_RESULTS_S = 86_400.0
KEEP_RESULTS = 100_000
"""For how long a service keeps results, in seconds, and how many."""

PREFETCH_S = 0.05
"""How much work a worker may hold beyond each of its slots, in seconds: a few round trips."""


class TaskManager(ManagerLifeCycle):
    """The manager: waits for its workers, assigns tasks by skill, and collects the results.

    ```python
    manager = TaskManager(tasks, expected_workers=3)
    workers = [WorkerAgent("Junior", 3, admin_peer=manager.details().id), ...]
    await manager.start_agent(b"", workers)
    print(manager.report().success_rate)
    ```

    As a service it runs in the background until it is stopped; see `start`.

    Override `assign_tasks`, `handle_result`, `end_task_management` and others to take part in the
    run; see `OverridableHooks`.

    A task without a timeout may take any time if it has a type. A task of no type is simulated, and
    may then take twice its difficulty in seconds.

    Args:
        tasks: the tasks; more can be added during the run.
        expected_workers: how many workers to wait for, or their names in the order in which the
            policy `in_order` assigns tasks to them; 0 starts with the first worker that joins.
        num_workers: another name of `expected_workers`.
        name: the manager's name.
        port: the UDP port to listen on; 0 takes any free one.
        workspace_id: the workspace to open or, as a guest, to join. A guest that names none joins
            that of its admin, if the admin is in this process.
        policy: which worker gets which task: "best_fit", "in_order", "score", or an object of your
            own.
        join_timeout_s: how long to wait for the expected workers, in seconds; None: for ever.
        on_missing: whether to "start" without workers that are missing then, or to "fail".
        unmatched_after_s: after how many seconds a task fails that no connected worker can do;
            None: never.
        lost_after_s: after how many seconds of silence a worker counts as lost.
        reassign_failed: whether a task that has used up its attempts is still tried once at each
            connected worker that could do it and has not failed it; by default a service does so.
        quarantine_after: after how many failures in a row a worker gets no tasks for a while; None:
            never, since failures are often the fault of the tasks.
        quarantine_s: how long such a quarantine lasts, in seconds.
        prefetch_s: how much work, in seconds, a worker with short tasks may hold beyond each of its
            slots, so that it need not wait for the network; 0: none. With `quarantine_after` it
            holds no more than may fail before its quarantine begins.
        thrift: how much of a success one unit of cost is worth, 0 or more; with 0 cost does not
            matter.
        budget: what all attempts together may cost, in `cost_unit`; None for no limit.
        cost_unit: the unit of the workers' costs.
        aging_s: a waiting task gains one level of priority each time this many seconds pass; None
            never.
        on_late: what happens to a task that can't be completed by its deadline any more: "run" it
            all the same, or "fail" it.
        keep_results_s: for how long a service keeps a settled task and its result, in seconds; None
            for ever. A manager that ends with its tasks keeps all of them, for its report. See
            `stay`.
        keep_results: how many settled tasks a service keeps, the latest ones, 1 or more; None for
            all.
        retry: which failed attempts are followed by another, and after which wait, for tasks that
            have neither a `retry` nor several `max_attempts`; None for none.
        retries: the same for tasks of one type each, by type; they come before `retry`.
        max_losses: how often an attempt at a task may be lost with its worker before the task
            fails, 0 to 1,000, for tasks that do not say it.
        limits: how many tasks may begin in a period, or be in progress at once: by type, by
            `limit_key`, or all; see `Limit`.
        weights: how many tasks each `limit_key` may begin in its turn, 0.01 to 100; 1 for those
            that are not named.
        skills: what workers have shown in earlier runs: a skills file, which is read now and saved
            during the run and at its end, or the content of one. A store that has learned more of
            this run comes first.
        time_scale: how long a second of a task's timeout lasts, in seconds; see `WorkerAgent`.
            Below 1 it does not shorten a default timeout of up to 10 s.
        quiet: do not print the results at the end.
        admin_peer: join the workspace of another Ceylon admin as a guest instead of opening one.
        host: the IPv4 address by which workers reach the workspace's admin.
        secret: the secret that all members of the workspace share, as `muster secret` prints it. By
            default it is read from `MUSTER_SECRET`, or else made, and then part of the tickets.
        insecure: do not encrypt: whoever reaches the port can join, read and forge.
        allow: the names of the workers that may join; None: all that have the secret.
        max_workers: how many workers may be connected at the same time; others are refused. Only
            100 newcomers a second are answered, after the first 2,000.
        store: where the run is kept, so that it outlives this manager: a file, or a store of your
            own. A run that it holds already is resumed. Tasks that it holds may be given again, and
            are not added twice.
        trace: a file that the events of the run are written to, line by line; see `trace_to`.
        blobs: where large data is stored that is not sent in frames: a directory, an fsspec URL
            (needs the extra `blobs`) or a store of your own. By default a directory that is made
            when it is first needed: next to the file of `store`, or a temporary one.
        blob_threshold_bytes: up to which length, encoded, an assignment or result is sent in a
            frame; None: always.
        max_lanes: over how many Ceylon workspaces, each with a port of its own, the workers are
            spread at most. They are opened when they are needed. 1 keeps all workers in one.
        lane_ports: the UDP ports that these may listen on, besides `port`; by default any free one.
        mode: `PeerMode.ADMIN`, or `PeerMode.CLIENT` for a guest. It follows from `admin_peer`, so
            it can be left out; another value is refused.
        role: "task_manager"; another value is refused.
        direct_connections: whether frames may use direct connections, which are faster than
            Ceylon, to workers that reach the TCP port of the same number.
        link: how workers and clients reach the manager: "ceylon" opens a workspace on this machine;
            the URL of NATS servers, such as "nats://host:4222", joins the run `workspace_id` there;
            a list of both does both.
        nats_creds: a NATS credentials file; by default the one that `MUSTER_NATS_CREDS` names.
        tls_ca: a file with the certificates of authorities that NATS servers are checked against;
            by default the one that `MUSTER_NATS_TLS_CA` names, or else those of this machine.

    Raises:
        StoreUnusable: the store can't be opened or read, or another manager uses it.
        InvalidTask: an id occurs twice, or a dependency is unknown or circular.
        UnknownName: there is no such policy; the message lists those there are.
        InvalidInput: an argument is out of range.
    """

    def __init__(
        self,
        tasks: Iterable[Task] = (),
        expected_workers: int | Sequence[str] = 0,
        name: str = "task_manager",
        port: int = DEFAULT_PORT,
        *,
        mode: PeerMode | None = None,
        role: str = ROLE,
        num_workers: int | None = None,
        workspace_id: str = DEFAULT_WORKSPACE,
        policy: str | MatchingPolicy = "adaptive",
        join_timeout_s: float | None = None,
        on_missing: Literal["start", "fail"] = "fail",
        unmatched_after_s: float | None = 30.0,
        lost_after_s: float = 10.0,
        reassign_failed: bool | None = None,
        quarantine_after: int | None = None,
        quarantine_s: float = 60.0,
        prefetch_s: float = PREFETCH_S,
        thrift: float = 0.0,
        budget: float | None = None,
        cost_unit: str = "USD",
        aging_s: float | None = None,
        on_late: Literal["run", "fail"] = "run",
        keep_results_s: float | None = KEEP_RESULTS_S,
        keep_results: int | None = KEEP_RESULTS,
        retry: Retry | None = None,
        retries: Mapping[str, Retry] | None = None,
        max_losses: int = DEFAULT_MAX_LOSSES,
        limits: Sequence[Limit] = (),
        weights: Mapping[str, float] | None = None,
        skills: str | Path | Mapping[str, Payload] | None = None,
        time_scale: float = 1.0,
        quiet: bool = False,
        admin_peer: str = "",
        host: str = LOOPBACK,
        secret: WorkspaceSecret | str | None = None,
        insecure: bool = False,
        allow: Sequence[str] | None = None,
        max_workers: int = MAX_WORKERS,
        store: Store | str | Path | None = None,
        trace: str | Path | None = None,
        blobs: BlobStore | str | Path | None = None,
        blob_threshold_bytes: int | None = DEFAULT_THRESHOLD_BYTES,
        max_lanes: int = MAX_LANES,
        lane_ports: Sequence[int] = (),
        direct_connections: bool = True,
        link: str | Sequence[str] = CEYLON,
        nats_creds: str | Path | None = None,
        tls_ca: str | Path | None = None,
    ) -> None:
        check_tasks_argument(tasks)
        options = ManagerOptions(
            name=name,
            port=port,
            workspace_id=workspace_id,
            mode=mode,
            role=role,
            admin_peer=admin_peer,
            host=host,
            expected_workers=expected_workers,
            num_workers=num_workers,
            join_timeout_s=join_timeout_s,
            on_missing=on_missing,
            allow=allow,
            max_workers=max_workers,
            policy=policy,
            unmatched_after_s=unmatched_after_s,
            lost_after_s=lost_after_s,
            reassign_failed=reassign_failed,
            quarantine_after=quarantine_after,
            quarantine_s=quarantine_s,
            prefetch_s=prefetch_s,
            thrift=thrift,
            budget=budget,
            cost_unit=cost_unit,
            aging_s=aging_s,
            on_late=on_late,
            keep_results_s=keep_results_s,
            keep_results=keep_results,
            retry=retry,
            retries=retries,
            max_losses=max_losses,
            limits=limits,
            weights=weights,
            skills=skills,
            time_scale=time_scale,
            quiet=quiet,
            secret=secret,
            insecure=insecure,
            store=store,
            trace=trace,
            blobs=blobs,
            blob_threshold_bytes=blob_threshold_bytes,
            max_lanes=max_lanes,
            lane_ports=lane_ports,
            direct_connections=direct_connections,
            link=link,
            nats_creds=nats_creds,
            tls_ca=tls_ca,
        )
        self._prepare_hooks()
        super().__init__(options)
        self._service = BackgroundRun(name, lambda: self._shell.end("stopped"))
        self._run_finished = asyncio.Event()
        self._trace_files: list[TraceFile] = []
        self._blob_directory: Path | None = None
        self._blobs_urls: tuple[str, str] | None = None
        self._shell = ManagerShell(
            name,
            self._hook_rules(options),
            self._own_policy(options.matching_policy()),
            self,
            open_blobs=self._open_blobs,
            blob_threshold_bytes=blob_threshold_bytes,
        )
        self._awaited = self._shell.awaited
        self._assigning = Assigning(self._shell, type(self).__name__)
        self._watch_timeouts()
        self._shell.driver.add_tasks(tasks)
        self.tasks_assigned = False
        self._kept_skills = (
            contextlib.nullcontext() if skills is None else self._keep_skills(skills)
        )
        if store is not None:
            self.keep_in(store)
        if trace is not None:
            try:
                self.trace_to(trace)
            except BaseException:
                self.close()
                raise

    def _keep_skills(self, skills: str | Path | Mapping[str, Payload]) -> KeptSkills:
        from .kept_skills import KeptSkills  # noqa: PLC0415 - most runs begin without skills

        return KeptSkills(skills, self.board.queue.policy)

    def keep_in(self, store: Store | str | Path) -> None:
        """Keep the run in a store, before it starts, and resume a run that the store holds.

        Args:
            store: a file, a URL such as `nats://host:4222/NAME`, or a store of your own.

        Raises:
            StoreUnusable: it can't be opened, read or written to, or another manager uses it.
            DifferentTask: it holds a task of this manager with other content.
            InvalidInput: the run is in a store already.
        """
        from ..store.places import open_store  # noqa: PLC0415 - most runs have no store
        from ..store.sqlite import SqliteStore  # noqa: PLC0415

        if self._shell.driver.commit is not None:
            raise InvalidInput(
                f"the run of {self.name!r} is in a store already; name only one store"
            )
        opened = open_store(store, name=self.name) if isinstance(store, str | Path) else store
        if not hasattr(opened, "load"):
            raise InvalidInput(f"store is {opened!r}; it must be a file, a URL or a store")
        self._shell.driver.keep_in(opened)
        if isinstance(opened, SqliteStore):
            self._blob_directory = opened.path.with_name(f"{opened.path.name}.blobs")
        elif isinstance(store, str | Path):
            # The only other kind that a text names; importing its class needs an extra.
            self._blobs_urls = getattr(opened, "blobs_urls", None)
        self.tasks_assigned = self.board.began_at is not None

    def _open_blobs(self) -> BlobStore:
        match self._manager_options.blobs:
            case None if self._blobs_urls is not None:
                from ..blobs.nats_store import NatsBlobs  # noqa: PLC0415 - it needs an extra

                url, shared_url = self._blobs_urls
                return NatsBlobs(url, create=True, shared_url=shared_url)
            case None:
                return OwnDirectory(self._blob_directory)
            case str() | Path() as place:
                return open_place(place, create=True)
            case store:
                return store
