"""Decides which IP addresses may be fetched from: public ones and those explicitly allowed.

Whoever adds a task chooses the URL, and whoever controls its domain chooses the address. Without
this check, a task could read what only this machine can reach: its own services, services of its
network, or credentials from a cloud's metadata address.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable
from typing import TypeAlias

from ...messages import InvalidInput

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

ALLOW_VARIABLE = "MUSTER_WEB_ALLOW"
"""The environment variable with networks that are allowed in addition to public ones."""

METADATA_ADDRESSES = frozenset(
    ipaddress.ip_address(each)
    for each in ("169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254")
)
"""The metadata services of AWS, Google and others; of Azure, which uses a public address; of
Alibaba; and of AWS over IPv6."""

_V4_IN_V6 = (
    (ipaddress.IPv6Network("::/96"), 0),
    (ipaddress.IPv6Network("::ffff:0:0/96"), 0),
    (ipaddress.IPv6Network("::ffff:0:0:0/96"), 0),
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),
    (ipaddress.IPv6Network("64:ff9b:1::/48"), 0),
    (ipaddress.IPv6Network("2002::/16"), 80),
)
"""IPv6 networks that embed IPv4 addresses, and by how many bits these are shifted."""

_OF_IPV6_ALONE = frozenset(ipaddress.ip_address(each) for each in ("::", "::1"))
"""Addresses in the first of these networks that embed no IPv4 address."""


class AddressRules:
    """Which addresses may be connected to.

    Args:
        allow: networks or addresses to allow although they are not public, such as "10.1.0.0/16"
            or "127.0.0.1".

    Raises:
        InvalidInput: one of them is neither a network nor an address.
    """

    def __init__(self, allow: Iterable[str] = ()) -> None:
        self._allowed = tuple(_read_network(each) for each in allow)

    def refusal(self, text: str) -> str | None:
        """A short reason why an address is forbidden; None if it is allowed.

        Args:
            text: the address from a resolver, possibly with a zone such as "%eth0".
        """
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return "not an IP address"
        if any(address in network for network in self._allowed):
            return None
        if (inner := _embedded(address)) is not None:
            if any(inner in network for network in self._allowed):
                return None
            return _objection(inner) or _objection(address)
        return _objection(address)


def networks_of_environment() -> list[str]:
    """The networks in `MUSTER_WEB_ALLOW`, which separates them by commas."""
    return [each for each in os.environ.get(ALLOW_VARIABLE, "").split(",") if each.strip()]


def _objection(address: Address) -> str | None:
    if address in METADATA_ADDRESSES:
        return "a cloud's metadata service"
    if address.is_loopback:
        return "this machine itself"
    if address.is_link_local or getattr(address, "is_site_local", False):
        return "a link-local address"
    if address.is_multicast:
        return "a multicast address"
    if address.is_private:
        return "an address of a private network"
    if not address.is_global or address.is_reserved or address.is_unspecified:
        return "not an address of the public internet"
    return None


def _embedded(address: Address) -> ipaddress.IPv4Address | None:
    # Not `is_loopback`: since Python 3.13 it is true of ::ffff:127.0.0.1 as well.
    if isinstance(address, ipaddress.IPv4Address) or address in _OF_IPV6_ALONE:
        return None
    for network, shift in _V4_IN_V6:
        if address in network:
            return ipaddress.IPv4Address((int(address) >> shift) & 0xFFFF_FFFF)
    return None


def _read_network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise InvalidInput(
            f"{text!r} is neither a network nor an address; write it as 10.1.0.0/16 or 127.0.0.1"
        ) from None
