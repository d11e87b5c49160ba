"""The embedded backends of `summarize_text`, which choose sentences from the text."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from sumy.nlp.stemmers import Stemmer, null_stemmer
from sumy.parsers.plaintext import PlaintextParser
from sumy.summarizers.kl import KLSummarizer
from sumy.summarizers.luhn import LuhnSummarizer
from sumy.summarizers.sum_basic import SumBasicSummarizer
from sumy.utils import get_stop_words

from ...messages import InvalidInput
from .documents import Summary, WrittenBy
from .roles import SummaryRequest
from .tokenizer import Tokenizer

METHODS = {"luhn": LuhnSummarizer, "sum_basic": SumBasicSummarizer, "kl": KLSummarizer}
"""The methods of sumy that need no numpy."""

MAX_INPUT_SENTENCES = {"sum_basic": 1_000, "kl": 100}
"""The maximum length for methods whose time grows with the square or cube of the length."""


WRAPPED_LINE_CHARACTERS = 120
FULL_LINE_CHARACTERS = 60
"""The minimum length of a wrapped line that continues in the next; headings are shorter."""

_SENTENCE_MARK = re.compile(r"""[.!?…。！？।॥؟۔]["'”’»)\]」』）]*$""")  # noqa: RUF001


class ExtractiveSummarizer:
    """Chooses the most important sentences by word counts, in a thread.

    Args:
        method: "luhn", "sum_basic" or "kl".
    """

    def __init__(self, method: str = "luhn") -> None:
        self._method = method

    async def summarize(self, request: SummaryRequest) -> Summary:
        """Choose the sentences, and keep them in the order of the text."""
        text = await asyncio.to_thread(choose_sentences, request, self._method)
        return Summary(
            text=text,
            written_by=WrittenBy.EXTRACTION,
            backend=self._method,
            language=request.language,
        )


def choose_sentences(request: SummaryRequest, method: str) -> str:
    """The most important sentences of a text, joined by spaces.

    Args:
        request: the text, and the number of sentences.
        method: "luhn", "sum_basic" or "kl".
    """
    document = PlaintextParser.from_string(_prose(request.text), Tokenizer()).document
    count = len(document.sentences)
    if method in MAX_INPUT_SENTENCES and count > MAX_INPUT_SENTENCES[method]:
        raise InvalidInput(
            f"the text has {count:,} sentences, but {method!r} takes at most "
            f"{MAX_INPUT_SENTENCES[method]:,}; summarize it with 'luhn'"
        )
    language = request.language.split("-")[0].lower()
    summarizer = METHODS[method](_stemmer(language))
    try:
        summarizer.stop_words = get_stop_words(language)
    except LookupError:
        # sumy has no list of common words for this language.
        summarizer.stop_words = frozenset()
    chosen = summarizer(document, request.sentences)
    return " ".join(str(sentence) for sentence in chosen)


def _stemmer(language: str) -> Callable[[str], str]:
    try:
        return Stemmer(language)
    except LookupError:
        return null_stemmer


def _prose(text: str) -> str:
    """The lines with sentences, as paragraphs; headings and captions have no final punctuation."""
    lines = _paragraphs([line.strip() for line in text.splitlines()])
    prose = [line for line in lines if _SENTENCE_MARK.search(line)]
    return "\n\n".join(prose or lines)


def _paragraphs(lines: list[str]) -> list[str]:
    if max(map(len, lines)) > WRAPPED_LINE_CHARACTERS:
        return [line for line in lines if line]
    # Paragraphs are not that short: the text is wrapped, and sentences continue on the next line.
    paragraphs: list[str] = []
    runs_on = False
    for line in lines:
        if line and runs_on:
            paragraphs[-1] += f" {line}"
        elif line:
            paragraphs.append(line)
        is_full = len(line) >= FULL_LINE_CHARACTERS
        runs_on = bool(line) and is_full and not _SENTENCE_MARK.search(line)
    return paragraphs
