"""Every error that Muster raises, as one small tree.

```
MusterError
├── LocalError                 something on our side is wrong: the caller can mend it
│   ├── InvalidTask            a task, or a list of tasks, that cannot be accepted
│   │   ├── DuplicateTask      two tasks of one id
│   │   ├── DifferentTask      a task that a store knows with another content
│   │   ├── UnknownDependency  a task that depends on one nobody has added
│   │   └── DependencyCycle    tasks that wait for one another
│   ├── UnknownTask            an id that no task has
│   ├── UnreadableTask         a task of a state file that can't be read; the others can
│   ├── RunEnded               a run that ended before a task was settled, or added
│   ├── IllegalTransition      a task asked to do what its state does not allow
│   │   └── NotTheHolder       a task asked for by an agent that does not hold it
│   ├── UnknownName            a policy, scenario, handler or task type that does not exist
│   ├── InvalidInput           a file, ticket or argument that cannot be used
│   │   ├── InvalidTrace       a file that is not a trace, or a damaged one
│   │   └── InvalidDiagram     a diagram with what is not known here, or that can't be checked
│   ├── StoreUnusable          a store that can't be opened, read or written
│   │   ├── StoreBusy          a store whose lock another process did not give back in time
│   │   ├── StoreCorrupt       a store whose content is not what it should be
│   │   └── StoreLost          a store whose files were deleted or replaced while it was used
│   ├── BlobUnusable           a blob that can't be written or read, or the place for it
│   │   ├── BlobMissing        a blob that is not there
│   │   └── BlobCorrupt        a blob whose content is not what was put into it
│   ├── PortInUse              the port to listen on belongs to somebody else
│   ├── WrongCall              arguments that do not fit what was called
│   ├── EncodeError            a value that msgpack cannot carry
│   ├── BacklogFull            more messages than may wait for one peer
│   ├── UnknownPeer            a peer with whom no conversation is open
│   ├── Deadlock               virtual time in which nothing can happen any more
│   ├── NotConnected           a worker whom no manager answers
│   ├── WorkersMissing         expected workers that did not come in time
│   ├── AssigningFailed        a manager's own method that hands out tasks, and did not
│   ├── ExtraMissing           packages that are only installed on request
│   ├── MeasurementFailed      figures that did not come about
│   └── AddressRefused         an address that may not be fetched from
├── PeerError                  something a peer sent or decided
│   ├── DecodeError            bytes that are not a message of ours
│   ├── JoinRefused            the manager does not want this worker
│   └── WrongSecret            manager and member do not seal their frames with the same secret
└── WebError                   something on the web did not give what was asked
    ├── PageUnavailable        a page that can't be had, or not within the limits
    ├── RobotsForbid           a page whose site asks robots to stay away
    ├── BackendFailed          SuperAGI or a language model that failed
    ├── DownloadFailed         a file that can't be had whole, or not within the limits
    └── SearchFailed           a search engine without an answer
```

Local errors are raised to the caller. Peer errors never leave a network handler: they are
counted, logged once a kind, and dropped; only a member that can't get in raises `JoinRefused` or
`WrongSecret`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum


class MusterError(Exception):
    """Root of all errors that Muster raises."""


class LocalError(MusterError):
    """Something on our side is wrong, and whoever called can mend it."""


class InvalidTask(LocalError):
    """A task, or a list of tasks, that cannot be accepted."""


class DuplicateTask(InvalidTask):
    """A task whose id is taken."""


class DifferentTask(InvalidTask):
    """A task that a resumed run knows under the same id, with another content."""


class UnknownDependency(InvalidTask):
    """A task that depends on, or is a child of, a task that nobody has added."""


class DependencyCycle(InvalidTask):
    """Tasks that wait for one another, so that none of them can ever start."""


class UnknownTask(LocalError):
    """An id that no task has."""


class UnreadableTask(LocalError):
    """A task of a state file that can't be read; it stays as it is there, and the others go on."""


class RunEnded(LocalError):
    """A run that has ended, so that a task is never settled, or can't be added."""


class IllegalTransition(LocalError):
    """A task was asked to do what its state does not allow; the message tells its story."""


class NotTheHolder(IllegalTransition):
    """A task was asked for by an agent that does not hold it; the message tells who does."""


class UnknownName(LocalError):
    """A name that is not among the known ones, which the message lists.

    Args:
        what: what the name was to be a name of, such as "policy".
        name: the name as it was given.
        known: the names that would have done.
    """

    def __init__(self, what: str, name: object, known: Iterable[str]) -> None:
        self.what = what
        self.name = name
        self.known = tuple(sorted(known))
        listed = ", ".join(self.known) or "none"
        super().__init__(f"there is no {what} {name!r}; known: {listed}")


class InvalidInput(LocalError):
    """A file, ticket or argument that cannot be used."""


class InvalidTrace(InvalidInput):
    """A file that is not the trace of a run, or a damaged one; the message tells file and line."""


class InvalidDiagram(InvalidInput):
    """A diagram with syntax that is not known here, or with what can't be checked.

    Args:
        line: the line of the file, from 1.
        problem: what is wrong there, in words.
        file: the file, or "".
    """

    def __init__(self, line: int, problem: str, file: str = "") -> None:
        self.line = line
        self.problem = problem
        self.file = file
        where = f"{file}:{line}" if file else f"line {line}"
        super().__init__(f"{where}: {problem}")


class StoreUnusable(LocalError):
    """A store that can't be opened, read or written; the message says why, and what to do."""


class StoreBusy(StoreUnusable):
    """A store whose lock was not to be had in time; the message tells who has it, if known."""


class StoreCorrupt(StoreUnusable):
    """A store whose content is not what it should be; it is untouched, and a copy is kept.

    Args:
        message: what is wrong with it, and what to do.
        copy: the path of the copy; None if none could be made.
    """

    def __init__(self, message: str, copy: str | None = None) -> None:
        self.copy = copy
        super().__init__(message)


class StoreLost(StoreUnusable):
    """A store whose files were deleted or replaced while it was in use; what it held was saved.

    Args:
        message: which file, and where the rest is now.
        copy: the path of the file that has all that was kept; None if it could not be saved.
    """

    def __init__(self, message: str, copy: str | None = None) -> None:
        self.copy = copy
        super().__init__(message)


class BlobUnusable(LocalError):
    """Large data that can't be put into a blob, or got from one; the message says why."""


class BlobMissing(BlobUnusable):
    """A blob that is not there: it was deleted, or never was."""


class BlobCorrupt(BlobUnusable):
    """A blob whose content is not what was put into it."""


class PortInUse(LocalError):
    """The port to listen on belongs to somebody else."""

    def __init__(self, port: int, protocol: str = "UDP") -> None:
        self.port = port
        super().__init__(
            f"{protocol} port {port} is already in use; stop what listens there, "
            "or choose another port (0 takes any free one)"
        )


class WrongCall(LocalError, TypeError):
    """Arguments that do not fit what was called: too many, or one given twice."""


class EncodeError(LocalError):
    """A value that msgpack cannot carry, or that is too large for a frame."""


class BacklogFull(LocalError):
    """More messages than may wait for one peer; it hears nothing, or is given too much."""


class UnknownPeer(LocalError):
    """A message for a peer with whom no conversation is open."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        super().__init__(f"no conversation with {peer!r} is open; open one before posting to it")


class Deadlock(LocalError):
    """In virtual time nothing is ready, no timer is set, and so nothing can happen any more."""


class WorkersMissing(LocalError):
    """Expected workers did not come before the deadline, and the run was told to need them."""


class AssigningFailed(LocalError):
    """A manager's own `assign_tasks` or matching raised, or handed out nothing; says which."""


class NotConnected(LocalError, ConnectionError):
    """A worker whom no manager answers."""

    def __init__(self, worker: str, status: str) -> None:
        self.worker = worker
        super().__init__(
            f"worker {worker!r} is not connected to a manager, but {status.lower()}; start it, or "
            "see with `muster doctor --join TICKET` whether its manager is there"
        )


class PeerError(MusterError):
    """Something that a peer sent or decided."""


class Flaw(str, Enum):
    """What was wrong with bytes that could not be decoded; the key under which they are counted."""

    PICKLE = "pickle"
    GARBAGE = "garbage"
    VERSION = "version"
    OVERSIZED = "oversized"
    UNKNOWN_KIND = "unknown_kind"
    INVALID = "invalid"
    UNSEALED = "unsealed"
    WRONG_SECRET = "wrong_secret"  # noqa: S105 - the name of a counter
    REPLAYED = "replayed"
    STALE_SESSION = "stale_session"
    FORGED_SENDER = "forged_sender"

    @property
    def is_usual(self) -> bool:
        """Whether it comes by itself.

        Links double frames, managers restart, and plain Ceylon agents of the same workspace pickle.
        """
        return self in {Flaw.REPLAYED, Flaw.STALE_SESSION, Flaw.PICKLE}


class DecodeError(PeerError):
    """Bytes that are not a message of ours.

    Args:
        flaw: the kind of fault, for counters.
        detail: what exactly was wrong, in words.
    """

    def __init__(self, flaw: Flaw, detail: str) -> None:
        self.flaw = flaw
        self.detail = detail
        super().__init__(f"{flaw.value}: {detail}")


class JoinRefused(PeerError):
    """The manager does not want this worker; the message gives its reason."""


class WrongSecret(PeerError):
    """Manager and member do not seal their frames with the same secret; says what to do."""


class ExtraMissing(LocalError):
    """Packages that are only installed on request are not there.

    Args:
        what: what wants them, such as "scraping".
        packages: the modules that could not be found.
        extra: the extra of ceylon-muster that brings them.
    """

    def __init__(self, what: str, packages: Iterable[str], extra: str) -> None:
        self.extra = extra
        missing = ", ".join(packages)
        super().__init__(
            f"{what} needs {missing}, not installed here; run: pip install 'ceylon-muster[{extra}]'"
        )


class AddressRefused(LocalError):
    """An address that may not be fetched from, such as one of a private network."""


class MeasurementFailed(LocalError):
    """What was to be measured did not come about; the message says why."""


class WebError(MusterError):
    """Something on the web did not give what was asked of it."""


class PageUnavailable(WebError):
    """A page that can't be had, or not within the limits; the message says why."""


class RobotsForbid(WebError):
    """A page whose site asks robots to stay away from it."""


class BackendFailed(WebError):
    """SuperAGI or a language model failed; the message says how."""


class DownloadFailed(WebError):
    """A file that can't be had whole, or not within the limits; the message says why."""


class SearchFailed(WebError):
    """A search engine gave no answer that can be used; the message says why."""
