"""Checks whether a QUIC server answers where a manager should be, without starting an agent.

Each agent that dials leaves file descriptors open in Ceylon, and a dial takes a few seconds. A
worker whose manager is away for a day would run out of descriptors, so it sends a probe first.
"""

from __future__ import annotations

import asyncio
import os
import socket

from ..runtime.timeouts import within

TIMEOUT_S = 1.0

_DATAGRAM_BYTES = 1_200
"""The smallest datagram that a QUIC server answers (RFC 9000, section 14.1)."""

_LONG_HEADER = b"\xc0"
_RESERVED_VERSION = bytes.fromhex("1a2a3a4a")
_CONNECTION_ID_BYTES = 8


async def answers_probe(host: str, port: int, timeout_s: float = TIMEOUT_S) -> bool:
    """Whether a QUIC server answers at an address.

    The probe is a packet of a version that is reserved for this and that no server supports. A
    server answers with the versions that it supports (RFC 9000, sections 6.1 and 15), and keeps no
    state.

    Args:
        host: the IPv4 address.
        port: the UDP port.
        timeout_s: how long to wait for the answer, in seconds.
    """
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probing:
        probing.setblocking(False)
        own_id = os.urandom(_CONNECTION_ID_BYTES)
        try:
            probing.connect((host, port))
            await loop.sock_sendall(probing, _packet(own_id))
            answer = await within(timeout_s, loop.sock_recv(probing, _DATAGRAM_BYTES))
        except (OSError, asyncio.TimeoutError):
            return False
    return own_id in answer


def _packet(own_id: bytes) -> bytes:
    ids = b"".join(
        bytes([_CONNECTION_ID_BYTES]) + connection_id
        for connection_id in (os.urandom(_CONNECTION_ID_BYTES), own_id)
    )
    return (_LONG_HEADER + _RESERVED_VERSION + ids).ljust(_DATAGRAM_BYTES, b"\0")
