"""The diagram of the handshake in docs/protocol.md tells what the two ends really send."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from muster.agents.diagram import check_diagram, find_diagrams
from muster.agents.kernel.security.sealed_frame import FrameKind, read_header
from muster.agents.kernel.trace import SideMessage, Trace

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"
BEFORE = 8
"""How many frames the manager has sent before the client comes."""


def tell(estate: Any, frame: bytes, holds: str = "") -> str:
    header = read_header(frame)
    name = {estate.session("client"): "C", estate.session("manager"): "M"}
    by, to = name[header.sender], name.get(header.bound_to, "")
    match header.kind:
        case FrameKind.PROBE:
            return f"probe ({by}, counter {header.counter})"
        case FrameKind.CHALLENGE:
            answered = f"answers {header.pass_number}, counter {header.counter}"
            return f"challenge ({by}, for {to}, {answered})"
        case FrameKind.CLIENT:
            passed = f"pass {header.pass_number}, counter {header.counter}"
            return f"client frame ({by}, bound to {to}, {passed}): {holds}"
        case _:
            return f"manager frame ({by}, counter {header.counter}): {holds}"


def test_the_handshake_goes_as_the_page_shows(estate: Any) -> None:
    manager, client = estate.manager("manager"), estate.client("client")
    for _ in range(BEFORE):
        estate.sent(manager)
    probe = estate.sent(client, b"Hello")
    manager.unwrap(probe, 0.0)
    (challenge,) = estate.words(manager)
    client.unwrap(challenge, 0.0)
    (kept,) = estate.words(client)
    assert estate.opened(manager, kept, 0.0) == b"Hello"
    answer = estate.sent(manager, b"Welcome")
    assert estate.opened(client, answer, 0.0) == b"Welcome"
    texts = [
        ("client", "manager", tell(estate, probe)),
        ("manager", "client", tell(estate, challenge)),
        ("client", "manager", tell(estate, kept, "Hello")),
        ("manager", "client", tell(estate, answer, "Welcome")),
    ]
    asides = tuple(SideMessage(float(at), *each) for at, each in enumerate(texts))
    (found,) = find_diagrams(PAGE.read_text(encoding="utf-8"), PAGE.name)
    verdict = check_diagram(found.diagram, Trace(manager="manager", asides=asides))
    assert verdict.holds, verdict.mismatch
    assert verdict.messages == 4
