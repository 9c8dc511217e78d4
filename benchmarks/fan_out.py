"""Gain of splitting the models stage into mapped tasks: measured on two cores, computed for more cores.

    python -m benchmarks.fan_out DATA_FOLDER        # the five-year set: three horizons, three models, five folds, one seed

Every shard is a process with one thread. Each is run alone, which gives its cost; then two in parallel, in Airflow's order.
For more cores the time is computed from the costs: a free core takes the next shard. The computation is checked against the
measured time on two cores. Stored in fan_out.json and shown in docs/growth.md.
"""

import argparse
import heapq
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args

from benchmarks.growth_page import FAN_OUT, write_page
from benchmarks.markets import FIVE_YEAR
from benchmarks.own_process import environment_in
from foundry_tasks.contract.config import FanOut
from foundry_tasks.contract.stages import PIPELINES, shards
from foundry_tasks.runtime.pipeline import stage_command

CORES = (1, 2, 4, 8, 16, 32, 64)
BEFORE = ("prices", "features", "labels")


def main() -> int:
    """Measure every split and rewrite the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("market_data", type=Path)
    data = parser.parse_args().market_data.resolve()
    conf = {
        "source": "parquet",
        "prices": str(data / f"{FIVE_YEAR}.parquet"),
        "sectors": str(data / f"sectors_{FIVE_YEAR}.csv"),
        "benchmark": str(data / "spy_1993_2024.parquet"),
        "vix": str(data / "vix_1990_2024.parquet"),
        "seeds": 1,
        "threads": 1,
    }
    with tempfile.TemporaryDirectory() as folder:
        kept = _measured(Path(folder), conf)
    FAN_OUT.write_text(json.dumps(kept, indent=1) + "\n")
    write_page()
    return 0


def _measured(folder: Path, conf: Mapping[str, Any]) -> dict[str, Any]:
    start = folder / "start"
    stages = {stage: _seconds(start, conf, stage) for stage in BEFORE}
    cuts: dict[str, Any] = {}
    for cut in get_args(FanOut):
        names = shards({**conf, "fan_out": cut})
        alone, paired = (shutil.copytree(start, folder / f"{cut}-{how}") for how in ("alone", "paired"))
        costs = [_seconds(alone, conf, "models", shard) for shard in names]
        began = time.perf_counter()
        with ThreadPoolExecutor(2) as two:
            list(two.map(lambda shard, store=paired: _seconds(store, conf, "models", shard), names))
        measured = time.perf_counter() - began
        cuts[cut] = {
            "pieces": len(names),
            "longest_s": round(max(costs), 2),
            "two_cores_s": round(measured, 2),
            "computed_s": {str(cores): round(makespan(costs, cores), 2) for cores in CORES},
        }
        print(cut, cuts[cut], flush=True)
    after = [stage for stage in PIPELINES["foundry_train"] if stage not in {*BEFORE, "models"}]
    stages |= {stage: _seconds(folder / "model-alone", conf, stage) for stage in after}
    return {"stages_s": stages, "cuts": cuts}


def makespan(costs: Sequence[float], cores: int) -> float:
    """Seconds until the last shard ends, if a free core takes the next shard."""
    free = [0.0] * cores
    for cost in costs:
        heapq.heappush(free, heapq.heappop(free) + cost)
    return max(free)


def _seconds(folder: Path, conf: Mapping[str, Any], stage: str, shard: str = "") -> float:
    """Run a stage or a shard in a process with one thread. Returns seconds. Raises CalledProcessError."""
    identity = ["--dag", "foundry_train", "--run-id", "fan-out", "--config", json.dumps(conf)]
    option = ["--shard", shard] if shard else []
    began = time.perf_counter()
    command = stage_command(stage, [*identity, *option])
    subprocess.run(command, env=environment_in(folder), check=True, stdout=sys.stderr)  # noqa: S603 - our program
    return round(time.perf_counter() - began, 2)


if __name__ == "__main__":
    raise SystemExit(main())
