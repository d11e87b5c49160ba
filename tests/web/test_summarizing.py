"""Texts are split into sentences without data from the net, and the best ones are chosen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.web.extraction import METHODS, ExtractiveSummarizer, choose_sentences
from muster.agents.web.roles import SummaryRequest
from muster.agents.web.tokenizer import Tokenizer
from muster.messages import InvalidInput

TEXT = """\
The autumn flush
The autumn flush began on the western slopes after nine days of rain. Nobody had expected the
autumn flush so early in the year.
A dog slept by the gate. The cook had gone to town.
Buyers have asked for leaf of the autumn flush since July, and the flush will be sold in autumn.
Read more
"""


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One leaf. Two leaves! Three? Yes.", ["One leaf.", "Two leaves!", "Three?", "Yes."]),
        ("Dr. Silva came. So did J. R. Perera.", ["Dr. Silva came.", "So did J. R. Perera."]),
        ("It weighs 3.5 kg. That is all.", ["It weighs 3.5 kg.", "That is all."]),
        ("Fruit, e.g. Apples, is cheap.", ["Fruit, e.g. Apples, is cheap."]),
        ("“Is that all?” she asked. It was.", ["“Is that all?” she asked.", "It was."]),
        ('"Go." He went.', ['"Go."', "He went."]),
        ("Wait… Then go.", ["Wait…", "Then go."]),
        ("Es regnet. Über Nacht kam Öl.", ["Es regnet.", "Über Nacht kam Öl."]),
        ("茶是好的。水也是好的！是吗？", ["茶是好的。", "水也是好的！", "是吗？"]),  # noqa: RUF001
        ("See tea.example for more", ["See tea.example for more"]),
        ("  ", []),
    ],
)
def test_a_text_is_split_into_its_sentences(text: str, sentences: list[str]) -> None:
    assert list(Tokenizer().to_sentences(text)) == sentences


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("Two leaves, and a bud!", ["Two", "leaves", "and", "a", "bud"]),
        ("It's well-known in 2026.", ["It's", "well-known", "in"]),
        ("好茶 tea", ["好", "茶", "tea"]),
        ("1.5 - 2", []),
    ],
)
def test_a_sentence_is_split_into_its_words(sentence: str, words: list[str]) -> None:
    assert list(Tokenizer().to_words(sentence)) == words


@given(st.text(max_size=200))
def test_splitting_loses_nothing_but_space(text: str) -> None:
    joined = "".join("".join(Tokenizer().to_sentences(text)).split())
    assert joined == "".join(text.split())


@pytest.mark.parametrize("method", METHODS)
async def test_a_summary_has_so_many_sentences_of_the_text_in_its_order(method: str) -> None:
    summary = await ExtractiveSummarizer(method).summarize(SummaryRequest(TEXT, 2))
    chosen = Tokenizer().to_sentences(summary.text)
    places = [" ".join(TEXT.split()).index(each) for each in chosen]
    assert len(chosen) == 2
    assert places == sorted(places)
    assert (summary.written_by.value, summary.model, summary.backend) == (
        "extraction",
        None,
        method,
    )


def test_the_sentences_that_say_most_are_chosen() -> None:
    chosen = choose_sentences(SummaryRequest(TEXT, 2), "luhn")
    assert "The autumn flush began" in chosen
    assert "dog" not in chosen
    assert "cook" not in chosen


def test_the_sentences_of_wrapped_text_run_on_over_its_lines() -> None:
    assert "Nobody had expected the autumn flush so early in the year." in choose_sentences(
        SummaryRequest(TEXT, 99), "luhn"
    )


def test_headings_and_captions_are_no_sentences() -> None:
    everything = choose_sentences(SummaryRequest(TEXT, 99), "luhn")
    assert everything.startswith("The autumn flush began")
    assert "Read more" not in everything
    assert (
        choose_sentences(SummaryRequest("a heading\nand another", 5), "luhn")
        == "a heading and another"
    )


@pytest.mark.parametrize("language", ["de", "german", "si", "no such language", "zh-Hant"])
def test_any_language_can_be_summarized(language: str) -> None:
    text = "Der Tee ist gut. Das Wasser ist auch gut. Der Tee braucht Wasser."
    assert choose_sentences(SummaryRequest(text, 1, language), "luhn") in Tokenizer().to_sentences(
        text
    )


def test_the_slow_method_refuses_long_texts_and_names_a_fast_one() -> None:
    with pytest.raises(InvalidInput, match=r"has 101 sentences, but 'kl' takes at most 100.*luhn"):
        choose_sentences(SummaryRequest("A leaf fell. " * 101, 1), "kl")


@pytest.mark.parametrize("method", METHODS)
def test_a_text_without_words_has_a_summary_too(method: str) -> None:
    assert choose_sentences(SummaryRequest("1. ... !", 3), method)


@pytest.mark.parametrize(
    "piece", ["Dr. ", ".", "!", "…", "?!", ".)", '."', '"', "...x", "a.", "。", "( "], ids=ascii
)
def test_a_long_text_is_split_in_good_time_whatever_its_marks(piece: str) -> None:
    # Where each mark is looked at alone; a look at all that stands before or behind takes minutes.
    text = (piece * 200_000)[:200_000]
    assert "".join("".join(Tokenizer().to_sentences(text)).split()) == "".join(text.split())
