"""What a handler that is a generator gives on the way, and what it leaves as its output."""

from __future__ import annotations

from asyncio import AbstractEventLoop

from ...messages import InvalidInput, Payload, TaskAssignment
from .part_sender import PartSender, PartSenders


class HandlerOutput:
    """The parts and the output of one attempt whose handler is a generator."""

    # Class attributes, since most handlers are no generators and should not pay for it.
    _assignment: TaskAssignment
    _loop: AbstractEventLoop
    _senders: PartSenders | None = None
    _sender: PartSender | None = None
    _output: Payload = None
    has_output: bool = False
    """Whether the handler has set the output."""

    def result(self, value: Payload) -> None:
        """Set the output of the attempt, of a handler that is a generator; the last call counts.

        Without it the output is the list of all parts.

        Args:
            value: the output.

        Raises:
            InvalidInput: the handler is no generator.
        """
        if self._sender is None:
            raise InvalidInput(
                "context.result is for handlers that are generators; return the output instead"
            )
        self._output, self.has_output = value, True

    @property
    def senders(self) -> PartSenders | None:
        """What sends the parts of the worker's attempts; None if nobody takes them."""
        return self._senders

    @property
    def own_output(self) -> Payload:
        """The output that the handler has set."""
        return self._output

    def open_stream(self) -> tuple[PartSender, AbstractEventLoop]:
        """Begin to send parts; called when a generator begins.

        Returns:
            What sends them, and the event loop in which it does so.
        """
        if self._sender is None:
            key = (self._assignment.task.id, self._assignment.attempt)
            senders = PartSenders() if self._senders is None else self._senders
            self._sender = senders.open(key)
        return self._sender, self._loop

    def close_stream(self) -> None:
        """Send no more parts: the attempt is over."""
        if self._sender is not None and self._senders is not None:
            self._senders.end((self._assignment.task.id, self._assignment.attempt))

    def end_stream(self) -> None:
        """Send no more parts; called when the attempt is to stop."""
        if self._sender is not None:
            self._sender.end()
