"""What of sumy 0.13 is used; see the library."""

from collections.abc import Callable

from sumy.parsers.plaintext import Document, Sentence

class AbstractSummarizer:
    stop_words: frozenset[str]
    def __init__(self, stemmer: Callable[[str], str] = ...) -> None: ...
    def __call__(self, document: Document, sentences_count: int) -> tuple[Sentence, ...]: ...
