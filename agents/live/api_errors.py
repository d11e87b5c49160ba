"""The errors of the HTTP API as models."""

from __future__ import annotations

from pydantic import Field

from .api_models import ApiModel


class Fault(ApiModel):
    """A field that is not valid."""

    field: str
    """Its name, such as "difficulty", or "3.difficulty" in the fourth task."""

    value: str
    """Its value, shortened."""

    rule: str
    """What its value must be."""


class Wrong(ApiModel):
    """An error."""

    error: str
    """The error message."""

    faults: list[Fault] = Field(default_factory=list[Fault])
    """For status 422: the first 10 fields that are not valid."""
