"""Scraping and summarizing: handlers for `scrape_page` and `summarize_text` tasks.

They need the extra `web`, whose packages are imported when the handlers are created.
"""

from .documents import ScrapedPage, ScrapeOrder, SummarizeOrder, Summary, WrittenBy
from .limits import FetchLimits
from .web_tasks import scraping, summarizing, web_handlers

__all__ = [
    "FetchLimits",
    "ScrapeOrder",
    "ScrapedPage",
    "SummarizeOrder",
    "Summary",
    "WrittenBy",
    "scraping",
    "summarizing",
    "web_handlers",
]
