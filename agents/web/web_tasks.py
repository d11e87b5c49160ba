"""The handlers of `scrape_page` and `summarize_text` tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from ...messages import InvalidInput, Payload, Task
from ...messages.wording import summarize as in_words
from ..execution.handlers import Handlers, TaskContext
from .backends import make_scraper, make_summarizer
from .documents import ScrapedPage, ScrapeOrder, SummarizeOrder
from .limits import MAX_TEXT_CHARACTERS
from .roles import DEFAULT_LANGUAGE, Scraper, Summarizer, SummaryRequest

if TYPE_CHECKING:
    from .fetching import Fetcher

SCRAPE_PAGE = "scrape_page"
SUMMARIZE_TEXT = "summarize_text"
DEFAULT_SCRAPER = "embedded"
DEFAULT_SUMMARIZER = "luhn"

OrderT = TypeVar("OrderT", bound=BaseModel)


def scraping(
    backend: str | Scraper = DEFAULT_SCRAPER, *, fetcher: Fetcher | None = None
) -> Handlers:
    """Create the handler of `scrape_page` tasks.

    Args:
        backend: "embedded", "superagi" or "superagi_tool", or your own scraper.
        fetcher: fetches the pages for a named backend; share one among all scrapers of a process.
            By default one that also allows the networks in MUSTER_WEB_ALLOW.

    Raises:
        UnknownName: there is no such backend.
        ExtraMissing: its packages are not installed.
        InvalidInput: SuperAGI is not found, or MUSTER_WEB_ALLOW is invalid.
    """
    scraper = make_scraper(backend, fetcher) if isinstance(backend, str) else backend
    handlers = Handlers()

    @handlers.task(SCRAPE_PAGE)
    async def scrape_page(task: Task) -> dict[str, Payload]:
        order = _read(ScrapeOrder, task.data, "url")
        return (await scraper.scrape(order.url)).model_dump(mode="json")

    return handlers


def summarizing(backend: str | Summarizer = DEFAULT_SUMMARIZER) -> Handlers:
    """Create the handler of `summarize_text` tasks.

    Args:
        backend: "luhn", "sum_basic", "kl", "openai" or "superagi", or your own summarizer.

    Raises:
        UnknownName: there is no such backend.
        ExtraMissing: its packages are not installed.
        InvalidInput: SuperAGI is not found, or no language model is configured.
    """
    summarizer = make_summarizer(backend) if isinstance(backend, str) else backend
    handlers = Handlers()

    @handlers.task(SUMMARIZE_TEXT)
    async def summarize_text(task: Task, context: TaskContext) -> dict[str, Payload]:
        order = _read(SummarizeOrder, task.data, "text")
        pages = _pages(order, context)
        text = order.text or "\n".join(page.text for page in pages)
        if len(text) > MAX_TEXT_CHARACTERS:
            raise InvalidInput(
                f"the pages have {len(text):,} characters together, the limit is "
                f"{MAX_TEXT_CHARACTERS:,}; summarize each page in its own task"
            )
        languages = {page.language for page in pages}
        language = order.language or (languages.pop() if len(languages) == 1 else None)
        summary = await summarizer.summarize(
            SummaryRequest(text, order.sentences, language or DEFAULT_LANGUAGE)
        )
        about = {
            "title": pages[0].title if len(pages) == 1 else None,
            "sources": [page.found_at for page in pages],
        }
        return summary.model_copy(update=about).model_dump(mode="json")

    return handlers


def web_handlers(
    scraper: str | Scraper = DEFAULT_SCRAPER,
    summarizer: str | Summarizer = DEFAULT_SUMMARIZER,
    *,
    fetcher: Fetcher | None = None,
) -> Handlers:
    """Create the handlers of both types of task; see `scraping` and `summarizing`."""
    handlers = scraping(scraper, fetcher=fetcher)
    handlers.update(summarizing(summarizer))
    return handlers


def _read(order: type[OrderT], data: Payload, only: str) -> OrderT:
    given: object = {only: data} if isinstance(data, str) else {} if data is None else data
    try:
        return order.model_validate(given)
    except ValidationError as fault:
        raise InvalidInput(f"the task's data: {in_words(fault)}") from None


def _pages(order: SummarizeOrder, context: TaskContext) -> list[ScrapedPage]:
    if order.text is not None and order.page is not None:
        raise InvalidInput("the task's data has both a text and a page; give one of them")
    if order.text is not None:
        return []
    if order.page is not None:
        return [order.page]
    pages: list[ScrapedPage] = []
    for task_id, output in context.inputs.items():
        try:
            pages.append(ScrapedPage.model_validate(output))
        except ValidationError:
            raise InvalidInput(
                f"the output of task {task_id!r} is not that of a {SCRAPE_PAGE!r} task; "
                "put the text into the task's data"
            ) from None
    if not pages:
        raise InvalidInput(
            "there is nothing to summarize: put a text into the task's data, or make it depend on "
            f"a {SCRAPE_PAGE!r} task"
        )
    return pages
