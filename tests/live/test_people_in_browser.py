"""A person answers questions on the live page, and watches the output of a task as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from muster.agents import TaskContext
from muster.agents.live import LivePage
from muster.messages import Task
from playwright.async_api import Page, async_playwright, expect

from .chromium import ARGUMENTS, find_chromium_or_skip
from .test_page_accessibility import DEADLINE_MS, check

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Make = Callable[..., Any]


@pytest.fixture
def opened(house: Make) -> Callable[..., Any]:
    """A manager, a worker whose handlers ask and yield, and the page of the run."""

    @asynccontextmanager
    async def open_page() -> AsyncIterator[tuple[Any, Page, asyncio.Event]]:
        chromium = find_chromium_or_skip()
        go_on = asyncio.Event()
        async with (
            house() as here,
            LivePage(here.manager, port=0) as web,
            async_playwright() as playwright,
        ):
            worker = await here.employ("Ada", 8, slots=2)

            @worker.task("publish")
            async def publish(task: Task, context: TaskContext) -> str:
                return await context.ask(**task.data)

            @worker.task("write")
            async def write(task: Task, context: TaskContext) -> AsyncGenerator[Any, None]:
                for word in ("<b>Once</b> ", "upon ", "a ", "time"):
                    yield f"{word}"
                if context.attempt == 1:
                    await go_on.wait()
                    raise ConnectionError("the model is away")
                yield {"tokens": 4}

            browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
            page = await browser.new_page(viewport={"width": 1280, "height": 860})
            page.set_default_timeout(DEADLINE_MS)
            expect.set_options(timeout=DEADLINE_MS)
            faults: list[str] = []
            page.on("pageerror", lambda fault: faults.append(str(fault)))
            await page.goto(web.url)
            await expect(page.locator(".connection")).to_have_text("live")
            yield here, page, go_on
            await browser.close()
            assert faults == []

    return open_page


async def test_a_person_answers_on_the_page(opened: Make, tmp_path: Path) -> None:
    async with opened() as (here, page, _):
        manager = here.manager
        await expect(page.locator("#questions")).to_be_hidden()
        publish = {"text": "Publish <i>all</i> of it?", "choices": ["yes, now", "no"]}
        chosen = manager.submit_nowait(Task(id=1, type="publish", data=publish))
        free = manager.submit_nowait(Task(id="b 2", type="publish", data={"text": "Which title?"}))
        items = page.locator("#questions li")
        await expect(items).to_have_count(2)
        await expect(items.first).to_contain_text("Task 1 asks: Publish <i>all</i> of it?")
        await expect(page.locator(".row .pill").first).to_have_text("running")
        await check(page, "questions", tmp_path)
        await page.set_viewport_size({"width": 1280, "height": 860})
        await items.first.get_by_role("link").click()
        await expect(page.locator("#why")).to_contain_text("waits for a person: Publish")
        await page.keyboard.press("Escape")

        await items.first.get_by_role("button", name="yes, now").click()
        await expect(items).to_have_count(1)
        assert (await asyncio.wrap_future(chosen)).output == "yes, now"
        field = items.first.get_by_role("textbox")
        await field.fill("Tea & leaves")
        await field.press("Enter")
        await expect(page.locator("#questions")).to_be_hidden()
        assert (await asyncio.wrap_future(free)).output == "Tea & leaves"

        await page.locator(".row", has_text="1").first.click()
        told = "answered Ada: 'yes, now' by somebody on the live page"
        await expect(page.locator("#story")).to_contain_text(told)


async def test_a_person_watches_a_stream(opened: Make, tmp_path: Path) -> None:
    async with opened() as (here, page, go_on):
        here.manager.add_task(Task(id=1, type="write", max_attempts=2))
        await page.locator(".row").first.click()
        shown = page.locator("#parts pre")
        await expect(shown).to_have_text("<b>Once</b> upon a time")
        assert await shown.locator("b").count() == 0
        await expect(page.locator("#details-status")).to_have_text("running")
        await check(page, "stream", tmp_path)
        go_on.set()
        await expect(shown).to_contain_text('<b>Once</b> upon a time{"tokens":4}')
        await expect(page.locator("#parts p")).to_have_text("attempt 2")
        await expect(page.locator("#details-status")).to_have_text("done")
        await page.keyboard.press("Escape")
        await expect(page.locator("#parts")).to_be_hidden()
