"""Logs what waiting tasks lack, as soon as they can't go on, and that they can again."""

from __future__ import annotations

import asyncio

from ..kernel.board.stuck_tasks import StuckNews, find_stuck_tasks
from ..runtime.log import log
from .board_driver import BoardDriver

CHECK_EVERY_S = 0.5


async def log_stuck_tasks(driver: BoardDriver) -> None:
    """Look again and again whether tasks can't go on, and log each reason once; never returns.

    Args:
        driver: drives the manager's board.
    """
    news = StuckNews()
    while True:
        await asyncio.sleep(CHECK_EVERY_S)
        board = driver.board
        if board.pause.holds:
            continue
        for line in news.lines(board, find_stuck_tasks(board), driver.now()):
            log.warning(line, manager=driver.name)
