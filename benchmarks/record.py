"""Stored measurements: one JSON file per benchmark, shown as tables in docs/benchmarks.md."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.peer import peer_versions
from benchmarks.row import Row

RESULTS = Path(__file__).with_name("results")
DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
OUR_PACKAGES = ("numpy", "bottleneck", "scipy", "pandas", "pyarrow", "great-expectations")

_HEAD = """# Benchmarks

Foundry (ours) compared with the usual alternatives (theirs). Both are measured in alternation in one run. `make bench` measures
and writes this page; `make bench-check` measures the rows marked ↻ again and fails if a ratio has fallen. A ratio is theirs /
ours, so higher is better. The table has the median over the pairs, with the smallest and the largest. Seconds are those of the
named machine: elapsed time, or CPU time of all threads of the process where the unit is `s of CPU`.
"""


@dataclass(frozen=True, slots=True)
class Record:
    """The rows of one benchmark, and the machine."""

    machine: Mapping[str, str]
    rows: tuple[Row, ...]


def machine(peers: Path) -> dict[str, str]:
    """Cores, CPU, memory, Python, and packages of both environments."""
    about = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = [line.partition(":")[2].strip() for line in about.splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = {name: version(name) for name in OUR_PACKAGES} | peer_versions(peers)
    return {
        "CPU": f"{os.cpu_count()} cores, {model[0] if model else platform.processor()}",
        "load": f"{os.getloadavg()[2]:.1f} over the last 15 minutes",
        "memory": f"{memory:.0f} GiB",
        "Python": platform.python_version(),
        **versions,
    }


def write_record(name: str, record: Record) -> None:
    """Store it; replaces the earlier record."""
    RESULTS.mkdir(exist_ok=True)
    rows = [{key: _rounded(value) for key, value in asdict(row).items()} for row in record.rows]
    _path(name).write_text(json.dumps({"machine": record.machine, "rows": rows}, indent=2, ensure_ascii=False) + "\n")


def read_record(name: str) -> Record:
    """The stored record. Raises FileNotFoundError without one."""
    document = json.loads(_path(name).read_text())
    return Record(document["machine"], tuple(Row(**row) for row in document["rows"]))


def benchmarks_markdown() -> str:
    """The page: one table per benchmark, in alphabetical order."""
    names = sorted(path.stem for path in RESULTS.glob("*.json"))
    return "\n".join([_HEAD, *(_section(name, read_record(name)) for name in names)])


def _section(name: str, record: Record) -> str:
    head = ["| | compared with | ratio | ours | theirs | bar | |", "|---|---|---|---|---|---|---|"]
    about = ", ".join(f"{key} {value}" if key != "CPU" else value for key, value in record.machine.items())
    return "\n".join([f"## {name.capitalize()}", "", *head, *map(table_line, record.rows), "", f"On {about}.", ""])


def table_line(row: Row) -> str:
    """A row as a line of the table."""
    spread = "" if row.ratio_low == row.ratio_high else f" ({row.ratio_low:.2g}–{row.ratio_high:.2g})"
    cells = (
        f"{row.name}{' ↻' if row.quick else ''}",
        row.against,
        f"**{row.ratio:.3g}**{spread}",
        f"{row.ours:.3g} {row.unit}",
        f"{row.theirs:.3g} {row.unit}",
        row.bar,
        ("met" if row.met else "**missed**") if row.bar else "",
    )
    return f"| {' | '.join(cells)} |"


def _rounded(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _path(name: str) -> Path:
    return RESULTS / f"{name}.json"
