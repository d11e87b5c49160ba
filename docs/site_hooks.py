"""What mkdocs is told to do besides, when it builds the site.

The folders `agents`, `messages` and `scenarios` install as parts of `muster`, and the reference is
read from sources, without importing them. So it is given a folder `muster` that links to the three.
"""

from __future__ import annotations

import re
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
SOURCES = CHECKOUT / "build" / "site_sources"
"""The one that `mkdocs.yml` names under `paths`."""


def on_startup(command: str, dirty: bool) -> None:
    """Link to the packages, under the names by which they are imported."""
    package = SOURCES / "muster"
    package.mkdir(parents=True, exist_ok=True)
    for name in ("agents", "messages", "scenarios"):
        link = package / name
        if not link.is_symlink():
            link.symlink_to(CHECKOUT / name, target_is_directory=True)


def on_page_content(html: str, **_: object) -> str:
    """Put each diagram into a box that can be scrolled where it is wider than the screen."""
    return re.sub(
        r'<pre class="mermaid">.*?</pre>',
        r'<div class="diagram">\g<0></div>',
        html,
        flags=re.DOTALL,
    )
