"""The site of the documentation has every page and every public name, and its links lead on.

That it builds without a warning is seen by `.ci/run`, which has what it is built with.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import muster.agents
import muster.messages
import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
NAVIGATION = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("nav:\n")[2]
REFERENCE = "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "api").glob("*.md"))
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
FOLDERS = ("agents", "docs", "messages", "scenarios", "tests")
FILES = [
    *(path.name for path in ROOT.glob("*.py")),
    *(
        path.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
    ),
]
OF_OTHERS = {"FILE.py", "src/background_actions.py", "webpage_extractor.py"}
"""Files that the pages name and that are not Muster's."""


def test_every_page_stands_once_in_the_navigation_and_none_that_is_gone() -> None:
    named = re.findall(r"^ +- [^:\n]+: (\S+\.md)$", NAVIGATION, re.MULTILINE)
    assert sorted(named) == sorted(page.relative_to(DOCS).as_posix() for page in PAGES)


@pytest.mark.parametrize("package", [muster.agents, muster.messages])
def test_every_public_name_has_its_place_in_the_reference(package: object) -> None:
    told = {name.rpartition(".")[2] for name in re.findall(r"^::: (\S+)$", REFERENCE, re.MULTILINE)}
    told.update(re.findall(r"^\| `(\w+)` \|", REFERENCE, re.MULTILINE))
    assert set(package.__all__) - told == set()


def test_no_name_has_two_places_in_the_reference() -> None:
    told = re.findall(r"^::: (\S+)$", REFERENCE, re.MULTILINE)
    assert sorted(set(told)) == sorted(told)


def test_every_link_within_the_repository_leads_to_a_file() -> None:
    broken = [
        (page.name, target)
        for page in [*sorted(ROOT.glob("*.md")), *PAGES]
        for target in re.findall(
            r"\]\((?!https?://|#)([^)#\s]+)", CODE.sub("", page.read_text(encoding="utf-8"))
        )
        if not (page.parent / target).is_file()
    ]
    assert broken == []


def test_every_file_of_the_repository_that_is_named_is_there() -> None:
    gone: dict[str, set[str]] = {}
    endings = {
        "/".join(file.split("/")[at:]) for file in FILES for at in range(file.count("/") + 1)
    }
    for page in [ROOT / "README.md", *PAGES]:
        text = page.read_text(encoding="utf-8")
        examples = "".join(re.findall(r"```.*?```", text, re.DOTALL))
        text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        named = set(re.findall(r"`((?:[\w.-]+/)*\w+\.py)\b", text))
        named.update(re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w/.-]*\w)", text))
        missing = {name for name in named - endings - OF_OTHERS if name not in examples}
        if missing:
            gone[page.relative_to(ROOT).as_posix()] = missing
    assert gone == {}


def test_mermaid_is_the_file_that_its_makers_published() -> None:
    script = (DOCS / "assets" / "mermaid.tiny.js").read_bytes()
    # `dist/mermaid.tiny.js` of @mermaid-js/tiny 11.17.2.
    assert (
        hashlib.sha256(script).hexdigest()
        == "7a644017d37f93c8359790884e6b67fb1f747c78eb20475952404bd87190a3f8"
    )
