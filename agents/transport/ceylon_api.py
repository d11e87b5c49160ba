"""Imports Ceylon; no other file does.

Ceylon prints when it is imported, and has builds for few platforms.
"""

from __future__ import annotations

import contextlib
import io

from .ceylon_platform import BUILDS, Platform

try:
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
    raise ImportError(
        f"Ceylon can't be loaded: {fault}. This is {Platform.here()}; Ceylon has builds for "
        f"{BUILDS}. On one of these, run: python -m pip install ceylon==0.23.0"
    ) from fault

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
    "uniffi_set_event_loop",
]
