"""`muster doctor`: diagnoses why manager and workers do not connect."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ...messages import (
    Flaw,
    InvalidInput,
    JoinRefused,
    LocalError,
    ManagerUnavailable,
    MusterError,
    PortInUse,
)
from ..client.client import CONNECT_TIMEOUT_S, Client
from ..kernel.security.workspace_secret import WorkspaceSecret
from ..runtime.clock import wall_now
from ..runtime.ports import LOOPBACK, claim_port, is_ipv4
from ..security.ticket import Ticket, read_ticket
from ..transport.ceylon_platform import BUILDS, Platform, why_unsupported
from ..transport.network_file import FILE_NAME, NetworkFile, read_network_file
from ..transport.quic_probe import answers_probe

CEYLON_VERSION = "0.23.0"
MAX_CLOCK_SKEW_S = 2.0
"""How much two clocks may differ, in seconds: more than an answer takes to arrive."""

_MAX_PORT = 65_535
_ARGUMENTS = "admin_peer, admin_ip (an IPv4 address in numbers), port and workspace_id"


@dataclass(frozen=True, slots=True)
class NetworkFinding:
    """The result of one check.

    Args:
        check: the name of the check.
        is_ok: whether it succeeded.
        detail: what was found, and after a failure what to do.
    """

    check: str
    is_ok: bool
    detail: str

    def line(self) -> str:
        """The finding as one line."""
        return f"{'ok  ' if self.is_ok else 'FAIL'}  {self.check}: {self.detail}"


def examine_installation() -> list[NetworkFinding]:
    """Check whether Muster can run on this machine."""
    return [examine_platform(Platform.here()), examine_ceylon(_version_of("ceylon"))]


def examine_platform(where: Platform) -> NetworkFinding:
    """Check whether Ceylon has a build for a platform."""
    why = why_unsupported(where)
    if why is None:
        return NetworkFinding("platform", True, str(where))
    return NetworkFinding(
        "platform",
        False,
        f"{where}: {why}; Ceylon has builds for {BUILDS}; over NATS none is needed",
    )


def examine_ceylon(installed: str | None) -> NetworkFinding:
    """Check whether the installed version of Ceylon is the one that Muster requires."""
    if installed == CEYLON_VERSION:
        return NetworkFinding("Ceylon", True, installed)
    found = "is not installed" if installed is None else f"is {installed}"
    return NetworkFinding(
        "Ceylon", False, f"it {found}; run: python -m pip install ceylon=={CEYLON_VERSION}"
    )


async def examine_port(port: int) -> NetworkFinding:
    """Check whether a manager can listen on a UDP port of this machine.

    Args:
        port: the port; 0 is any free one.
    """
    check = f"UDP port {port}"
    try:
        claim_port(port)
    except PortInUse as fault:
        user = "a manager or another QUIC server uses it"
        if not await answers_probe(LOOPBACK, port):
            user = "another program uses it, not a manager"
        return NetworkFinding(check, False, f"{user}. {fault}")
    return NetworkFinding(check, True, "free")


async def examine_network_file(folder: Path, given: str | Path | None = None) -> NetworkFinding:
    """Check whether a folder's network file misleads plain Ceylon agents that start there.

    Args:
        folder: the folder; a plain agent reads the file `.ceylon_network` of its current folder.
        given: the ticket of the workspace that the agents should join, or the path of its file.
    """
    expected = _expected(given)
    found = read_network_file(folder / FILE_NAME)
    if found is None:
        needed = _ARGUMENTS if expected is None else _arguments(expected)
        detail = f"none in this directory; a plain Ceylon agent that starts here needs {needed}"
        return NetworkFinding(FILE_NAME, True, detail)
    path = repr(str((folder / FILE_NAME).resolve()))
    overrides = (
        "it overrides the arguments of plain Ceylon agents that start in this directory with "
        f"{_arguments(found)}"
    )
    problem = await _find_problem(found, expected)
    if problem is None:
        return NetworkFinding(FILE_NAME, True, f"{path} is valid; {overrides}")
    remedy = "delete the file, start the agents in another directory, or pass them a config_path"
    if expected is not None:
        remedy += f"; they need {_arguments(expected)}"
    return NetworkFinding(FILE_NAME, False, f"{path} {problem}; {overrides}; {remedy}")


def _expected(given: str | Path | None) -> NetworkFile | None:
    try:
        ticket = None if given is None else read_ticket(given)
    except InvalidInput:
        # `examine_manager` reports it.
        return None
    if ticket is None or ticket.nats:
        return None
    return NetworkFile(ticket.workspace_id, ticket.peer_id, ticket.host, str(ticket.port))


def _arguments(file: NetworkFile) -> str:
    """The content of a network file as the equivalent arguments of a plain Ceylon agent."""
    port = file.port
    named: dict[str, object] = {
        "admin_peer": file.admin_peer,
        "admin_ip": file.host,
        "port": int(port) if port is not None and _is_number(port) else port,
        "workspace_id": file.workspace_id,
    }
    return ", ".join(f"{name}={value!r}" for name, value in named.items() if value is not None)


async def _find_problem(found: NetworkFile, expected: NetworkFile | None) -> str | None:
    host, port = found.host, found.port or ""
    if host is not None and not is_ipv4(host):
        return (
            f"has the host {host!r}, which is not a numeric IPv4 address: an agent that reads it "
            "fails with AddrParseError"
        )
    if found.port is not None and not _is_number(port):
        return f"has the port {port!r}, which is not a valid port number"
    if expected is not None:
        # The admin writes 127.0.0.1 even if the ticket has a host for other machines.
        agrees = replace(found, host=expected.host) == expected
        return None if agrees else "refers to another workspace than the ticket"
    if port and not await answers_probe(host or LOOPBACK, int(port)):
        return f"is outdated: there is no answer from {host or LOOPBACK}, UDP port {port}"
    return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 0 < int(text) <= _MAX_PORT


async def examine_manager(
    given: str | Path, secret: WorkspaceSecret | None = None, *, insecure: bool = False
) -> list[NetworkFinding]:
    """Check whether a worker can join with a ticket; the first failure ends the checks.

    Args:
        given: the ticket, or the path of its file.
        secret: the workspace secret, if the ticket does not contain it.
        insecure: do not seal frames.
    """
    try:
        ticket = read_ticket(given)
    except InvalidInput as fault:
        return [NetworkFinding("ticket", False, str(fault))]
    muster = version("ceylon-muster")
    findings = [
        NetworkFinding("ticket", True, f"for Muster {muster}, workspace {ticket.workspace_id!r}")
    ]
    if ticket.nats:
        server = await _examine_nats_server(ticket)
        asked = await _ask(ticket, secret, insecure=insecure) if server.is_ok else []
        return [*findings, server, *asked]
    at = f"{ticket.host}, UDP port {ticket.port}"
    if not await answers_probe(ticket.host, ticket.port):
        detail = (
            f"no answer from {at}; start the manager, open the port in all firewalls in between, "
            "and check that the manager's `--host` is an address at which this machine reaches it"
        )
        return [*findings, NetworkFinding("port", False, detail)]
    findings.append(NetworkFinding("port", True, f"a QUIC server answers at {at}"))
    return [*findings, *await _ask(ticket, secret, insecure=insecure)]


async def _examine_nats_server(ticket: Ticket) -> NetworkFinding:
    # Only tickets over NATS need its extra.
    from ..nats.address import NatsAddress  # noqa: PLC0415

    try:
        from ..nats.connection import connect  # noqa: PLC0415

        address = NatsAddress.parse(ticket.nats)
        client = await connect(address, "muster doctor")
    except LocalError as fault:
        return NetworkFinding("NATS server", False, str(fault))
    await client.close()
    return NetworkFinding("NATS server", True, f"{address} accepts the connection")


async def _ask(
    ticket: Ticket, secret: WorkspaceSecret | None, *, insecure: bool
) -> list[NetworkFinding]:
    client: Client | None = None
    try:
        client = Client(ticket, secret=secret, insecure=insecure)
        async with client:
            clock = examine_clock((await client.state())["at"], wall_now())
    except ManagerUnavailable:
        dropped = {} if client is None else client.dropped
        detail = explain_no_answer(dropped, over_nats=bool(ticket.nats))
        return [NetworkFinding("manager", False, detail)]
    except JoinRefused as fault:
        detail = f"answers with this ticket, and refuses this client: {fault}"
        return [NetworkFinding("manager", True, detail)]
    except MusterError as fault:
        return [NetworkFinding("manager", False, str(fault))]
    return [NetworkFinding("manager", True, "answers with this ticket"), clock]


def explain_no_answer(dropped: dict[str, int], *, over_nats: bool = False) -> str:
    """Explain why a manager that can be reached, or whose NATS server can, may not answer.

    Args:
        dropped: the number of frames that could not be decoded, by reason.
        over_nats: whether the ticket leads to a NATS server.
    """
    if dropped.get(Flaw.VERSION):
        return (
            "it uses another version of the frame format; use the same version of Muster for "
            "manager and workers"
        )
    if over_nats:
        return (
            f"no answer within {CONNECT_TIMEOUT_S:g} s from a manager of this run; start one, or "
            "use the ticket of the one that runs: another secret is not answered either"
        )
    return (
        f"no answer within {CONNECT_TIMEOUT_S:g} s for the peer id of this ticket, which changes "
        "at each start of the manager; use the ticket that it printed last"
    )


def examine_clock(manager_time: float, our_time: float) -> NetworkFinding:
    """Check whether the clocks of the manager and of this machine agree.

    Args:
        manager_time: the manager's time in seconds since 1970.
        our_time: the time of this machine in seconds since 1970.
    """
    skew_s = our_time - manager_time
    if abs(skew_s) <= MAX_CLOCK_SKEW_S:
        return NetworkFinding("clock", True, "agrees with the manager's")
    return NetworkFinding(
        "clock",
        False,
        f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} the manager's, so log "
        "timestamps do not match; synchronize both with NTP. Leases and timeouts are not affected, "
        "because only the manager's clock counts for them",
    )


def _version_of(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
