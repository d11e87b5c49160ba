"""The child process of the bridge: runs SuperAGI's own tools as its parent requests.

This file runs as a script in SuperAGI's Python. It must import neither Muster nor anything that
SuperAGI does not need. Each line on stdin is a call or a reply. Each line on stdout is a result, a
request to the parent, or the message that the child is ready. All lines are JSON.

SuperAGI would access any network address itself, with the user's key. Here it sends a request to
the parent, which fetches the page or calls the language model.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from typing import Any


class Parent:
    """The parent process, with which this one exchanges lines over two streams."""

    def __init__(self) -> None:
        self._input = os.fdopen(os.dup(0), "r", encoding="utf-8")
        self._output = os.fdopen(os.dup(1), "w", encoding="utf-8")
        # SuperAGI's output goes to stderr, because it must not mix with the messages.
        os.dup2(2, 1)

    def send(self, **message: object) -> None:
        """Send one line."""
        self._output.write(json.dumps(message) + "\n")
        self._output.flush()

    def receive(self) -> dict[str, Any] | None:
        """The next line; None when the parent has gone."""
        line = self._input.readline()
        return json.loads(line) if line else None

    def request(self, **message: object) -> dict[str, Any]:
        """Send a request, and wait for the reply."""
        self.send(**message)
        reply = self.receive()
        if reply is None:
            sys.exit(0)
        if "failed" in reply:
            raise OSError(reply["failed"])
        return reply


class PageResponse:
    """The used part of a response of `requests`."""

    def __init__(self, text: str) -> None:
        self.status_code = 200
        self.text = text


class ParentRequests:
    """Replaces the module `requests` in SuperAGI."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent

    def get(self, url: str, **options: object) -> PageResponse:
        """Fetch a page through the parent."""
        del options
        return PageResponse(self._parent.request(ask="page", url=url)["text"])


class ParentModel:
    """The parent's language model; combined with SuperAGI's BaseLlm."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent

    def chat_completion(
        self, messages: object, max_tokens: object = None, **options: object
    ) -> dict[str, Any]:
        """Request a completion from the parent's model."""
        del options
        reply = self._parent.request(ask="completion", messages=messages, max_tokens=max_tokens)
        return {"content": reply["content"]}

    def get_source(self) -> str:
        """The source of the model."""
        return "muster"

    def get_api_key(self) -> str:
        """An empty key; only the parent has the real one."""
        return ""

    def get_model(self) -> str:
        """The name of the model."""
        return "muster"

    def get_models(self) -> list[str]:
        """The names of all models."""
        return ["muster"]

    def verify_access_key(self) -> bool:
        """Always True; the parent has the key."""
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
    model = type("ParentLlm", (ParentModel, base), {})(parent)
    return searx.SearxSearchTool(llm=model).summarise_result(query, [text])


def check(parent: Parent) -> str:
    """Import both tools, so that a missing package raises an error."""
    del parent
    scraper = import_module("superagi.tools.webscaper.tools").WebScraperTool
    searcher = import_module("superagi.tools.searx.searx").SearxSearchTool
    return f"{scraper.__name__} and {searcher.__name__}"


CALLS = {"scrape": scrape, "summarize": summarize, "check": check}


def main() -> None:
    """Handle calls of the parent until it closes stdin."""
    parent = Parent()
    # SuperAGI's package is in the current folder.
    sys.path.insert(0, os.getcwd())
    parent.send(ready=sys.version.split()[0])
    while (call := parent.receive()) is not None:
        arguments = {name: value for name, value in call.items() if name != "call"}
        try:
            parent.send(result=CALLS[call["call"]](parent, **arguments))
        except Exception as fault:  # noqa: BLE001 - an error of SuperAGI, which the parent reports
            parent.send(failed=f"{type(fault).__name__}: {fault}")


if __name__ == "__main__":
    main()
