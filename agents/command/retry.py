"""`muster retry`: asks a running manager to try failed tasks again."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from pydantic import BaseModel

from ...messages import InvalidInput, RetryAnswer, RetryRequest, TaskId
from ...messages.inquiry import MAX_RETRIED_PER_REQUEST
from ..kernel.security.workspace_secret import WorkspaceSecret
from ..security.ticket import Ticket
from .manager_client import ManagerClient, no_answer
from .why import possible_task_ids


async def retry_tasks(
    tasks: Sequence[str],
    ticket: Ticket,
    secret: WorkspaceSecret | None = None,
    *,
    insecure: bool = False,
) -> int:
    """Ask a running manager to try tasks again.

    Args:
        tasks: the ids of the tasks as they stand on the command line; empty for all failed ones.
        ticket: the manager's ticket.
        secret: the workspace secret, if the ticket does not contain it.
        insecure: do not seal frames.

    Returns:
        How many tasks begin anew.

    Raises:
        InvalidInput: an id is not valid, there are too many, the manager refuses, or it does not
            answer.
        WrongSecret: the manager has a different secret.
    """
    if len(tasks) > MAX_RETRIED_PER_REQUEST:
        raise InvalidInput(
            f"{len(tasks)} tasks are given; give at most {MAX_RETRIED_PER_REQUEST}, or --failed"
        )
    possible = [possible_task_ids(each) for each in tasks]
    client = RetryClient(possible, ticket, secret, insecure=insecure)
    await client.start_agent()
    if client.answer is None:
        raise no_answer(ticket)
    if client.answer.problem:
        raise InvalidInput(client.answer.problem)
    return client.answer.retried


class RetryClient(ManagerClient):
    """A short-lived agent that asks the manager once to try tasks again.

    Args:
        tasks: the possible ids of each task; empty for all failed ones.
        ticket: the manager's ticket.
        secret: the workspace secret, if the ticket does not contain it.
        insecure: do not seal frames.
    """

    def __init__(
        self,
        tasks: Sequence[Sequence[TaskId]],
        ticket: Ticket,
        secret: WorkspaceSecret | None = None,
        *,
        insecure: bool = False,
    ) -> None:
        request = RetryRequest(
            session=secrets.token_hex(8),
            tasks=tuple(tuple(each) for each in tasks),
            reason="by muster retry",
        )
        super().__init__(request, ticket, secret, insecure=insecure)
        self.answer: RetryAnswer | None = None

    @property
    def is_answered(self) -> bool:
        """Whether the manager has answered."""
        return self.answer is not None

    def take(self, message: BaseModel) -> RetryRequest | None:
        """Take the answer."""
        assert isinstance(self.inquiry, RetryRequest)
        if not isinstance(message, RetryAnswer) or message.session != self.inquiry.session:
            return self.inquiry
        self.answer = message
        return None
