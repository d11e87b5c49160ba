"""Who may ask the live page what: host, origin, token and sizes, seen to before anything is read.

A browser can be made to send requests by any page that it shows. So whoever asks must name a host
that is this page's (a rebound name is not), must not come from another site, and changes something
only with a JSON body, which no form sends. Off loopback the workspace's secret is needed as well.
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
"""The largest body of a request that is read."""

BODY_WITHIN_S = 10.0
"""How long a body may take to arrive."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may load: its own files, and nothing that stands in the page itself."""

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
    """Who is let in.

    Args:
        secret: what whoever asks must show; None if the workspace has none.
        needs_secret: whether it must be shown for everything, or for the ticket alone.
        names: the host names by which the page may be called, in lower case.
        takes_addresses: whether it may also be called by any IP address.
    """

    secret: WorkspaceSecret | None = None
    needs_secret: bool = False
    names: frozenset[str] = LOOPBACK_NAMES
    takes_addresses: bool = False


class Asked(NamedTuple):
    """What a request says of itself.

    Args:
        method: such as "GET".
        path: the path, without what the page is mounted under.
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


class Refused(NamedTuple):
    """Why a request is not let in.

    Args:
        status: the HTTP status.
        error: why, for people.
    """

    status: int
    error: str


def find_fault(asked: Asked, admission: Admission) -> Refused | None:
    """Why a request is not let in; None if it is."""
    is_change = asked.method not in _SAFE
    takes_addresses = admission.takes_addresses
    if not is_our_host(asked.host, admission.names, takes_addresses=takes_addresses):
        return Refused(
            421,
            "the request names a host that is not this page's; call it by its address, or name "
            "the host to it with --web-name",
        )
    if _needs_same_site(asked) and not _is_same_site(asked):
        return Refused(403, "the request comes from another site")
    if _needs_token(asked.path, admission):
        fault = _check_token(asked, admission)
        if fault is not None:
            return fault
    if asked.length and (not asked.length.isdecimal() or len(asked.length) > len("1000000000")):
        return Refused(400, "the header Content-Length is not a number")
    if asked.length and int(asked.length) > MAX_BODY_BYTES:
        return too_large()
    if is_change and asked.content_type.partition(";")[0].strip().lower() != "application/json":
        return Refused(
            415, "what changes something needs the header Content-Type: application/json"
        )
    return None


def too_large() -> Refused:
    """Why a body that is too large is not read."""
    return Refused(413, f"the body has more than {MAX_BODY_BYTES:,} bytes; send it in parts")


def _needs_same_site(asked: Asked) -> bool:
    # A link from elsewhere may lead to the page, but not into what it asks for.
    return asked.method not in _SAFE or _GUARDED.match(asked.path) is not None


def _is_same_site(asked: Asked) -> bool:
    if asked.site not in _OWN_SITE:
        return False
    return not asked.origin or asked.origin.partition("://")[2].lower() == asked.host.lower()


def _needs_token(path: str, admission: Admission) -> bool:
    if path.rstrip("/") == _TICKET:
        return True
    return admission.needs_secret and _GUARDED.match(path) is not None


def _check_token(asked: Asked, admission: Admission) -> Refused | None:
    if admission.secret is None:
        return Refused(403, "the workspace has no secret by which to know who may have this")
    scheme, _, token = asked.authorization.partition(" ")
    if scheme.lower() != "bearer":
        return Refused(401, "this needs the workspace's secret: Authorization: Bearer SECRET")
    try:
        # Compares in constant time.
        is_right = WorkspaceSecret.from_text(token) == admission.secret
    except InvalidInput:
        is_right = False
    return None if is_right else Refused(401, "the token is not the workspace's secret")


class Guard:
    """Lets requests through to an application that have nothing wrong with them.

    Args:
        application: what is guarded.
        admission: who is let in.
    """

    def __init__(self, application: ASGIApp, admission: Admission) -> None:
        self._application = application
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        guarded = _with_headers(send)
        asked = _read(scope)
        fault = find_fault(asked, self._admission)
        if fault is None and asked.method not in _SAFE:
            body = await _read_body(receive)
            if isinstance(body, Refused):
                fault = body
            else:
                receive = _again(body, receive)
        if fault is None:
            await self._application(scope, receive, guarded)
            return
        headers = {"Connection": "close"} if fault.status == too_large().status else {}
        if fault.status == 401:  # noqa: PLR2004 - "unauthorized"
            headers["WWW-Authenticate"] = 'Bearer realm="muster"'
        answer = JSONResponse({"error": fault.error}, fault.status, headers)
        await answer(scope, receive, guarded)


def _read(scope: Scope) -> Asked:
    headers = Headers(scope=scope)
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return Asked(
        method=scope["method"],
        path=path.removeprefix(root) if root else path,
        host=headers.get("host", ""),
        origin=headers.get("origin", ""),
        site=headers.get("sec-fetch-site", ""),
        content_type=headers.get("content-type", ""),
        authorization=headers.get("authorization", ""),
        length=headers.get("content-length", ""),
    )


async def _read_body(receive: Receive) -> bytes | Refused:
    try:
        return await asyncio.wait_for(_read_parts(receive), BODY_WITHIN_S)
    except asyncio.TimeoutError:
        return Refused(408, f"the body did not arrive within {BODY_WITHIN_S:g} s")


async def _read_parts(receive: Receive) -> bytes | Refused:
    parts = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return Refused(400, "the body was cut off")
        parts += message.get("body", b"")
        if len(parts) > MAX_BODY_BYTES:
            return too_large()
        if not message.get("more_body", False):
            return bytes(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """A way to receive a body that was read already, and then what else comes."""
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
