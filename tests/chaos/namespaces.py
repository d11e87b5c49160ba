"""A network of hosts in kernel namespaces of their own, whose links can be cut.

Hosts share segments: each segment is a bridge in a namespace that stands for the switch. Addresses
are of 10.99.0.0/16 and mean nothing outside; no packet can leave, for no host has a way out.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
from collections.abc import Generator, Mapping, Sequence

_serial = itertools.count(1)


class Network:
    """Hosts, and the segments that join them.

    Args:
        prefix: what the names of all its namespaces begin with.
        segments: the hosts of each segment. A host of several segments passes nothing on.
    """

    def __init__(self, prefix: str, segments: Mapping[str, Sequence[str]]) -> None:
        self._prefix = prefix
        self._segments = segments

    @property
    def hosts(self) -> list[str]:
        return sorted({host for hosts in self._segments.values() for host in hosts})

    def address(self, host: str, segment: str) -> str:
        """The IPv4 address of a host in a segment."""
        number = list(self._segments).index(segment)
        return f"10.99.{number}.{self._segments[segment].index(host) + 1}"

    def inside(self, host: str) -> tuple[str, ...]:
        """What a command begins with that is to run on a host; its process id is the command's."""
        return ("ip", "netns", "exec", self._namespace(host))

    def cut(self, host: str, segment: str) -> None:
        """Take a host's link down."""
        _ip("-n", self._namespace(host), "link", "set", "dev", segment, "down")

    def mend(self, host: str, segment: str) -> None:
        """Take a host's link up again."""
        _ip("-n", self._namespace(host), "link", "set", "dev", segment, "up")

    def interrupt(self, host: str, segment: str) -> tuple[tuple[str, ...], tuple[str, str]]:
        """Take a host off its switch, for a relay to join the two.

        Returns:
            What the relay's command begins with, and the interfaces that it joins.
        """
        switch = self._namespace(f"switch-{segment}")
        port = f"port{self._segments[segment].index(host)}"
        _ip("-n", switch, "link", "set", "dev", port, "nomaster", "promisc", "on")
        _ip(*("-n", switch, "link", "add", "name", "gap", "type", "veth", "peer", "name", "gap2"))
        _ip("-n", switch, "link", "set", "dev", "gap2", "master", "bridge", "up")
        _ip("-n", switch, "link", "set", "dev", "gap", "up", "promisc", "on")
        return ("ip", "netns", "exec", switch), (port, "gap")

    def build(self) -> None:
        """Make the namespaces, links and addresses."""
        for host in self.hosts:
            _ip("netns", "add", self._namespace(host))
            _ip("-n", self._namespace(host), "link", "set", "dev", "lo", "up")
        for segment, hosts in self._segments.items():
            switch = self._namespace(f"switch-{segment}")
            _ip("netns", "add", switch)
            _ip("-n", switch, "link", "add", "name", "bridge", "type", "bridge")
            _ip("-n", switch, "link", "set", "dev", "bridge", "up")
            for number, host in enumerate(hosts):
                port, there = f"port{number}", self._namespace(host)
                _ip(
                    *("-n", switch, "link", "add", "name", port, "type", "veth"),
                    *("peer", "name", segment, "netns", there),
                )
                _ip("-n", switch, "link", "set", "dev", port, "master", "bridge", "up")
                address = f"{self.address(host, segment)}/24"
                _ip("-n", there, "address", "add", address, "dev", segment)
                _ip("-n", there, "link", "set", "dev", segment, "up")

    def remove(self) -> None:
        """Remove whatever of it there is; end the processes on its hosts before."""
        for name in (*self.hosts, *(f"switch-{segment}" for segment in self._segments)):
            subprocess.run(
                ["ip", "netns", "delete", self._namespace(name)], check=False, capture_output=True
            )

    def _namespace(self, name: str) -> str:
        return f"{self._prefix}-{name}"


@contextlib.contextmanager
def network(segments: Mapping[str, Sequence[str]]) -> Generator[Network, None, None]:
    """A network under a name that no other has, removed whatever happens.

    Raises:
        RuntimeError: it can't be made here; says why.
    """
    built = Network(f"muster-{os.getpid()}-{next(_serial)}", segments)
    try:
        built.build()
        yield built
    finally:
        built.remove()


def why_not() -> str | None:
    """Why networks can't be made on this machine; None if they can, which is found by trying."""
    try:
        with network({"wire": ["here", "there"]}):
            return None
    except RuntimeError as fault:
        return str(fault)


def _ip(*arguments: str) -> None:
    try:
        subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise RuntimeError("there is no command `ip`; install iproute2") from None
    except subprocess.CalledProcessError as fault:
        said = str(fault.stderr).strip()
        raise RuntimeError(f"`ip {' '.join(arguments)}` says: {said}") from None
