"""The other end of the bridge: runs SuperAGI's own tools, and does what its parent says.

This file alone runs in SuperAGI's Python, as a script: it may import neither Muster nor anything
that SuperAGI does not need. Each line on its stdin is a call, each line on its stdout an answer, a
question to its parent, or the greeting, as JSON.

SuperAGI reaches for the network by itself, from anywhere to anywhere, and with the user's key. Here
it reaches its parent, who fetches the page and asks the language model.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from typing import Any


class Parent:
    """Who called, over two streams of lines."""

    def __init__(self) -> None:
        self._lines = os.fdopen(os.dup(0), "r", encoding="utf-8")
        self._answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        # What SuperAGI prints is for people, and must not come between the answers.
        os.dup2(2, 1)

    def tell(self, **answer: object) -> None:
        """Send one line."""
        self._answers.write(json.dumps(answer) + "\n")
        self._answers.flush()

    def listen(self) -> dict[str, Any] | None:
        """The next line; None when the parent has gone."""
        line = self._lines.readline()
        return json.loads(line) if line else None

    def ask(self, **question: object) -> dict[str, Any]:
        """Ask something, and wait for the reply."""
        self.tell(**question)
        reply = self.listen()
        if reply is None:
            sys.exit(0)
        if "failed" in reply:
            raise OSError(reply["failed"])
        return reply


class PageResponse:
    """What SuperAGI reads of a response."""

    def __init__(self, text: str) -> None:
        self.status_code = 200
        self.text = text


class ParentRequests:
    """Stands where SuperAGI looks for `requests`."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent

    def get(self, url: str, **options: object) -> PageResponse:
        """Have the parent fetch a page."""
        del options
        return PageResponse(self._parent.ask(ask="page", url=url)["text"])


class ParentModel:
    """A language model that is at the parent's; SuperAGI's BaseLlm is added to it."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent

    def chat_completion(
        self, messages: object, max_tokens: object = None, **options: object
    ) -> dict[str, Any]:
        """Have the parent ask its model."""
        del options
        reply = self._parent.ask(ask="completion", messages=messages, max_tokens=max_tokens)
        return {"content": reply["content"]}

    def get_source(self) -> str:
        """Where the model is."""
        return "muster"

    def get_api_key(self) -> str:
        """Nothing: the key stays with the parent."""
        return ""

    def get_model(self) -> str:
        """What the model is called."""
        return "muster"

    def get_models(self) -> list[str]:
        """What models there are."""
        return ["muster"]

    def verify_access_key(self) -> bool:
        """Whether the key is good; the parent sees to it."""
        return True


def scrape(parent: Parent, url: str) -> str:
    """Scrape a page with SuperAGI's WebScraperTool."""
    tools = import_module("superagi.tools.webscaper.tools")
    extractor = import_module("superagi.helper.webpage_extractor")
    extractor.__dict__["requests"] = ParentRequests(parent)
    return tools.WebScraperTool().execute({"website_url": url})


def summarize(parent: Parent, query: str, text: str) -> str:
    """Summarize a text with SuperAGI's SearxSearchTool."""
    searx = import_module("superagi.tools.searx.searx")
    base = import_module("superagi.llms.base_llm").BaseLlm
    model = type("AskingLlm", (ParentModel, base), {})(parent)
    return searx.SearxSearchTool(llm=model).summarise_result(query, [text])


def check(parent: Parent) -> str:
    """Import both tools, so that whatever is missing shows."""
    del parent
    scraper = import_module("superagi.tools.webscaper.tools").WebScraperTool
    searcher = import_module("superagi.tools.searx.searx").SearxSearchTool
    return f"{scraper.__name__} and {searcher.__name__}"


CALLS = {"scrape": scrape, "summarize": summarize, "check": check}


def main() -> None:
    """Do what the parent says until it has gone."""
    parent = Parent()
    # SuperAGI is found in the folder that this process was started in.
    sys.path.insert(0, os.getcwd())
    parent.tell(ready=sys.version.split()[0])
    while (call := parent.listen()) is not None:
        arguments = {name: value for name, value in call.items() if name != "call"}
        try:
            parent.tell(result=CALLS[call["call"]](parent, **arguments))
        except Exception as fault:  # noqa: BLE001 - SuperAGI's own, told to the parent
            parent.tell(failed=f"{type(fault).__name__}: {fault}")


if __name__ == "__main__":
    main()
