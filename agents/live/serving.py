"""`LivePage`: serves the live page beside a manager, in the loop that both live in."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Sequence
from types import TracebackType

from ...messages import InvalidInput, PortInUse
from ..manager.task_manager import TaskManager
from ..runtime.http_host import LOOPBACK_NAMES
from ..runtime.log import log
from ..runtime.ports import LOOPBACK
from .application import MetricsSource, live_application
from .feed import Feed
from .guard import Admission
from .http_server import HttpServer

DEFAULT_WEB_PORT = 8080
_UNREAD_FOR_MS = 30_000
_UNREAD_BYTES = 256 * 1024
_LARGEST_PORT = 65_535


class LivePage:
    """While it is entered, a manager's run is seen in a browser.

    ```python
    async with LivePage(manager, port=8080) as page:
        print(page.url)
        await manager.start_agent(b"", workers)
    ```

    On loopback whoever can use this machine may look and change. On any other address, or where
    `names` are given, the workspace's secret is asked for.

    Args:
        manager: whose run.
        host: the IP address to listen on.
        port: the TCP port to listen on; 0 takes a free one.
        names: host names by which the page is called besides its address, as by a proxy.
        metrics: what is at `/metrics`; without, nothing is.

    Raises:
        InvalidInput: the host is not an IP address, or one that needs a secret, and the
            workspace has none.
        PortInUse: the port belongs to somebody else.
    """

    def __init__(
        self,
        manager: TaskManager,
        host: str = LOOPBACK,
        port: int = DEFAULT_WEB_PORT,
        *,
        names: Sequence[str] = (),
        metrics: MetricsSource | None = None,
    ) -> None:
        admission = admission_at(manager, host, names)
        self._socket = _listen(host, port)
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        self._needs_secret = admission.needs_secret
        self._feed = Feed(manager)
        application = live_application(
            manager, admission=admission, feed=self._feed, metrics=metrics
        )
        self._server = HttpServer(application, self._socket)
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where the page is."""
        named = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{named}:{self.port}/"

    @property
    def pages(self) -> int:
        """How many pages are open."""
        return self._feed.pages

    @property
    def needs_secret(self) -> bool:
        """Whether it asks for the workspace's secret."""
        return self._needs_secret

    async def __aenter__(self) -> LivePage:
        """Begin to serve."""
        if self._needs_secret:
            log.warning(
                "the live page is not encrypted, and is shown the workspace's secret; let a proxy "
                "with TLS or an SSH tunnel stand before it",
                url=self.url,
            )
        self._feed.run()
        self._serving = asyncio.ensure_future(self._server.serve())
        while not (self._server.started or self._serving.done()):  # noqa: ASYNC110 - uvicorn's
            await asyncio.sleep(0.01)
        if self._serving.done():
            self._serving.result()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Tell the open pages the last of it, and serve no more."""
        await self._feed.close()
        self._server.should_exit = True
        if self._serving is not None:
            await asyncio.gather(self._serving, return_exceptions=True)
        self._socket.close()


def admission_at(manager: TaskManager, host: str, names: Sequence[str] = ()) -> Admission:
    """Who is let in to a page on some address.

    Args:
        manager: whose page.
        host: the IP address that it listens on, or "localhost".
        names: host names by which it is called besides.

    Raises:
        InvalidInput: the host is not an IP address, or one that needs a secret, and the
            workspace has none.
    """
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise InvalidInput(
            f"the live page can't listen on {host!r}; give an IP address, such as {LOOPBACK}, or "
            "that of a network card"
        ) from None
    needs_secret = not is_loopback or bool(names)
    if needs_secret and manager.secret is None:
        raise InvalidInput(
            "others than this machine's users may see the live page only with the workspace's "
            f"secret, and this workspace is not sealed; leave it on {LOOPBACK}, or let it be sealed"
        )
    return Admission(
        secret=manager.secret,
        needs_secret=needs_secret,
        names=LOOPBACK_NAMES | {name.lower().rstrip(".") for name in names},
        takes_addresses=not is_loopback,
    )


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= _LARGEST_PORT:
        raise InvalidInput(f"the live page's port is {port}; it must be 0 (any free one) to 65535")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        made = socket.create_server((host, port), family=family)
    except OSError as fault:
        if fault.errno == errno.EADDRINUSE:
            raise PortInUse(port, "TCP") from None
        raise InvalidInput(
            f"the live page can't listen on {host!r}, port {port}: {fault.strerror or fault}"
        ) from None
    # Accepted connections take both over. What the system holds for a page that reads slowly is
    # bounded, and a page that reads nothing for long is gone.
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNREAD_BYTES)
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        made.setsockopt(socket.IPPROTO_TCP, option, _UNREAD_FOR_MS)
    return made
