"""What of sumy 0.13 is used; see the library."""

from collections.abc import Sequence
from typing import Protocol

class Sentence: ...

class Document:
    @property
    def sentences(self) -> tuple[Sentence, ...]: ...

class Tokenizer(Protocol):
    def to_sentences(self, paragraph: str) -> Sequence[str]: ...
    def to_words(self, sentence: str) -> Sequence[str]: ...

class PlaintextParser:
    @classmethod
    def from_string(cls, string: str, tokenizer: Tokenizer) -> PlaintextParser: ...
    @property
    def document(self) -> Document: ...
