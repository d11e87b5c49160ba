"""Routes of the HTTP API that read the JSON of a request as strictly as files are read."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from typing_extensions import override

from ..runtime.strict_json import decode_json


class _StrictRequest(Request):
    @override
    async def json(self) -> Any:
        return decode_json(await self.body())


class StrictRoute(APIRoute):
    """A route that refuses a body with NaN, a number too large, or an object with a name twice."""

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of a request, which reads its body strictly."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly
