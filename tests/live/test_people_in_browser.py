"""A person answers questions on the live page, and watches the output of a task as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muster.messages import Task
from playwright.async_api import expect

from .estate import open_estate

pytestmark = [pytest.mark.browser, pytest.mark.slow]


async def test_a_person_answers_questions_and_watches_a_stream(
    house: Callable[..., Any], tmp_path: Path
) -> None:
    async with open_estate(house, tmp_path) as here:
        page, manager = here.page, here.manager
        await here.employ("Ada", skill=8, slots=2)
        await expect(page.locator("#questions")).to_be_hidden()
        publish = {"text": "Publish <i>all</i> of it?", "choices": ["yes, now", "no"]}
        chosen = manager.submit_nowait(Task(id=1, type="publish", data=publish))
        free = manager.submit_nowait(Task(id="b 2", type="publish", data={"text": "Which title?"}))
        items = page.locator("#questions li")
        await expect(items).to_have_count(2)
        await expect(items.first).to_contain_text("Task 1 asks: Publish <i>all</i> of it?")
        await expect(page.locator(".row .pill").first).to_have_text("suspended")
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
        await page.keyboard.press("Escape")

        manager.add_task(Task(id="story", type="write", max_attempts=2))
        await page.locator(".row", has_text="story").click()
        shown = page.locator("#parts pre")
        await expect(shown).to_have_text("<b>Once</b> upon a time")
        assert await shown.locator("b").count() == 0
        await expect(page.locator("#details-status")).to_have_text("running")
        await here.check("stream")
        here.go_on.set()
        await expect(shown).to_contain_text('<b>Once</b> upon a time{"tokens":4}')
        await expect(page.locator("#parts p")).to_have_text("attempt 2")
        await expect(page.locator("#details-status")).to_have_text("done")
        await page.keyboard.press("Escape")
        await expect(page.locator("#parts")).to_be_hidden()
