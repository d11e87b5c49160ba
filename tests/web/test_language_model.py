"""A language model behind an OpenAI-compatible server on loopback."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from muster.agents.web.backends import make_summarizer
from muster.agents.web.language_model import LanguageModel, LanguageModelSummarizer
from muster.agents.web.roles import SummaryRequest
from muster.messages import BackendFailed, InvalidInput
from pydantic import SecretStr

KEY = "sk-a-very-secret-key"
PATH = "/v1/chat/completions"


def answer_with(site: Any, content: object) -> None:
    body = {"id": "1", "model": "tea-1-long", "choices": [{"message": {"content": content}}]}
    site.serve(PATH, json.dumps(body), kind="application/json")


def summarizer(site: Any) -> LanguageModelSummarizer:
    return LanguageModelSummarizer(LanguageModel(f"{site.address}/v1/", SecretStr(KEY), "tea-1"))


async def test_the_summary_is_the_models_and_says_so(site: Any) -> None:
    answer_with(site, " Tea is good. ")
    summary = await summarizer(site).summarize(SummaryRequest("A long text.", 3, "en"))
    assert summary.text == "Tea is good."
    assert (summary.written_by.value, summary.model, summary.backend) == (
        "language model",
        "tea-1",
        "openai",
    )


async def test_the_model_is_asked_for_so_many_sentences_with_the_key(site: Any) -> None:
    answer_with(site, "Tea is good.")
    await summarizer(site).summarize(SummaryRequest("A long text.", 3))
    asked = json.loads(site.bodies[0])
    assert site.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert asked["model"] == "tea-1"
    assert "in at most 3 sentences" in asked["messages"][0]["content"]
    assert asked["messages"][1] == {"role": "user", "content": "A long text."}


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (401, json.dumps({"error": {"message": f"wrong key {KEY}"}}), r"401: wrong key \[key\]"),
        (500, "<h1>no</h1>", "500: <h1>no</h1>"),
        (200, "not JSON", "answered without a text"),
        (200, json.dumps({"choices": []}), "answered without a text"),
        (200, json.dumps({"choices": [{"message": {"content": " "}}]}), "answered without a text"),
        (200, json.dumps({"choices": [{"message": {"content": None}}]}), "answered without a text"),
        (200, "x" * 1_000_001, "answered with more than 1,000,000 bytes"),
    ],
)
async def test_what_is_no_answer_is_a_failure_that_hides_the_key(
    status: int, body: str, why: str, site: Any, caplog: pytest.LogCaptureFixture
) -> None:
    site.serve(PATH, body, status, kind="application/json")
    with caplog.at_level(logging.DEBUG), pytest.raises(BackendFailed, match=why) as failed:
        await summarizer(site).summarize(SummaryRequest("A long text.", 3))
    assert KEY not in str(failed.value)
    assert KEY not in caplog.text
    assert KEY not in repr(summarizer(site)._model._key)


async def test_a_server_that_is_not_there_is_a_failure() -> None:
    model = LanguageModel("http://127.0.0.1:9/v1", None, "tea-1")
    with pytest.raises(BackendFailed, match=r"127.0.0.1:9/v1/chat/completions can't be reached"):
        await model.complete([])


async def test_a_redirect_does_not_carry_the_key_away(site: Any) -> None:
    site.redirect(PATH, "/elsewhere")
    with pytest.raises(BackendFailed, match="answered 302"):
        await summarizer(site).summarize(SummaryRequest("A long text.", 3))
    assert site.asked == [PATH]


def test_the_environment_names_server_key_and_model() -> None:
    assert LanguageModel.of_environment({}) is None
    local = LanguageModel.of_environment({"OPENAI_BASE_URL": "http://localhost:11434/v1"})
    assert local is not None
    assert (local._url, local._key) == ("http://localhost:11434/v1/chat/completions", None)
    paid = LanguageModel.of_environment({"OPENAI_API_KEY": KEY, "OPENAI_MODEL": "tea-1"})
    assert paid is not None
    assert (paid._url, paid.model) == ("https://api.openai.com/v1/chat/completions", "tea-1")


def test_a_server_that_is_no_web_address_is_refused() -> None:
    with pytest.raises(InvalidInput, match="OPENAI_BASE_URL is 'localhost:1'; it must start with"):
        LanguageModel("localhost:1", None, "tea-1")


def test_without_a_model_the_backend_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(InvalidInput, match="no language model is configured; set OPENAI_API_KEY"):
        make_summarizer("openai")
