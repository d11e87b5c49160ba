"""Scraping and summarizing: handlers for `scrape_page` and `summarize_text` tasks.

The packages that they need come with the extra `web`, and are imported when handlers are made.
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
