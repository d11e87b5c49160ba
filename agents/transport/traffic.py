"""Counters of the frames that a member sends and receives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True)
class Traffic:
    """What one member has sent and received, readable or not.

    Args:
        frames_sent: how many frames it sent.
        sent_bytes: their total size.
        frames_received: how many frames it received, including those for other members.
        received_bytes: their total size.
    """

    frames_sent: int = 0
    sent_bytes: int = 0
    frames_received: int = 0
    received_bytes: int = 0


def sum_up(parts: Iterable[Traffic]) -> Traffic:
    """Add up the traffic of several links, such as of all lanes."""
    whole = Traffic()
    for part in parts:
        whole.frames_sent += part.frames_sent
        whole.sent_bytes += part.sent_bytes
        whole.frames_received += part.frames_received
        whole.received_bytes += part.received_bytes
    return whole
