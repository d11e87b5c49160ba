"""Whether an agent seals its frames, and with which secret."""

from __future__ import annotations

import secrets
from functools import cache
from typing import NamedTuple

from ...messages import InvalidInput
from ..kernel.security.client_seal import ClientSeal
from ..kernel.security.identity import SEED_BYTES, Identity
from ..kernel.security.manager_seal import ManagerSeal
from ..kernel.security.seal import Seal
from ..kernel.security.unsealed import Unsealed
from ..kernel.security.workspace_secret import WorkspaceSecret
from ..runtime.log import log
from .secret_sources import SECRET_VARIABLE, fresh_secret, secret_of_environment
from .shared_secrets import find_sharing, share
from .ticket import Ticket


class ManagerSealing(NamedTuple):
    """How a manager seals.

    Args:
        secret: the secret that it shares with its workers; None if it does not seal.
        was_given: whether a user supplied the secret, and so can supply it to workers as well.
        identity: signs its frames; new at each start.
    """

    secret: WorkspaceSecret | None
    was_given: bool
    identity: Identity

    def seal(self, workspace_id: str) -> Seal:
        """The seal of its frames, for one start."""
        if self.secret is None:
            return _unsealed(manages=True)
        return ManagerSeal(self.secret, workspace_id, self.identity)

    def ticket_secret(self, with_secret: bool | None) -> WorkspaceSecret | None:
        """The secret to put into a ticket; by default only a generated one."""
        wanted = not self.was_given if with_secret is None else with_secret
        return self.secret if wanted else None


def choose_manager_sealing(
    secret: WorkspaceSecret | str | None, *, insecure: bool, admin_peer: str
) -> ManagerSealing:
    """Decide how a manager seals: with the supplied secret, otherwise with a generated one.

    Args:
        secret: the supplied secret; None reads `MUSTER_SECRET`.
        insecure: do not seal.
        admin_peer: the peer id of the admin whose workspace it joins as a guest, or "".

    Raises:
        InvalidInput: a secret was supplied with `insecure`, or it is not a valid secret.
    """
    given = check_secret(secret, insecure=insecure)
    identity = fresh_identity()
    if insecure:
        sealing = ManagerSealing(None, was_given=False, identity=identity)
    elif (found := given or secret_of_environment()) is not None:
        sealing = ManagerSealing(found, was_given=True, identity=identity)
    else:
        known = find_sharing(admin_peer) if admin_peer else None
        shared = known.secret if known is not None else None
        sealing = ManagerSealing(shared or fresh_secret(), was_given=False, identity=identity)
    if admin_peer:
        share(admin_peer, sealing.secret)
    return sealing


def fresh_identity() -> Identity:
    """Generate a new identity."""
    return Identity(secrets.token_bytes(SEED_BYTES))


def seal_client(
    name: str,
    workspace_id: str,
    admin_peer: str,
    *,
    secret: WorkspaceSecret | str | None = None,
    insecure: bool = False,
    ticket: Ticket | None = None,
) -> Seal:
    """The seal of a worker's or client's frames, for one start.

    Args:
        name: the agent's name, for messages.
        workspace_id: the workspace.
        admin_peer: the peer id of the workspace's admin.
        secret: the supplied secret.
        insecure: do not seal.
        ticket: the ticket with which it joins.

    Raises:
        InvalidInput: no secret was found, or it is not a valid secret.
    """
    found = find_client_secret(name, admin_peer, secret=secret, insecure=insecure, ticket=ticket)
    if found is None:
        return _unsealed(manages=False)
    return ClientSeal(found, workspace_id, fresh_identity())


def find_client_secret(
    name: str,
    admin_peer: str,
    *,
    secret: WorkspaceSecret | str | None = None,
    insecure: bool = False,
    ticket: Ticket | None = None,
) -> WorkspaceSecret | None:
    """The secret of a worker's or client's workspace; None if that is not sealed.

    It is the supplied one, or the ticket's, or that of a manager in the same process, or that in
    `MUSTER_SECRET`, in this order. Whoever can replace a worker's ticket must not be able to choose
    its manager: a ticket that says "not sealed", or that has another secret than the worker has
    from elsewhere, is rejected.

    Args:
        name: the agent's name, for messages.
        admin_peer: the peer id of the workspace's admin.
        secret: the supplied secret.
        insecure: do not seal.
        ticket: the ticket with which it joins.

    Raises:
        InvalidInput: no secret was found, it is not a valid secret, or the ticket contradicts the
            agent's secret.
    """
    given = check_secret(secret, insecure=insecure)
    if insecure:
        return None
    known = find_sharing(admin_peer)
    if given is not None:
        own, source = given, "was given a secret"
    elif known is not None:
        own, source = known.secret, "has the secret of its manager in this process"
    else:
        own, source = secret_of_environment(), f"has a secret in {SECRET_VARIABLE}"
    if ticket is not None:
        _check_ticket(name, ticket, own, source, may_differ=given is not None or known is not None)
        if not ticket.sealed:
            return None
    if known is not None and known.secret is None and given is None:
        # The program itself made this manager insecure.
        return None
    found = given or (ticket.secret if ticket is not None else None) or own
    if found is None:
        raise InvalidInput(
            f"agent {name!r} has no secret for its workspace, whose frames are sealed: give it a "
            f"ticket that carries the secret, a secret file, or {SECRET_VARIABLE}; or make it "
            "insecure, if its manager is"
        )
    return found


def _check_ticket(
    name: str, ticket: Ticket, own: WorkspaceSecret | None, source: str, *, may_differ: bool
) -> None:
    if own is None:
        return
    if not ticket.sealed:
        raise InvalidInput(
            f"agent {name!r} {source}, but its ticket says that the workspace is not sealed: "
            "get a ticket from the manager that has this secret; or, if the manager is meant to "
            "be insecure, start the agent with --insecure (insecure=True) and without the secret"
        )
    if not may_differ and ticket.secret not in (None, own):
        raise InvalidInput(
            f"agent {name!r} {source}, but its ticket carries another one: get a ticket from the "
            "manager that has this secret; or, if the ticket is right, start the agent without "
            "the other secret"
        )


def check_secret(secret: WorkspaceSecret | str | None, *, insecure: bool) -> WorkspaceSecret | None:
    """Check the secret that an agent was given, and read it.

    Raises:
        InvalidInput: it is not valid, or `insecure` was given as well.
    """
    if secret is not None and insecure:
        raise InvalidInput("a secret was given, and insecure as well; give one of them")
    return WorkspaceSecret.from_text(secret) if isinstance(secret, str) else secret


def _unsealed(*, manages: bool) -> Unsealed:
    _warn_once()
    return Unsealed(manages=manages)


@cache
def _warn_once() -> None:
    log.warning(
        "frames are not sealed: anyone who reaches the manager's UDP port, or its NATS server, can "
        "read and forge them"
    )
