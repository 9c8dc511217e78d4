"""How the report says things: names of gates and horizons, figures with their units, verdicts in words."""

import math
from collections.abc import Callable, Mapping, Sequence

from foundry_tasks.contract.documents import Gate, Interval, Prices
from foundry_tasks.contract.documents.monitor import LiveFigures, MonitorSettings
from foundry_tasks.contract.documents.prices import ExcludedBars, LargeMove
from foundry_tasks.contract.documents.report import AbsentStage, ShownDrift, TickerPrediction
from foundry_tasks.contract.documents.report_gates import StatusPhrase
from foundry_tasks.gates.registry import GATES
from foundry_tasks.gates.style import GateStyle, writer

UNDEFINED = "undefined"
LARGE_MOVES_SHOWN = 20
"""Large moves that the report lists of each verdict."""

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

VERDICT_MEANINGS: Mapping[str, str] = {
    "passed": "passed every gate",
    "challenger": "near miss: a challenger that a human may promote",
    "refused": "refused by the gates",
    "skipped": "gates skipped on request: never a champion",
}

ENTRY_NAMES: Mapping[str, str] = {"close": "close of t", "next_open": "open of t+1", "next_close": "close of t+1"}


plain = writer(".4f")
fine = writer(".5f")
percent = writer(".1f", 100, " %")
signed_percent = writer("+.1f", 100, " %")
signed_bare_percent = writer("+.1f", 100)
bp = writer(".1f")
ratio = writer(".2f")
whole_percent = writer(".0f", 100, " %")


def gate_style(name: str) -> GateStyle:
    """The style of a gate; one that this version does not know, such as an earlier version's, is written plainly."""
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


def horizon_name(horizon: int | str) -> str:
    """1 day, 5 days."""
    return f"{horizon} day" if int(horizon) == 1 else f"{horizon} days"


def listed(items: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def refusal(gate: Gate) -> str:
    """Why a gate keeps a model out, in one line."""
    style = gate_style(gate.name)
    if style.note_tells_refusal:
        return f"{style.label}: {gate_note(gate)}"
    if gate.verdict == "undefined" and gate.value is None:
        return f"{style.label} is undefined: {style.undefined_because or gate.note}"
    if gate.verdict == "undefined":
        return f"{style.label} {gate_value(gate)} has no interval: too few independent blocks of sessions"
    bounds = gate_interval(gate)
    return f"{style.label} {gate_value(gate)}{' ' if bounds else ''}{bounds}, asked {gate.threshold}"


def headline(verdicts: Mapping[int, str]) -> list[StatusPhrase]:
    """What the gates said over all horizons, a phrase a verdict, the best first."""
    if not verdicts:
        return [StatusPhrase(verdict="none", text="No model was judged in this run.")]
    by_verdict: dict[str, list[int]] = {}
    for horizon, verdict in verdicts.items():
        by_verdict.setdefault(verdict, []).append(horizon)
    if len(by_verdict) == 1:
        verdict, horizons = next(iter(by_verdict.items()))
        where = f"at {horizon_name(horizons[0])}" if len(horizons) == 1 else "at every horizon"
        return [StatusPhrase(verdict=verdict, text=f"{_title(verdict)} {where}.")]
    return [
        StatusPhrase(verdict=verdict, text=f"{_title(verdict)}: {_days(by_verdict[verdict])}.")
        for verdict in VERDICT_MEANINGS
        if verdict in by_verdict
    ]


def _title(verdict: str) -> str:
    return {"skipped": "Gates skipped"}.get(verdict, verdict.capitalize())


def _days(horizons: Sequence[int]) -> str:
    return horizon_name(horizons[0]) if len(horizons) == 1 else f"{listed([str(h) for h in horizons])} days"


def seconds(value: float) -> str:
    """0.42 s, 12.3 s, 3 min 20 s."""
    if value < 59.95:
        return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
    whole = round(value)
    return f"{whole // 60} min {whole % 60} s"


def model_title(name: str) -> str:
    """A base model or blend as people write it."""
    titles = {
        "blend_40_60": "40/60 blend",
        "lightgbm": "LightGBM",
        "xgboost": "XGBoost",
        "lstm_transformer": "LSTM–Transformer",
        "xlstm_ts": "xLSTM-TS",
    }
    return titles.get(name, name.replace("_", " "))


def added(adds: Interval | None) -> str:
    """AUC that the average of the base models gains by one of them, with its interval; empty where nobody asked."""
    if adds is None or adds.value is None:
        return ""
    return f"{signed(adds.value)} {interval(adds.lower, adds.upper, signed)}".rstrip()


def position(entry: TickerPrediction, horizons: Sequence[int]) -> str:
    """A prediction's position sizes: one where every horizon has the same, else one a horizon."""
    sizes = [entry.at(horizon).position for horizon in horizons]
    written = ["–" if size is None else signed_percent(size) for size in sizes]
    return written[0] if len(set(written)) == 1 else " · ".join(text.removesuffix(" %") for text in written) + " %"


# ------------------------------------------------------------------ live
def live_history(live: LiveFigures) -> str:
    """What live figures are made of, in one line."""
    parts = []
    if live.sessions:
        versions = listed([f"{name}: {count}" for name, count in live.versions.items()])
        parts.append(f"{_sessions(live.sessions)}, {live.first} to {live.last} ({versions})")
    else:
        parts.append("no prediction has matured yet")
    if live.late:
        parts.append(f"{live.late} of them made after the next session had opened")
    if live.waiting:
        parts.append(f"{live.waiting} waiting for their labels")
    if live.fitted_on:
        parts.append(f"{live.fitted_on} left out: their version was fitted on them")
    return "; ".join(parts)


def drift_line(drift: ShownDrift, asked: MonitorSettings) -> str:
    """How many features have drifted, in one line."""
    if not drift.measured:
        return "not measured: the features that the model was fitted on are not in the store any more"
    return (
        f"{drift.above} of {drift.measured} features have a PSI above {asked.max_psi:g} over the last "
        f"{asked.drift_sessions} sessions, {len(drift.beyond)} of them more than is usual for them"
    )


def _sessions(count: int) -> str:
    return "1 session" if count == 1 else f"{count} sessions"


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


def excluded_lines(entries: Sequence[ExcludedBars]) -> dict[str, list[str]]:
    """Reason → tickers with their bars and dates."""
    reasons: dict[str, list[str]] = {}
    for entry in entries:
        when = f"{entry.first}" if entry.first == entry.last else f"{entry.first} to {entry.last}"
        bars = "1 bar" if entry.bars == 1 else f"{entry.bars} bars"
        reasons.setdefault(entry.reason, []).append(f"{entry.ticker} ({bars}, {when})")
    return reasons


def large_move_lines(moves: Sequence[LargeMove]) -> dict[str, list[str]]:
    """Verdict → ticker, date, move and ratio of its largest moves, and how many more there are."""
    verdicts: dict[str, list[str]] = {}
    for one in sorted(moves, key=lambda one: -abs(math.log1p(one.move))):
        ratio = f" ({one.ratio})" if one.ratio else ""
        line = f"{one.ticker} {one.date} {signed_percent(one.move)}{ratio}"
        verdicts.setdefault(one.verdict, []).append(line)
    return {
        verdict: lines[:LARGE_MOVES_SHOWN]
        + ([f"and {len(lines) - LARGE_MOVES_SHOWN:,} more"] if len(lines) > LARGE_MOVES_SHOWN else [])
        for verdict, lines in verdicts.items()
    }
