"""Who is compared: Muster, and the peers that may be installed beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PEERS_FOLDER = Path(__file__).parents[1] / "peers"
REDIS_COMMAND = "redis-server"
NATS_COMMAND = "nats-server"
NATS_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
IS_INSTALLED = "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, sys.argv[1:])))"


@dataclass(frozen=True)
class Competitor:
    """One who is compared.

    Args:
        name: what it is called.
        script: its file in the folder of peers.
        modules: what must be importable.
        install: how to install that.
        is_ours: whether it is Muster.
        needs_redis: whether it needs a Redis server.
        needs_nats: whether it needs a NATS server.
        environment: what its script needs to know.
    """

    name: str
    script: str
    modules: tuple[str, ...]
    install: str
    is_ours: bool = False
    needs_redis: bool = False
    needs_nats: bool = False
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def path(self) -> Path:
        """Where its script is."""
        return PEERS_FOLDER / self.script


_MUSTER = {"script": "muster_peer.py", "modules": ("muster.agents",), "is_ours": True}
_PEERS_EXTRA = "pip install 'ceylon-muster[peers]'"
_REDIS = "apt-get install redis-server"

OURS = "muster"

COMPETITORS = (
    Competitor(name=OURS, install="pip install -e .", **_MUSTER),
    Competitor(
        name="muster+memory",
        install="pip install -e .",
        environment={"MUSTER_COMPARE_STORE": "memory"},
        **_MUSTER,
    ),
    Competitor(
        name="muster+sqlite",
        install="pip install -e .",
        environment={"MUSTER_COMPARE_STORE": "sqlite"},
        **_MUSTER,
    ),
    Competitor(
        name="muster+jetstream",
        install="pip install -e '.[nats]' && apt-get install nats-server",
        needs_nats=True,
        environment={"MUSTER_COMPARE_STORE": "jetstream"},
        **_MUSTER,
    ),
    Competitor(
        name="muster+nats",
        install="pip install -e '.[nats]' && apt-get install nats-server",
        needs_nats=True,
        environment={"MUSTER_WITHOUT_CEYLON": "1"},
        **_MUSTER,
    ),
    Competitor(
        "muster client",
        "muster_client_peer.py",
        ("muster.agents",),
        "pip install -e .",
        is_ours=True,
    ),
    Competitor("dask", "dask_peer.py", ("distributed",), _PEERS_EXTRA),
    Competitor("ray", "ray_peer.py", ("ray",), _PEERS_EXTRA),
    Competitor(
        "ray actors",
        "ray_peer.py",
        ("ray",),
        _PEERS_EXTRA,
        environment={"MUSTER_COMPARE_RAY": "actors"},
    ),
    Competitor(
        "dramatiq",
        "dramatiq_peer.py",
        ("dramatiq", "redis"),
        f"{_PEERS_EXTRA} && {_REDIS}",
        needs_redis=True,
    ),
    Competitor(
        "arq", "arq_peer.py", ("arq", "redis"), f"{_PEERS_EXTRA} && {_REDIS}", needs_redis=True
    ),
)


def why_left_out(competitor: Competitor, python: str) -> str | None:
    """Why a competitor can't take part, in words; None if it can.

    Args:
        competitor: who.
        python: the Python that would run it.
    """
    try:
        found = subprocess.run(
            [python, "-c", IS_INSTALLED, *competitor.modules],
            check=False,
            capture_output=True,
            timeout=60,
        )
    except OSError as fault:
        return f"{python!r} can't be run: {fault.strerror}"
    if found.returncode:
        return f"{python} has no {' and '.join(competitor.modules)}"
    if competitor.needs_redis and shutil.which(REDIS_COMMAND) is None:
        return f"there is no {REDIS_COMMAND} on the path"
    if competitor.needs_nats and shutil.which(NATS_COMMAND, path=NATS_PATH) is None:
        return f"there is no {NATS_COMMAND} on the path"
    return None
