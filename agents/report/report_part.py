"""What the parts of a report have in common: their configuration and types of numbers."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Cost = Annotated[float, Field(ge=0)]

REPORT_CONFIG = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
