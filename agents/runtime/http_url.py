"""Whether a text is the URL of an HTTP server."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


def split_http_url(text: str) -> SplitResult | None:
    """The parts of a URL with http or https, a host and a port that there can be; else None."""
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if is_url and text.isprintable() and " " not in text else None
