"""The names of streams and buckets in URLs, and what else such a URL may say."""

from __future__ import annotations

import re
from typing import Final

from ...messages import InvalidInput
from .address import NatsAddress

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_REPLICAS: Final = 5
_MAX_DIGITS: Final = 18


def check_name(name: str, what: str) -> str:
    """Check the name of something in JetStream.

    Args:
        name: the name.
        what: what it names, such as "a store".

    Raises:
        InvalidInput: it can't have that name.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name[:100]!r} can't name {what} in JetStream; use 1 to 64 letters, digits, - and _, "
            "as in nats://HOST:PORT/NAME"
        )
    return name


def read_options(address: NatsAddress) -> tuple[int | None, int | None]:
    """The replicas and the largest size in bytes that the query of a URL asks for.

    Raises:
        InvalidInput: it asks for something else.
    """
    unknown = sorted(set(address.options) - {"replicas", "max_bytes"})
    if unknown:
        raise InvalidInput(
            f"{unknown[0][:100]!r} is unknown in the query of {str(address)!r}; there are "
            "replicas and max_bytes"
        )
    replicas = _read_number(address, "replicas", _MAX_REPLICAS)
    return replicas, _read_number(address, "max_bytes", 2**62)


def _read_number(address: NatsAddress, option: str, most: int) -> int | None:
    text = address.options.get(option)
    if text is None:
        return None
    number = int(text) if text.isdecimal() and text.isascii() and len(text) <= _MAX_DIGITS else 0
    if not 1 <= number <= most:
        raise InvalidInput(f"{option}={text[:50]} in {str(address)!r} is not from 1 to {most:,}")
    return number
