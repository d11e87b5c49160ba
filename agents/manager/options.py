"""The constructor arguments of a `TaskManager` as one checked object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from ...messages import InvalidInput, Payload, Retry
from ...messages.limit import Limit, check_limits, check_weights
from ..blobs.places import check_place
from ..blobs.store import BlobStore
from ..kernel.lanes import Lanes
from ..kernel.matching.policies import MatchingPolicy
from ..kernel.matching.policy_names import find_policy
from ..kernel.model.config import Rules, check_is_number, check_retention
from ..kernel.security.workspace_secret import WorkspaceSecret
from ..runtime.ports import ANY_PORT, check_lane_ports, is_ipv4
from ..security.sealing import ManagerSealing, choose_manager_sealing
from ..store.protocol import Store
from ..transport.ceylon_api import PeerMode
from .links import ManagerLinks, choose_links

ROLE = "task_manager"

MAX_HEARTBEAT_S = 2.0
"""The longest time between two heartbeats, in seconds."""

_MAX_PORT = 65_535


class ExpectedWorkers(TypedDict):
    """The rules that follow from which workers are expected."""

    expected_workers: int
    roster: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerOptions:
    """The constructor arguments of a `TaskManager`; see there for their meaning.

    Raises:
        UnknownName: there is no policy of this name.
        BlobUnusable: `blobs` is a URL that can't be used.
        InvalidInput: another argument is out of range, or contradicts one.
    """

    name: str
    port: int
    workspace_id: str
    mode: PeerMode | None
    role: str
    admin_peer: str
    host: str
    expected_workers: int | Sequence[str]
    num_workers: int | None
    join_timeout_s: float | None
    on_missing: Literal["start", "fail"]
    allow: Sequence[str] | None
    max_workers: int
    policy: str | MatchingPolicy
    unmatched_after_s: float | None
    lost_after_s: float
    reassign_failed: bool | None
    quarantine_after: int | None
    quarantine_s: float
    prefetch_s: float
    thrift: float
    budget: float | None
    cost_unit: str
    aging_s: float | None
    on_late: Literal["run", "fail"]
    keep_results_s: float | None
    keep_results: int | None
    retry: Retry | None
    retries: Mapping[str, Retry] | None
    max_losses: int
    limits: Sequence[Limit]
    weights: Mapping[str, float] | None
    skills: str | Path | Mapping[str, Payload] | None
    time_scale: float
    quiet: bool
    secret: WorkspaceSecret | str | None
    insecure: bool
    store: Store | str | Path | None
    trace: str | Path | None
    blobs: BlobStore | str | Path | None
    blob_threshold_bytes: int | None
    max_lanes: int
    lane_ports: Sequence[int]
    direct_connections: bool
    link: str | Sequence[str]
    nats_creds: str | Path | None
    tls_ca: str | Path | None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():  # pyright: ignore[reportUnnecessaryIsInstance] - users'
            raise InvalidInput(f"a manager needs a name that is not blank, not {self.name!r}")
        if not is_ipv4(self.host):
            raise InvalidInput(
                f"host is {self.host!r}; it must be an IPv4 address such as 127.0.0.1"
            )
        if not ANY_PORT <= self.port <= _MAX_PORT:
            raise InvalidInput(f"port is {self.port!r}; it must be 0 (any free one) to {_MAX_PORT}")
        if self.num_workers is not None and self.expected_workers:
            raise InvalidInput("give num_workers or expected_workers, which mean the same")
        if self.mode not in (None, self.peer_mode):
            why = (
                "with an admin_peer it is a guest" if self.admin_peer else "it opens the workspace"
            )
            raise InvalidInput(
                f"mode is {self.mode}; {why}, so mode must be {self.peer_mode}, or left out"
            )
        if self.role != ROLE:
            raise InvalidInput(
                f"role is {self.role!r}; workers know a manager by the role {ROLE!r}, so leave it "
                "out"
            )
        if self.blob_threshold_bytes is not None and self.blob_threshold_bytes < 0:
            raise InvalidInput(
                f"blob_threshold_bytes is {self.blob_threshold_bytes}; it must be 0 or more, or "
                "None"
            )
        if isinstance(self.blobs, str | Path):
            check_place(self.blobs)
        if isinstance(self.allow, str):
            raise InvalidInput(f"allow is the text {self.allow!r}; give a list of names")
        self.rules()
        check_retention(self.keep_results_s, self.keep_results)
        self.matching_policy()
        self.lanes()
        self.links()
        # The class is frozen; this keeps each port once.
        object.__setattr__(self, "lane_ports", check_lane_ports(self.lane_ports))

    @property
    def peer_mode(self) -> PeerMode:
        """The only mode that the manager can have."""
        return PeerMode.CLIENT if self.admin_peer else PeerMode.ADMIN

    @property
    def service_reassigns_failed(self) -> bool:
        """Whether the manager tries failed tasks at other workers when it runs as a service."""
        return self.reassign_failed is not False

    def rules(self, *, prefetches: bool = True, confirms_end: bool = False) -> Rules:
        """The board's configuration.

        Args:
            prefetches: whether workers may be sent tasks ahead of a free slot.
            confirms_end: whether hooks may still add tasks when all are settled.
        """
        # The interval of heartbeats is computed from it.
        check_is_number("lost_after_s", self.lost_after_s)
        expected = self.expected_workers if self.num_workers is None else self.num_workers
        return Rules(
            **expected_worker_rules(expected),
            join_timeout_s=self.join_timeout_s,
            on_missing=self.on_missing,
            unmatched_after_s=self.unmatched_after_s,
            lost_after_s=self.lost_after_s,
            heartbeat_s=min(MAX_HEARTBEAT_S, self.lost_after_s / 4),
            time_scale=self.time_scale,
            allow=None if self.allow is None else tuple(self.allow),
            max_workers=self.max_workers,
            reassigns_failed=self.reassign_failed or False,
            quarantine_after=self.quarantine_after,
            quarantine_s=self.quarantine_s,
            prefetch_s=self.prefetch_s if prefetches else 0.0,
            confirms_end=confirms_end,
            thrift=self.thrift,
            budget=self.budget,
            cost_unit=self.cost_unit,
            aging_s=self.aging_s,
            on_late=self.on_late,
            retry=self.retry,
            retries={} if self.retries is None else self.retries,
            max_losses=self.max_losses,
            limits=check_limits(self.limits),
            weights=check_weights({} if self.weights is None else self.weights),
        )

    def matching_policy(self) -> MatchingPolicy:
        """The policy that was given, or the one of the name that was given."""
        return find_policy(self.policy) if isinstance(self.policy, str) else self.policy

    def lanes(self) -> Lanes:
        """A new plan of lanes."""
        return Lanes(self.max_lanes)

    def links(self) -> ManagerLinks:
        """Over which links the manager is reached."""
        return choose_links(self.link, self.nats_creds, self.tls_ca, is_guest=bool(self.admin_peer))

    def sealing(self) -> ManagerSealing:
        """How the manager encrypts; it makes a secret if there is none, so call it once.

        Raises:
            InvalidInput: a secret was given, and `insecure` as well; or the secret is not valid.
        """
        return choose_manager_sealing(
            self.secret, insecure=self.insecure, admin_peer=self.admin_peer
        )


def expected_worker_rules(expected: int | Sequence[str]) -> ExpectedWorkers:
    """The rules for a number of expected workers, or for their names."""
    if isinstance(expected, str):
        raise InvalidInput(
            f"expected_workers is the text {expected!r}; give a number, or a list of names"
        )
    if isinstance(expected, int):
        return ExpectedWorkers(expected_workers=expected, roster=())
    return ExpectedWorkers(expected_workers=len(expected), roster=tuple(expected))


def check_tasks_argument(tasks: object) -> None:
    """Check that `tasks` is not a number of workers.

    Raises:
        InvalidInput: it is.
    """
    if isinstance(tasks, int):
        raise InvalidInput(
            f"tasks is {tasks}, not a list of tasks; to set the number of workers, "
            f"pass num_workers={tasks}"
        )
