"""`muster doctor`: finds out why manager and workers do not come together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ...messages import Flaw, InvalidInput, MusterError, PortInUse
from ..kernel.security.workspace_secret import WorkspaceSecret
from ..runtime.clock import now
from ..runtime.ports import LOOPBACK, claim_port, is_ipv4
from ..security.ticket import Ticket, read_ticket
from ..transport.ceylon_platform import BUILDS, Platform, why_unsupported
from ..transport.network_file import FILE_NAME, NetworkFile, read_network_file
from ..transport.quic_probe import answers_probe
from .why import PATIENCE_S, Inquirer

CEYLON_VERSION = "0.23.0"
LARGEST_SKEW_S = 2.0
"""By how much two clocks may differ: more than an answer takes on its way."""

_TASK_ASKED_FOR = "muster doctor"
_MAX_PORT = 65_535
_ARGUMENTS = "admin_peer, admin_ip (an IPv4 address in numbers), port and workspace_id"


@dataclass(frozen=True, slots=True)
class NetworkFinding:
    """What one check came to.

    Args:
        check: what was looked at.
        is_well: whether all is well there.
        told: what was found, and if it is not well what to do.
    """

    check: str
    is_well: bool
    told: str

    def line(self) -> str:
        """The finding as a line for people."""
        return f"{'ok  ' if self.is_well else 'FAIL'}  {self.check}: {self.told}"


def examine_installation() -> list[NetworkFinding]:
    """See whether Muster can run here at all."""
    return [examine_platform(Platform.here()), examine_ceylon(_version_of("ceylon"))]


def examine_platform(where: Platform) -> NetworkFinding:
    """See whether Ceylon has a build for a platform."""
    why = why_unsupported(where)
    if why is None:
        return NetworkFinding("platform", True, str(where))
    return NetworkFinding("platform", False, f"{where}: {why}; Ceylon has builds for {BUILDS}")


def examine_ceylon(installed: str | None) -> NetworkFinding:
    """See whether the Ceylon that is installed is the one that Muster works with."""
    if installed == CEYLON_VERSION:
        return NetworkFinding("Ceylon", True, installed)
    found = "is not installed" if installed is None else f"is {installed}"
    return NetworkFinding(
        "Ceylon", False, f"it {found}; run: python -m pip install ceylon=={CEYLON_VERSION}"
    )


async def examine_port(port: int) -> NetworkFinding:
    """See whether a manager could listen on a UDP port of this machine.

    Args:
        port: the port; 0 stands for any free one.
    """
    check = f"UDP port {port}"
    try:
        claim_port(port)
    except PortInUse as fault:
        who = "a manager or another QUIC server answers there"
        if not await answers_probe(LOOPBACK, port):
            who = "another program has it, which is no manager"
        return NetworkFinding(check, False, f"{who}. {fault}")
    return NetworkFinding(check, True, "free")


async def examine_network_file(folder: Path, given: str | Path | None = None) -> NetworkFinding:
    """See whether plain Ceylon agents that start in a folder would be led astray by its file.

    Args:
        folder: the folder; a plain agent reads the `.ceylon_network` of the current one.
        given: the ticket of the workspace that they are to join, or the path of its file.
    """
    wanted = _wanted(given)
    said = read_network_file(folder / FILE_NAME)
    if said is None:
        needed = _ARGUMENTS if wanted is None else _arguments(wanted)
        told = f"none in this directory; a plain Ceylon agent that starts here needs {needed}"
        return NetworkFinding(FILE_NAME, True, told)
    path = repr(str((folder / FILE_NAME).resolve()))
    overrides = (
        "it overrides the arguments of plain Ceylon agents that start in this directory, with "
        f"{_arguments(said)}"
    )
    problem = await _find_problem(said, wanted)
    if problem is None:
        return NetworkFinding(FILE_NAME, True, f"{path} is good; {overrides}")
    cure = "remove the file, start them in another directory, or give them a config_path"
    if wanted is not None:
        cure += f"; they need {_arguments(wanted)}"
    return NetworkFinding(FILE_NAME, False, f"{path} {problem}; {overrides}; {cure}")


def _wanted(given: str | Path | None) -> NetworkFile | None:
    try:
        ticket = None if given is None else read_ticket(given)
    except InvalidInput:
        # Told elsewhere.
        return None
    if ticket is None:
        return None
    return NetworkFile(ticket.workspace_id, ticket.peer_id, ticket.host, str(ticket.port))


def _arguments(place: NetworkFile) -> str:
    """What a file says, as the arguments of a plain agent that say the same."""
    port = place.port
    named: dict[str, object] = {
        "admin_peer": place.admin_peer,
        "admin_ip": place.host,
        "port": int(port) if port is not None and _is_number(port) else port,
        "workspace_id": place.workspace_id,
    }
    return ", ".join(f"{name}={value!r}" for name, value in named.items() if value is not None)


async def _find_problem(said: NetworkFile, wanted: NetworkFile | None) -> str | None:
    host, port = said.host, said.port or ""
    if host is not None and not is_ipv4(host):
        return (
            f"names the host {host!r}, which is not an IPv4 address in numbers: an agent that "
            "reads it ends with AddrParseError"
        )
    if said.port is not None and not _is_number(port):
        return f"names the port {port!r}, which is no number"
    if wanted is not None:
        # The admin itself writes 127.0.0.1 for a host that the ticket names for other machines.
        agrees = replace(said, host=wanted.host) == wanted
        return None if agrees else "leads to another workspace than the ticket"
    if port and not await answers_probe(host or LOOPBACK, int(port)):
        return f"is an old one: nobody answers at {host or LOOPBACK}, UDP port {port}"
    return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 0 < int(text) <= _MAX_PORT


async def examine_manager(
    given: str | Path, secret: WorkspaceSecret | None = None, *, insecure: bool = False
) -> list[NetworkFinding]:
    """See whether a worker could join by a ticket; what comes after a failure is not tried.

    Args:
        given: the ticket, or the path of its file.
        secret: what the workspace's members share, if the ticket does not carry it.
        insecure: do not seal.
    """
    try:
        ticket = read_ticket(given)
    except InvalidInput as fault:
        return [NetworkFinding("ticket", False, str(fault))]
    muster = version("ceylon-muster")
    findings = [
        NetworkFinding("ticket", True, f"for Muster {muster}, workspace {ticket.workspace_id!r}")
    ]
    at = f"{ticket.host}, UDP port {ticket.port}"
    if not await answers_probe(ticket.host, ticket.port):
        told = (
            f"nobody answers at {at}; start the manager, open the port in the firewalls between, "
            "or see that `--host` of the manager is an address that reaches its machine from here"
        )
        return [*findings, NetworkFinding("port", False, told)]
    findings.append(NetworkFinding("port", True, f"a QUIC server answers at {at}"))
    return [*findings, *await _ask(ticket, secret, insecure=insecure)]


async def _ask(
    ticket: Ticket, secret: WorkspaceSecret | None, *, insecure: bool
) -> list[NetworkFinding]:
    inquirer = Inquirer([_TASK_ASKED_FOR], ticket, secret, insecure=insecure)
    try:
        await inquirer.start_agent()
    except MusterError as fault:
        return [NetworkFinding("manager", False, str(fault))]
    if not inquirer.is_answered:
        return [NetworkFinding("manager", False, explain_silence(inquirer.dropped))]
    return [
        NetworkFinding("manager", True, "answers by this ticket"),
        examine_clock(inquirer.manager_time, now()),
    ]


def explain_silence(dropped: dict[str, int]) -> str:
    """Why a manager that is at home may not answer.

    Args:
        dropped: how many frames could not be read, by what was wrong with them.
    """
    if dropped.get(Flaw.VERSION):
        return (
            "it speaks another version of our frames; use the same Muster for manager and workers"
        )
    return (
        f"it does not answer within {PATIENCE_S:g} s to the peer id of this ticket, which is new "
        "at each start of a manager; take the ticket that it printed last"
    )


def examine_clock(manager_time: float | None, our_time: float) -> NetworkFinding:
    """See whether the manager's clock agrees with ours.

    Args:
        manager_time: the manager's time in seconds since 1970; None if it does not tell.
        our_time: ours.
    """
    if manager_time is None:
        return NetworkFinding("clock", True, "the manager does not tell its time")
    skew_s = our_time - manager_time
    if abs(skew_s) <= LARGEST_SKEW_S:
        return NetworkFinding("clock", True, "agrees with the manager's")
    return NetworkFinding(
        "clock",
        False,
        f"it is {abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} the manager's, so "
        "that times in logs do not fit together; set both by NTP. Leases and timeouts go by the "
        "manager's own clock, and do not suffer",
    )


def _version_of(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
