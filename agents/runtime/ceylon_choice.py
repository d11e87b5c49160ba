"""Whether this process leaves Ceylon out: decided before the agents are imported."""

from __future__ import annotations

import os
import sys

WITHOUT_CEYLON_VARIABLE = "MUSTER_WITHOUT_CEYLON"
"""The environment variable that leaves Ceylon out of a process if it is set to "1"."""

_left_out = os.environ.get(WITHOUT_CEYLON_VARIABLE, "").strip() == "1"


def leave_ceylon_out() -> None:
    """Import no Ceylon in this process from now on, nor in the worker processes that it starts.

    What has been imported stays. Agents then run over other links, such as NATS or memory.
    """
    global _left_out  # noqa: PLW0603 - the agents' classes depend on it, so it is the process's
    _left_out = True


def is_ceylon_left_out() -> bool:
    """Whether Ceylon is left out of this process."""
    return _left_out


def check_not_left_out() -> None:
    """Check that Ceylon may be used in this process.

    Raises:
        ImportError: it is left out, and nobody else has imported it either.
    """
    if _left_out and "ceylon" not in sys.modules:
        raise ImportError("it is left out of this process")


def passed_on() -> dict[str, str]:
    """The variable that leaves Ceylon out of a worker process as well, if it is left out here."""
    return {WITHOUT_CEYLON_VARIABLE: "1"} if _left_out else {}
