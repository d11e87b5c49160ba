"""Imports Ceylon; no other file does. Where it is left out or missing, stand-ins take its place.

Ceylon prints when it is imported, and has builds for few platforms.
"""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

from ..runtime.ceylon_choice import check_not_left_out


def require_ceylon() -> None:
    """Check that Ceylon is there; called before anything in it is made.

    Raises:
        CeylonUnusable: it is not installed, has no build for this platform, or is left out.
    """


try:
    check_not_left_out()
    with contextlib.redirect_stdout(io.StringIO()):
        from ceylon import (
            DEFAULT_WORKSPACE_ID,
            AgentDetail,
            BaseAgent,
            PeerMode,
            on,
            on_connect,
            on_run,
        )
        from ceylon.base import support as ceylon_support
        from ceylon.ceylon.ceylon import (
            InternalError,
            UnifiedAgent,
            UnifiedAgentConfig,
            uniffi_set_event_loop,
        )
        from ceylon.ceylon.ceylon import (
            _UniffiConverterTypeProcessor as ceylon_processors,  # pyright: ignore[reportPrivateUsage]
        )
except (ImportError, OSError) as fault:
    if not TYPE_CHECKING:
        from . import without_ceylon as ceylon_support
        from .without_ceylon import (
            DEFAULT_WORKSPACE_ID,
            AgentDetail,
            BaseAgent,
            InternalError,
            PeerMode,
            UnifiedAgent,
            UnifiedAgentConfig,
            note_fault,
            on,
            on_connect,
            on_run,
        )
        from .without_ceylon import refuse as ceylon_processors
        from .without_ceylon import refuse as require_ceylon
        from .without_ceylon import refuse as uniffi_set_event_loop

        note_fault(fault)

__all__ = [
    "DEFAULT_WORKSPACE_ID",
    "AgentDetail",
    "BaseAgent",
    "InternalError",
    "PeerMode",
    "UnifiedAgent",
    "UnifiedAgentConfig",
    "ceylon_processors",
    "ceylon_support",
    "on",
    "on_connect",
    "on_run",
    "require_ceylon",
    "uniffi_set_event_loop",
]
