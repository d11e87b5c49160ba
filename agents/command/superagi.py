"""`muster superagi`: creates the environment of SuperAGI's tools, and checks which of them work."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ...messages import InvalidInput, MusterError
from ..web.backends import SUPERAGI_PACKAGES, WEB_PACKAGES, require_packages
from ..web.superagi.locations import (
    HOME_VARIABLE,
    PYTHON_VARIABLE,
    REPOSITORY,
    TESTED_COMMIT,
    default_environment,
    find_checkout,
    find_python,
    python_of,
)
from .console.exit import EXIT_FAILED, EXIT_OK

if TYPE_CHECKING:
    from ..web.fetching import Fetcher
    from ..web.superagi.bridge import Bridge

# Packages of extras are imported only when they are needed.
# ruff: noqa: PLC0415

REQUIREMENTS = Path(__file__).parents[1] / "web" / "superagi" / "requirements.txt"
MAX_ERROR_LINES = 15

SAMPLE_URL = "http://sample.muster/withering"
SAMPLE_TEXT = (
    "Withering takes water out of the leaf before it is rolled. The leaf lies on a trough for "
    "fourteen hours while air moves through it. A leaf that has not withered enough breaks when it "
    "is rolled, and a leaf that has withered too long makes a dull tea."
)
SAMPLE_PAGE = (
    f"<html lang='en'><head><title>Withering</title></head><body><main><h1>Withering</h1>"
    f"<p>{SAMPLE_TEXT}</p></main></body></html>"
)

WriteLine: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ToolFinding:
    """The result of checking one part of SuperAGI.

    Args:
        part: the name of the part.
        works: whether it works.
        detail: what was found, or why it does not work.
    """

    part: str
    works: bool
    detail: str

    def line(self) -> str:
        """The finding as one line."""
        return f"{'works ' if self.works else 'fails '} {self.part}: {self.detail}"


def set_up(python: Path | None, folder: Path | None, write_line: WriteLine) -> int:
    """Create a virtual environment with the packages of SuperAGI's tools.

    Args:
        python: the interpreter of the environment; None is the current one.
        folder: the folder of the environment; None is the folder where Muster searches for it.
        write_line: called with each line of progress.

    Returns:
        The exit code.

    Raises:
        InvalidInput: Python or pip failed; the message contains their output.
    """
    environment = folder or default_environment()
    write_line(f"creating a virtual environment in {environment}")
    _run([str(python or sys.executable), "-m", "venv", str(environment)])
    write_line(f"installing the packages of {REQUIREMENTS.name}")
    created = python_of(environment)
    _run([str(created), "-m", "pip", "install", "--quiet", "--requirement", str(REQUIREMENTS)])
    if environment != default_environment():
        write_line(f"set {PYTHON_VARIABLE}={created}")
    write_line(
        f"clone {REPOSITORY}, set {HOME_VARIABLE} to that folder, and run: muster superagi check"
    )
    return EXIT_OK


def check(write_line: WriteLine) -> int:
    """Check each part of SuperAGI with a built-in sample page; no network is needed.

    Args:
        write_line: called with a line for each part.

    Returns:
        The exit code: 0 if everything works.
    """
    return asyncio.run(_check(write_line))


async def _check(write_line: WriteLine) -> int:
    findings: list[ToolFinding] = []

    async def note(part: str, trial: Callable[[], Awaitable[str]]) -> None:
        try:
            finding = ToolFinding(part, works=True, detail=await trial())
        except MusterError as fault:
            finding = ToolFinding(part, works=False, detail=str(fault))
        findings.append(finding)
        write_line(finding.line())

    await note("checkout", _try_checkout)
    await note("extractor in this process", _try_extractor)
    await note("Python of the tools", _try_python)
    await note("WebScraperTool over the bridge", _try_scraper_tool)
    await note("SearxSearchTool.summarise_result over the bridge", _try_summarizer)
    write_line(_describe_model())
    return EXIT_OK if all(finding.works for finding in findings) else EXIT_FAILED


async def _try_checkout() -> str:
    return f"{find_checkout()}; tested with commit {TESTED_COMMIT}"


async def _try_extractor() -> str:
    checkout = find_checkout()
    require_packages("SuperAGI's extractor", (*WEB_PACKAGES, *SUPERAGI_PACKAGES), "superagi")
    from ..web.superagi.extractor import SuperAgiScraper

    page = await SuperAgiScraper(_sample_fetcher(), checkout).scrape(SAMPLE_URL)
    return f"read {len(page.text.split())} words of the sample page"


async def _try_python() -> str:
    return str(find_python())


async def _try_scraper_tool() -> str:
    bridge = _bridge()
    from ..web.superagi.tools import SuperAgiToolScraper

    try:
        page = await SuperAgiToolScraper(bridge, _sample_fetcher()).scrape(SAMPLE_URL)
    finally:
        await bridge.aclose()
    return f"read {len(page.text.split())} words of the sample page"


async def _try_summarizer() -> str:
    bridge = _bridge()
    from ..web.roles import SummaryRequest
    from ..web.superagi.tools import SuperAgiSummarizer

    try:
        summary = await SuperAgiSummarizer(bridge, None).summarize(SummaryRequest(SAMPLE_TEXT, 1))
    finally:
        await bridge.aclose()
    return f"summarized the sample page by {summary.written_by.value}: {summary.text}"


def _bridge() -> Bridge:
    require_packages("SuperAGI's tools", WEB_PACKAGES, "web")
    from ..web.superagi.bridge import Bridge

    return Bridge(find_python(), find_checkout())


def _sample_fetcher() -> Fetcher:
    import httpx

    from ..web.fetching import Fetcher

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/robots.txt":
            return httpx.Response(404, stream=httpx.ByteStream(b""))
        headers = {"Content-Type": "text/html; charset=utf-8"}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(SAMPLE_PAGE.encode()))

    return Fetcher(transport=httpx.MockTransport(answer))


def _describe_model() -> str:
    try:
        require_packages("a language model", WEB_PACKAGES, "web")
        from ..web.language_model import BASE_URL_VARIABLE, KEY_VARIABLE, LanguageModel

        model = LanguageModel.of_environment()
    except MusterError as fault:
        return f"language model: {fault}"
    if model is None:
        return (
            f"no language model is configured (set {KEY_VARIABLE} or {BASE_URL_VARIABLE}): "
            "summaries consist of sentences from the text"
        )
    return f"language model for summaries: {model.model!r} (not checked)"


def _run(command: list[str]) -> None:
    try:
        # The user chose the interpreter; the arguments are fixed.
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as fault:
        raise InvalidInput(f"can't run {command[0]}: {fault}") from None
    if done.returncode != 0:
        output = (done.stderr or done.stdout).strip().splitlines()[-MAX_ERROR_LINES:]
        raise InvalidInput(f"{' '.join(command)} failed: {' | '.join(output)}")
