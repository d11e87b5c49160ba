"""`muster worker --ray`: which options go with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

COMMAND = ("worker", "--join", "ticket", "--name", "Front", "--skill", 5, "--ray", "127.0.0.1:9")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--dask", "tcp://127.0.0.1:9"), "--dask and --ray exclude each other"),
        (("--max-memory-mb", 100), "handlers run in a cluster"),
        (("--kill-after", 3), "no Ray head answers at '127.0.0.1:9'"),
        ((), "no Ray head answers at '127.0.0.1:9'"),
    ],
)
def test_options_beside_a_ray_cluster(
    invoke: Callable[..., Any], options: tuple[Any, ...], told: str
) -> None:
    ended = invoke(*COMMAND, *options)
    assert ended.code == 2
    assert told in ended.err
