"""The errors of the HTTP API: what is answered, and with which status."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field
from starlette.exceptions import HTTPException

from ...messages import (
    DuplicateTask,
    EncodeError,
    IllegalTransition,
    InvalidInput,
    InvalidTask,
    MusterError,
    StoreUnusable,
    UnknownName,
    UnknownTask,
)
from ...messages.wording import show
from ..runtime.strict_json import JsonFault, describe_json_fault
from .api_models import ApiModel
from .api_orders import MANY, ONE

MAX_FAULTS = 10

_STATUS_OF: Sequence[tuple[type[MusterError], int]] = (
    (UnknownTask, 404),
    (UnknownName, 404),
    (IllegalTransition, 409),
    (DuplicateTask, 409),
    (InvalidTask, 422),
    (EncodeError, 422),
    (StoreUnusable, 503),
    (InvalidInput, 422),
)


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


def _error_response(status: int, error: str, faults: Sequence[Fault] = ()) -> JSONResponse:
    wrong = Wrong(error=error, faults=list(faults))
    return JSONResponse(wrong.model_dump(exclude_defaults=True), status)


async def _answer_error(_: Request, fault: Exception) -> JSONResponse:
    for kind, status in _STATUS_OF:
        if isinstance(fault, kind):
            return _error_response(status, str(fault))
    return _error_response(500, str(fault))


async def _answer_http_error(_: Request, fault: Exception) -> JSONResponse:
    assert isinstance(fault, HTTPException)
    return _error_response(fault.status_code, str(fault.detail))


async def _answer_invalid_fields(_: Request, fault: Exception) -> JSONResponse:
    assert isinstance(fault, RequestValidationError)
    errors = fault.errors()
    if errors[0]["type"] == "json_invalid":
        place = JsonFault(errors[0]["ctx"]["error"], fault.body, errors[0]["loc"][1])
        return _error_response(422, f"the body is not JSON: {describe_json_fault(place)}")
    faults = [
        Fault(
            field=_name_field(each["loc"]),
            value=show(each.get("input")),
            rule=" ".join(str(each["msg"])[:200].split()),
        )
        for each in errors[:MAX_FAULTS]
    ]
    lines = [f"{each.field}: {each.value}: {each.rule}" for each in faults]
    if len(errors) > MAX_FAULTS:
        lines.append(f"and {len(errors) - MAX_FAULTS} more")
    return _error_response(422, "; ".join(lines), faults)


def _name_field(steps: Sequence[int | str]) -> str:
    """The name of a field, without its location and whether there was one task or a list."""
    named = [str(step)[:80] for step in steps[1:9] if step not in (ONE, MANY)]
    return ".".join(named) or "body"


ErrorAnswer: TypeAlias = Callable[[Request, Any], Coroutine[Any, Any, Response]]

ERROR_ANSWERS: dict[int | type[Exception], ErrorAnswer] = {
    RequestValidationError: _answer_invalid_fields,
    HTTPException: _answer_http_error,
    MusterError: _answer_error,
}
"""What answers each kind of error."""
