"""Finds the backends by their names; what a backend needs is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ...messages import ExtraMissing, InvalidInput, UnknownName
from .roles import Scraper, Summarizer

if TYPE_CHECKING:
    from .fetching import Fetcher

# What is imported inside functions here comes with extras that not everybody has.
# ruff: noqa: PLC0415

WEB_PACKAGES = ("httpx", "protego", "sumy", "trafilatura")
SUPERAGI_PACKAGES = (
    *("requests", "bs4", "lxml", "lxml_html_clean", "newspaper", "requests_html", "PyPDF2"),
)


def require_packages(what: str, packages: Iterable[str], extra: str) -> None:
    """See that packages are installed.

    Raises:
        ExtraMissing: one is not; the message says how to install it.
    """
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise ExtraMissing(what, missing, extra)


def make_fetcher() -> Fetcher:
    """A fetcher that may go where the environment's MUSTER_WEB_ALLOW allows, besides the public.

    Raises:
        ExtraMissing: the extra `web` is not installed.
        InvalidInput: the variable holds something else than networks, separated by commas.
    """
    require_packages("scraping", WEB_PACKAGES, "web")
    from .addresses import networks_of_environment
    from .fetching import Fetcher

    return Fetcher(allow=networks_of_environment())


def make_scraper(name: str, fetcher: Fetcher | None = None) -> Scraper:
    """The scraper of a name: "embedded", "superagi" or "superagi_tool".

    Args:
        name: which.
        fetcher: fetches its pages; by default as `make_fetcher` makes it.

    Raises:
        UnknownName: there is no such scraper.
        ExtraMissing: what it needs is not installed.
        InvalidInput: SuperAGI is not where it should be.
    """
    if name not in _SCRAPERS:
        raise UnknownName("scraper", name, _SCRAPERS)
    return _SCRAPERS[name](fetcher or make_fetcher())


def make_summarizer(name: str) -> Summarizer:
    """The summarizer of a name: "luhn", "sum_basic", "kl", "openai" or "superagi".

    Raises:
        UnknownName: there is no such summarizer.
        ExtraMissing: what it needs is not installed.
        InvalidInput: SuperAGI or the language model is not where it should be.
    """
    if name not in _SUMMARIZERS:
        raise UnknownName("summarizer", name, _SUMMARIZERS)
    require_packages("summarizing", WEB_PACKAGES, "web")
    return _SUMMARIZERS[name]()


def _embedded(fetcher: Fetcher) -> Scraper:
    from .page_reading import EmbeddedScraper

    return EmbeddedScraper(fetcher)


def _superagi(fetcher: Fetcher) -> Scraper:
    from .superagi.extractor import SuperAgiScraper
    from .superagi.locations import find_checkout

    return SuperAgiScraper(fetcher, find_checkout())


def _superagi_tool(fetcher: Fetcher) -> Scraper:
    from .superagi.bridge import Bridge
    from .superagi.locations import find_checkout, find_python
    from .superagi.tools import SuperAgiToolScraper

    return SuperAgiToolScraper(Bridge(find_python(), find_checkout()), fetcher)


def _extractive(method: str) -> Callable[[], Summarizer]:
    def make() -> Summarizer:
        from .extraction import ExtractiveSummarizer

        return ExtractiveSummarizer(method)

    return make


def _openai() -> Summarizer:
    from .language_model import (
        BASE_URL_VARIABLE,
        KEY_VARIABLE,
        LanguageModel,
        LanguageModelSummarizer,
    )

    model = LanguageModel.of_environment()
    if model is None:
        raise InvalidInput(
            f"no language model is named; set {KEY_VARIABLE}, or {BASE_URL_VARIABLE} for a server "
            "that asks for no key"
        )
    return LanguageModelSummarizer(model)


def _superagi_summarizer() -> Summarizer:
    from .language_model import LanguageModel
    from .superagi.bridge import Bridge
    from .superagi.locations import find_checkout, find_python
    from .superagi.tools import SuperAgiSummarizer

    return SuperAgiSummarizer(
        Bridge(find_python(), find_checkout()), LanguageModel.of_environment()
    )


_SCRAPERS = {"embedded": _embedded, "superagi": _superagi, "superagi_tool": _superagi_tool}
_SUMMARIZERS = {
    "luhn": _extractive("luhn"),
    "sum_basic": _extractive("sum_basic"),
    "kl": _extractive("kl"),
    "openai": _openai,
    "superagi": _superagi_summarizer,
}
