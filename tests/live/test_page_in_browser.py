"""The live page in a browser, with a real run behind it: workers that are processes, over Ceylon.

It needs a Chromium: the one that `MUSTER_CHROMIUM` names, or the one on the path. Where there is
none it is skipped, but not where `CI` or `MUSTER_BROWSER_REQUIRED` is set. Screenshots go into the
folder that `MUSTER_SCREENSHOTS` names.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from ..contrast import READABLE, contrasts_of
from .chromium import ARGUMENTS, find_chromium_or_skip

pytestmark = [pytest.mark.browser, pytest.mark.ceylon, pytest.mark.processes]

DEADLINE_S = 180
MUSTER = (sys.executable, "-m", "muster.agents.command")
LEAVES = """
import asyncio
from pathlib import Path
from muster.agents import Handlers

handlers = Handlers()


@handlers.task("weigh")
async def weigh(task):
    await asyncio.sleep(task.data["takes_s"])
    while task.data["waits"] and not Path("may-end").exists():
        await asyncio.sleep(0.05)
    return {"kg": 3.5 * task.data["lot"]}


@handlers.task("roll")
async def roll(task):
    raise ValueError("the leaf is too wet to be rolled")
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = find_chromium_or_skip()
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on which nothing goes wrong that its own scripts did not foresee."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda fault: faults.append(str(fault)))
    opened.set_default_timeout(DEADLINE_S * 1000)
    expect.set_options(timeout=DEADLINE_S * 1000)
    yield opened
    context.close()
    assert faults == []


@pytest.fixture
def keep(tmp_path: Path) -> Callable[[Page, str], None]:
    """Keeps what a page shows as a picture."""
    folder = Path(os.environ.get("MUSTER_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)

    def screenshot(shown: Page, name: str) -> None:
        shown.screenshot(path=folder / f"{name}.png")

    return screenshot


class Run:
    """A manager with a live page, and its workers, as processes in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[bytes]] = []
        (folder / "leaves.py").write_text(LEAVES)

    def manage(self, tasks: str, *more: str, workers: int = 2) -> str:
        """Start the manager; where its page is."""
        (self.folder / "tasks.jsonl").write_text(tasks)
        self.manager = self._start(
            *("manager", "--tasks", "tasks.jsonl", "--workers", str(workers), "--port", "0"),
            *("--ticket-file", "ticket", "--web", "0", *more),
        )
        deadline = time.monotonic() + DEADLINE_S
        while True:
            told = (self.folder / "manager").read_text()
            if found := re.search(r"live page: (\S+)", told):
                return found[1]
            assert time.monotonic() < deadline, f"no page was told: {told}"
            assert self.manager.poll() is None, told
            time.sleep(0.05)

    def employ(self, name: str, skill: int, slots: int = 1, *more: str) -> subprocess.Popen[bytes]:
        return self._start(
            *("worker", "--join", "ticket", "--name", name, "--skill", str(skill)),
            *("--slots", str(slots), "--handlers", "leaves", *more),
        )

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / arguments[0]).open("ab") as log:
            process = subprocess.Popen(
                [*MUSTER, *arguments], cwd=self.folder, stdout=log, stderr=log
            )
        self.started.append(process)
        return process


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(tmp_path)
    yield made
    for process in made.started:
        process.kill()
        process.wait(DEADLINE_S)


def weighings(count: int, takes_s: float, waiting_from: int | None = None) -> str:
    """So many tasks; those from a number on end only when the file `may-end` is there."""
    tasks = [
        {
            "id": lot,
            "description": f"Weigh the leaf of lot {lot}",
            "type": "weigh",
            "difficulty": 1 + lot % 6,
            "data": {
                "lot": lot,
                "takes_s": takes_s,
                "waits": waiting_from is not None and lot >= waiting_from,
            },
        }
        for lot in range(1, count + 1)
    ]
    return "".join(f"{json.dumps(task)}\n" for task in tasks)


def row(page: Page, task_id: str) -> Any:
    return page.locator(".row", has=page.locator(f".id:text-is('{task_id}')"))


@pytest.mark.slow
def test_a_run_is_seen_from_its_first_worker_to_its_last_task(
    page: Page, run: Run, keep: Callable[[Page, str], None]
) -> None:
    page.goto(run.manage(weighings(80, 0.05, waiting_from=40), "--web-linger", "300"))
    expect(page.locator("#state")).to_have_text("waiting for workers")
    expect(page.locator("#says")).to_contain_text("0 of 2 expected workers have joined")

    run.employ("Ada", 8, slots=2)
    expect(page.locator("#workers .name")).to_have_text(["Ada"])
    expect(page.locator("#says")).to_contain_text("1 of 2 expected workers have joined")
    run.employ("Ben", 7)
    expect(page.locator("#state")).to_have_text("running")
    expect(page.locator("#workers .name")).to_have_count(2)

    # One is added, with a slip first.
    page.keyboard.press("n")
    form = page.locator("#add-form")
    form.locator("[name=id]").fill("taste")
    form.locator("[name=description]").fill("Taste the Orange Pekoe")
    form.locator("[name=difficulty]").fill("11")
    form.locator("[name=priority]").fill("9")
    form.locator("[name=type]").fill("weigh")
    form.locator("[name=data]").fill('{"lot": 100, "takes_s": 0.1, "waits": false}')
    form.get_by_role("button", name="Add").click()
    expect(form.locator("label", has_text="Difficulty").locator("small")).to_have_text(
        "must be an integer from 1 to 10"
    )
    form.locator("[name=difficulty]").fill("2")
    form.get_by_role("button", name="Add").click()
    expect(page.locator("#adding")).to_be_hidden()

    # One that waits is cancelled, by keyboard and by its own panel.
    page.keyboard.press("/")
    page.keyboard.type("lot 79")
    page.locator("#tasks").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    panel = page.locator("#details")
    expect(panel.locator("#details-title")).to_have_text("Task 79")
    expect(panel.locator("#why")).to_contain_text("task 79 waits")
    panel.get_by_label("Priority").fill("-3")
    panel.get_by_role("button", name="Set").click()
    expect(panel.locator("#story")).to_contain_text("new priority: from 0 to -3")
    panel.get_by_role("button", name="Cancel task").click()
    expect(panel.locator("#details-status")).to_have_text("cancelled")
    keep(page, "live-details")
    page.keyboard.press("Escape")
    page.locator("#search").fill("")
    keep(page, "live-running")

    # The one that was added is found and done, when those that are under way have ended.
    (run.folder / "may-end").touch()
    page.locator("#search").fill("taste")
    expect(row(page, "taste").locator(".pill")).to_have_text("done")
    page.locator("#search").fill("")

    expect(page.locator("#state")).to_have_text("finished, 1 cancelled")
    expect(page.locator("#done")).to_have_text("80")
    expect(page.locator("#filters [data-status=cancelled] b")).to_have_text("1")
    expect(page.locator(".connection")).to_have_text("live")
    page.locator("#filters [data-status=completed]").click()
    page.locator(".row").first.click()
    expect(page.locator("#payloads")).to_contain_text('"kg": 3.5')
    keep(page, "live-finished")

    # Its manager ends, and the page keeps the last of it.
    run.manager.send_signal(signal.SIGINT)
    expect(page.locator("#banner")).to_contain_text("The manager is gone")
    expect(page.locator("#done")).to_have_text("80")


@pytest.mark.slow
def test_a_manager_that_dies_is_missed_and_its_successor_is_found(
    page: Page, run: Run, keep: Callable[[Page, str], None]
) -> None:
    url = run.manage(weighings(200, 0.2), workers=1)
    run.employ("Ada", 8)
    page.goto(url)
    expect(page.locator("#state")).to_have_text("running")
    run.manager.kill()
    expect(page.locator("#banner")).to_contain_text("The manager does not answer")
    expect(page.locator(".connection")).to_have_text("not connected")
    keep(page, "live-lost")

    port = url.rstrip("/").rpartition(":")[2]
    again = run.manage('{"id": "new", "description": "Of another run"}\n', "--web", port)
    assert again
    expect(page.locator(".connection")).to_have_text("live")
    expect(page.locator("#banner")).to_be_hidden()
    expect(row(page, "new")).to_be_visible()
    expect(page.locator("#state")).to_have_text("waiting for workers")


@pytest.mark.slow
def test_off_loopback_the_page_asks_for_the_secret_and_keeps_it_to_itself(
    page: Page, run: Run
) -> None:
    secret = run.folder / "secret"
    subprocess.run([*MUSTER, "secret", "--file", str(secret)], check=True)
    more = ("--secret-file", "secret", "--web-name", "localhost")
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto(run.manage('{"id": 1, "description": "x"}\n', *more))
    asking = page.locator("#asking")
    expect(asking).to_be_visible()
    page.locator("#secret").fill("wrong")
    page.get_by_role("button", name="Open").click()
    expect(asking.locator(".error")).to_have_text("the token is not the workspace's secret")
    page.locator("#secret").fill(secret.read_text().strip())
    page.get_by_role("button", name="Open").click()
    expect(page.locator(".connection")).to_have_text("live")
    expect(row(page, "1")).to_be_visible()
    page.reload()
    expect(page.locator(".connection")).to_have_text("live")
    assert not [url for url in requested if secret.read_text().strip() in url]
    assert secret.read_text().strip() not in (run.folder / "manager").read_text()


@pytest.mark.slow
def test_failures_are_found_at_a_glance_and_on_a_phone(
    page: Page, run: Run, keep: Callable[[Page, str], None]
) -> None:
    tasks = weighings(20, 0.02) + '{"id": "wet", "description": "Roll", "type": "roll"}\n'
    url = run.manage(tasks, "--web-linger", "300", workers=1)
    run.employ("Ada", 8)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(url)
    expect(page.locator("#state")).to_have_text("finished, 1 failed")
    page.locator("#filters [data-status=failed]").click()
    expect(page.locator(".row:visible")).to_have_count(1)
    expect(page.locator(".row:visible")).to_contain_text("the leaf is too wet to be rolled")
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
    keep(page, "live-phone")


@pytest.mark.slow
def test_costs_and_what_workers_have_shown_are_seen_and_readable(
    page: Page, run: Run, keep: Callable[[Page, str], None]
) -> None:
    tasks = weighings(20, 0.05) + "".join(
        f'{{"id": "r{lot}", "description": "Roll lot {lot}", "type": "roll", "difficulty": 2, '
        '"required_skills": {"rolling": 5}, "deadline": 600}\n'
        for lot in range(1, 7)
    )
    options = ("--policy", "adaptive", "--budget", "40", "--cost-unit", "EUR")
    page.goto(run.manage(tasks, *options, "--web-linger", "300"))
    run.employ("Ada", 8, 1, "--cost-per-task", "0.5", "--skill", "rolling=7")
    run.employ("Ben", 7, 1, "--cost-per-task", "0.25")
    expect(page.locator("#state")).to_have_text("finished, 6 failed")

    # 26 attempts at 0.25 or 0.5; those at Ben's and Ada's are told apart.
    expect(page.locator("#cost-label")).to_contain_text("of 40 EUR spent,")
    spent = float(page.locator("#cost").inner_text())
    costs = [float(text.split()[0]) for text in page.locator("#workers .cost").all_inner_texts()]
    assert sum(costs) == pytest.approx(spent)
    assert 26 * 0.25 <= spent <= 26 * 0.5

    table = page.locator("table.heat")
    expect(table.locator("thead th")).to_have_text(["Worker", "roll", "weigh", "skill rolling"])
    expect(table.locator("tbody th")).to_have_text(["Ada", "Ben"])
    results = 0
    for cell in table.locator("td:not(.none)").all():
        told = cell.inner_text()
        found = re.match(r"-?[\d.]+ ± [\d.]+\n\d+ % · (\d+) results?(\n|$)", told)
        assert found, told
        results += int(found[1])
    # Those of "rolling" are counted with their type, too.
    assert results >= 26

    for scheme, width in (("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 860})
        page.locator("#skills").scroll_into_view_if_needed()
        assert min(contrasts_of(table.locator("td, td b, td span, th"))) >= READABLE
        assert page.evaluate("document.documentElement.scrollWidth") == width
        keep(page, f"live-skills-{scheme}-{width}")

    page.locator("#search").fill("Roll lot 1")
    page.locator(".row").first.click()
    facts = page.locator("#facts")
    expect(facts).to_contain_text("rolling 5")
    expect(facts).to_contain_text("10 min 0 s after it was added")
    expect(facts).to_contain_text("EUR")


@pytest.mark.slow
def test_schedules_are_seen_with_their_outcomes_and_readable(
    page: Page, run: Run, keep: Callable[[Page, str], None]
) -> None:
    weighing = {"lot": 1, "takes_s": 0.0, "waits": False}
    schedules = [
        {"name": "pulse", "every_s": 0.5, "type": "weigh", "data": weighing},
        {"name": "rolling", "every_s": 0.5, "type": "roll", "tz": "Asia/Kolkata"},
        {"name": "nightly", "cron": "30 3 * * *", "tz": "Europe/Berlin", "type": "weigh"},
    ]
    (run.folder / "schedules.json").write_text(json.dumps(schedules))
    page.goto(run.manage(weighings(1, 0.01), "--schedules", "schedules.json", workers=1))
    run.employ("Ada", 8, 2)
    rows = page.locator("#schedules tbody tr")
    expect(rows).to_have_count(3)
    nightly, pulse, rolling = rows.all()
    expect(pulse).to_contain_text("done")
    expect(rolling).to_contain_text("failed")
    expect(nightly.locator("td").nth(0)).to_have_text("30 3 * * *")
    expect(nightly.locator("td").nth(2)).to_contain_text("03:30:00 CE")
    for scheme, width in (("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 860})
        page.locator("#schedules").scroll_into_view_if_needed()
        shown = page.locator("#schedules th, #schedules tbody tr:first-child td")
        assert min(contrasts_of(shown)) >= READABLE
        assert page.evaluate("document.documentElement.scrollWidth") == width
        keep(page, f"live-schedules-{scheme}-{width}")
