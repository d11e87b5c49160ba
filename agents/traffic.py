"""How much has gone out to a link and come in from it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Traffic:
    """What one member has sent and received, whether it could be read or not.

    Args:
        frames_sent: how many frames it sent.
        sent_bytes: how many bytes they had.
        frames_received: how many frames came in, those for others too if the link brings them.
        received_bytes: how many bytes they had.
    """

    frames_sent: int = 0
    sent_bytes: int = 0
    frames_received: int = 0
    received_bytes: int = 0
