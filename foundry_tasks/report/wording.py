"""How the report says things: names of gates and horizons, figures with their units, verdicts in words."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from foundry_tasks.contract.config import GatePolicy
from foundry_tasks.contract.documents import Gate, Interval, Prices
from foundry_tasks.contract.documents.report import AbsentStage
from foundry_tasks.contract.stage_io import StageResult

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
"""A shape for each verdict, so that nothing hangs on colour alone."""

ENTRY_NAMES: Mapping[str, str] = {"close": "close of t", "next_open": "open of t+1", "next_close": "close of t+1"}


@dataclass(frozen=True, slots=True)
class GateStyle:
    """How a gate's figure is written and on which scale its bar is drawn."""

    label: str
    write: Callable[[float], str]
    marks: Callable[[GatePolicy], Sequence[float]] = lambda _: ()
    """Policy → where thresholds stand on the bar."""
    good: Callable[[GatePolicy], tuple[float, float]] | None = None
    """Policy → the range that passes, infinite where it is open."""
    limits: tuple[float, float] = (-math.inf, math.inf)
    """The bar never shows more than this; an interval that goes on gets an arrow."""


def _writer(form: str, factor: float = 1.0, unit: str = "") -> Callable[[float], str]:
    """Writes a number in one form, with a true minus sign, and zero without one."""

    def write(value: float) -> str:
        text = format(factor * value, form)
        if float(text) == 0:
            text = format(0.0, form).removeprefix("+")
        return text.replace("-", "−") + unit

    return write


plain = _writer(".4f")
fine = _writer(".5f")
percent = _writer(".1f", 100, " %")
signed_percent = _writer("+.1f", 100, " %")
signed_bare_percent = _writer("+.1f", 100)
bp = _writer(".1f")
ratio = _writer(".2f")
whole_percent = _writer(".0f", 100, " %")

INF = math.inf
GATES: Mapping[str, GateStyle] = {
    "auc": GateStyle("AUC per session", plain, lambda p: (p.min_auc_lower, p.min_auc), lambda p: (p.min_auc, INF)),
    "wfe": GateStyle(
        "Walk-forward efficiency", whole_percent, lambda p: (p.min_wfe,), lambda p: (p.min_wfe, INF), (-1.0, 2.0)
    ),
    "brier": GateStyle("Brier against base rate", _writer("+.5f"), lambda _: (0.0,), lambda _: (-INF, 0.0)),
    "ece": GateStyle("Calibration error", plain, lambda p: (p.max_ece,), lambda p: (0.0, p.max_ece), (0.0, INF)),
    "spread": GateStyle("Spread of P(up)", plain),
    "collapse": GateStyle("Collapsed fits of base models", _writer(".0f")),
    "sign_balance": GateStyle(
        "Sign balance",
        _writer("+.1f", 100, " pp"),
        lambda p: (-p.max_sign_gap, p.max_sign_gap),
        lambda p: (-p.max_sign_gap, p.max_sign_gap),
    ),
    "coverage": GateStyle(
        "Coverage", percent, lambda p: (p.min_coverage,), lambda p: (p.min_coverage, 1.0), (0.0, 1.0)
    ),
    "leakage": GateStyle("Leakage audit", _writer(".0f")),
    "champion": GateStyle(
        "Against the champion",
        _writer("+.4f"),
        lambda p: (p.min_champion_difference,),
        lambda p: (p.min_champion_difference, INF),
    ),
}


def gate_style(name: str) -> GateStyle:
    """The style of a gate; one that the report does not know yet is written plainly."""
    return GATES.get(name, GateStyle(name.replace("_", " "), plain))


def gate_value(gate: Gate) -> str:
    """A gate's observed value with its unit."""
    if gate.value is None:
        return "–" if gate.verdict in {"passed", "skipped"} else UNDEFINED
    if gate.name == "leakage":
        return "clean" if gate.value == 0 else f"{gate.value:.0f} found"
    return gate_style(gate.name).write(gate.value)


def gate_note(gate: Gate) -> str:
    """A gate's note; of several leaks the first, since the audit lists them all."""
    found = gate.value or 0
    if gate.name == "leakage" and found > 1:
        return f"{gate.note.split('; ', maxsplit=1)[0]}; and {found - 1:.0f} more"
    return gate.note


def gate_interval(gate: Gate) -> str:
    """A gate's interval, empty where it has none."""
    return interval(gate.lower, gate.upper, gate_style(gate.name).write)


def signed(value: float) -> str:
    """A difference."""
    return f"{value:+.4f}".replace("-", "−")


def interval(lower: float | None, upper: float | None, write: Callable[[float], str] = plain) -> str:
    """[lower, upper], empty where it is undefined."""
    return "" if lower is None or upper is None else f"[{write(lower)}, {write(upper)}]"


def figure(value: float | None, write: Callable[[float], str] = plain) -> str:
    """A number, or that there is none."""
    return UNDEFINED if value is None else write(value)


def estimate(found: Interval, write: Callable[[float], str] = plain) -> str:
    """An estimate with its interval as far as it is defined."""
    return f"{figure(found.value, write)} {interval(found.lower, found.upper, write)}".rstrip()


def horizon_name(horizon: int | str) -> str:
    """1 day, 5 days."""
    return f"{horizon} day" if int(horizon) == 1 else f"{horizon} days"


def stage_label(result: StageResult) -> str:
    """A stage, with its shard where it has several: models/m=lightgbm."""
    return result.stage if result.shard is None else f"{result.stage}/{result.shard}"


def listed(items: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


_UNDEFINED_BECAUSE = {"wfe": "validation shows no edge that the test could keep"}


def refusal(gate: Gate) -> str:
    """Why a gate keeps a model out, in one line."""
    style = gate_style(gate.name)
    if gate.name == "leakage":
        return f"{style.label}: {gate_note(gate)}"
    if gate.verdict == "undefined" and gate.value is None:
        return f"{style.label} is undefined: {_UNDEFINED_BECAUSE.get(gate.name, gate.note)}"
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
    """prices.json as names and sentences, in the order of interest."""
    return [
        ("source", prices.source),
        ("universe", prices.universe),
        ("coverage", f"{percent(prices.coverage)} of the universe's ticker-sessions"),
        ("columns", ", ".join(prices.columns.present)),
        ("absent", ", ".join(prices.columns.absent) or "no column"),
        ("benchmark", prices.benchmark),
        ("VIX", prices.vix or "not given"),
        ("sectors", str(prices.sectors or "not given")),
        ("restated", ", ".join(prices.restated) or "no ticker"),
        ("calendar", prices.calendar),
    ]


def absences(absent: Sequence[AbsentStage]) -> list[str]:
    """Stages that published nothing, one line a reason: "refit and promote: validation only"."""
    reasons = by_reason({item.stage: item.why for item in absent})
    return [f"{listed(stages)}: {why}" for why, stages in reasons.items()]


def by_reason(left_out: Mapping[str, str]) -> dict[str, list[str]]:
    """name → reason, turned round: a reason and its names."""
    reasons: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        reasons.setdefault(reason, []).append(name)
    return reasons
