"""Creates the backends by name, and imports what each needs only then."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ...messages import ExtraMissing, InvalidInput, UnknownName
from .roles import Scraper, Summarizer

if TYPE_CHECKING:
    from .fetching import Fetcher

# Packages of extras are imported inside functions, because they may not be installed.
# ruff: noqa: PLC0415

WEB_PACKAGES = ("httpx", "protego", "sumy", "trafilatura")
SUPERAGI_PACKAGES = (
    *("requests", "bs4", "lxml", "lxml_html_clean", "newspaper", "requests_html", "PyPDF2"),
)


def require_packages(what: str, packages: Iterable[str], extra: str) -> None:
    """Check that packages are installed.

    Raises:
        ExtraMissing: one is missing; the message says how to install it.
    """
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise ExtraMissing(what, missing, extra)


def make_fetcher() -> Fetcher:
    """Create a fetcher that allows public addresses and those in MUSTER_WEB_ALLOW.

    Raises:
        ExtraMissing: the extra `web` is not installed.
        InvalidInput: the variable is not a list of networks, separated by commas.
    """
    require_packages("scraping", WEB_PACKAGES, "web")
    from .addresses import networks_of_environment
    from .fetching import Fetcher

    return Fetcher(allow=networks_of_environment())


def make_scraper(name: str, fetcher: Fetcher | None = None) -> Scraper:
    """Create the scraper with a name.

    Args:
        name: "embedded", "superagi" or "superagi_tool".
        fetcher: fetches the pages; by default one from `make_fetcher`.

    Raises:
        UnknownName: there is no such scraper.
        ExtraMissing: its packages are not installed.
        InvalidInput: SuperAGI is not found.
    """
    if name not in _SCRAPERS:
        raise UnknownName("scraper", name, _SCRAPERS)
    return _SCRAPERS[name](fetcher or make_fetcher())


def make_summarizer(name: str) -> Summarizer:
    """Create the summarizer with a name: "luhn", "sum_basic", "kl", "openai" or "superagi".

    Raises:
        UnknownName: there is no such summarizer.
        ExtraMissing: its packages are not installed.
        InvalidInput: SuperAGI is not found, or no language model is configured.
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
            f"no language model is configured; set {KEY_VARIABLE}, or {BASE_URL_VARIABLE} for a "
            "server that needs no key"
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
