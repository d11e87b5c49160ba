"""How our own messages are loaded: without pydantic's check of how it has put them together."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Generator
from importlib import import_module

UNCHECKED = "PYDANTIC_SKIP_VALIDATING_CORE_SCHEMAS"

_MESSAGES = f"{__name__.rpartition('.agents.')[0]}.messages"


def load_messages() -> None:
    """Load our messages, if they are not loaded yet, faster than whoever imports them would."""
    if _MESSAGES not in sys.modules:
        with schemas_taken_on_trust():
            import_module(_MESSAGES)


@contextlib.contextmanager
def schemas_taken_on_trust() -> Generator[None, None, None]:
    """While it is entered, pydantic does not check that it has put models together rightly.

    It would first build what checks them, which takes longer than all of our messages. Whoever
    has models of their own has them checked, and a test checks ours. Nothing is changed while
    other threads run, which might just be reading the environment.
    """
    if UNCHECKED in os.environ or threading.active_count() > 1:
        yield
        return
    os.environ[UNCHECKED] = "1"
    try:
        yield
    finally:
        del os.environ[UNCHECKED]
