"""The tree of all errors that Muster raises.

```
MusterError
├── LocalError                 an error on this side, which the caller can fix
│   ├── InvalidTask            a task, or a list of tasks, is invalid
│   │   ├── DuplicateTask      a different task with this id exists already
│   │   │   └── DifferentTask  the store has a different task with this id
│   │   ├── UnknownDependency  a task depends on an unknown task
│   │   └── DependencyCycle    tasks depend on each other in a cycle
│   ├── UnknownTask            no task has this id
│   │   └── ResultForgotten    a task had this id, and was forgotten
│   ├── UnreadableTask         one task of a state file can't be read
│   ├── TaskFailed             a task failed, and its output was asked for
│   ├── RunEnded               the run ended before the task was settled or added
│   ├── IllegalTransition      the task's status does not allow this transition
│   │   └── NotTheHolder       the agent does not hold the task's lease
│   ├── Rejected               a reviewer rejects the result of another worker
│   ├── UnknownName            no policy, scenario, handler or task type has this name
│   ├── InvalidInput           a file, ticket or argument is invalid
│   │   ├── InvalidTrace       the file is not a trace, or is damaged
│   │   └── InvalidDiagram     the diagram is not supported or can't be checked
│   ├── StoreUnusable          the store can't be opened, read or written
│   │   ├── StoreBusy          another process held the store's lock for too long
│   │   ├── StoreCorrupt       the store is damaged
│   │   └── StoreLost          the store's files were deleted or replaced during use
│   ├── BlobUnusable           a blob can't be written or read
│   │   ├── BlobMissing        the blob does not exist
│   │   └── BlobCorrupt        the blob's content has changed
│   ├── CeylonUnusable         Ceylon is not installed, or left out
│   ├── NatsUnusable           a NATS server can't be used as asked
│   ├── PortInUse              another program uses the port
│   ├── WrongCall              the arguments do not match the called function
│   ├── WrongOutput            a function returned something else than it declares
│   ├── MemoryLimit            a process used too much memory during its task
│   ├── EncodeError            the value has no plain form
│   ├── BacklogFull            too many messages are queued for one peer
│   ├── UnknownPeer            no stream to this peer is open
│   ├── Deadlock               virtual time can't advance: nothing is scheduled
│   ├── NotConnected           the worker is not connected to a manager
│   ├── ManagerUnavailable     no manager has answered in time
│   ├── WorkersMissing         expected workers did not join in time
│   ├── AssigningFailed        the manager's overridden assignment method failed
│   ├── ExtraMissing           the packages of an extra are not installed
│   ├── MeasurementFailed      a benchmark could not measure
│   └── AddressRefused         the address rules forbid a connection to this address
├── PeerError                  an error in what a peer sent or decided
│   ├── DecodeError            the bytes are not a Muster message
│   ├── JoinRefused            the manager refused this worker
│   └── WrongSecret            manager and worker have different secrets
└── WebError                   a web page or web service failed; see `web_errors`
```

Local errors are raised to the caller. Peer errors never leave a network handler: they are counted,
logged once for each kind, and dropped. Only an agent that can't join raises `JoinRefused` or
`WrongSecret`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum


class MusterError(Exception):
    """Root of all errors that Muster raises."""


class LocalError(MusterError):
    """An error on this side of the network, which the caller can fix."""


class InvalidTask(LocalError):
    """A task, or a list of tasks, is invalid."""


class DuplicateTask(InvalidTask):
    """A different task with this id exists already; the message names the fields that differ."""


class DifferentTask(DuplicateTask):
    """A resumed run has a different task with this id."""


class UnknownDependency(InvalidTask):
    """A task depends on, or is a child of, a task that does not exist."""


class DependencyCycle(InvalidTask):
    """Tasks depend on each other in a cycle, so none of them can start."""


class UnknownTask(LocalError):
    """No task has this id."""


class ResultForgotten(UnknownTask):
    """A task was forgotten with its result; the message says when, and how long it was kept."""


class UnreadableTask(LocalError):
    """A task of a state file can't be read. It stays in the file unchanged; other tasks run."""


class TaskFailed(LocalError):
    """A task failed, and its output was asked for.

    Where the handler's traceback is known, it is also the text of `__cause__`, so that Python shows
    it above this error.

    Args:
        task_id: the task's id.
        error_message: why, as "kind: detail".
        traceback: the traceback in the handler as text, or None.
        worker: the worker of the last attempt, or "".
        attempts: how many attempts there were.
    """

    def __init__(
        self,
        task_id: int | str,
        error_message: str,
        traceback: str | None = None,
        worker: str = "",
        attempts: int = 1,
    ) -> None:
        # All arguments, so that it can be pickled.
        super().__init__(task_id, error_message, traceback, worker, attempts)
        self.task_id = task_id
        self.error_message = error_message
        self.error_type = error_message.partition(": ")[0]
        self.traceback = traceback
        self.worker = worker
        self.attempts = attempts
        if traceback is not None:
            self.__cause__ = _RemoteTraceback(traceback)

    def __str__(self) -> str:
        """The task, the attempt, the worker and the error, on one line."""
        place = f" in attempt {self.attempts} at {self.worker}" if self.worker else ""
        return f"task {self.task_id!r} failed{place}: {self.error_message}"


class AnswerExpired(LocalError):
    """Nobody has answered the question of a handler in time, and it has no default answer."""


class _RemoteTraceback(Exception):
    """Has the traceback of another process as its text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class RunEnded(LocalError):
    """The run has ended, so the task will not be settled or can't be added."""


class RunHandedOver(RunEnded):
    """This manager has handed its run over to another one, which leads it now."""


class IllegalTransition(LocalError):
    """The task's status does not allow this transition; the message contains its history."""


class NotTheHolder(IllegalTransition):
    """The agent does not hold the task's lease; the message says which agent does."""


class Rejected(LocalError):
    """A reviewer rejects the result of another worker; its text is the reason."""


class UnknownName(LocalError):
    """A name is unknown; the message lists the known names.

    Args:
        what: what the name refers to, such as "policy".
        name: the unknown name.
        known: the valid names.
    """

    def __init__(self, what: str, name: object, known: Iterable[str]) -> None:
        self.what = what
        self.name = name
        self.known = tuple(sorted(known))
        listed = ", ".join(self.known) or "none"
        from difflib import get_close_matches  # noqa: PLC0415 - few programs need it

        similar = get_close_matches(str(name), self.known, n=1)
        question = f"did you mean {similar[0]!r}? " if similar else ""
        super().__init__(f"there is no {what} {name!r}; {question}known: {listed}")


class InvalidInput(LocalError):
    """A file, ticket or argument is invalid.

    Args:
        message: what is wrong, or of what there are several problems.
        problems: several problems, each for a line of its own.
    """

    def __init__(self, message: str = "", *problems: str) -> None:
        self.lines = (message, *problems)
        super().__init__("\n  ".join(self.lines))


class UserModuleFailed(InvalidInput):
    """A user's module can't be loaded; the message contains the reason, the file and the line.

    `__cause__` is the exception that ended it.
    """


class InvalidTrace(InvalidInput):
    """The file is not a trace, or is damaged; the message contains the file and line."""


class InvalidDiagram(InvalidInput):
    """A diagram has unsupported syntax, or content that can't be checked.

    Args:
        line: the line number in the file, from 1.
        problem: a description of the problem.
        file: the path of the file, or "".
    """

    def __init__(self, line: int, problem: str, file: str = "") -> None:
        self.line = line
        self.problem = problem
        self.file = file
        where = f"{file}:{line}" if file else f"line {line}"
        super().__init__(f"{where}: {problem}")


class _ServerError(LocalError):
    """`may_pass`: it may work later without a change, since a server does not answer."""

    def __init__(self, message: str, *, may_pass: bool = False) -> None:
        self.may_pass = may_pass
        super().__init__(message)


class StoreUnusable(_ServerError):
    """The store can't be opened, read or written; the message says why, and what to do."""


class StoreBusy(StoreUnusable):
    """Another process held the store's lock for too long; the message names it, if known."""


class StoreTaken(StoreUnusable):
    """Another manager has opened the store since, so this one can write nothing any more."""


class StoreCorrupt(StoreUnusable):
    """The store is damaged. Muster leaves it unchanged and makes a copy.

    Args:
        message: what is wrong, and what to do.
        copy: the path of the copy; None if it could not be made.
    """

    def __init__(self, message: str, copy: str | None = None) -> None:
        self.copy = copy
        super().__init__(message)


class StoreLost(StoreUnusable):
    """The store's files were deleted or replaced during use. Muster saves the content elsewhere.

    Args:
        message: which file was lost, and where the content is now.
        copy: the path of the file with the saved content; None if it could not be saved.
    """

    def __init__(self, message: str, copy: str | None = None) -> None:
        self.copy = copy
        super().__init__(message)


class BlobUnusable(LocalError):
    """A blob can't be written or read; the message says why."""


class BlobMissing(BlobUnusable):
    """The blob does not exist: it was deleted or never written."""


class BlobCorrupt(BlobUnusable):
    """The blob's content differs from what was written."""


class CeylonUnusable(LocalError):
    """Ceylon is not installed, has no build for this platform, or is left out of this process."""


class NatsUnusable(_ServerError):
    """A NATS server can't be reached or used as asked; the message says why, and what to change."""


class PortInUse(LocalError):
    """Another program uses the port."""

    def __init__(self, port: int, protocol: str = "UDP") -> None:
        self.port = port
        super().__init__(
            f"{protocol} port {port} is already in use; stop the program that uses it, "
            "or choose another port (0 takes any free one)"
        )


class WrongCall(LocalError, TypeError):
    """The arguments do not match the called function; the message names each fault.

    A task that fails with it is not tried again: no worker could call the function with its data.
    """


class WrongOutput(LocalError, TypeError):
    """A function returned something else than it declares; the message has both and the rule."""


class MemoryLimit(LocalError):
    """A process used too much memory in its task and was killed; says how much, and the limit."""


class EncodeError(LocalError):
    """The value has no plain form, or it is too large for a frame; names the place."""


class BacklogFull(LocalError):
    """Too many messages are queued for one peer: it does not receive, or too much is sent."""


class UnknownPeer(LocalError):
    """There is no open stream to this peer."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        super().__init__(f"no stream to {peer!r} is open; open one before you send to it")


class Deadlock(LocalError):
    """Virtual time can't advance: no callback is ready and no timer is set."""


class WorkersMissing(LocalError):
    """Expected workers did not join in time, and the run requires them."""


class AssigningFailed(LocalError):
    """An overridden `assign_tasks` or matching method raised or assigned nothing."""


class NotConnected(LocalError, ConnectionError):
    """The worker is not connected to a manager."""

    def __init__(self, worker: str, status: str) -> None:
        self.worker = worker
        super().__init__(
            f"worker {worker!r} is not connected to a manager, its status is {status!r}; start it, "
            "or check its manager with `muster doctor --join TICKET`"
        )


class ManagerUnavailable(LocalError, TimeoutError):
    """No manager has answered in time; the message says where it was looked for."""


class PeerError(MusterError):
    """An error in what a peer sent or decided."""


class Flaw(str, Enum):
    """Why bytes could not be decoded; each reason has its own counter."""

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
        """Whether this also happens in normal operation.

        The network duplicates frames, managers restart, and plain Ceylon agents in the same
        workspace send pickles.
        """
        return self in {Flaw.REPLAYED, Flaw.STALE_SESSION, Flaw.PICKLE}


class DecodeError(PeerError):
    """Bytes are not a Muster message.

    Args:
        flaw: the reason, for counters.
        detail: a description of the problem.
    """

    def __init__(self, flaw: Flaw, detail: str) -> None:
        self.flaw = flaw
        self.detail = detail
        super().__init__(f"{flaw.value}: {detail}")


class JoinRefused(PeerError):
    """The manager refused this worker; the message contains its reason."""


class WrongSecret(PeerError):
    """Manager and worker have different secrets; the message says what to do."""


class ExtraMissing(LocalError):
    """The packages of an extra are not installed.

    Args:
        what: the feature that needs them, such as "scraping".
        packages: the missing modules.
        extra: the extra of ceylon-muster that installs them.
    """

    def __init__(self, what: str, packages: Iterable[str], extra: str) -> None:
        self.extra = extra
        missing = ", ".join(packages)
        super().__init__(
            f"not installed, but needed for {what}: {missing}; "
            f"run: pip install 'ceylon-muster[{extra}]'"
        )


class AddressRefused(LocalError):
    """The address rules forbid a connection to this address, such as one of a private network."""


class MeasurementFailed(LocalError):
    """A benchmark could not measure; the message says why."""
