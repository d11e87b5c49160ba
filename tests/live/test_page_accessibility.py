"""The live page is readable and operable in each of its states: checked by axe in a browser.

Screenshots go into the folder that `MUSTER_SCREENSHOTS` names; the browser is found as in
`test_page_in_browser.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from muster.messages import Task, TaskStatus
from playwright.async_api import expect

from .estate import open_estate

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Make = Callable[..., Any]
LONG = "unbroken" * 12
HOSTILE = ("<img src=x onerror=document.title='taken'>", "\u202egnp.exe \u05d0\u05d1\u05d2", LONG)


@pytest.fixture
def estate(house: Make, tmp_path: Path) -> Callable[..., Any]:
    return partial(open_estate, house, tmp_path)


async def test_a_run_from_its_empty_page_to_the_end_of_its_manager(estate: Make) -> None:
    async with estate() as here:
        page, manager = here.page, here.manager
        state, pills = page.locator("#state"), page.locator(".row:visible .pill")
        await expect(page.locator("#workers-empty")).to_contain_text("muster worker --join")
        await here.check("empty")

        await here.employ("Ada", "Ben", "Chitra", skill=8)
        for number in (1, 2, 3):
            description = f"Weigh the leaf of lot {number}"
            manager.add_task(
                Task(
                    id=number, description=description, type="weigh", priority=number, data="waits"
                )
            )
        await expect(page.locator("#filters [data-status=in_progress] b")).to_have_text("3")
        await expect(page.locator(".row .progress").first).to_have_text("40 %")
        await expect(page.locator("#kinds")).to_be_hidden()
        await page.goto(f"{here.web.url}#task=2")
        await expect(page.locator("#details-title")).to_have_text("Task 2")
        await page.reload()
        await expect(page.locator("#details-title")).to_have_text("Task 2")
        await page.keyboard.press("Escape")

        # Paused by its button: those that run go on, and what comes waits for the resumption.
        await page.get_by_role("button", name="Pause").click()
        await expect(state).to_have_text("Paused")
        manager.add_task(Task(id=4, description="Roll it", type="weigh"))
        await expect(pills.last).to_have_text("paused")
        # A worker is drained in a dialog, which says what that means before it is done.
        await page.get_by_role("button", name="Ben").click()
        dialog = page.get_by_role("dialog", name="Worker Ben")
        await expect(dialog).to_contain_text("It has begun 1 task.")
        await here.check("draining")
        await page.get_by_role("button", name="Drain, and it stays").click()
        ben = page.locator("#workers li", has_text="Ben")
        await expect(ben).to_contain_text("draining")
        await here.check("paused")
        assert [each.drain is None for each in manager.board.workers.values()] == [
            True,
            False,
            True,
        ]
        await page.get_by_role("button", name="Resume").click()
        await expect(state).to_have_text("running")
        assert not manager.is_paused
        await page.get_by_role("button", name="Ben").click()
        await page.get_by_role("button", name="Give it tasks again").click()
        await expect(ben).not_to_contain_text("draining")
        await page.get_by_role("button", name="Ben").click()
        await page.get_by_role("button", name="Drain, and it leaves").click()
        here.go_on.set()
        await expect(page.locator("#worker-count")).to_have_text("2 connected")

        here.go_on.clear()
        manager.add_task(Task(id=5, description="Weigh", type="weigh", data="waits"))
        await expect(page.locator("#filters [data-status=in_progress] b")).to_have_text("1")
        await here.web.__aexit__(None, None, None)
        await expect(state).to_have_text("offline")
        await expect(page.locator("#worker-count")).to_have_text("2 connected when last heard")
        for hidden in ("#add", "#pause"):
            await expect(page.locator(hidden)).to_be_hidden()
        await expect(page).to_have_title("offline · 80 % done · task_manager")
        await here.check("offline")
        here.go_on.set()


async def test_what_tasks_wait_for_and_names_from_outside_are_readable_on_every_card(
    estate: Make,
) -> None:
    options = {"unmatched_after_s": None, "budget": 1_000.0, "cost_unit": "EUR"}
    async with estate(policy="adaptive", **options) as here:
        page, manager = here.page, here.manager
        models = [*HOSTILE, *(f"model-{number:02}" for number in range(50))]
        types = [*HOSTILE, *(f"type-{number:02}" for number in range(20))]
        await here.employ(*HOSTILE, skill=8, slots=2, types=types)
        lacks = {"required_skills": {HOSTILE[0]: 9}, "strict": True}
        hard = [Task(id=f"hard {number}", type="weigh", **lacks) for number in (1, 2)]
        await manager.batch_assign_tasks(hard)
        manager.add_task(Task(id="after", type="weigh", depends_on=("hard 1",)))
        await expect(page.locator("#state")).to_have_text("stuck")
        await expect(page.locator("#stuck")).to_contain_text(
            "Nothing goes on: 2 waiting for a worker"
        )
        await expect(page.locator("#stuck")).to_contain_text("; 1 waiting for these.")
        await expect(page.locator("#left-label")).to_have_text("to go, stuck")
        for card in ("skills", "costs", "schedules"):
            await expect(page.locator(f"#{card}")).to_be_hidden()
        await here.check("stuck")

        pondered = [
            Task(
                id=f"{number} {models[number % 53]}"[:200],
                type=types[number % 23],
                description=models[number % 53],
                data=models[number % 53],
            )
            for number in range(106)
        ]
        await manager.batch_assign_tasks(pondered)
        for each in HOSTILE:
            manager.schedule(
                each[:60].lstrip("\u202e"), every_s=3600.0, make=lambda due: Task(type="weigh")
            )
            question = {"text": f"Publish {each}?", "choices": [each[:60], "no"], "expires_s": 3e4}
            manager.add_task(Task(id=each, type="publish", description=each, data=question))
        manager.add_task(Task(id="later", type="weigh", not_before=30_000.0))
        await here.until(lambda: manager.board.counts[TaskStatus.COMPLETED] == 106)

        tables = page.locator("#costs-tables table")
        await expect(tables.first).to_be_visible()
        await expect(tables.first.locator("tbody tr")).to_have_count(20)
        await expect(page.locator("#costs-tables")).to_contain_text("and 33 more models")
        await expect(page.locator("#costs-tables")).to_contain_text("and 3 more types")
        await page.locator("#search").fill("publish")
        row = page.locator(".row:visible").first
        await expect(row.locator(".pill")).to_have_text("suspended")
        await expect(row).to_contain_text("waits for a person: Publish <img src=x")
        await expect(row).to_contain_text(", until ")
        await page.locator("#search").fill("")
        for kind, task in (("delayed", "later"), ("blocked", "after"), ("nobody can", "hard")):
            await page.locator("#kinds .chip", has_text=kind).click()
            await expect(page.locator(".row:visible").first).to_contain_text(task)
            await expect(page.locator(".row:visible .pill").first).to_have_text(kind)
            await page.locator("#kinds .chip", has_text=kind).click()
        await here.check("cards")
        # Nor does a name turn the words beside it.
        assert "\u202e" not in await page.locator("main").inner_text()
        # Texts twice as large: nothing is wider than the screen.
        await page.evaluate("document.documentElement.style.fontSize = '200%'")
        await here.check("large", by_axe=False)
        assert await page.locator("main img").count() == 0
        assert "taken" not in await page.title()


async def test_two_thousand_tasks_with_failures_and_twenty_workers_to_the_end(
    estate: Make,
) -> None:
    options = {"quarantine_after": None, "reassign_failed": False}
    async with estate(policy="in_order", **options) as here:
        page, manager = here.page, here.manager
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
        # All workers are seen at once, and the page does not scroll for them. On a busy machine one
        # may hold a slot for a while after its cancel, which takes a line more.
        end = "workers.getBoundingClientRect().bottom + 1"
        is_seen = f"each => each.getBoundingClientRect().bottom <= {end}"
        all_are = f"list.length === 20 && list.every({is_seen})"
        await page.wait_for_function(
            f"() => {{ const list = [...workers.children]; return {all_are} }}"
        )
        await here.check("many")

        await kinds.filter(has_text="timed out").click()
        await expect(page.locator("#shown")).to_contain_text("19 of 2,000 tasks")
        await expect(page.locator(".row:visible .pill").first).to_have_text("timed out")
        await page.locator("#filters [data-status=failed]").click()
        await here.check("errors")
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
        await here.check("ended")
        await here.web.__aexit__(None, None, None)
        await expect(page.locator("#state")).to_have_text("finished, 539 failed, offline")


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
