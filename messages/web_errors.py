"""What can fail with web pages and web services; the tree is in `errors`."""

from __future__ import annotations

from .errors import LocalError, MusterError


class WebError(MusterError):
    """A web page or web service failed."""


class PageUnavailable(WebError):
    """The page can't be fetched within the limits; the message says why."""


class RobotsForbid(WebError):
    """The robots.txt of the page's site forbids it."""


class BackendFailed(WebError):
    """SuperAGI or a language model failed; the message says why."""


class DownloadFailed(WebError):
    """The file can't be downloaded within the limits; the message says why."""


class SearchFailed(WebError):
    """The search engine gave no usable answer; the message says why."""


class ModelUnusable(WebError, LocalError):
    """A language model can't be used: its address, key or name is wrong; the message says what."""


class ModelFailed(WebError):
    """A language model refused a task, passed a limit of it, or gave an unusable answer."""


class McpUnusable(WebError, LocalError):
    """An MCP server can't be started, reached or understood; the message says why."""


class ToolFailed(WebError):
    """A tool of an MCP server told an error, or answered what is no result."""
