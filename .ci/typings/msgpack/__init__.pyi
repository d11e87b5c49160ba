# What Muster uses of msgpack, which ships without types.
from collections.abc import Callable
from typing import Any, NamedTuple

class UnpackException(Exception): ...

class ExtType(NamedTuple):
    code: int
    data: bytes

def packb(o: Any, *, datetime: bool = ...) -> bytes: ...
def unpackb(
    packed: bytes,
    *,
    strict_map_key: bool = ...,
    timestamp: int = ...,
    ext_hook: Callable[[int, bytes], Any] = ...,
) -> Any: ...
