"""Wording of the report: names of gates and horizons, figures with their units, verdicts in words."""

from collections.abc import Callable, Mapping, Sequence

from foundry_tasks.contract.documents import Gate, Interval, Prices
from foundry_tasks.contract.documents.report import AbsentStage
from foundry_tasks.contract.results import StageResult
from foundry_tasks.gates.registry import GATES
from foundry_tasks.gates.style import GateStyle, writer

UNDEFINED = "undefined"

VERDICT_SIGNS: Mapping[str, str] = {
    "passed": "✓",
    "warned": "!",
    "near miss": "≈",
    "challenger": "≈",
    "failed": "✕",
    "refused": "✕",
    "undefined": "?",
    "skipped": "–",
}
"""A sign for each verdict, so that verdicts can be told apart without colour."""


plain = writer(".4f")
fine = writer(".5f")
percent = writer(".1f", 100, " %")
signed_percent = writer("+.1f", 100, " %")
signed_bare_percent = writer("+.1f", 100)
bp = writer(".1f")
ratio = writer(".2f")
whole_percent = writer(".0f", 100, " %")


def gate_style(name: str) -> GateStyle:
    """The style of a gate; a default style for gates that this version lacks, such as those of an earlier version."""
    return GATES[name].style if name in GATES else GateStyle(name.replace("_", " "))


def gate_value(gate: Gate) -> str:
    """A gate's observed value with its unit."""
    if gate.value is None:
        return "–" if gate.verdict in {"passed", "skipped"} else UNDEFINED
    return gate_style(gate.name).write(gate.value)


def gate_note(gate: Gate) -> str:
    """A gate's note as the page shows it."""
    return gate_style(gate.name).short_note(gate)


def gate_interval(gate: Gate) -> str:
    """A gate's interval; empty without one."""
    return interval(gate.lower, gate.upper, gate_style(gate.name).write)


def signed(value: float) -> str:
    """A number with its sign and four decimals."""
    return f"{value:+.4f}".replace("-", "−")


def interval(lower: float | None, upper: float | None, write: Callable[[float], str] = plain) -> str:
    """[lower, upper]; empty if undefined."""
    return "" if lower is None or upper is None else f"[{write(lower)}, {write(upper)}]"


def figure(value: float | None, write: Callable[[float], str] = plain) -> str:
    """A number, or "undefined"."""
    return UNDEFINED if value is None else write(value)


def estimate(found: Interval, write: Callable[[float], str] = plain) -> str:
    """An estimate, followed by its interval if that is defined."""
    return f"{figure(found.value, write)} {interval(found.lower, found.upper, write)}".rstrip()


def horizon_name(horizon: int | str) -> str:
    """1 day, 5 days."""
    return f"{horizon} day" if int(horizon) == 1 else f"{horizon} days"


def stage_label(result: StageResult) -> str:
    """A stage's name, with its shard if it has one: models/m=lightgbm."""
    return result.stage if result.shard is None else f"{result.stage}/{result.shard}"


def listed(items: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def refusal(gate: Gate) -> str:
    """Why a gate refuses a model, in one line."""
    style = gate_style(gate.name)
    if style.note_tells_refusal:
        return f"{style.label}: {gate_note(gate)}"
    if gate.verdict == "undefined" and gate.value is None:
        return f"{style.label} is undefined: {style.undefined_because or gate.note}"
    if gate.verdict == "undefined":
        return f"{style.label} {gate_value(gate)} has no interval: too few independent blocks of sessions"
    bounds = gate_interval(gate)
    return f"{style.label} {gate_value(gate)}{' ' if bounds else ''}{bounds}, asked {gate.threshold}"


def seconds(value: float) -> str:
    """0.42 s, 12.3 s, 3 min 20 s."""
    if value < 59.95:
        return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
    whole = round(value)
    return f"{whole // 60} min {whole % 60} s"


# ------------------------------------------------------------------ data
def data_facts(prices: Prices) -> list[tuple[str, str]]:
    """Name and sentence of each fact in prices.json, the most important first."""
    return [
        ("source", prices.source),
        ("universe", prices.universe),
        ("coverage", f"{percent(prices.coverage)} of the universe's ticker-sessions"),
        ("columns", ", ".join(prices.columns.present)),
        ("absent", ", ".join(prices.columns.absent) or "no column"),
        ("benchmark", prices.benchmark),
        ("VIX", prices.vix or "not given"),
        ("sectors", "; ".join(filter(None, (str(prices.sectors or "not given"), prices.sector_dates)))),
        ("restated", ", ".join(prices.restated) or "no ticker"),
        ("calendar", prices.calendar),
    ]


def absences(absent: Sequence[AbsentStage]) -> list[str]:
    """Stages that published nothing, one line per reason: "refit and promote: validation only"."""
    reasons = by_reason({item.stage: item.why for item in absent})
    return [f"{listed(stages)}: {why}" for why, stages in reasons.items()]


def by_reason(left_out: Mapping[str, str]) -> dict[str, list[str]]:
    """The inverse of a mapping name → reason: reason → names."""
    reasons: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        reasons.setdefault(reason, []).append(name)
    return reasons
