"""Overhead of the DAG over its stages' seconds, on the running stack: scheduling, container, result.

    python -m benchmarks.stage_overhead [RUN_ID]        # without RUN_ID, a small run on the sample is triggered first

Per stage: the wait since its last upstream task ended, and its task's seconds minus the seconds that the stage reports.
"""

import re
import secrets
import statistics
import sys
from datetime import datetime
from typing import Any

from foundry_tasks.contract.stages import inputs_in
from tests.containers.stack import SMALL, Stack

BAR_S = 2.5
DAG = "foundry_train"
DONE = re.compile(r"(?:done|reused) stage=\S+ seconds=([\d.]+)")


def main() -> None:
    stack = Stack()
    run = sys.argv[1] if len(sys.argv) > 1 else triggered(stack)
    tasks = [task for task in stack.tasks(DAG, run) if task["state"] == "success"]
    ended = {
        task["task_id"]: max(moment(one, "end_date") for one in tasks if one["task_id"] == task["task_id"])
        for task in tasks
    }
    overheads = []
    print(f"{'stage':<12}{'waited':>8}{'task':>8}{'stage':>8}{'overhead':>10}   seconds")
    for task in sorted(tasks, key=lambda task: task["start_date"]):
        own = DONE.search(stack.log(DAG, run, task["task_id"], task["try_number"], task["map_index"]))
        upstream = [ended[name] for name in inputs_in(DAG, task["task_id"]) if name in ended] if own else []
        if not own or not upstream:
            continue
        waited = (moment(task, "start_date") - max(upstream)).total_seconds()
        seconds = float(own[1])
        overheads.append(waited + task["duration"] - seconds)
        print(f"{task['task_id']:<12}{waited:>8.2f}{task['duration']:>8.2f}{seconds:>8.2f}{overheads[-1]:>10.2f}")
    print(f"p50 {statistics.median(overheads):.2f} s a stage, bar {BAR_S} s; worst {max(overheads):.2f} s")


def triggered(stack: Stack) -> str:
    run = f"overhead-{secrets.token_hex(3)}"
    stack.trigger(DAG, SMALL, run)
    stack.wait(DAG, run)
    return run


def moment(task: dict[str, Any], name: str) -> datetime:
    return datetime.fromisoformat(task[name])


if __name__ == "__main__":
    main()
