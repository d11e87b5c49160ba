"""The platforms that Ceylon runs on: it is distributed as builds only, without sources."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass

BUILDS = (
    "Linux on x86_64 with glibc 2.31 or newer, macOS, and Windows on amd64, for Python 3.10 to 3.13"
)
"""The platforms of Ceylon 0.23, as far as Muster supports them."""

_OLDEST_GLIBC = (2, 31)
_OLDEST_PYTHON = (3, 10)
_NEWEST_PYTHON = (3, 13)
_X86_64 = frozenset({"x86_64", "amd64"})


@dataclass(frozen=True, slots=True)
class Platform:
    """A machine and its Python, as far as it matters for builds.

    Args:
        system: such as "Linux", "Darwin" or "Windows".
        machine: such as "x86_64" or "aarch64".
        libc: the C library's name and version, such as "glibc" and "2.36"; both may be blank.
        python: Python's version, such as (3, 12).
    """

    system: str
    machine: str
    libc: tuple[str, str]
    python: tuple[int, int]

    @classmethod
    def here(cls) -> Platform:
        """The platform of this process."""
        version = (sys.version_info.major, sys.version_info.minor)
        return cls(platform.system(), platform.machine(), platform.libc_ver(), version)

    def __str__(self) -> str:
        libc = " ".join(part for part in self.libc if part)
        python = ".".join(str(part) for part in self.python)
        told = f"{self.system} on {self.machine}" + (f" with {libc}" if libc else "")
        return f"{told}, Python {python}"


def why_unsupported(where: Platform) -> str | None:
    """Why Ceylon can't run on a platform; None if it should run."""
    if not _OLDEST_PYTHON <= where.python <= _NEWEST_PYTHON:
        return "its Python is too old" if where.python < _OLDEST_PYTHON else "its Python is too new"
    match where.system:
        case "Darwin":
            return None
        case "Windows" | "Linux" if where.machine.lower() not in _X86_64:
            return f"there is no build for {where.machine}"
        case "Linux":
            name, version = where.libc
            if name != "glibc":
                return f"its C library is {name or 'not glibc'}"
            if _numbers(version) < _OLDEST_GLIBC:
                return f"its glibc is {version}"
            return None
        case "Windows":
            return None
        case _:
            return f"there is no build for {where.system or 'it'}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
