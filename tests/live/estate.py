"""A manager whose tasks end when they are told to, and its page in a browser, checked by axe.

Screenshots go into the folder that `MUSTER_SCREENSHOTS` names.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.async_playwright import Axe
from muster.agents import TaskContext
from muster.agents.live import LivePage
from muster.messages import Task
from playwright.async_api import Page, async_playwright, expect

from .chromium import ARGUMENTS, find_chromium_or_skip

DEADLINE_MS = 180_000
LOOKS = [(scheme, size) for size in ((1280, 860), (390, 844)) for scheme in ("light", "dark")]


class Estate:
    """A manager, the page of its run, and workers with handlers for all that a page shows."""

    def __init__(self, here: Any, web: LivePage, page: Page, folder: Path) -> None:
        self.here, self.web, self.page = here, web, page
        self.manager = here.manager
        self.go_on = asyncio.Event()
        self._folder = Path(os.environ.get("MUSTER_SCREENSHOTS") or folder)

    async def employ(
        self, *names: str, skill: int = 5, types: Iterable[str] = (), **options: Any
    ) -> None:
        """Employ workers, which have tasks of some further types that use a model."""
        for name in names:
            worker = await self.here.employ(name, skill, **options)
            for handler in (self._weigh, self._roll, self._publish, self._write):
                worker.task(handler.__name__.removeprefix("_"))(handler)
            for each in types:
                worker.task(each)(self._ponder)

    async def until(self, happens: Callable[[], bool]) -> None:
        async def wait() -> None:
            while not happens():
                await asyncio.sleep(0.02)

        await asyncio.wait_for(wait(), DEADLINE_MS / 1000)

    async def check(self, name: str, *, by_axe: bool = True) -> None:
        """No violation of axe's rules, and nothing wider than the screen, in each look."""
        page = self.page
        self._folder.mkdir(parents=True, exist_ok=True)
        for scheme, (width, height) in LOOKS:
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await page.set_viewport_size({"width": width, "height": height})
            await page.wait_for_timeout(400)
            file = self._folder / f"live-{name}-{scheme}-{width}.png"
            await page.screenshot(path=file, full_page=True)
            if by_axe:
                found = await Axe().run(page)
                look = f"{name}, {scheme}, {width} px"
                assert found.violations_count == 0, f"{look}: {_describe(found)}"
            if await page.evaluate("document.documentElement.scrollWidth") > width:
                raise AssertionError(f"{name}, {width} px: {await page.evaluate(_TOO_WIDE)}")
        await page.set_viewport_size({"width": 1280, "height": 860})

    async def _weigh(self, task: Task, context: TaskContext) -> str:
        if task.data == "waits":
            context.progress(40, "half of it")
            await self.go_on.wait()
        return "3.5 kg"

    async def _roll(self, task: Task) -> None:
        match task.data:
            case "slow":
                await asyncio.sleep(DEADLINE_MS)
            case "lacks":
                raise KeyError(task.description)
            case _:
                raise ValueError("<b>the leaf</b> is too wet to be rolled")

    async def _publish(self, task: Task, context: TaskContext) -> str:
        return await context.ask(**task.data)

    async def _write(self, task: Task, context: TaskContext) -> AsyncGenerator[Any, None]:
        for word in ("<b>Once</b> ", "upon ", "a ", "time"):
            yield f"{word}"
        if context.attempt == 1:
            await self.go_on.wait()
            raise ConnectionError("the model is away")
        yield {"tokens": 4}

    async def _ponder(self, task: Task, context: TaskContext) -> None:
        context.cost(0.25)
        context.usage(str(task.data), 1_000, 100)


@asynccontextmanager
async def open_estate(
    house: Callable[..., Any], folder: Path, **options: Any
) -> AsyncIterator[Any]:
    """A manager with its page open in a browser, in which nothing may go wrong unforeseen."""
    chromium = find_chromium_or_skip()
    async with (
        house(**options) as here,
        LivePage(here.manager, port=0) as web,
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = await browser.new_page(viewport={"width": 1280, "height": 860})
        page.set_default_timeout(DEADLINE_MS)
        expect.set_options(timeout=DEADLINE_MS)
        faults: list[str] = []
        page.on("pageerror", lambda fault: faults.append(str(fault)))
        await page.goto(web.url)
        await expect(page.locator(".connection")).to_have_text("live")
        yield Estate(here, web, page, folder)
        await browser.close()
        assert faults == []


_TOO_WIDE = """[...document.querySelectorAll("body *")]
  .filter(each => each.getBoundingClientRect().right > innerWidth)
  .filter(each => !each.parentElement.closest(".wide"))
  .map(each => `${each.tagName}#${each.id}.${each.className}`).slice(0, 9).join(" ")"""


def _describe(found: Any) -> str:
    return "\n".join(
        f"{each['id']}: {node['target']} {node.get('failureSummary')}\n  {node['html'][:200]}"
        for each in found.response["violations"]
        for node in each["nodes"][:6]
    )
