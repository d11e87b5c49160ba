"""The report as one self-contained HTML page, which needs no network."""

from .page import MAX_PAGE_BYTES, render_html

__all__ = ["MAX_PAGE_BYTES", "render_html"]
