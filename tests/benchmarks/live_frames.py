"""How smooth the live page is: times between frames in Chromium, with many tasks and workers.

python tests/benchmarks/live_frames.py --tasks 10000 --workers 1000 --takes-s 10
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import time
from typing import Any

from muster.agents import Handlers, MemoryNetwork, TaskManager, WorkerAgent
from muster.agents.live import LivePage
from muster.messages import Task
from playwright.async_api import CDPSession, Page, async_playwright

ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")

RECORD = """async ([forMs, scrolls]) => {
  const box = document.getElementById("tasks");
  const took = [];
  let last = performance.now();
  const end = last + forMs;
  while (last < end) {
    if (scrolls) box.scrollTop = (box.scrollTop + 61) % box.scrollHeight;
    const at = await new Promise(requestAnimationFrame);
    took.push(performance.now() - last);
    last = performance.now();
  }
  return took.slice(2);
}"""

handlers = Handlers()


@handlers.task("leaf")
async def leaf(task: Task) -> None:
    """Take a little while."""
    await asyncio.sleep(task.data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--takes-s", type=float, default=0.05)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    asyncio.run(measure(options.tasks, options.workers, options.takes_s, options.seconds))


async def measure(count: int, staff: int, takes_s: float, seconds: float) -> None:
    tasks = [
        Task(id=n, description=f"Weigh the leaf of lot {n}", type="leaf", data=takes_s)
        for n in range(1, count + 1)
    ]
    network = MemoryNetwork()
    manager = TaskManager(tasks, staff, port=0, quiet=True)
    slots = max(64 // staff, 1)
    workers = [WorkerAgent(f"worker{n}", 9, slots=slots, handlers=handlers) for n in range(staff)]
    chromium = os.environ.get("MUSTER_CHROMIUM") or shutil.which("chromium")
    async with LivePage(manager, port=0) as shown, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=[*ARGUMENTS])
        page = await browser.new_page(viewport={"width": 1280, "height": 860})
        began = time.perf_counter()
        await page.goto(shown.url)
        await page.wait_for_selector(f"#shown:has-text('{count:,} tasks')")
        sys.stdout.write(f"opened in {time.perf_counter() - began:.2f} s\n")
        await _tell(page, "at rest", seconds, scrolls=False)
        await _tell(page, "scrolling", seconds, scrolls=True)
        for agent in (manager, *workers):
            _connect(agent, network)
            await agent.start()
        await page.wait_for_selector("#state:has-text('running')")
        before = manager.board.results
        await _tell(page, "tasks finish", seconds, scrolls=False)
        await _tell(page, "scrolling while tasks finish", seconds, scrolls=True)
        await page.fill("#search", "lot 1")
        await _tell(page, "searching, scrolling while tasks finish", seconds, scrolls=True)
        finished = len(manager.board.results) - len(before)
        sys.stdout.write(f"{finished / (3 * seconds):,.0f} tasks/s finished meanwhile\n")
        await browser.close()
    await manager.stop()


def _connect(agent: Any, network: MemoryNetwork) -> None:
    async def serve(*_: Any) -> None:
        await agent.serve_over(network.join(agent.name, agent.receive))

    agent.start_agent = serve


async def _tell(page: Page, doing: str, seconds: float, *, scrolls: bool) -> None:
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable", {"timeDomain": "threadTicks"})
    await session.send("Network.enable")
    received = 0

    def count_bytes(told: dict[str, Any]) -> None:
        nonlocal received
        received += told["dataLength"]

    session.on("Network.dataReceived", count_bytes)
    before = await _busy_s(session)
    took: list[Any] = sorted(await page.evaluate(RECORD, [1000 * seconds, scrolls]))
    busy = (await _busy_s(session) - before) / seconds
    late = sum(each > 50 for each in took)
    sys.stdout.write(
        f"{doing:<42} {len(took) / seconds:5.0f} frames/s  median {took[len(took) // 2]:5.1f} ms"
        f"  p95 {took[int(len(took) * 0.95)]:5.1f} ms  max {took[-1]:5.1f} ms  over 50 ms: {late}"
        f"  page busy {busy:.0%}  {received / seconds / 1000:,.0f} kB/s\n"
    )
    sys.stdout.flush()


async def _busy_s(session: CDPSession) -> float:
    """How many seconds the page's main thread has worked, whatever else the machine did."""
    told = await session.send("Performance.getMetrics")
    return next(each["value"] for each in told["metrics"] if each["name"] == "TaskDuration")


if __name__ == "__main__":
    main()
