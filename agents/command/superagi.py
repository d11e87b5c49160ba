"""`muster superagi`: makes the environment of SuperAGI's tools, and says what of SuperAGI works."""

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

# What comes with the extras is imported when it is needed.
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

Say: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ToolFinding:
    """What was found of one part of SuperAGI.

    Args:
        part: the part, for people.
        works: whether it works.
        detail: what was found, or why it doesn't work.
    """

    part: str
    works: bool
    detail: str

    def line(self) -> str:
        """The finding on one line."""
        return f"{'works ' if self.works else 'fails '} {self.part}: {self.detail}"


def set_up(python: Path | None, folder: Path | None, say: Say) -> int:
    """Make a virtual environment with what SuperAGI's tools need.

    Args:
        python: the interpreter to make it with; None takes the one that runs this.
        folder: where; None takes the folder in which Muster looks for it.
        say: takes what is done, line by line.

    Returns:
        The exit code.

    Raises:
        InvalidInput: it could not be made; says what Python or pip said.
    """
    where = folder or default_environment()
    say(f"making a virtual environment in {where}")
    _run([str(python or sys.executable), "-m", "venv", str(where)])
    say(f"installing what {REQUIREMENTS.name} lists")
    made = python_of(where)
    _run([str(made), "-m", "pip", "install", "--quiet", "--requirement", str(REQUIREMENTS)])
    if where != default_environment():
        say(f"set {PYTHON_VARIABLE}={made}")
    say(f"clone {REPOSITORY}, set {HOME_VARIABLE} to that folder, and run: muster superagi check")
    return EXIT_OK


def check(say: Say) -> int:
    """Try each part of SuperAGI, on a page that is part of Muster; no network is needed.

    Args:
        say: takes a line for each part.

    Returns:
        The exit code: 0 if everything works.
    """
    return asyncio.run(_check(say))


async def _check(say: Say) -> int:
    findings: list[ToolFinding] = []

    async def note(part: str, trial: Callable[[], Awaitable[str]]) -> None:
        try:
            finding = ToolFinding(part, works=True, detail=await trial())
        except MusterError as fault:
            finding = ToolFinding(part, works=False, detail=str(fault))
        findings.append(finding)
        say(finding.line())

    await note("checkout", _try_checkout)
    await note("extractor in this process", _try_extractor)
    await note("Python of the tools", _try_python)
    await note("WebScraperTool over the bridge", _try_scraper_tool)
    await note("SearxSearchTool.summarise_result over the bridge", _try_summarizer)
    say(_about_the_model())
    return EXIT_OK if all(finding.works for finding in findings) else EXIT_FAILED


async def _try_checkout() -> str:
    return f"{find_checkout()}; tried with commit {TESTED_COMMIT}"


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
    return f"summarized the sample, by {summary.written_by.value}: {summary.text}"


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


def _about_the_model() -> str:
    try:
        require_packages("a language model", WEB_PACKAGES, "web")
        from ..web.language_model import BASE_URL_VARIABLE, KEY_VARIABLE, LanguageModel

        model = LanguageModel.of_environment()
    except MusterError as fault:
        return f"the language model: {fault}"
    if model is None:
        return (
            f"no language model is named ({KEY_VARIABLE} or {BASE_URL_VARIABLE}): "
            "sentences of the text itself stand in for what one would write"
        )
    return f"summaries are written by the language model {model.model!r}; it was not asked now"


def _run(command: list[str]) -> None:
    try:
        # The interpreter is the user's own choice, the rest is ours.
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as fault:
        raise InvalidInput(f"{command[0]} can't be run: {fault}") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()[-MAX_ERROR_LINES:]
        raise InvalidInput(f"{' '.join(command)} failed: {' | '.join(said)}")
