"""An agent in its own process: takes tasks until none is left, and records what it did.

Run as `python agent_process.py STATE_FILE DIARY AGENT_ID TIMEOUT_HOURS`.
"""

from __future__ import annotations

import os
import sys
import time

from muster.agents import StateFileTaskManager

PAUSE_S = 0.05


def main() -> None:
    state_file, diary, agent_id, timeout_hours = sys.argv[1:]
    manager = StateFileTaskManager(
        state_file,
        lock_timeout=60,
        task_timeout_hours=float(timeout_hours),
        survives_power_loss=False,
    )
    notes = os.open(diary, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(what: str, task_id: str) -> None:
        os.write(notes, f"{what} {task_id} {agent_id}\n".encode())

    while True:
        task = manager.get_next_task(agent_id)
        if task is None:
            counts = manager.get_status_summary()["status_counts"]
            if not counts["pending"] + counts["in_progress"]:
                return
            # What is left is held by others, who may have been killed.
            time.sleep(PAUSE_S)
            continue
        note("took", task["id"])
        is_recorded = manager.complete_task(task["id"], agent_id, result_data={"by": agent_id})
        note("completed" if is_recorded else "lost", task["id"])


if __name__ == "__main__":
    main()
