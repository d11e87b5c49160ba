"""Whether a request names a host that is ours.

A browser can be made to send requests here by any page that it shows, under a name that the page's
owner has rebound to this machine. Such a request names a host that is not ours.
"""

from __future__ import annotations

import ipaddress
import re

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]/@]+)(:[0-9]{1,5})?")


def is_our_host(
    host: str, names: frozenset[str] = LOOPBACK_NAMES, *, takes_addresses: bool = False
) -> bool:
    """Whether the header Host names one of our names, whatever the port.

    Args:
        host: the header, or "" without.
        names: the names by which we may be called, in lower case.
        takes_addresses: whether any IP address will do, too.
    """
    parsed = _HOST.fullmatch(host)
    if parsed is None:
        return False
    name = parsed[1].lower().rstrip(".")
    if name in names:
        return True
    if not takes_addresses:
        return False
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
