"""The input and output of `scrape_page` and `summarize_text` tasks."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from .limits import MAX_TEXT_CHARACTERS

MAX_SENTENCES = 100
DEFAULT_SENTENCES = 5

_Text: TypeAlias = Annotated[str, StringConstraints(pattern=r"\S", max_length=MAX_TEXT_CHARACTERS)]


class ScrapeOrder(BaseModel):
    """The data of a `scrape_page` task, which may also be just the URL.

    Args:
        url: an http or https URL.
    """

    model_config = ConfigDict(extra="forbid")

    url: str


class ScrapedPage(BaseModel):
    """The output of a `scrape_page` task, as a dict.

    Args:
        url: the requested URL.
        found_at: the URL of the page after all redirects.
        title: its title, or None.
        author: its author, or None.
        date: the date of publication as YYYY-MM-DD, or None.
        text: its main text, without navigation and the like; each paragraph is a line.
        is_shortened: whether the text is only the beginning of the page's text.
        links: the URLs that the page links to, without duplicates, in page order.
        language: the language that the page declares, such as "en", or None.
        backend: the backend that extracted the text, such as "embedded".
    """

    model_config = ConfigDict(extra="forbid")

    url: str
    found_at: str
    title: str | None = None
    author: str | None = None
    date: str | None = None
    text: str
    is_shortened: bool = False
    links: list[str] = Field(default_factory=list)
    language: str | None = None
    backend: str


class SummarizeOrder(BaseModel):
    """The data of a `summarize_text` task, which may also be just the text.

    Without text and page, the task summarizes the outputs of its dependencies together.

    Args:
        text: the text to summarize.
        page: the output of a `scrape_page` task, instead of the text.
        sentences: the maximum number of sentences of the summary, 1 to 100.
        language: the text's language, such as "en" or "german"; by default the page's, or English.
    """

    model_config = ConfigDict(extra="forbid")

    text: _Text | None = None
    page: ScrapedPage | None = None
    sentences: int = Field(default=DEFAULT_SENTENCES, ge=1, le=MAX_SENTENCES)
    language: str | None = None


class WrittenBy(str, Enum):
    """How a summary was written."""

    LANGUAGE_MODEL = "language model"
    EXTRACTION = "extraction"
    """Sentences from the text, chosen by word counts, without a model."""


class Summary(BaseModel):
    """The output of a `summarize_text` task, as a dict.

    Args:
        text: the summary.
        written_by: "language model", or "extraction" for sentences from the text.
        model: the language model's name, or None.
        backend: the backend that wrote the summary, such as "luhn" or "openai".
        language: the language that the backend assumed.
        title: the title of the summarized page; None without a page or with several.
        sources: the URLs of the summarized pages.
    """

    model_config = ConfigDict(extra="forbid")

    text: str
    written_by: WrittenBy
    model: str | None = None
    backend: str
    language: str
    title: str | None = None
    sources: list[str] = Field(default_factory=list)
