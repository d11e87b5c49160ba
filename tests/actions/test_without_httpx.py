"""Who has no httpx has everything but the background actions, and is told how to get them."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
sys.modules["httpx"] = None
import muster.agents
from muster.messages import ExtraMissing
try:
    import muster.agents.actions
except ExtraMissing as fault:
    print(fault)
"""


def test_agents_need_no_httpx_and_the_actions_name_the_extra() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, timeout=180, check=True
    )
    assert "needed for the background actions: httpx" in ran.stdout
    assert "pip install 'ceylon-muster[web]'" in ran.stdout
