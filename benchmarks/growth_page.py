"""docs/growth.md: the stored cells of `benchmarks.growth`, how each stage grows, and which limit it reaches first."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from foundry_tasks.contract.stages import PIPELINES, STAGES

CELLS = ("100x5", "500x5", "1000x5", "2000x5", "100x20", "500x20", "1000x20", "2000x20")
THREE_HORIZONS = "2000x20x3"
"""The largest cell, with the pipeline's default settings. It is not used for the fits."""
KEPT = Path(__file__).with_name("growth.json")
MEASURED = (*PIPELINES["foundry_train"], "portfolio", "simulate")
"""A train run, and the stages that a backtest adds."""
FAN_OUT = Path(__file__).with_name("fan_out.json")
CLUSTER_TICKERS = (500, 5_000, 50_000)
POD_S = 15
"""Seconds of a cluster per pod: request, start, detection of its end. Measured in docs/kubernetes.md."""
DOCS = Path(__file__).parents[1] / "docs"

Cells = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Cell → stage → figures."""

_HEAD = """# As the market grows

Time and memory of a train run by tickers and years, and of the two further stages of a backtest:
`python -m benchmarks.growth DATA_FOLDER`. One horizon unless the row names three, one seed, three models, five folds and two
warm-up blocks, two threads. Up to 500 tickers are real; larger universes are bootstrapped from real tickers. Seconds are
processor time; on two cores the elapsed time can be half of it. Megabytes (2²⁰ bytes) are the peak resident memory. Each stage
runs in its own process. The table does not include the disk space of inputs and outputs.

![Seconds and megabytes by rows](images/growth.svg)
"""

_MAPPED = """
The rows of one horizon, and the fits to them, were measured when panels were still memory-mapped. The current memory is lower.
"""
"""Shown while a stored cell has `mapped`; a new measurement removes it."""

_LEAKAGE = """
Leakage was measured with 0.2.0, which refitted every audited model twice. It now refits a second time only where the scores
differ: at 100 tickers 3.7 s for 5 years and 21.7 s for 20, a power of years of 1.3. The audited block was the first one, and its
fit window grows from some 200 sessions to 3,900, which is 19 times, while the history grows 4 times. The logistic regression is
now refitted in every reported fold, and on a long history the boosters in a later block.
"""
"""Shown until every cell is measured again."""

_FANNED_OUT = """
## Fanned out

The models stage as mapped tasks, by `fan_out`: `python -m benchmarks.fan_out DATA_FOLDER`, on the five-year set, three
horizons, three models, one seed, one thread per shard. One column is measured, that of two cores. The other columns are
computed from the time of each shard alone: each idle core takes the next shard.
"""

_ON_A_CLUSTER = """
## On a cluster

A run on a cluster at five years, three horizons and one seed: *computed*, not measured. The time of a stage or of a shard of
the models stage is its time above, multiplied by the growth of its seconds with tickers. The growth is a straight line through
the five-year cells, of which the largest has 2,000 tickers. Every pod takes {pod_s} s more, from the request to its detected
end, with the image on the node and enough nodes for all pods at once. Core-hours count the {cpus:g} cores of a pod from its start
to its end. Memory is that of the stage with the largest memory at one horizon, by the lines above. If it approaches a pod's
{limit_gb:.1f} GB (`memory_mb`), increase that limit.
"""


def write_page() -> None:
    """Write the page and its plot from the stored cells."""
    (DOCS / "growth.md").write_text(growth_markdown())
    _plot(_kept())


def _kept(wanted: Sequence[str] = CELLS) -> Cells:
    cells = json.loads(KEPT.read_text())
    return {cell: cells[cell] for cell in wanted if cell in cells}


def growth_markdown() -> str:
    """The page."""
    cells = _kept()
    shown = _kept((*CELLS, THREE_HORIZONS))
    mapped = _MAPPED.splitlines() if any(found["market"].get("mapped") for found in cells.values()) else []
    missing = [cell.replace("x", " × ") for cell in CELLS if cell not in cells]
    still = ["", f"Not measured yet: {', '.join(missing)}."] if missing else []
    laws = ["", *_laws(cells)] if len(cells) > 2 else []
    return (
        "\n".join(
            [
                _HEAD,
                *_table(shown),
                *_LEAKAGE.splitlines(),
                *mapped,
                *still,
                *laws,
                *_fanned_out(),
                *_on_a_cluster(cells),
            ]
        )
        + "\n"
    )


def _table(cells: Cells) -> list[str]:
    lines = [
        "| tickers × years | bars | " + " | ".join(MEASURED) + " | train run |",
        "|" + "---|" * (len(MEASURED) + 3),
    ]
    for cell, found in cells.items():
        each = [f"{found[stage]['cpu_s']:.0f} s, {found[stage]['peak_mb']:.0f} MB" for stage in MEASURED]
        whole = sum(found[stage]["cpu_s"] for stage in PIPELINES["foundry_train"])
        rows = found["market"]["rows"] / 1e6
        tickers, years, *horizons = cell.split("x")
        name = f"{tickers} × {years}" + "".join(f", {number} horizons" for number in horizons)
        lines.append(f"| {name} | {rows:.2f} M | {' | '.join(each)} | {whole / 60:.1f} min |")
    return lines


def _laws(cells: Cells) -> list[str]:
    """One line per stage: exponents of its seconds, memory per million bars, and how many bars fit its limit."""
    rows = np.array([found["market"]["rows"] for found in cells.values()], dtype=float)
    large = rows > 1e6
    size = np.array(
        [[np.log(found["market"]["tickers"]), np.log(found["market"]["sessions"]), 1] for found in cells.values()]
    )
    walls: dict[str, float] = {}
    lines = [
        "Fits to these cells: memory is a straight line in bars. Seconds are a power of tickers times a power of years, fitted",
        "to the cells above a million bars, where start-up time is negligible. The limit of a stage is the number of bars at",
        "which its line reaches the memory of its container (`memory_mb` in `foundry_tasks/contract/stages.py`).",
        "",
        "| stage | power of tickers | power of years | MB at zero bars | MB per million bars | limit, million bars |",
        "|---|---|---|---|---|---|",
    ]
    for stage in MEASURED:
        spent = np.array([found[stage]["cpu_s"] for found in cells.values()])
        powers = (
            np.linalg.lstsq(size[large], np.log(spent[large]), rcond=None)[0][:2] if large.sum() > 2 else [np.nan] * 2
        )
        slope, base = _memory_line(cells, stage)
        walls[stage] = (STAGES[stage].memory_mb - base) / slope if slope > 0 else np.inf
        columns = [*(f"{power + 0.0:.1f}" for power in np.round(powers, 1)), f"{base:.0f}", f"{slope:.0f}"]
        lines.append(
            f"| {stage} | {' | '.join(columns)} | {f'{walls[stage]:.0f}' if walls[stage] < 1000 else 'none'} |"
        )
    first = min(walls, key=lambda stage: walls[stage])
    return [*lines, "", f"The first stage to reach its limit is {first}, at {walls[first]:.0f} million bars."]


def _fanned_out() -> list[str]:
    """Figures of `benchmarks.fan_out`: the models stage by split and cores, and a whole run with it."""
    if not FAN_OUT.exists():
        return []
    kept = json.loads(FAN_OUT.read_text())
    stages, cuts = kept["stages_s"], kept["cuts"]
    chain = sum(stages.values())
    cores = list(cuts["none"]["computed_s"])[1:]
    computed = " | ".join(f"{n} cores" for n in cores)
    lines = [
        *_FANNED_OUT.splitlines(),
        "",
        f"| `fan_out` | shards | longest | 1 core | 2 cores, measured | speed-up | {computed} |",
        "|" + "---|" * (len(cores) + 6),
    ]
    for cut, found in cuts.items():
        alone, two = found["computed_s"]["1"], found["two_cores_s"]
        cells = [f"`{cut}`", found["pieces"], *(f"{s:.0f} s" for s in (found["longest_s"], alone, two))]
        cells += [f"{alone / two:.2f} ×", *(f"{found['computed_s'][n]:.0f} s" for n in cores)]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    whole = [
        f"{(chain + cuts[cut]['computed_s'][n]) / 60:.1f} by `{cut}` on {n}"
        for cut, n in (("none", "1"), ("model", "4"), ("fold", "32"), ("horizon", "64"))
    ]
    lines += [
        "",
        f"The other stages take {chain:.0f} s, one after the other. Minutes of a whole run:",
    ]
    return [
        *lines,
        f"{', '.join(whole)} cores.",
    ]


def _on_a_cluster(cells: Cells) -> list[str]:
    """Minutes, core-hours and memory of a train run by tickers and split, from the fits of the measurements."""
    five_years = [found for cell, found in cells.items() if cell.endswith("x5")]
    if len(five_years) < 2 or not FAN_OUT.exists():
        return []
    kept = json.loads(FAN_OUT.read_text())
    models = STAGES["models"]
    text = _ON_A_CLUSTER.format(pod_s=POD_S, cpus=models.cpus, limit_gb=models.memory_mb * 2**20 / 1e9)
    heads = [
        f"`{cut}`, {found['pieces']} pods" if found["pieces"] > 1 else f"`{cut}`" for cut, found in kept["cuts"].items()
    ]
    lines = [
        *text.splitlines(),
        "",
        f"| tickers | bars | largest pod | {' | '.join(heads)} |",
        "|" + "---|" * (len(heads) + 3),
    ]
    for tickers in CLUSTER_TICKERS:
        grown = {stage: _growth(five_years, stage, tickers) for stage in PIPELINES["foundry_train"]}
        stages = {stage: seconds * grown[stage] + POD_S for stage, seconds in kept["stages_s"].items()}
        chain = sum(stages.values())
        bars = tickers * np.mean([found["market"]["rows"] / found["market"]["tickers"] for found in five_years]) / 1e6
        largest = max(np.polyval(_memory_line(cells, stage), bars) for stage in MEASURED) * 2**20 / 1e9
        columns = []
        for found in kept["cuts"].values():
            minutes = (chain + found["longest_s"] * grown["models"] + POD_S) / 60
            pods_s = found["computed_s"]["1"] * grown["models"] + POD_S * found["pieces"] + sum(stages.values())
            columns.append(f"{minutes:,.0f} min, {pods_s * models.cpus / 3600:,.1f} core-hours")
        lines.append(f"| {tickers:,} | {bars:.1f} M | {largest:.1f} GB | {' | '.join(columns)} |")
    return lines


def _growth(cells: Sequence[Mapping[str, Mapping[str, float]]], stage: str, tickers: int) -> float:
    """A stage's seconds divided by those of 500 tickers, by a straight line through these cells."""
    sizes = [found["market"]["tickers"] for found in cells]
    line = np.polyfit(sizes, [found[stage]["cpu_s"] for found in cells], 1)
    return float(np.polyval(line, tickers) / np.polyval(line, 500))


def _memory_line(cells: Cells, stage: str) -> npt.NDArray[np.float64]:
    """Slope and intercept of memory in MB (2²⁰ bytes) over million bars."""
    bars = [found["market"]["rows"] / 1e6 for found in cells.values()]
    return np.polyfit(bars, [found[stage]["peak_mb"] for found in cells.values()], 1)


def _plot(cells: Cells) -> None:
    """Seconds and megabytes of the heavy stages over bars, on logarithmic axes."""
    import matplotlib as mpl  # noqa: PLC0415 - takes a second; only the plot needs it

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "growth"
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

    figure, panels = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    years = {"5": "--", "20": "-"}
    largest = max(cells.values(), key=lambda found: found["market"]["rows"])
    heavy = sorted(MEASURED, key=lambda stage: -largest[stage]["cpu_s"])[:6]
    for panel, key, unit in zip(panels, ("cpu_s", "peak_mb"), ("processor seconds", "MB"), strict=True):
        for number, stage in enumerate(heavy):
            for span, style in years.items():
                alike = [found for cell, found in cells.items() if cell.endswith(f"x{span}")]
                rows = [found["market"]["rows"] for found in alike]
                label = stage if span == "20" else None
                values = [found[stage][key] for found in alike]
                panel.loglog(rows, values, style, color=f"C{number}", marker="o", markersize=3, label=label)
        panel.set(xlabel="bars (dashed: of 5 years, solid: of 20)", ylabel=unit)
        panel.grid(visible=True, which="major", alpha=0.3)
    panels[1].axhline(STAGES["models"].memory_mb, color="grey", linestyle="--", linewidth=1)
    panels[0].legend(frameon=False, fontsize=8)
    figure.savefig(DOCS / "images" / "growth.svg", metadata={"Date": None})
    plt.close(figure)
