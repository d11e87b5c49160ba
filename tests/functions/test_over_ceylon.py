"""Typed functions over real Ceylon, submitted by clients of both kinds, with and without a name."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from muster.agents import Client, Handlers, TaskManager, WorkerAgent
from muster.messages import InvalidInput

from .test_typed_functions import same
from .typed_handlers import OF_ALL_KINDS, VALUES, add, echo_of, handlers

pytestmark = [pytest.mark.ceylon, pytest.mark.processes, pytest.mark.slow]

DEADLINE_S = 120
ROOT = Path(__file__).parents[2]


BLOCKING_CLIENT = """
import sys
from decimal import Decimal

import pytest
from muster.agents import Client
from muster.messages import InvalidInput, WrongCall
from tests.functions.typed_handlers import ORDER, Receipt, add, sell

with Client.connect(sys.argv[1], connect_timeout_s=120) as client:
    assert add.submit(1, 2).result(120).output == 3
    assert client.submit(add.with_options(priority=5), 1, y=3).result(120).output == 4
    receipt = client.submit(sell, ORDER).result(120).output
    assert isinstance(receipt, Receipt) and receipt.total == Decimal("3.00")
    assert receipt.orders == [ORDER]
    assert [each.output for each in client.map(add, [1, 2], [3, 4])] == [4, 6]
    with pytest.raises(WrongCall, match=r"add\\(\\): x: 'one'"):
        client.submit(add, "one")
with pytest.raises(InvalidInput, match="no client to submit"):
    add.submit(1)
"""


async def test_clients_of_both_kinds_submit_functions_and_get_what_these_declare() -> None:
    served = Handlers()
    served.update(handlers)
    echoes = [
        served.task(f"echo {number}")(echo_of(declared, []))
        for number, (declared, _) in enumerate(VALUES)
    ]
    manager = TaskManager(port=0, quiet=True)
    worker = WorkerAgent("Ada", 5, slots=4, handlers=served)
    await manager.start(b"", [worker])
    try:
        async with Client(manager.ticket(), connect_timeout_s=DEADLINE_S):
            results = [await function.submit(*given) for function, given, _ in OF_ALL_KINDS]
            calls = zip(echoes, VALUES, strict=True)
            values = await asyncio.gather(*(echo.submit(value) for echo, (_, value) in calls))
        with pytest.raises(InvalidInput, match="no client to submit"):
            add.submit(1)
        blocking = await asyncio.create_subprocess_exec(
            sys.executable, "-c", BLOCKING_CLIENT, str(manager.ticket()), cwd=ROOT
        )
        assert await asyncio.wait_for(blocking.wait(), DEADLINE_S) == 0
    finally:
        await manager.stop()
    assert [each.unwrap() for each in results] == [expected for _, _, expected in OF_ALL_KINDS]
    for result, (declared, value) in zip(values, VALUES, strict=True):
        assert same(result.unwrap(), value), declared
