"""Plain forms of NumPy's scalars and arrays; does not import NumPy unless the program has."""

from __future__ import annotations

import math
from base64 import b64decode
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any, cast

_KINDS = frozenset("biufcSUMm")
"""The kinds of dtypes whose bytes are the values: bools, numbers, text, dates and durations."""

_FIELDS = frozenset({"dtype", "shape", "data"})


def is_numpy(value: object) -> bool:
    """Whether a value is a scalar or an array of NumPy."""
    return _is_numpy_class(type(value))


def is_numpy_type(annotation: object) -> bool:
    """Whether a class is NumPy's array or one of its scalars."""
    return isinstance(annotation, type) and _is_numpy_class(annotation)


@lru_cache(maxsize=1024)
def _is_numpy_class(kind: type) -> bool:
    # By name, so that NumPy need not be imported.
    return any(
        base.__module__ == "numpy" and base.__name__ in ("generic", "ndarray")
        for base in kind.__mro__
    )


def _numpy() -> Any:
    return import_module("numpy")


def to_plain_form(value: Any) -> Any:
    """A scalar as Python's own, or an array as a dict of `dtype`, `shape` and `data`.

    A scalar that Python lacks, such as a complex number or a date, is an array without dimensions.

    Raises:
        ValueError: its values are objects, records, or masked.
    """
    numpy = _numpy()
    if isinstance(value, numpy.generic):
        if value.dtype.kind in "biuSU" or isinstance(value, numpy.float16 | numpy.float32):
            return value.item()
        if isinstance(value, float):
            return float(value)
        value = numpy.asarray(value)
    if isinstance(value, numpy.ma.MaskedArray):
        raise ValueError("it is a masked array; pass its data and its mask")  # noqa: TRY004
    if value.dtype.kind not in _KINDS:
        raise ValueError(
            f"it is an array of dtype {str(value.dtype)!r}; pass an array of numbers, bools, text "
            "or dates, or a list"
        )
    return {"dtype": value.dtype.str, "shape": list(value.shape), "data": value.tobytes()}


def from_plain_form(form: Any, wanted: Any) -> Any:
    """An array or a scalar from its plain form, or from a number or nested lists.

    Args:
        form: the plain form.
        wanted: the class: NumPy's array, or that of a scalar.

    Raises:
        ValueError: it is no form of such an array or scalar.
    """
    numpy = _numpy()
    if isinstance(form, wanted):
        return form
    array = _read(form, numpy)
    if issubclass(wanted, numpy.ndarray):
        return array
    if array.ndim:
        raise ValueError(f"an array of shape {array.shape} is no {wanted.__name__}")
    if issubclass(array.dtype.type, wanted):
        return array[()]
    return array.astype(wanted)[()]


def _read(form: Any, numpy: Any) -> Any:
    fields: Mapping[str, Any] = cast("Any", form) if isinstance(form, Mapping) else {}
    if fields.keys() != _FIELDS:
        array = numpy.asarray(form)
        if array.dtype.kind not in _KINDS:
            raise ValueError("it is neither the plain form of an array nor nested lists of numbers")
        return array
    dtype = numpy.dtype(fields["dtype"])
    if dtype.kind not in _KINDS:
        raise ValueError(f"an array of dtype {str(dtype)!r} is not read")
    shape: tuple[int, ...] = tuple(fields["shape"])
    data = _bytes_of(fields["data"])
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"{len(data):,} bytes are no array of shape {shape} and dtype {dtype}")
    # A copy, since what is read from bytes can't be written to.
    return (
        numpy.frombuffer(data, dtype).reshape(shape).copy() if data else numpy.empty(shape, dtype)
    )


def _bytes_of(data: Any) -> bytes:
    if isinstance(data, Mapping):
        # As reports and the API show bytes in JSON.
        return b64decode(cast("Mapping[str, str]", data)["$base64"], validate=True)
    return bytes(memoryview(data))
