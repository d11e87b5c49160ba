"""Whether a request names this server's host.

Any web page can make a browser send requests to this server, under a name that the page's owner has
rebound to this machine. Such a request names another host.
"""

from __future__ import annotations

import ipaddress
import re

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]/@]+)(:[0-9]{1,5})?")


def is_our_host(
    host: str, names: frozenset[str] = LOOPBACK_NAMES, *, takes_addresses: bool = False
) -> bool:
    """Whether the header Host names this server, whatever the port.

    Args:
        host: the header, or "" if there is none.
        names: this server's names, in lower case.
        takes_addresses: whether any IP address is accepted, too.
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
