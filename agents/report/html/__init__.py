"""The report as one self-contained HTML page, which opens from disk without a network."""

from .page import MAX_PAGE_BYTES, render_html

__all__ = ["MAX_PAGE_BYTES", "render_html"]
