"""The functions and classes that forked processes know because they were forked with them.

Pickle names functions and classes by module and name. That is not enough for a lambda, for a
function within another, and for `__main__`, whose names may be bound to something else by now. Such
an object travels as its number in this table, which each process that is forked inherits.
"""

from __future__ import annotations

import importlib
import io
import pickle
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from multiprocessing.reduction import ForkingPickler
from types import FunctionType
from typing import Any

MAX_UNUSED = 1_000
"""How many objects are kept that no call needs any more, in case the next one does."""


class FunctionTable:
    """Numbers functions and classes of this program, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[int, object] = {}
        self._numbers: dict[int, int] = {}
        self._uses: Counter[int] = Counter()
        self.count = 0
        """The number that the next new object gets."""

    def hold(self, thing: object) -> int:
        """The number of an object, which is kept until `release`."""
        with self._lock:
            number = self._numbers.get(id(thing))
            if number is None:
                number = self._numbers[id(thing)] = self.count
                self._objects[number] = thing
                self.count += 1
            self._uses[number] += 1
            return number

    def release(self, numbers: Iterable[int]) -> None:
        """Undo `hold`; of the objects that nobody holds, the latest are kept."""
        with self._lock:
            for number in numbers:
                self._uses[number] -= 1
                if not self._uses[number]:
                    del self._uses[number]
            surplus = len(self._objects) - len(self._uses) - MAX_UNUSED
            if surplus > 0:
                unused = [number for number in self._objects if number not in self._uses]
                for number in unused[: surplus + MAX_UNUSED // 10]:
                    del self._numbers[id(self._objects.pop(number))]

    def find(self, number: int) -> object:
        """The object of a number.

        Raises:
            KeyError: there is none any more.
        """
        return self._objects[number]

    def number_of(self, thing: object) -> int | None:
        """The number of an object, if it has one."""
        return self._numbers.get(id(thing))

    def forget_lock(self) -> None:
        """Begin anew in a forked process, where another thread may seem to hold the lock."""
        self._lock = threading.Lock()


functions = FunctionTable()
"""The table of this process."""


class CallPickler(ForkingPickler):
    """Pickles a call for a forked process, or what it returns.

    Args:
        file: takes the bytes.
        adds: whether objects may be added to the table; in a forked process they may not.
    """

    def __init__(self, file: io.BytesIO, *, adds: bool) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._adds = adds
        self.held: list[int] = []
        """The numbers of the objects that were pickled; the caller releases them."""

    def reducer_override(self, thing: object) -> Any:
        """Reduce functions and classes that have no name of their own to their numbers."""
        if not isinstance(thing, FunctionType | type) or is_importable(thing):
            return NotImplemented
        if self._adds:
            number = functions.hold(thing)
            self.held.append(number)
        else:
            found = functions.number_of(thing)
            if found is None:
                return NotImplemented
            number = found
        return functions_find, (number,)


def functions_find(number: int) -> object:
    """The object of a number in the table of this process."""
    return functions.find(number)


def is_importable(thing: FunctionType | type) -> bool:
    """Whether a name in a module, which any process can import, means this function or class."""
    if thing.__module__ == "__main__":
        return False
    try:
        found: object = sys.modules.get(thing.__module__) or importlib.import_module(
            thing.__module__
        )
        for name in thing.__qualname__.split("."):
            found = getattr(found, name)
    except (AttributeError, ImportError, TypeError, ValueError):
        # Pickle knows some of the types that have no name, such as that of None.
        return isinstance(thing, type) and thing.__module__ == "builtins"
    return found is thing
