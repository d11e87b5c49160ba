"""A website on loopback that answers as each test wants, and SuperAGI or its stand-in."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from muster.agents.web import FetchLimits
from muster.agents.web.fetching import Fetcher

STAND_IN = Path(__file__).with_name("superagi_stand_in")
REAL_HOME = os.environ.get("SUPERAGI_HOME", "")
REAL_PYTHON = os.environ.get("SUPERAGI_PYTHON", "")

ARTICLE = """<!doctype html>
<html lang="en-GB"><head><meta charset="utf-8"><title>The autumn flush | The Tea Review</title>
<meta name="author" content="Asha Perera">
<meta property="article:published_time" content="2026-03-04T08:00:00Z"></head>
<body><nav><a href="/">Home</a> <a href="mailto:a@b.example">Write</a></nav>
<article><h1>The autumn flush</h1>
<p>The autumn flush began on the western slopes after nine days of rain. Dr. Silva counted four
hundred kilogrammes on the first morning.</p>
<p>Leaf of the autumn flush withers slowly, since the nights are cool. It has to lie on the trough
for sixteen hours before it can be rolled. See <a href="spring#notes">the spring</a> as well.</p>
<p>Buyers have asked for the autumn flush since July. They will have to wait for the auction of
the second week, when the first broken teas are sold.</p></article>
<footer><p>Copyright 2021 The Tea Review</p></footer></body></html>"""


@dataclass
class Site:
    """A website: what it answers to which path, and what it was asked."""

    address: str
    answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    def serve(
        self,
        path: str,
        body: bytes | str,
        status: int = 200,
        kind: str = "text/html; charset=utf-8",
        **headers: str,
    ) -> str:
        """Answer a path with a page; gives the page's address."""
        raw = body.encode() if isinstance(body, str) else body

        def answer(request: BaseHTTPRequestHandler) -> None:
            request.send_response(status)
            request.send_header("Content-Type", kind)
            request.send_header("Content-Length", str(len(raw)))
            for name, value in headers.items():
                request.send_header(name.replace("_", "-"), value)
            request.end_headers()
            request.wfile.write(raw)

        self.answers[path] = answer
        return self.address + path

    def redirect(self, path: str, target: str) -> str:
        return self.serve(path, "", 302, Location=target)


@pytest.fixture
def site() -> Iterator[Site]:
    lock = threading.Lock()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with lock:
                made.asked.append(self.path)
                made.headers.append(dict(self.headers))
                made.at_once += 1
                made.most_at_once = max(made.most_at_once, made.at_once)
            if length := int(self.headers.get("Content-Length", 0)):
                made.bodies.append(self.rfile.read(length))
            try:
                answer = made.answers.get(self.path)
                if answer is None:
                    self.send_error(404)
                else:
                    answer(self)
            except (BrokenPipeError, ConnectionResetError):
                pass
            finally:
                with lock:
                    made.at_once -= 1

        do_POST = do_GET  # noqa: N815 - http.server calls it so

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    made = Site(f"http://127.0.0.1:{server.server_port}")
    serving = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    serving.start()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def make_fetcher() -> Callable[..., Fetcher]:
    """Makes a fetcher that may go to loopback and doesn't pause."""

    def make(*, allow: tuple[str, ...] = ("127.0.0.1",), **limits: float) -> Fetcher:
        return Fetcher(FetchLimits(**{"pause_s": 0.0, **limits}), allow)

    return make


@pytest.fixture
def article() -> str:
    return ARTICLE


@dataclass(frozen=True)
class SuperAgi:
    """Where SuperAGI is, or what stands in for it."""

    home: Path
    python: Path
    is_real: bool


@pytest.fixture(params=["stand-in", "real"])
def superagi(request: pytest.FixtureRequest) -> SuperAgi:
    if request.param == "stand-in":
        return SuperAgi(STAND_IN, Path(sys.executable), is_real=False)
    if not (REAL_HOME and REAL_PYTHON):
        pytest.skip("SUPERAGI_HOME and SUPERAGI_PYTHON don't name SuperAGI and its Python")
    return SuperAgi(Path(REAL_HOME), Path(REAL_PYTHON), is_real=True)


@pytest.fixture
def forget_superagi() -> Iterator[None]:
    """Lets a test import another SuperAGI than the one before it."""

    def forget() -> None:
        for name in [each for each in sys.modules if each.split(".")[0] == "superagi"]:
            del sys.modules[name]

    forget()
    yield
    forget()
