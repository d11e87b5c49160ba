"""A small HTML table of text for notebooks; whatever is shown is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

MAX_ROWS = 20
"""How many rows are shown."""

MAX_CHARACTERS = 200
"""How much of a text is shown."""


def html_table(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[object]], count: int
) -> str:
    """A table with a caption, without script and style.

    Args:
        caption: what it shows.
        head: the heads of the columns.
        rows: the rows; the first `MAX_ROWS` are shown.
        count: how many rows there are.
    """
    heads = "".join(f'<th scope="col">{_cell(each)}</th>' for each in head)
    shown = [row for row, _ in zip(rows, range(MAX_ROWS), strict=False)]
    body = "".join(
        f"<tr>{''.join(f'<td>{_cell(each)}</td>' for each in row)}</tr>" for row in shown
    )
    more = count - len(shown)
    foot = f'<tr><td colspan="{len(head)}">and {more:,} more</td></tr>' if more > 0 else ""
    return (
        f"<table><caption>{_cell(caption)}</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{body}{foot}</tbody></table>"
    )


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    if len(text) > MAX_CHARACTERS:
        text = f"{text[: MAX_CHARACTERS - 1]}…"
    # Lone surrogates can't be sent to a browser.
    return escape(text.encode("utf-8", "replace").decode())
