"""The two types of task, over workers and by name; what a missing extra says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from muster.agents import Handlers, MemoryNetwork, TaskManager, WorkerAgent, rehearse
from muster.agents.command.user_modules import find_handlers
from muster.agents.web import ScrapedPage, Summary, WrittenBy, scraping, summarizing, web_handlers
from muster.agents.web import backends as backends_room
from muster.agents.web.fetching import Fetcher
from muster.agents.web.roles import SummaryRequest
from muster.messages import ExtraMissing, InvalidInput, Task, UnknownName

MakeFetcher = Callable[..., Fetcher]

PAGE = ScrapedPage(
    url="http://tea.example/",
    found_at="http://tea.example/",
    title="Tea",
    text="Tee ist gut. Wasser ist auch gut.",
    language="de",
    backend="embedded",
)


class RecordingSummarizer:
    """A summarizer that records its requests."""

    def __init__(self) -> None:
        self.requests: list[SummaryRequest] = []

    async def summarize(self, request: SummaryRequest) -> Summary:
        self.requests.append(request)
        return Summary(
            text="Short.",
            written_by=WrittenBy.EXTRACTION,
            backend="test",
            language=request.language,
        )


async def outcome(handlers: Handlers, *tasks: Task) -> dict[Any, Any]:
    """What became of tasks: their outputs, or the messages of their failures."""
    manager = TaskManager(tasks, expected_workers=1, port=0, quiet=True)
    report = await rehearse(manager, [WorkerAgent("Ada", 10, handlers=handlers)], MemoryNetwork())
    return {task.id: task.output if task.success else task.error_message for task in report.tasks}


def task(number: int, kind: str, data: object = None, *depends_on: int) -> Task:
    return Task(id=number, description=kind, type=kind, data=data, depends_on=depends_on)


@pytest.mark.parametrize("as_dict", [True, False], ids=["a dict", "the address alone"])
async def test_a_page_is_scraped_and_what_depends_on_it_summarized(
    as_dict: bool, site: Any, make_fetcher: MakeFetcher, article: str
) -> None:
    url = site.serve("/autumn", article)
    done = await outcome(
        web_handlers(fetcher=make_fetcher()),
        task(1, "scrape_page", {"url": url} if as_dict else url),
        task(2, "summarize_text", {"sentences": 1}, 1),
    )
    assert done[1]["title"] == "The autumn flush"
    assert done[2]["text"] in " ".join(done[1]["text"].split())
    assert done[2]["title"] == "The autumn flush"
    assert done[2]["sources"] == [url]
    assert done[2]["language"] == "en-GB"
    assert done[2]["written_by"] == "extraction"


async def test_a_text_is_summarized_wherever_it_comes_from() -> None:
    summarizer = RecordingSummarizer()
    done = await outcome(
        summarizing(summarizer),
        task(1, "summarize_text", "Tea is good."),
        task(2, "summarize_text", {"text": "Tea is good.", "sentences": 2, "language": "fr"}),
        task(3, "summarize_text", {"page": PAGE.model_dump()}),
    )
    assert summarizer.requests == [
        SummaryRequest("Tea is good.", 5, "en"),
        SummaryRequest("Tea is good.", 2, "fr"),
        SummaryRequest(PAGE.text, 5, "de"),
    ]
    assert done[3]["sources"] == ["http://tea.example/"]


async def test_several_pages_are_summarized_together(site: Any, make_fetcher: MakeFetcher) -> None:
    urls = [site.serve(f"/{n}", f"Leaf {n} is dry.", kind="text/plain") for n in (1, 2)]
    summarizer = RecordingSummarizer()
    handlers = scraping(fetcher=make_fetcher())
    handlers.update(summarizing(summarizer))
    done = await outcome(
        handlers,
        task(1, "scrape_page", urls[0]),
        task(2, "scrape_page", urls[1]),
        task(3, "summarize_text", None, 1, 2),
    )
    assert summarizer.requests[0].text == "Leaf 1 is dry.\nLeaf 2 is dry."
    assert (done[3]["sources"], done[3]["title"]) == (urls, None)


@pytest.mark.parametrize(
    ("kind", "data", "why"),
    [
        ("scrape_page", None, "InvalidInput: the task's data: url"),
        ("scrape_page", {"url": "x", "depth": 2}, "depth"),
        ("scrape_page", "file:///etc/passwd", "must start with http:// or https://"),
        ("summarize_text", None, "there is nothing to summarize: put a text into the task's data"),
        ("summarize_text", "   ", "text"),
        ("summarize_text", {"text": "Tea.", "sentences": 0}, "sentences"),
        ("summarize_text", {"text": "Tea.", "page": PAGE.model_dump()}, "has both"),
        ("summarize_text", {"text": "x" * 200_001}, "text"),
        ("summarize_text", 7, "InvalidInput: the task's data"),
    ],
)
async def test_data_that_is_no_order_fails_the_task_with_the_reason(
    kind: str, data: object, why: str, make_fetcher: MakeFetcher
) -> None:
    done = await outcome(web_handlers(fetcher=make_fetcher()), task(1, kind, data))
    assert why in done[1]


async def test_only_scraped_pages_are_summarized_out_of_dependencies() -> None:
    handlers = summarizing(RecordingSummarizer())

    @handlers.task("weigh")
    def weigh(task: Task) -> int:
        return 7

    done = await outcome(handlers, task(1, "weigh"), task(2, "summarize_text", None, 1))
    assert "the output of task 1 is not that of a 'scrape_page' task" in done[2]


# -------------------------------------------------------------------------------------- by name


@pytest.mark.parametrize(
    ("names", "types"),
    [
        (["muster.agents.web:web_handlers"], {"scrape_page", "summarize_text"}),
        (["muster.agents.web:scraping:embedded"], {"scrape_page"}),
        (
            ["muster.agents.web:scraping", "muster.agents.web:summarizing:kl"],
            {"scrape_page", "summarize_text"},
        ),
    ],
)
def test_the_command_line_chooses_backends_by_name(names: list[str], types: set[str]) -> None:
    assert set(find_handlers(names)) == types


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("muster.agents.web:scraping:lynx", r"no scraper 'lynx'; known: embedded, superagi, sup"),
        ("muster.agents.web:summarizing:x", r"no summarizer 'x'; known: kl, luhn, openai, sum"),
        ("muster.agents.web:baking", "has no Handlers called 'baking'"),
        ("muster.agents.web:baking:bread", "has no function called 'baking'"),
        ("muster.agents.web.backends:make_scraper", "can't be called: missing a required"),
        (
            "muster.agents.web.backends:make_scraper:embedded",
            "returned EmbeddedScraper; it must",
        ),
    ],
)
def test_a_name_that_is_none_is_refused_with_what_there_is(name: str, why: str) -> None:
    with pytest.raises((InvalidInput, UnknownName), match=why):
        find_handlers([name])


async def test_the_environment_allows_networks_to_the_command_lines_scrapers(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = site.serve("/leaf", "Two leaves.", kind="text/plain")
    done = await outcome(find_handlers(["muster.agents.web:scraping"]), task(1, "scrape_page", url))
    assert "this machine itself" in done[1]
    monkeypatch.setenv("MUSTER_WEB_ALLOW", "10.0.0.0/8, 127.0.0.0/8")
    done = await outcome(find_handlers(["muster.agents.web:scraping"]), task(1, "scrape_page", url))
    assert done[1]["text"] == "Two leaves."


# ----------------------------------------------------------------------------- a missing extra


@pytest.mark.parametrize("make", [scraping, summarizing, web_handlers])
def test_a_missing_extra_says_how_to_install_it(
    make: Callable[[], Handlers], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = {"httpx", "sumy"}
    found = backends_room.find_spec
    monkeypatch.setattr(
        backends_room, "find_spec", lambda name: None if name in missing else found(name)
    )
    with pytest.raises(
        ExtraMissing,
        match=r"needed for .*: httpx, sumy; run: pip install 'ceylon-muster\[web\]'",
    ):
        make()


@pytest.mark.slow
def test_muster_is_imported_without_what_the_extras_bring() -> None:
    code = (
        "import sys\n"
        "for name in ('httpx', 'protego', 'sumy', 'trafilatura', 'lxml', 'requests'):\n"
        "    sys.modules[name] = None\n"
        "import muster.agents.web, muster.agents.command, muster.scenarios.web_research\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=180)
