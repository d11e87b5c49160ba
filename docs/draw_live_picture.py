"""Takes the still of the live page that stands in the README: a run of 200 tasks, half done.

python docs/draw_live_picture.py
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from muster.agents import Handlers, TaskManager, WorkerAgent
from muster.agents.live import LivePage
from muster.messages import Task, TaskStatus
from playwright.async_api import async_playwright

PICTURE = Path(__file__).parent / "images" / "live.png"
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")
STEPS = (
    *("Weigh the morning's leaf", "Judge the wither", "Roll the second flush"),
    *("Sort broken from whole", "Fire the dryer", "Taste the Orange Pekoe", "Label the chests"),
)

handlers = Handlers()
WET = {13, 58, 71, 96, 102, 131}
DONE = 110
"""So many tasks are done when the picture is taken."""


@handlers.task("leaf")
async def leaf(task: Task) -> str:
    """Take a little while, and fail now and then."""
    await asyncio.sleep(task.data)
    if task.id in WET:
        raise ValueError("the leaf is too wet to be rolled")
    return f"lot {task.id} done"


async def main() -> None:
    """Take the picture."""
    tasks = [
        Task(
            id=lot,
            description=f"{STEPS[lot % len(STEPS)]}, lot {lot}",
            difficulty=1 + lot * 5 % 7,
            type="leaf",
            data=0.1 + (lot * 37 % 80) / 100,
        )
        for lot in range(1, 201)
    ]
    manager = TaskManager(tasks, 4, name="Tea estate", port=0, policy="in_order")
    workers = [
        WorkerAgent(name, skill, slots=slots, handlers=handlers)
        for name, skill, slots in (
            ("Ada", 9, 2),
            ("Ben", 7, 2),
            ("Chitra", 8, 1),
            ("Dilshan", 7, 3),
        )
    ]
    chromium = os.environ.get("MUSTER_CHROMIUM") or shutil.which("chromium")
    async with LivePage(manager, port=0) as shown, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=[*ARGUMENTS])
        page = await browser.new_page(viewport={"width": 1180, "height": 800})
        await page.goto(shown.url)
        await manager.start(workers=workers)
        while manager.board.counts[TaskStatus.COMPLETED] < DONE:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        await page.screenshot(path=PICTURE)
        await browser.close()
    await manager.stop()


asyncio.run(main())
