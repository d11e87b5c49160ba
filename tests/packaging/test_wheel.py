"""What is installed: all of the packages, under `muster`, and nothing else."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE")
OLDEST_SETUPTOOLS = 77
NO_NETWORK = ("No matching distribution", "Could not find a version", "Failed to establish")


def _setuptools_is_here() -> bool:
    try:
        return int(importlib.metadata.version("setuptools").split(".")[0]) >= OLDEST_SETUPTOOLS
    except importlib.metadata.PackageNotFoundError:
        return False


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the files in the wheel; built from a copy, for building leaves files behind."""
    checkout = Path(__file__).resolve().parents[2]
    copy = tmp_path_factory.mktemp("checkout")
    for name in BUILT_FROM:
        shutil.copy(checkout / name, copy / name)
    for folder in ("messages", "agents", "scenarios", "tests"):
        shutil.copytree(
            checkout / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-input"]
    if _setuptools_is_here():
        command.append("--no-build-isolation")
    built = subprocess.run(
        [*command, "--retries", "1", "--timeout", "20", "--wheel-dir", str(copy), str(copy)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    if built.returncode and any(sign in built.stderr for sign in NO_NETWORK):
        pytest.skip(f"building needs setuptools {OLDEST_SETUPTOOLS}, or the network to fetch it")
    assert built.returncode == 0, built.stderr
    (path,) = copy.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        return opened.namelist()


def test_the_wheel_holds_every_file_of_the_packages(
    wheel: list[str], checkout: Path, packages: tuple[str, ...]
) -> None:
    files = {
        f"muster/{file.relative_to(checkout).as_posix()}"
        for package in packages
        for file in (checkout / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert files - set(wheel) == set()


def test_the_wheel_has_no_other_top_level_name_than_muster(wheel: list[str]) -> None:
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"muster"}


def test_the_wheel_holds_no_tests(wheel: list[str]) -> None:
    assert [name for name in wheel if "test" in name.split("/")[-1]] == []


@pytest.mark.parametrize("package", ["messages", "agents", "scenarios"])
def test_a_package_says_that_it_is_typed(package: str, checkout: Path, wheel: list[str]) -> None:
    assert (checkout / package / "py.typed").is_file()
    assert f"muster/{package}/py.typed" in wheel
