"""The live page: shows a run in a browser, and offers an HTTP API to it.

It needs the extra `live`.
"""

from importlib.util import find_spec

from ...messages import ExtraMissing

_missing = [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]
if _missing:
    raise ExtraMissing("the live page", _missing, "live")

from .application import live_application  # noqa: E402 - only with FastAPI
from .serving import LivePage  # noqa: E402

__all__ = ["LivePage", "live_application"]
