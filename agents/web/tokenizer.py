"""Splits text into sentences and words for sumy, whose own tokenizer downloads data."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Where a sentence may end: a mark, closing quotes or brackets, and then space; or a mark of a
# script without spaces between sentences. A run of marks matches only from its start. Otherwise
# the time would grow with the square of its length.
_END = re.compile(r"""(?:(?<![.!?…])[.!?…]+["'”’»)\]]*(?=\s)|[。！？]+[」』”’）]*|[।॥؟۔]+)""")  # noqa: RUF001
_BEGINS_ANEW = re.compile(r"""["'“‘«„(\[¿¡]*[^\Wa-zß-öø-ÿ_]""")  # noqa: RUF001
LOOK_AROUND_CHARACTERS = 40
"""How much text around a mark is considered; without a limit, the time would grow with the square
of the text's length."""

_LAST_WORD = re.compile(r"(\S+)$")
_ABBREVIATED = """
al approx apr art aug bzw ca cf chap co corp dec dept dr ed eds eg est etc feb fig figs gen gov
hon hr ie inc jan jr jul jun lt ltd mar mme mr mrs ms mt nos nov nr oct op pl pp prof pvt rev
sep sept sgt sr st str usw viz vol vols vs
"""
_ABBREVIATIONS = frozenset(_ABBREVIATED.split())
# Chinese and Japanese have no spaces between words, so each character counts as a word.
_WORD = re.compile(r"[぀-ヿ㐀-䶿一-鿿]|[^\W\d_]+(?:['’\-][^\W\d_]+)*")  # noqa: RUF001


class Tokenizer:
    """Splits text of any language by its punctuation, with the interface that sumy expects."""

    def to_sentences(self, paragraph: str) -> tuple[str, ...]:
        """The sentences of a paragraph, with their final punctuation."""
        return tuple(_sentences(" ".join(paragraph.split())))

    def to_words(self, sentence: str) -> tuple[str, ...]:
        """The words of a sentence, without numbers and punctuation."""
        return tuple(_WORD.findall(sentence))


def _sentences(text: str) -> Iterator[str]:
    begin = 0
    for end in _END.finditer(text):
        before = text[max(begin, end.start() - LOOK_AROUND_CHARACTERS) : end.start()]
        after = text[end.end() : end.end() + LOOK_AROUND_CHARACTERS]
        if _is_end(before, end[0], after):
            if sentence := text[begin : end.end()].strip():
                yield sentence
            begin = end.end()
    if rest := text[begin:].strip():
        yield rest


def _is_end(before: str, mark: str, after: str) -> bool:
    if not mark.startswith("."):
        # In "“Is that all?” she asked." the sentence continues.
        return not after[:1].isspace() or bool(_BEGINS_ANEW.match(after.lstrip()))
    if not _BEGINS_ANEW.match(after.lstrip()):
        return False
    if mark != ".":
        return True
    last = _LAST_WORD.search(before)
    word = last[1].strip("(\"'“‘«„[").lower() if last else ""  # noqa: RUF001
    is_initial = len(word) == 1 and word.isalpha() and word != "i"
    has_dots_inside = "." in word and all(len(part) <= 1 for part in word.split("."))
    return not (is_initial or has_dots_inside or word in _ABBREVIATIONS)
