"""Which kinds of error say nothing about the skill of the worker that reported them."""

from __future__ import annotations

import re

_KINDS = frozenset(
    {
        "BrokenPipeError",
        "BrokenProcessPool",
        "ClientConnectorError",
        "ConnectError",
        "ConnectTimeout",
        "ConnectionAbortedError",
        "ConnectionError",
        "ConnectionRefusedError",
        "ConnectionResetError",
        "EndpointConnectionError",
        "IncompleteReadError",
        "MemoryError",
        "MemoryLimit",
        "NewConnectionError",
        "OutOfMemoryError",
        "OverloadedError",
        "PoolTimeout",
        "ProxyError",
        "QuotaExceeded",
        "RateLimitError",
        "RateLimitExceeded",
        "ReadError",
        "RemoteDisconnected",
        "RemoteProtocolError",
        "ResourceExhausted",
        "SSLError",
        "ServerDisconnectedError",
        "ServiceUnavailable",
        "ServiceUnavailableError",
        "ThrottlingException",
        "TooManyRequests",
        "WorkInterrupted",
        "WrongCall",
        "gaierror",
    }
)
_LAST_NAME = re.compile(r"\w+$")
_WORDS = re.compile(
    r"\b(?:rate[ _-]?limit\w*|too many requests|connection (?:refused|reset|aborted)"
    r"|out of memory|cannot allocate memory|service unavailable|temporarily unavailable"
    r"|name resolution|network is unreachable|no space left|quota exceeded|overloaded)\b",
    re.IGNORECASE,
)
_EARLY = 300


def is_skill_error(error_kind: str, error_message: str = "") -> bool:
    """Whether an error says something about the skill of the worker that reported it.

    A refused connection, a rate limit, a lack of memory, interrupted work or wrong arguments do
    not: any worker in its place would have failed. A timeout does, and so does every kind that is
    not known here.

    Args:
        error_kind: the kind of the error, such as "ConnectionRefusedError".
        error_message: the whole message; some kinds, such as "APIError", name the cause only there.
    """
    name = _LAST_NAME.search(error_kind)
    if name is not None and (name.group() in _KINDS or name.group() == "APIConnectionError"):
        return False
    return _WORDS.search(f"{error_kind} {error_message[:_EARLY]}") is None
