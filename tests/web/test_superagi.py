"""SuperAGI's extractor in this process and its tools over the bridge; or what stands in for it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from muster.agents.command import main
from muster.agents.command.superagi import REQUIREMENTS
from muster.agents.web.backends import SUPERAGI_PACKAGES
from muster.agents.web.fetching import Fetcher
from muster.agents.web.language_model import LanguageModel
from muster.agents.web.roles import SummaryRequest
from muster.agents.web.superagi.bridge import Bridge
from muster.agents.web.superagi.extractor import SuperAgiScraper, check_text
from muster.agents.web.superagi.locations import default_environment, find_checkout, find_python
from muster.agents.web.superagi.tools import SuperAgiSummarizer, SuperAgiToolScraper
from muster.messages import AddressRefused, BackendFailed, InvalidInput, PageUnavailable

MakeFetcher = Callable[..., Fetcher]
TEXT = "Tea is grown in hills. A leaf withers. The leaf is rolled, and the rolled leaf is fired."


@pytest_asyncio.fixture
async def bridge(superagi: Any) -> AsyncIterator[Bridge]:
    made = Bridge(superagi.python, superagi.home)
    yield made
    await made.aclose()


# ------------------------------------------------------------------------------- in this process


def can_import_extractor(superagi: Any) -> bool:
    from importlib.util import find_spec

    return not superagi.is_real or all(find_spec(name) for name in SUPERAGI_PACKAGES)


# SuperAGI and what it imports warn of themselves.
@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("forget_superagi")
async def test_the_extractor_gives_the_text_and_the_rest_is_read_as_ever(
    superagi: Any, site: Any, make_fetcher: MakeFetcher, article: str
) -> None:
    if not can_import_extractor(superagi):
        pytest.skip("the extra `superagi` is not installed")
    path = list(sys.path)
    url = site.serve("/autumn", article)
    page = await SuperAgiScraper(make_fetcher(), superagi.home).scrape(url)
    assert page.backend == "superagi"
    assert page.text.startswith("The autumn flush The autumn flush began on the western slopes")
    assert (page.title, page.author, page.date) == (
        "The autumn flush",
        "Asha Perera",
        "2026-03-04",
    )
    assert page.links[0] == f"{site.address}/"
    assert site.asked == ["/robots.txt", "/autumn"]
    assert sys.path == path


# SuperAGI and what it imports warn of themselves.
@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("forget_superagi")
async def test_the_extractor_reaches_only_what_the_fetcher_may(
    superagi: Any, site: Any, make_fetcher: MakeFetcher, article: str
) -> None:
    if not can_import_extractor(superagi):
        pytest.skip("the extra `superagi` is not installed")
    scraper = SuperAgiScraper(make_fetcher(allow=()), superagi.home)
    with pytest.raises(AddressRefused):
        await scraper.scrape(site.serve("/autumn", article))
    assert site.asked == []


# SuperAGI and what it imports warn of themselves.
@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("forget_superagi")
def test_another_package_called_superagi_is_not_taken_for_it(
    superagi: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_fetcher: MakeFetcher
) -> None:
    (tmp_path / "superagi").mkdir()
    (tmp_path / "superagi" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    import superagi as impostor

    assert impostor.__file__
    with pytest.raises(InvalidInput, match="another package called superagi is imported"):
        SuperAgiScraper(make_fetcher(), superagi.home)


@pytest.mark.parametrize(
    "text",
    [
        "Error: 404. Url is invalid or does not exist. Try with valid url...",
        "Error while extracting text from HTML (bs4): 503",
        "Error while making the request to the URL (newspaper3k): no",
        "",
        " \n",
    ],
)
def test_failures_that_superagi_tells_as_strings_are_failures(text: str) -> None:
    with pytest.raises(BackendFailed, match=r"http://tea\.example/"):
        check_text(text, "http://tea.example/")


# ------------------------------------------------------------------------------- over the bridge


async def test_the_tool_scrapes_pages_that_its_parent_fetches(
    bridge: Bridge, site: Any, make_fetcher: MakeFetcher, article: str
) -> None:
    url = site.serve("/autumn", article)
    page = await SuperAgiToolScraper(bridge, make_fetcher()).scrape(url)
    assert page.text.startswith("The autumn flush The autumn flush began on the western slopes")
    assert (page.backend, page.title, page.is_shortened) == (
        "superagi_tool",
        "The autumn flush",
        False,
    )
    assert {each["User-Agent"] for each in site.headers} == {"ceylon-muster/0.1.0"}


@pytest.mark.slow
async def test_what_the_tool_cuts_off_is_said_to_be_shortened(
    bridge: Bridge, site: Any, make_fetcher: MakeFetcher
) -> None:
    url = site.serve("/long", f"<html><body><main><p>{'leaf ' * 900}</p></main></body></html>")
    page = await SuperAgiToolScraper(bridge, make_fetcher()).scrape(url)
    assert len(page.text.split()) == 600
    assert page.is_shortened


async def test_the_fetchers_reasons_come_through_what_the_tool_makes_of_them(
    bridge: Bridge, site: Any, make_fetcher: MakeFetcher, article: str
) -> None:
    url = site.serve("/autumn", article)
    with pytest.raises(AddressRefused, match="this machine itself"):
        await SuperAgiToolScraper(bridge, make_fetcher(allow=())).scrape(url)
    with pytest.raises(PageUnavailable, match="answered 404"):
        await SuperAgiToolScraper(bridge, make_fetcher()).scrape(f"{site.address}/none")
    assert (await SuperAgiToolScraper(bridge, make_fetcher()).scrape(url)).text


async def test_without_a_model_the_summary_is_said_to_be_extracted(bridge: Bridge) -> None:
    summary = await SuperAgiSummarizer(bridge, None).summarize(SummaryRequest(TEXT, 1))
    assert summary.text == "The leaf is rolled, and the rolled leaf is fired."
    assert (summary.written_by.value, summary.model, summary.backend) == (
        "extraction",
        None,
        "superagi",
    )


async def test_a_model_is_asked_by_the_parent_with_superagis_words(
    bridge: Bridge, site: Any
) -> None:
    answer = {"choices": [{"message": {"content": "Tea, fired."}}]}
    site.serve("/v1/chat/completions", json.dumps(answer), kind="application/json")
    model = LanguageModel(f"{site.address}/v1", None, "tea-1")
    summary = await SuperAgiSummarizer(bridge, model).summarize(SummaryRequest(TEXT, 2))
    assert (summary.text, summary.written_by.value, summary.model) == (
        "Tea, fired.",
        "language model",
        "tea-1",
    )
    asked = json.loads(site.bodies[0])
    assert asked["messages"][0]["content"].startswith("Summarize the following text `['Tea is")
    assert "in 2 sentences at most?" in asked["messages"][0]["content"]
    assert asked["max_tokens"] == 600


@pytest.mark.slow
async def test_a_model_that_fails_is_the_failure(bridge: Bridge) -> None:
    model = LanguageModel("http://127.0.0.1:9/v1", None, "tea-1")
    with pytest.raises(BackendFailed, match="can't be reached"):
        await SuperAgiSummarizer(bridge, model).summarize(SummaryRequest(TEXT, 2))


async def test_nothing_of_the_users_environment_reaches_superagi(
    superagi: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from muster.agents.web.superagi.bridge import _environment

    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    environment = _environment(Path("/nowhere"))
    assert "OPENAI_API_KEY" not in environment
    assert len(environment["ENCRYPTION_KEY"]) == 32


@pytest.mark.slow
async def test_nothing_is_written_into_the_checkout(superagi: Any, bridge: Bridge) -> None:
    before = sorted(superagi.home.iterdir())
    assert await bridge.call("check") == "WebScraperTool and SearxSearchTool"
    assert sorted(superagi.home.iterdir()) == before


# -------------------------------------------------------------------- a child that is in trouble


def a_child(tmp_path: Path, body: str) -> Path:
    """A stand-in for SuperAGI's Python that does something else than run the tools."""
    script = tmp_path / "python"
    script.write_text(f"#!{sys.executable}\nimport sys, time, os\n{body}\n")
    script.chmod(0o755)
    return script


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("sys.exit('No module named yaml')", "has ended\n  No module named yaml"),
        ("print('{\"ready\"'); sys.stdout.flush(); time.sleep(60)", "sent an invalid message"),
    ],
)
async def test_a_child_that_cannot_start_says_why(body: str, why: str, tmp_path: Path) -> None:
    bridge = Bridge(a_child(tmp_path, body), Path(__file__).with_name("superagi_stand_in"))
    with pytest.raises(BackendFailed, match=why):
        await bridge.call("check")


async def test_a_python_that_is_not_there_cannot_be_started(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path / "none", Path(__file__).with_name("superagi_stand_in"))
    with pytest.raises(BackendFailed, match="SuperAGI's process can't be started"):
        await bridge.call("check")


HANGING = 'print(\'{"ready": "3"}\'); sys.stdout.flush(); print(os.getpid(), file=sys.stderr)'


@pytest.mark.slow
@pytest.mark.parametrize("by", ["time", "cancel"])
async def test_a_call_that_hangs_ends_its_child(by: str, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    body = f"open({str(pid_file)!r}, 'w').write(str(os.getpid())); {HANGING}; time.sleep(60)"
    home = Path(__file__).with_name("superagi_stand_in")
    patience_s = 0.3 if by == "time" else 60.0
    bridge = Bridge(a_child(tmp_path, body), home, call_timeout_s=patience_s)
    if by == "time":
        with pytest.raises(BackendFailed, match=r"took more than 0.3 s to check"):
            await bridge.call("check")
    else:
        calling = asyncio.ensure_future(bridge.call("check"))
        await until(lambda: pid_file.exists() and bool(pid_file.read_text()))
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
    await until(lambda: not is_alive(int(pid_file.read_text())))


@pytest.mark.slow
async def test_a_child_that_dies_in_a_call_is_replaced_for_the_next() -> None:
    home = Path(__file__).with_name("superagi_stand_in")
    bridge = Bridge(Path(sys.executable), home)

    async def answer(question: object) -> dict[str, object]:
        return {"content": "fine"}

    with pytest.raises(BackendFailed, match="has ended"):
        await bridge.call("summarize", answer, query="q", text="die at once")
    assert await bridge.call("summarize", answer, query="q", text="live") == "fine"
    await bridge.aclose()


@pytest.mark.slow
@pytest.mark.parametrize("fault", [ValueError("no answer"), asyncio.CancelledError()], ids=repr)
async def test_a_child_whose_question_is_not_answered_is_replaced_for_the_next_call(
    fault: BaseException,
) -> None:
    bridge = Bridge(Path(sys.executable), Path(__file__).with_name("superagi_stand_in"))

    async def fail(question: object) -> dict[str, object]:
        raise fault

    async def answer(question: object) -> dict[str, object]:
        return {"content": "fine"}

    with pytest.raises(type(fault)):
        await bridge.call("summarize", fail, query="q", text="live")
    assert await bridge.call("summarize", answer, query="q", text="live") == "fine"
    await bridge.aclose()


@pytest.mark.slow
def test_a_bridge_that_nobody_closes_leaves_nothing_behind(tmp_path: Path) -> None:
    home = Path(__file__).with_name("superagi_stand_in")
    code = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from muster.agents.web.superagi.bridge import Bridge\n"
        f"bridge = Bridge(Path(sys.executable), Path({str(home)!r}))\n"
        "print(asyncio.run(bridge.call('check')))\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "WebScraperTool and SearxSearchTool\n", done.stderr
    assert list(tmp_path.iterdir()) == []


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def until(happens: Callable[[], bool | Awaitable[bool]]) -> None:
    deadline = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.01)


# -------------------------------------------------------------------------- where SuperAGI is


def test_superagi_is_only_found_where_the_user_says(superagi: Any, tmp_path: Path) -> None:
    assert find_checkout({"SUPERAGI_HOME": str(superagi.home)}) == superagi.home
    with pytest.raises(InvalidInput, match=r"SUPERAGI_HOME is not set; clone https://github.com/"):
        find_checkout({})
    with pytest.raises(InvalidInput, match="which is not a checkout of SuperAGI"):
        find_checkout({"SUPERAGI_HOME": str(tmp_path)})


def test_its_python_is_the_users_or_the_one_that_setup_made(tmp_path: Path) -> None:
    assert find_python({"SUPERAGI_PYTHON": sys.executable}) == Path(sys.executable)
    with pytest.raises(InvalidInput, match="check SUPERAGI_PYTHON"):
        find_python({"SUPERAGI_PYTHON": str(tmp_path / "none")})
    environment = {"XDG_DATA_HOME": str(tmp_path)}
    assert default_environment(environment) == tmp_path / "muster" / "superagi"
    with pytest.raises(InvalidInput, match="run: muster superagi setup"):
        find_python(environment)


# ----------------------------------------------------------------------------- the command line


def run_muster(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["superagi", *arguments])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


# SuperAGI and what it imports warn of themselves.
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("forget_superagi")
def test_check_says_what_works(
    superagi: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not can_import_extractor(superagi):
        pytest.skip("the extra `superagi` is not installed")
    if not superagi.is_real:
        monkeypatch.setattr("muster.agents.command.superagi.SUPERAGI_PACKAGES", ())
    monkeypatch.setenv("SUPERAGI_HOME", str(superagi.home))
    monkeypatch.setenv("SUPERAGI_PYTHON", str(superagi.python))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    code, out, _ = run_muster(capsys, "check")
    lines = out.splitlines()
    assert code == 0, out
    assert [line.split(":")[0] for line in lines[:5]] == [
        "works  checkout",
        "works  extractor in this process",
        "works  Python of the tools",
        "works  WebScraperTool over the bridge",
        "works  SearxSearchTool.summarise_result over the bridge",
    ]
    assert lines[5].startswith("no language model is configured")


def test_check_says_what_does_not_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SUPERAGI_HOME", raising=False)
    monkeypatch.setenv("SUPERAGI_PYTHON", sys.executable)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    code, out, _ = run_muster(capsys, "check")
    assert code == 1
    assert "fails  checkout: SUPERAGI_HOME is not set" in out
    assert f"works  Python of the tools: {sys.executable}" in out
    assert "language model for summaries: 'gpt-4o-mini'" in out


@pytest.mark.slow
def test_setup_makes_a_virtual_environment_with_what_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # pip itself is tried by hand: what is listed is too much to fetch for a test.
    listed = tmp_path / "listed.txt"
    listed.write_text("# nothing\n")
    monkeypatch.setattr("muster.agents.command.superagi.REQUIREMENTS", listed)
    folder = tmp_path / "made"
    code, out, _ = run_muster(capsys, "setup", "--folder", str(folder))
    assert code == 0
    assert (folder / "bin" / "python").exists()
    assert f"set SUPERAGI_PYTHON={folder}/bin/python" in out


def test_setup_that_fails_says_what_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    python = a_child(tmp_path, "sys.exit('this is no Python')")
    code, _, err = run_muster(
        capsys, "setup", "--python", str(python), "--folder", str(tmp_path / "made")
    )
    assert code == 2
    assert f"{python} -m venv {tmp_path}/made failed: this is no Python" in err


def test_everything_that_setup_installs_is_pinned() -> None:
    lines = [line for line in REQUIREMENTS.read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert all("==" in line for line in lines)
    assert [line for line in lines if line.startswith("pydantic==1.")] != []
