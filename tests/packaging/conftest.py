"""The checkout that these tests stand in, and the source files of its packages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = ("messages", "agents", "scenarios")
SOURCES = sorted(
    source.relative_to(CHECKOUT)
    for package in PACKAGES
    for source in CHECKOUT.glob(f"{package}/**/*.py")
)


@pytest.fixture(scope="session")
def sources() -> list[Path]:
    """Every source file, as a path within the checkout."""
    return SOURCES


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder that holds pyproject.toml."""
    return CHECKOUT


@pytest.fixture
def packages() -> tuple[str, ...]:
    """The folders that are installed, as packages of `muster`."""
    return PACKAGES


@pytest.fixture
def module_name() -> Callable[[Path], str]:
    """Under which name a source file is imported."""
    return _module_name


@pytest.fixture
def modules() -> list[str]:
    """The name of every module that can be imported, such as "muster.agents.kernel.board.board"."""
    return [_module_name(source) for source in SOURCES if source.stem != "__main__"]


def _module_name(source: Path) -> str:
    steps = source.with_suffix("").parts
    return ".".join(("muster", *(steps[:-1] if steps[-1] == "__init__" else steps)))
