"""What the two types of task take and give: `scrape_page` and `summarize_text`."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from .limits import MAX_TEXT_CHARACTERS

MAX_SENTENCES = 100
DEFAULT_SENTENCES = 5

_Text: TypeAlias = Annotated[str, StringConstraints(pattern=r"\S", max_length=MAX_TEXT_CHARACTERS)]


class ScrapeOrder(BaseModel):
    """The data of a `scrape_page` task; the address alone will do as well.

    Args:
        url: an http or https address.
    """

    model_config = ConfigDict(extra="forbid")

    url: str


class ScrapedPage(BaseModel):
    """The output of a `scrape_page` task, as a dict.

    Args:
        url: the address that was asked for.
        found_at: where the page was found after all redirects.
        title: its title, None where it names none; so with author and date.
        author: who wrote it.
        date: when it was published, as YYYY-MM-DD.
        text: its main text, without what stands around it; paragraphs are lines.
        is_shortened: whether the text is only the beginning of the page's.
        links: the addresses that the page links to, each once, in its order.
        language: the language that the page names, such as "en"; None where it names none.
        backend: what took the text out of the page, such as "embedded".
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
    """The data of a `summarize_text` task; a text alone will do as well.

    Without text and page, the pages that the task depends on are summarized together.

    Args:
        text: what to summarize.
        page: a scraped page, as `scrape_page` gives it, in place of the text.
        sentences: how many sentences the summary may have, 1 to 100.
        language: the text's language, such as "en" or "german"; by default the page's, or English.
    """

    model_config = ConfigDict(extra="forbid")

    text: _Text | None = None
    page: ScrapedPage | None = None
    sentences: int = Field(default=DEFAULT_SENTENCES, ge=1, le=MAX_SENTENCES)
    language: str | None = None


class WrittenBy(str, Enum):
    """Who wrote a summary."""

    LANGUAGE_MODEL = "language model"
    EXTRACTION = "extraction"
    """Sentences of the text itself, chosen by counting words; no model."""


class Summary(BaseModel):
    """The output of a `summarize_text` task, as a dict.

    Args:
        text: the summary.
        written_by: "language model", or "extraction" for sentences of the text itself.
        model: the language model's name; None if there was none.
        backend: what made the summary, such as "luhn" or "openai".
        language: the language that was gone by.
        title: the title of the page that was summarized, None if there was no page or several.
        sources: the addresses of the pages that were summarized.
    """

    model_config = ConfigDict(extra="forbid")

    text: str
    written_by: WrittenBy
    model: str | None = None
    backend: str
    language: str
    title: str | None = None
    sources: list[str] = Field(default_factory=list)
