"""What is done again and again, one session each: `nox -l` lists them, `nox -s NAME` runs one.

nox makes a virtual environment for each session and keeps it for the next time. `.ci/run` runs the
same sessions in one environment that has everything, by `nox --no-venv`.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import nox

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
IN_PARALLEL = ("-n", "logical", "--maxprocesses", "4", "--dist", "worksteal")
"""Two tests at a time on two cores. More than four would disturb the tests that measure time."""

SLOW_IN_PARALLEL = ("-n", "4", "--dist", "worksteal")
"""Two on each of two cores: slow tests wait half the time, and none of them measures it."""

SHORT_SELECTION = (
    "tests/board",
    "--ignore=tests/board/test_state_machine.py",
    "tests/messages",
    "tests/packaging/test_imports.py",
)

SHORT_EXTRAS = "blobs,live,mcp,metrics,models,nats,otel,web"
NOT_IN_SHORT = {
    "axe-playwright-python",
    "ceylon-muster",
    "compose-spec",
    "import-linter",
    "ipykernel",
    "kubernetes-validate",
    "nbclient",
    "playwright",
    "pytest-cov",
    "scipy",
}
"""Of the extra `test`, what the short selection does not need; it is most of what is installed."""

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "tests-3.11"]


def _path_with_pyenv(path: str) -> str:
    """The search path with pyenv's interpreters, which the commands in `shims` may refuse to run.

    They come behind all else, so that the environment at hand stays the first.
    """
    folders = path.split(os.pathsep)
    shims = [folder for folder in folders if Path(folder).name == "shims"]
    others = [folder for folder in folders if folder not in shims]
    versions = [
        str(folder)
        for version in PYTHONS
        for folder in sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin"))
    ]
    return os.pathsep.join([*others, *versions, *shims])


os.environ["PATH"] = _path_with_pyenv(os.environ.get("PATH", ""))


def _install(session: nox.Session, *extras: str) -> None:
    """Install the checkout with these extras, unless the session has no environment of its own."""
    if session.virtualenv.venv_backend != "none":
        session.install("-e", f".[{','.join(extras)}]")


def _install_for_short(session: nox.Session) -> None:
    project = nox.project.load_toml("pyproject.toml")["project"]
    needed = [
        each
        for each in project["optional-dependencies"]["test"]
        if re.match(r"[\w-]+", each)[0] not in NOT_IN_SHORT
    ]
    session.install("-e", f".[{SHORT_EXTRAS}]", *needed)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff's rules, its format, and the tables of modules in the documentation."""
    _install(session, "dev")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("python", "docs/write_room_map.py", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """The type checker, strict."""
    _install(session, "dev")
    session.run("basedpyright", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The quick tests, or what is given: `nox -s tests-3.12 -- tests/board -k lease`."""
    _install(session, "test")
    session.run("pytest", *(session.posargs or IN_PARALLEL))


@nox.session(python=PYTHONS)
def short(session: nox.Session) -> None:
    """The kernel's tests, the messages', the imports, and one run over the real Ceylon."""
    _install_for_short(session)
    session.run("pytest", *IN_PARALLEL, *SHORT_SELECTION)
    # On a busy machine there are warnings on stderr, which would be taken for JSON.
    playing = ("muster", "run", "all_well", "--time-scale", "0.05", "--json")
    report = session.run(*playing, silent=True, stderr=None)
    if isinstance(report, str):
        rate = json.loads(report)["success_rate"]
        session.log(f"a run over Ceylon: {rate:.0%} of its tasks succeeded")
        if rate != 1.0:
            session.error("a run in which all tasks should succeed did not go so")


@nox.session
def slow(session: nox.Session) -> None:
    """The tests that take minutes."""
    _install(session, "test")
    session.run("pytest", "-m", "slow", *(session.posargs or SLOW_IN_PARALLEL))


@nox.session
def coverage(session: nox.Session) -> None:
    """The quick tests, with the lines that they reach; too few of them, and it fails."""
    _install(session, "test")
    session.run(
        "pytest", "--cov", "--cov-report=term:skip-covered", *(session.posargs or IN_PARALLEL)
    )


@nox.session
def docs(session: nox.Session) -> None:
    """The site, built to build/site without a warning, and loading nothing from elsewhere."""
    _install(session, "docs")
    session.run("mkdocs", "build", "--quiet", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})
    from_elsewhere = re.compile(r'<(script|link|img)[^>]*(src|href)="?(https?:)?//')
    pages = sorted(Path("build/site").rglob("*.html"))
    bad = [str(page) for page in pages if from_elsewhere.search(page.read_text(encoding="utf-8"))]
    if bad:
        session.error(f"these pages load something from elsewhere: {', '.join(bad)}")


@nox.session
def bench(session: nox.Session) -> None:
    """Every benchmark in small, or as is told: `nox -s bench -- --json figures.json`."""
    _install(session, "test")
    session.run("python", "tests/benchmarks/run_all.py", *(session.posargs or ["--quick"]))
