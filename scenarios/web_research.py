"""Web research: scrapes and summarizes twelve pages, and compiles one digest.

```mermaid
sequenceDiagram
    participant TM as TaskManager
    participant Wren as Wren (skill 5, scrape_page, 2 slots)
    participant Iris as Iris (skill 5, summarize_text, 2 slots)
    participant Otto as Otto (skill 5, compile_digest)

    par Connect
        Wren->>TM: Connect
        Iris->>TM: Connect
        Otto->>TM: Connect
    end
    loop twelve pages, two of them at once
        alt
            TM->>Wren: TaskAssignment(scrape_page)
            Note over Wren: one polite request after the other
        else a page gives title, author, date, text and links
            Wren->>TM: TaskResult(scrape_page, success=true)
        else its summary can begin
            TM->>Iris: TaskAssignment(summarize_text)
        else and takes two sentences
            Iris->>TM: TaskResult(summarize_text, success=true)
        end
    end
    Note over Otto: all summaries come along
    TM->>Otto: TaskAssignment(compile_digest)
    Otto->>TM: TaskResult(compile_digest, success=true)
    Note over TM: Success rate: 100%
    par Shut down
        TM->>Wren: Shutdown
        TM->>Iris: Shutdown
        TM->>Otto: Shutdown
    end
```

Each type of task is too difficult for all but the worker with that specialty: Wren scrapes, Iris
summarizes, Otto compiles. The scenario serves the pages itself on this machine, so it needs no
network. It needs the extra `web`: `pip install 'ceylon-muster[web]'`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from ..agents.execution.handlers import Handlers, TaskContext
from ..agents.manager.task_manager import TaskManager
from ..agents.runtime.ports import LOOPBACK
from ..agents.runtime.private_file import write_private
from ..agents.web import FetchLimits, Summary, web_handlers
from ..agents.web.backends import WEB_PACKAGES, require_packages
from ..agents.worker.specialized_worker import SpecializedWorker
from ..agents.worker.worker_agent import WorkerAgent
from ..messages import InvalidInput, Task
from .scenario import ManagerSeen, Scenario, perform
from .tea_review import Article, TeaReview

if TYPE_CHECKING:
    from ..agents.report.model import RunReport
    from ..agents.web.fetching import Fetcher

DIGEST = "digest"
SENTENCES = 2
SKILL = 5
WITH_SPECIALTY = SKILL + 2
"""A difficulty that only a specialist can do."""


class WebResearch(Scenario):
    """Scrapes a small website, summarizes its pages, and writes one Markdown digest."""

    takes: ClassVar[str] = "FILE.md: where to write the digest (it is printed)"
    talks_over_sockets: ClassVar[bool] = True

    def __init__(self, time_scale: float = 1.0, arguments: Sequence[str] = ()) -> None:
        super().__init__(time_scale, arguments)
        if len(self.arguments) > 1:
            raise InvalidInput(f"web_research takes one file, not {len(self.arguments)}")
        self.file = Path(self.arguments[0]) if self.arguments else None
        self.site = TeaReview()

    @override
    async def play(self, *, processes: bool = False, seen: ManagerSeen | None = None) -> RunReport:
        """Play it while the website is served."""
        if processes:
            raise InvalidInput(
                "web_research can't be played with --processes: its workers share one fetcher, "
                "which sends one request after the other"
            )
        with self.site:
            return await super().play(seen=seen)

    @override
    def manager(self) -> TaskManager:
        """One task to scrape each page, one to summarize it, and one for the digest."""
        tasks = [task for article in self.site.articles for task in self._tasks_of(article)]
        digest = Task(
            id=DIGEST,
            description="Compile the digest",
            difficulty=WITH_SPECIALTY,
            type="compile_digest",
            depends_on=tuple(_summary_id(article) for article in self.site.articles),
        )
        return TaskManager([*tasks, digest], expected_workers=3, port=0, quiet=True)

    def _tasks_of(self, article: Article) -> tuple[Task, Task]:
        page = Task(
            id=f"page {article.slug}",
            description=f"Scrape {article.slug}",
            difficulty=WITH_SPECIALTY,
            type="scrape_page",
            data={"url": self.site.address_of(article)},
        )
        summary = Task(
            id=_summary_id(article),
            description=f"Summarize {article.slug}",
            difficulty=WITH_SPECIALTY,
            type="summarize_text",
            data={"sentences": SENTENCES},
            depends_on=(page.id,),
        )
        return page, summary

    @override
    def workers(self) -> list[WorkerAgent]:
        """Three workers with all handlers, each with one specialty.

        Raises:
            ExtraMissing: the extra `web` is not installed.
        """
        handlers = web_handlers(fetcher=_fetcher())
        handlers.update(digesting)
        return [
            SpecializedWorker("Wren", SKILL, ["scrape_page"], handlers=handlers, slots=2),
            SpecializedWorker("Iris", SKILL, ["summarize_text"], handlers=handlers, slots=2),
            SpecializedWorker("Otto", SKILL, ["compile_digest"], handlers=handlers),
        ]

    @override
    def conclusion(self, report: RunReport) -> str:
        """The digest, or the file that it was written to."""
        digest = next(task.output for task in report.tasks if task.id == DIGEST)
        if not isinstance(digest, str):
            return ""
        if self.file is None:
            return digest
        try:
            write_private(self.file, digest.encode())
        except OSError as fault:
            raise InvalidInput(f"the digest can't be written to {self.file}: {fault}") from None
        return f"the digest is in {self.file}"


digesting = Handlers()


@digesting.task("compile_digest")
def compile_digest(task: Task, context: TaskContext) -> str:
    """Compile the summaries that the task depends on into one Markdown text."""
    del task
    summaries = [Summary.model_validate(output) for output in context.inputs.values()]
    parts = [f"# Digest of {len(summaries)} pages"]
    for summary in summaries:
        sources = ", ".join(f"<{source}>" for source in summary.sources)
        parts += [
            f"## {summary.title or 'Without a title'}",
            summary.text,
            f"*{sources}; written by {summary.written_by.value}*",
        ]
    return "\n\n".join(parts) + "\n"


def _fetcher() -> Fetcher:
    require_packages("web_research", WEB_PACKAGES, "web")
    from ..agents.web.fetching import Fetcher  # noqa: PLC0415 - it needs the extra

    # The site is the scenario's own, so it needs no pauses.
    return Fetcher(FetchLimits(pause_s=0.0), allow=[LOOPBACK])


def _summary_id(article: Article) -> str:
    return f"summary {article.slug}"


if __name__ == "__main__":
    perform(WebResearch)
