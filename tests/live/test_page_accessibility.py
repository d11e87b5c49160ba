"""The live page is readable and operable in each of its states: checked by axe in a browser.

Screenshots go into the folder that `MUSTER_SCREENSHOTS` names; the browser is found as in
`test_page_in_browser.py`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from muster.agents import TaskContext
from muster.agents.live import LivePage
from muster.messages import Task, TaskStatus
from playwright.async_api import Page, async_playwright, expect

from .chromium import ARGUMENTS, find_chromium_or_skip

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Make = Callable[..., Any]
DEADLINE_MS = 180_000
LOOKS = [(scheme, size) for size in ((1280, 860), (390, 844)) for scheme in ("light", "dark")]


class Estate:
    """A manager whose tasks end when they are told to, and the page of its run."""

    def __init__(self, here: Any, web: LivePage, page: Page) -> None:
        self.here, self.web, self.page = here, web, page
        self.go_on = asyncio.Event()

    async def employ(self, *names: str, skill: int = 5, **options: Any) -> None:
        for name in names:
            worker = await self.here.employ(name, skill, **options)
            worker.task("weigh")(self._weigh)
            worker.task("roll")(self._roll)

    async def until(self, happens: Callable[[], bool]) -> None:
        async def wait() -> None:
            while not happens():
                await asyncio.sleep(0.02)

        await asyncio.wait_for(wait(), DEADLINE_MS / 1000)

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


@pytest.fixture
def estate(house: Make) -> Callable[..., Any]:
    @asynccontextmanager
    async def opened(**options: Any) -> AsyncIterator[Estate]:
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
            yield Estate(here, web, page)
            await browser.close()
            assert faults == []

    return opened


async def check(page: Page, name: str, folder: Path) -> None:
    """No violation of axe's rules, and nothing wider than the screen, in each look."""
    folder = Path(os.environ.get("MUSTER_SCREENSHOTS") or folder)
    folder.mkdir(parents=True, exist_ok=True)
    for scheme, (width, height) in LOOKS:
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await page.set_viewport_size({"width": width, "height": height})
        await page.wait_for_timeout(400)
        await page.screenshot(path=folder / f"live-{name}-{scheme}-{width}.png", full_page=True)
        found = await Axe().run(page)
        assert found.violations_count == 0, f"{name}, {scheme}, {width} px: {_describe(found)}"
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, name


def _describe(found: Any) -> str:
    return "\n".join(
        f"{each['id']}: {node['target']} {node.get('failureSummary')}\n  {node['html'][:200]}"
        for each in found.response["violations"]
        for node in each["nodes"][:6]
    )


async def test_an_empty_run_says_how_to_join(estate: Make, tmp_path: Path) -> None:
    async with estate() as here:
        await expect(here.page.locator("#workers-empty")).to_contain_text("muster worker --join")
        await check(here.page, "empty", tmp_path)


async def test_three_running_tasks(estate: Make, tmp_path: Path) -> None:
    async with estate() as here:
        await here.employ("Ada", "Ben", "Chitra", skill=8)
        for number in (1, 2, 3):
            task = Task(
                id=number,
                description=f"Weigh the leaf of lot {number}",
                type="weigh",
                priority=number,
                data="waits",
            )
            here.here.manager.add_task(task)
        await expect(here.page.locator("#filters [data-status=in_progress] b")).to_have_text("3")
        await expect(here.page.locator(".row .progress").first).to_have_text("40 %")
        await expect(here.page.locator("#kinds")).to_be_hidden()
        await check(here.page, "running", tmp_path)
        await here.page.goto(f"{here.web.url}#task=2")
        await expect(here.page.locator("#details-title")).to_have_text("Task 2")
        await here.page.reload()
        await expect(here.page.locator("#details-title")).to_have_text("Task 2")
        await check(here.page, "details", tmp_path)
        here.go_on.set()


async def test_two_thousand_tasks_with_failures_and_twenty_workers_to_the_end(
    estate: Make, tmp_path: Path
) -> None:
    options = {"quarantine_after": None, "reassign_failed": False}
    async with estate(policy="in_order", **options) as here:
        page, manager = here.page, here.here.manager
        names = [f"worker-{number:02}" for number in range(1, 21)]
        await here.employ(*names, skill=8, slots=4, cost_per_task=0.25)
        tasks = [_task_of(number) for number in range(1, 1999)]
        await manager.batch_assign_tasks(tasks, 500)
        hanging = Task(id="hangs", description="Weigh slowly", type="weigh", data="waits")
        last = Task(id="last", description="Sign it", type="weigh", depends_on=("hangs",))
        await manager.batch_assign_tasks([hanging, last])
        counts = manager.board.counts
        await here.until(lambda: counts[TaskStatus.COMPLETED] + counts[TaskStatus.FAILED] == 1998)
        await expect(page.locator("#filters [data-status=failed] b")).to_have_text("539")
        kinds = page.locator("#kinds .chip")
        await expect(kinds.first).to_have_text("ValueError 480")
        await expect(page).to_have_title("72 % done, 539 failed · task_manager")
        assert await page.locator("#icon").get_attribute("href") == "assets/icon-failed.svg"
        # All workers are seen at once, and the page does not scroll for them.
        in_sight = "list => [...list.children].filter(each => each.getBoundingClientRect().bottom"
        in_sight += " <= list.getBoundingClientRect().bottom + 1).length"
        assert await page.locator("#workers").evaluate(in_sight) == 20
        await check(page, "many", tmp_path)

        await page.set_viewport_size({"width": 1280, "height": 860})
        await kinds.filter(has_text="timed out").click()
        await expect(page.locator("#shown")).to_contain_text("19 of 2,000 tasks")
        await expect(page.locator(".row:visible .pill").first).to_have_text("timed out")
        await page.locator("#filters [data-status=failed]").click()
        await check(page, "errors", tmp_path)
        await page.set_viewport_size({"width": 1280, "height": 860})
        await kinds.first.click()
        await page.locator(".row:visible").first.click()
        await expect(page.locator("#details-fault")).to_contain_text("<b>the leaf</b> is too wet")
        assert await page.locator("#details-fault b").count() == 0
        await page.locator("#retry").click()
        await expect(page.locator("#story")).to_contain_text("begins anew: on the live page")
        await page.keyboard.press("Escape")
        await page.locator("#filters [data-status='']").click()
        await page.get_by_role("button", name="Try 539 failed again").click()
        record = manager.board.tasks[3]
        await here.until(lambda: record.former_attempts > 0)
        await here.until(lambda: counts[TaskStatus.FAILED] == 539)

        here.go_on.set()
        await here.until(lambda: not manager.board.unsettled)
        await manager.stop()
        await expect(page.locator("#state")).to_have_text("finished, 539 failed")
        await expect(page).to_have_title("✗ 1,461 of 2,000 done · task_manager")
        await expect(page.locator("#worker-count")).to_have_text("20 gone home")
        await expect(page.locator("#add")).to_be_hidden()
        await check(page, "ended", tmp_path)
        await here.web.__aexit__(None, None, None)
        await expect(page.locator("#state")).to_have_text("finished, 539 failed, offline")


async def test_a_stuck_run_says_what_it_lacks_and_foresees_no_end(
    estate: Make, tmp_path: Path
) -> None:
    async with estate(unmatched_after_s=None, policy="best_fit") as here:
        await here.employ("Ada", "Ben")
        hard = [
            Task(id=number, description="Judge the wither", difficulty=9, type="weigh")
            for number in range(1, 13)
        ]
        blocked = Task(id="after", description="Roll it", type="weigh", depends_on=(1,))
        await here.here.manager.batch_assign_tasks([*hard, blocked], 13)
        page = here.page
        await expect(page.locator("#state")).to_have_text("stuck")
        reason = (
            "12 waiting for a worker with skill 9; the best connected has 5; 1 waiting for these"
        )
        await expect(page.locator("#stuck")).to_have_text(f"Nothing goes on: {reason}.")
        await expect(page.locator("#left-label")).to_have_text("to go, stuck")
        await expect(page.locator(".row:visible .pill").first).to_have_text("nobody can")
        await expect(page.locator(".row:visible .pill").last).to_have_text("blocked")
        await check(page, "stuck", tmp_path)


async def test_a_page_whose_manager_is_gone_says_so_everywhere(
    estate: Make, tmp_path: Path
) -> None:
    async with estate() as here:
        await here.employ("Ada", "Ben")
        tasks = [
            Task(id=number, description="Weigh", type="weigh", data="waits") for number in (1, 2, 3)
        ]
        await here.here.manager.batch_assign_tasks(tasks)
        page = here.page
        await expect(page.locator("#filters [data-status=in_progress] b")).to_have_text("2")
        await here.web.__aexit__(None, None, None)
        await expect(page.locator("#state")).to_have_text("offline")
        await expect(page.locator("#worker-count")).to_have_text("2 connected when last heard")
        await expect(page.locator("#add")).to_be_hidden()
        await expect(page).to_have_title("offline · 0 % done · task_manager")
        await check(page, "offline", tmp_path)
        here.go_on.set()


def _task_of(number: int) -> Task:
    """Of each hundred 24 are too wet, 2 lack something, and 1 takes too long."""
    place = number % 100
    description = f"Weigh the leaf of lot {number}"
    if place >= 27:
        return Task(id=number, description=description, type="weigh", difficulty=1 + place % 7)
    data = "slow" if place == 0 else "lacks" if place in {1, 2} else None
    return Task(
        id=number,
        description=f"Roll lot {number}",
        type="roll",
        priority=place % 3,
        timeout=0.3 if data == "slow" else None,
        data=data,
    )
