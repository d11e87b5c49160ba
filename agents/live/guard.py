"""Which requests the live page accepts: checks host, origin, token and size before reading a body.

Any web page can make a browser send requests. Therefore a request must name a host of this page
(against DNS rebinding), must not come from another site, and can change something only with a JSON
body, which forms can't send. Unless the page listens on loopback, it also needs the workspace's
secret.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import NamedTuple

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...messages import InvalidInput
from ..kernel.security.workspace_secret import WorkspaceSecret
from ..runtime.http_host import LOOPBACK_NAMES, is_our_host

MAX_BODY_BYTES = 1024 * 1024
"""The maximum size of a request's body."""

BODY_TIMEOUT_S = 10.0
"""How long a body may take to arrive, in seconds."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page may load its own files only, and no inline scripts or styles."""

_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = frozenset({"", "same-origin", "none"})
_GUARDED = re.compile(r"/(api(/|$)|metrics/?$)")
_TICKET = "/api/ticket"


@dataclass(frozen=True)
class Admission:
    """Which requests are accepted.

    Args:
        secret: the workspace's secret, which requests must contain; None if there is none.
        needs_secret: whether all requests to the API must contain it, or only those for the ticket.
        names: the host names that requests may name, in lower case.
        takes_addresses: whether requests may also name any IP address.
    """

    secret: WorkspaceSecret | None = None
    needs_secret: bool = False
    names: frozenset[str] = LOOPBACK_NAMES
    takes_addresses: bool = False


class RequestFacts(NamedTuple):
    """The parts of a request that are checked.

    Args:
        method: such as "GET".
        path: the path, without the prefix of the mount.
        host: the header Host.
        origin: the header Origin, or "".
        site: the header Sec-Fetch-Site, or "".
        content_type: the header Content-Type, or "".
        authorization: the header Authorization, or "".
        length: the header Content-Length, or "".
    """

    method: str
    path: str
    host: str
    origin: str = ""
    site: str = ""
    content_type: str = ""
    authorization: str = ""
    length: str = ""


class Rejection(NamedTuple):
    """Why a request is not accepted.

    Args:
        status: the HTTP status.
        error: the error message.
    """

    status: int
    error: str


def find_rejection(asked: RequestFacts, admission: Admission) -> Rejection | None:
    """Why a request is not accepted; None if it is."""
    is_change = asked.method not in _SAFE
    takes_addresses = admission.takes_addresses
    if not is_our_host(asked.host, admission.names, takes_addresses=takes_addresses):
        return Rejection(
            421,
            "the request names a host that is not one of this page; use its address, or allow the "
            "host name with --web-name",
        )
    if _needs_same_site(asked) and not _is_same_site(asked):
        return Rejection(403, "the request comes from another site")
    if _needs_token(asked.path, admission):
        fault = _check_token(asked, admission)
        if fault is not None:
            return fault
    if asked.length and (not asked.length.isdecimal() or len(asked.length) > len("1000000000")):
        return Rejection(400, "the header Content-Length is not a number")
    if asked.length and int(asked.length) > MAX_BODY_BYTES:
        return too_large()
    if is_change and asked.content_type.partition(";")[0].strip().lower() != "application/json":
        return Rejection(
            415, "a request that changes something needs the header Content-Type: application/json"
        )
    return None


def too_large() -> Rejection:
    """Why a body that is too large is rejected."""
    return Rejection(413, f"the body has more than {MAX_BODY_BYTES:,} bytes; split the request")


def _needs_same_site(asked: RequestFacts) -> bool:
    # A link on another site may lead to the page, but not to the API.
    return asked.method not in _SAFE or _GUARDED.match(asked.path) is not None


def _is_same_site(asked: RequestFacts) -> bool:
    if asked.site not in _OWN_SITE:
        return False
    return not asked.origin or asked.origin.partition("://")[2].lower() == asked.host.lower()


def _needs_token(path: str, admission: Admission) -> bool:
    if path.rstrip("/") == _TICKET:
        return True
    return admission.needs_secret and _GUARDED.match(path) is not None


def _check_token(asked: RequestFacts, admission: Admission) -> Rejection | None:
    if admission.secret is None:
        return Rejection(403, "the workspace has no secret to authorize this request with")
    scheme, _, token = asked.authorization.partition(" ")
    if scheme.lower() != "bearer":
        return Rejection(401, "this needs the workspace's secret: Authorization: Bearer SECRET")
    try:
        # This compares in constant time.
        is_right = WorkspaceSecret.from_text(token) == admission.secret
    except InvalidInput:
        is_right = False
    return None if is_right else Rejection(401, "the token is not the workspace's secret")


class Guard:
    """Passes accepted requests on to an application, and answers the others itself.

    Args:
        application: the application.
        admission: which requests are accepted.
    """

    def __init__(self, application: ASGIApp, admission: Admission) -> None:
        self._application = application
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or pass it on."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        guarded = _with_headers(send)
        asked = _read(scope)
        fault = find_rejection(asked, self._admission)
        if fault is None and asked.method not in _SAFE:
            body = await _read_body(receive)
            if isinstance(body, Rejection):
                fault = body
            else:
                receive = _replay(body, receive)
        if fault is None:
            await self._application(scope, receive, guarded)
            return
        headers = {"Connection": "close"} if fault.status == too_large().status else {}
        if fault.status == 401:  # noqa: PLR2004 - "unauthorized"
            headers["WWW-Authenticate"] = 'Bearer realm="muster"'
        answer = JSONResponse({"error": fault.error}, fault.status, headers)
        await answer(scope, receive, guarded)


def _read(scope: Scope) -> RequestFacts:
    headers = Headers(scope=scope)
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return RequestFacts(
        method=scope["method"],
        path=path.removeprefix(root) if root else path,
        host=headers.get("host", ""),
        origin=headers.get("origin", ""),
        site=headers.get("sec-fetch-site", ""),
        content_type=headers.get("content-type", ""),
        authorization=headers.get("authorization", ""),
        length=headers.get("content-length", ""),
    )


async def _read_body(receive: Receive) -> bytes | Rejection:
    try:
        return await asyncio.wait_for(_read_parts(receive), BODY_TIMEOUT_S)
    except asyncio.TimeoutError:
        return Rejection(408, f"the body did not arrive within {BODY_TIMEOUT_S:g} s")


async def _read_parts(receive: Receive) -> bytes | Rejection:
    parts = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return Rejection(400, "the connection was closed before the body was complete")
        parts += message.get("body", b"")
        if len(parts) > MAX_BODY_BYTES:
            return too_large()
        if not message.get("more_body", False):
            return bytes(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns a body that was read already, and then all further messages."""
    unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return unread.pop() if unread else await receive()

    return receive_again


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return send_with_headers
