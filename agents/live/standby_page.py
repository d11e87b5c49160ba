"""The page of a manager that stands by: says so, and names the manager that leads."""

from __future__ import annotations

import contextlib
import html
from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from ...messages import NatsUnusable
from ..runtime.http_host import LOOPBACK_NAMES
from ..runtime.ports import LOOPBACK
from ..store.managers import ManagerEntry, standbys_in
from .guard import Admission, Guard
from .serving import PageServer

ManagersSource = Callable[[], list[ManagerEntry]]
"""Returns the managers that share the store."""


class StandbyPage:
    """An async context manager that serves the page of a standby.

    `/readyz` answers 503 and `/healthz` answers 200, so that a load balancer prefers the manager
    that leads, and nobody restarts the standby. All other paths answer 503 with the page.

    Args:
        managers: returns the managers that share the store.
        host: the IP address to listen on.
        port: the TCP port to listen on; 0 takes any free one.
        names: further host names of the page, such as that of a proxy.

    Raises:
        InvalidInput: it can't listen on the host or port.
        PortInUse: another program uses the port.
    """

    def __init__(
        self,
        managers: ManagersSource,
        host: str = LOOPBACK,
        port: int = 0,
        names: Sequence[str] = (),
    ) -> None:
        self._managers = managers
        self._server = PageServer(host, port)
        self._admission = Admission(
            names=LOOPBACK_NAMES | {name.lower().rstrip(".") for name in names},
            takes_addresses=True,
        )

    @property
    def url(self) -> str:
        """The URL of the page."""
        return self._server.url

    @property
    def port(self) -> int:
        """The TCP port that it listens on."""
        return self._server.port

    async def __aenter__(self) -> StandbyPage:
        """Start serving."""
        application = Starlette(
            routes=[
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/{path:path}", self._page),
            ]
        )
        await self._server.start(Guard(application, self._admission))
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Stop serving."""
        await self._server.stop()

    def _read_managers(self) -> list[ManagerEntry]:
        """The managers; none while the server of the store does not answer."""
        with contextlib.suppress(NatsUnusable):
            return self._managers()
        return []

    def _healthz(self, _: Request) -> Response:
        return JSONResponse({"standby": True})

    def _readyz(self, _: Request) -> Response:
        managers = self._read_managers()
        leader = next((each.to_payload() for each in managers if each.leads), None)
        answer = {"ready": False, "standby": True, "leader": leader}
        return JSONResponse(answer, 503, {"Retry-After": "2"})

    def _page(self, _: Request) -> Response:
        managers = self._read_managers()
        leader = next((each for each in managers if each.leads), None)
        standbys = len(standbys_in(managers))
        if leader is None:
            leads = "No manager is known to lead the run at the moment."
        elif leader.page.startswith(("http://", "https://")):
            page = html.escape(leader.page, quote=True)
            leads = f'<a href="{page}">{page}</a> leads the run.'
        else:
            leads = f"{html.escape(leader.describe())} leads the run."
        content = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Muster: standby'
            "</title></head><body><h1>This manager stands by</h1>"
            f"<p>{leads}</p><p>Managers that stand by: {standbys}. One of them leads as soon as "
            "the leading one is gone.</p></body></html>"
        )
        return HTMLResponse(content, 503, {"Retry-After": "2"})
