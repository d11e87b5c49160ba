"""Which HTTP requests `muster mcp` takes: checks host, origin, token and size.

Any web page can make a browser send requests to this server, under a name that its owner has
rebound to this machine. So requests must name this machine, and those of other sites are refused.
"""

from __future__ import annotations

import secrets
from typing import cast

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..runtime.http_host import is_our_host

MAX_BODY_BYTES = 8 * 1024 * 1024


class TooLarge(Exception):
    """The body of a request is larger than `MAX_BODY_BYTES`."""


class HttpGuard:
    """Passes accepted requests on to an application, and answers the others itself.

    Args:
        application: the application.
        path: the only path.
        token: what requests must have in their header Authorization.
    """

    def __init__(self, application: ASGIApp, path: str, token: str) -> None:
        self._application = application
        self._path = path
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or pass it on."""
        if scope["type"] != "http":
            return
        fault = self._find_fault(scope)
        if fault is not None:
            status, error = fault
            await JSONResponse({"error": error}, status, _challenge(status))(scope, receive, send)
            return
        taken = 0

        async def receive_bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(cast("bytes", message.get("body", b"")))
            if taken > MAX_BODY_BYTES:
                raise TooLarge(f"a request has more than {MAX_BODY_BYTES:,} bytes")
            return message

        await self._application(scope, receive_bounded, send)

    def _find_fault(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        if not is_our_host(headers.get("host", "")):
            return 421, "the request names a host that is not this machine's; use 127.0.0.1"
        origin = headers.get("origin", "")
        if origin and not is_our_host(origin.partition("://")[2]):
            return 403, "the request comes from another site"
        scheme, _, token = headers.get("authorization", "").partition(" ")
        is_right = secrets.compare_digest(token.strip().encode(), self._token)
        if scheme.lower() != "bearer" or not is_right:
            return 401, "this needs the token that `muster mcp` has written: Authorization: Bearer"
        if scope["path"].rstrip("/") != self._path:
            return 404, f"there is only {self._path}"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:12]) > MAX_BODY_BYTES:
            return 413, f"a request may have {MAX_BODY_BYTES:,} bytes"
        return None


def _challenge(status: int) -> dict[str, str]:
    return {"WWW-Authenticate": 'Bearer realm="muster"'} if status == 401 else {}  # noqa: PLR2004
