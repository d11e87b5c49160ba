"""`LivePage`: serves the live page of a manager in the manager's event loop."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Sequence

from starlette.types import ASGIApp

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
_UNREAD_TIMEOUT_MS = 30_000
_UNREAD_BYTES = 256 * 1024
_LARGEST_PORT = 65_535


class LivePage:
    """An async context manager during which a manager's run can be seen in a browser.

    ```python
    async with LivePage(manager, port=8080) as page:
        print(page.url)
        await manager.start_agent(b"", workers)
    ```

    On loopback, all users of this machine may read and change the run. On any other address, or
    with `names`, requests need the workspace's secret.

    Args:
        manager: the manager whose run is shown.
        host: the IP address to listen on.
        port: the TCP port to listen on; 0 takes any free one.
        names: further host names of the page, such as that of a proxy.
        metrics: what `/metrics` serves; None: there is no `/metrics`.

    Raises:
        InvalidInput: the host is not an IP address; or requests need the workspace's secret, and
            it has none.
        PortInUse: another program uses the port.
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
        self._server = PageServer(host, port)
        self.host, self.port = host, self._server.port
        self._needs_secret = admission.needs_secret
        self._feed = Feed(manager)
        self._application = live_application(
            manager, admission=admission, feed=self._feed, metrics=metrics
        )

    @property
    def url(self) -> str:
        """The URL of the page."""
        return self._server.url

    @property
    def pages(self) -> int:
        """How many pages are open."""
        return self._feed.pages

    @property
    def needs_secret(self) -> bool:
        """Whether requests need the workspace's secret."""
        return self._needs_secret

    async def __aenter__(self) -> LivePage:
        """Start serving."""
        if self._needs_secret:
            log.warning(
                "the live page is not encrypted, and requests contain the workspace's secret; use "
                "a proxy with TLS or an SSH tunnel",
                url=self.url,
            )
        self._feed.run()
        await self._server.start(self._application)
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Send the open pages the final state, and stop serving."""
        await self._feed.close()
        await self._server.stop()


class PageServer:
    """Serves one application in the running loop.

    Args:
        host: the IP address to listen on.
        port: the TCP port to listen on; 0 takes any free one.

    Raises:
        InvalidInput: it can't listen on the host or port.
        PortInUse: another program uses the port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._socket = _listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        named = f"[{host}]" if ":" in host else host
        self.url = f"http://{named}:{self.port}/"
        """Its URL."""
        self._server: HttpServer | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self, application: ASGIApp) -> None:
        """Start serving."""
        server = self._server = HttpServer(application, self._socket)
        serving = self._serving = asyncio.ensure_future(server.serve())
        while not (server.started or serving.done()):  # noqa: ASYNC110 - uvicorn's
            await asyncio.sleep(0.01)
        if serving.done():
            serving.result()

    async def stop(self) -> None:
        """Stop serving."""
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await asyncio.gather(self._serving, return_exceptions=True)
        self._socket.close()


def admission_at(manager: TaskManager, host: str, names: Sequence[str] = ()) -> Admission:
    """Which requests a page on some address accepts.

    Args:
        manager: the manager whose run it shows.
        host: the IP address that it listens on, or "localhost".
        names: further host names of the page.

    Raises:
        InvalidInput: the host is not an IP address; or requests need the workspace's secret, and
            it has none.
    """
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise InvalidInput(
            f"the live page can't listen on {host!r}; give an IP address, such as {LOOPBACK}, or "
            "that of a network interface"
        ) from None
    needs_secret = not is_loopback or bool(names)
    if needs_secret and manager.secret is None:
        raise InvalidInput(
            "other machines may use the live page only with the workspace's secret, and this "
            f"workspace is not encrypted; listen on {LOOPBACK}, or encrypt the workspace"
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
    # Accepted connections inherit both. The system buffers little for a page that reads slowly, and
    # closes the connection of a page that reads nothing for long.
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNREAD_BYTES)
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        made.setsockopt(socket.IPPROTO_TCP, option, _UNREAD_TIMEOUT_MS)
    return made
