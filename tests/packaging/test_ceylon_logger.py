"""Ceylon's logger is loaded at its first use, and then all that it would have been."""

from __future__ import annotations

import subprocess
import sys

import pytest

CEYLON_TELLS = "from ceylon.base import uni_agent\nuni_agent.logger.error('a fault of {}', 'Ada')\n"


def told_by(program: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr
    return ran.stderr


def test_what_ceylon_tells_is_told_as_from_its_own_place() -> None:
    told = told_by(
        "import sys\n"
        "import muster.agents.ceylon_agent\n"
        "assert 'loguru' not in sys.modules\n"
        f"{CEYLON_TELLS}"
        "import loguru\n"
        "assert uni_agent.logger.add == loguru.logger.add\n"
    )
    assert "ERROR" in told
    assert "__main__:<module>" in told
    assert told.endswith("a fault of Ada\n")


def test_a_loguru_that_is_there_already_is_ceylons() -> None:
    told_by(
        "import loguru\n"
        "import muster.agents.ceylon_agent\n"
        "from ceylon.base import support, uni_agent\n"
        "assert uni_agent.logger is support.logger is loguru.logger\n"
    )


def test_whoever_imports_loguru_after_ceylon_gets_it_itself() -> None:
    told_by(
        "import muster.agents.ceylon_agent\n"
        "import loguru, loguru._logger\n"
        "assert loguru.__file__ and type(loguru.logger) is loguru._logger.Logger\n"
    )


def test_whoever_imports_loguru_while_ceylon_does_gets_all_of_it() -> None:
    told_by(
        "from muster.agents.ceylon_logger import loguru_later\n"
        "with loguru_later():\n"
        "    import loguru\n"
        "    assert loguru.__version__\n"
        "    from loguru._logger import Logger\n"
        "    assert loguru.logger.add.__self__.__class__ is Logger\n"
        "import sys\n"
        "assert sys.modules['loguru'].__file__\n"
    )


@pytest.mark.parametrize("already", ["", "import loguru\n"])
def test_a_silenced_ceylon_tells_nothing_and_others_go_on(already: str) -> None:
    told = told_by(
        f"{already}"
        "import muster.agents.ceylon_agent\n"
        "from muster.agents.ceylon_logger import silence_ceylon\n"
        "silence_ceylon()\n"
        "from ceylon.base import uni_agent\n"
        "exec(\"logger.error('of ceylon')\", vars(uni_agent))\n"
        "import loguru\n"
        "loguru.logger.error('of others')\n"
    )
    assert "of ceylon" not in told
    assert told.endswith("of others\n")
