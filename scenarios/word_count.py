"""Word count: worker processes count the words of a folder of texts, one task for each file.

```mermaid
sequenceDiagram
    participant TM as TaskManager
    participant Ada as Ada (skill 10, 2 slots)
    participant Ben as Ben (skill 6, 2 slots)
    participant Cleo as Cleo (skill 6, 2 slots)

    par Connect
        Ada->>TM: Connect
        Ben->>TM: Connect
        Cleo->>TM: Connect
    end
    loop every text, the longest first
        alt who has a free slot is given one
            TM->>Ada: TaskAssignment(count_words)
        else
            TM->>Ben: TaskAssignment(count_words)
        else
            TM->>Cleo: TaskAssignment(count_words)
        else and hands in what it has counted
            Ada->>TM: TaskResult(count_words, success=true)
        else
            Ben->>TM: TaskResult(count_words, success=true)
        else
            Cleo->>TM: TaskResult(count_words, success=true)
        end
    end
    Note over TM: Success rate: 100%
    par Shut down
        TM->>Ada: Shutdown
        TM->>Ben: Shutdown
        TM->>Cleo: Shutdown
    end
```

The text is sent inside the task, so the workers need no access to the folder. `muster run
word_count FOLDER` counts the `.txt` and `.md` files of a folder of your own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypedDict, cast

from ..agents.execution.handlers import Handlers, TaskContext
from ..agents.manager.task_manager import TaskManager
from ..agents.worker.worker_agent import WorkerAgent
from ..messages import InvalidInput, Task
from .scenario import Scenario, perform

if TYPE_CHECKING:
    from ..agents.report.model import RunReport

SHIPPED_TEXTS = Path(__file__).with_name("texts")
SUFFIXES = (".txt", ".md")
LARGEST_TEXT_BYTES = 4 * 1024 * 1024
LINES_BETWEEN_REPORTS = 1_000
LETTERS_OF_A_WORD_WORTH_NAMING = 4

handlers = Handlers()


class WordTally(TypedDict):
    """The counts of one text."""

    words: int
    lines: int
    commonest: list[tuple[str, int]]


@handlers.task("count_words")
def count_words(task: Task, context: TaskContext) -> WordTally:
    """Count the words and lines of one text, and find its most common longer words."""
    lines = str(task.data["text"]).splitlines()
    counts: Counter[str] = Counter()
    for number, line in enumerate(lines, start=1):
        counts.update(word.strip(".,;:!?()\"'`*#").lower() for word in line.split())
        if number % LINES_BETWEEN_REPORTS == 0:
            context.progress(100 * number / len(lines), f"line {number}")
            if context.is_cancelled:
                break
    longer = Counter(
        {word: n for word, n in counts.items() if len(word) > LETTERS_OF_A_WORD_WORTH_NAMING}
    )
    return WordTally(words=counts.total(), lines=len(lines), commonest=longer.most_common(50))


class WordCount(Scenario):
    """Counts the words of a folder of texts on three worker processes."""

    takes: ClassVar[str] = "FOLDER: a folder of .txt and .md files (the texts shipped with it)"
    has_worker_processes: ClassVar[bool] = True

    def __init__(self, time_scale: float = 1.0, arguments: Sequence[str] = ()) -> None:
        super().__init__(time_scale, arguments)
        if len(self.arguments) > 1:
            raise InvalidInput(f"word_count takes one folder, not {len(self.arguments)}")
        self.folder = Path(self.arguments[0]) if self.arguments else SHIPPED_TEXTS

    def manager(self) -> TaskManager:
        """A task for each text; a longer text is a more difficult task.

        Raises:
            InvalidInput: the folder does not exist, or has no texts that can be read.
        """
        return TaskManager(
            _tasks_of(self.folder),
            expected_workers=["Ada", "Ben", "Cleo"],
            port=0,
            join_timeout_s=120,
            on_missing="start",
            quiet=True,
        )

    def workers(self) -> list[WorkerAgent]:
        """Three workers with two slots each."""
        return [
            WorkerAgent("Ada", skill_level=10, slots=2, handlers=handlers),
            WorkerAgent("Ben", skill_level=6, slots=2, handlers=handlers),
            WorkerAgent("Cleo", skill_level=6, slots=2, handlers=handlers),
        ]

    def conclusion(self, report: RunReport) -> str:
        """The totals of all texts."""
        tallies = [cast("WordTally", each.output) for each in report.tasks if each.success]
        commonest: Counter[str] = Counter()
        for tally in tallies:
            for word, count in tally["commonest"]:
                commonest[word] += count
        favourites = ", ".join(f"{word} {count}" for word, count in commonest.most_common(5))
        words = sum(tally["words"] for tally in tallies)
        lines = sum(tally["lines"] for tally in tallies)
        counted = f"{words:,} words on {lines:,} lines in {len(tallies)} texts"
        return f"{counted}; commonest: {favourites}"


def _tasks_of(folder: Path) -> list[Task]:
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is not a folder; name a folder with .txt or .md files")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise InvalidInput(f"{folder} has no .txt or .md files; name a folder that has some")
    sizes = [path.stat().st_size for path in files]
    return [_task_of(path, min(sizes), max(sizes)) for path in files]


def _task_of(path: Path, shortest_bytes: int, longest_bytes: int) -> Task:
    size = path.stat().st_size
    share = (size - shortest_bytes) / max(longest_bytes - shortest_bytes, 1)
    if size > LARGEST_TEXT_BYTES:
        raise InvalidInput(
            f"{path} has {size:,} bytes; the limit for a text is {LARGEST_TEXT_BYTES:,}"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as fault:
        where = f"{fault.reason} at byte {fault.start}"
        raise InvalidInput(f"{path} is not UTF-8 text: {where}") from None
    return Task(
        id=path.stem,
        description=f"Count {path.name}",
        difficulty=1 + round(9 * share),
        type="count_words",
        data={"text": text},
    )


if __name__ == "__main__":
    perform(WordCount)
