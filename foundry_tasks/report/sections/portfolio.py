"""What a backtest found, as the report tells it: its figures, the curves that are drawn, and the sentence on top."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from foundry_tasks.contract.documents import Figure, Report, Simulation
from foundry_tasks.contract.documents.base import Part
from foundry_tasks.contract.documents.portfolio import Earnings, FoldEarnings
from foundry_tasks.contract.documents.report import Curves, PortfolioSection, ReplayVerdict, ReportedHorizon
from foundry_tasks.contract.documents.simulate import Retrained
from foundry_tasks.report import plots, portfolio_tables, wording
from foundry_tasks.report.markdown_table import table
from foundry_tasks.report.section import Section, Values
from foundry_tasks.report.terminal_style import Terminal, wrapped
from foundry_tasks.report.wording import horizon_name, percent

if TYPE_CHECKING:
    from foundry_tasks.data.panel import AnyArray, FloatArray
    from foundry_tasks.report.report_inputs import ReportInputs


# ------------------------------------------------------------------ report.json
class Keys(Part):
    """Its keys of report.json."""

    portfolio: PortfolioSection | None


def _assemble(inputs: "ReportInputs") -> Keys:
    portfolio = inputs.documents.portfolio
    if portfolio is None:
        return Keys(portfolio=None)
    horizons = {
        horizon: ReportedHorizon(
            **dict(item),
            summary=earned(horizon, item),
            curves=_curves(inputs.daily[horizon], item.folds),
            trades_page=f"trades-{horizon}d.csv",
        )
        for horizon, item in portfolio.horizons.items()
    }
    section = PortfolioSection(
        rules=portfolio.rules,
        confidence=portfolio.confidence,
        replay=replay(inputs.documents.simulation),
        horizons=horizons,
    )
    return Keys(portfolio=section)


def earned(horizon: int, item: Earnings) -> str:
    """What one horizon earned, however sobering: "1 day: −1.3 bp a day after costs [−3.0, 0.4]; break-even cost 1.1 bp."."""
    net = item.net_bp
    if net.value is None or item.break_even_bp is None:
        return f"{horizon_name(horizon)}: nothing was traded."
    bounds = wording.interval(net.lower, net.upper, wording.bp) or "(too few sessions for an interval)"
    broken_even = f"break-even cost {wording.bp(item.break_even_bp)} bp"
    left = broken_even if item.break_even_bp > 0 else "it loses before any cost"
    return f"{horizon_name(horizon)}: {wording.bp(net.value)} bp a day after costs {bounds}; {left}."


def _curves(daily: "Mapping[str, AnyArray]", folds: Sequence[FoldEarnings]) -> Curves:
    """Per cent by session: compounded gains, drawdown below zero, and what was held as a share of the capital."""
    from foundry_tasks.evaluation.performance import drawdown, equity  # noqa: PLC0415 - NumPy, as in `_rounded`

    def gained(name: str) -> tuple[Figure, ...]:
        return _rounded(equity(daily[name]) - 1)

    def held(name: str) -> tuple[Figure, ...]:
        return _rounded(daily[name])

    return Curves(
        sessions=tuple(str(day) for day in daily["date"].astype("datetime64[D]")),
        net=gained("net"),
        gross=gained("gross"),
        benchmark=gained("benchmark"),
        buy_and_hold=gained("buy_and_hold"),
        drawdown=_rounded(-drawdown(daily["net"])),
        gross_exposure=held("gross_exposure"),
        net_exposure=held("net_exposure"),
        fold_stops=tuple(accumulate(fold.sessions for fold in folds)),
    )


def _rounded(shares: "FloatArray") -> tuple[Figure, ...]:
    """Shares as per cent, rounded for drawing."""
    from foundry_tasks.report.session_figures import numbers  # noqa: PLC0415 - NumPy, which the terminal does without

    return tuple(numbers(100 * shares, 3))


def replay(simulation: Simulation | None) -> ReplayVerdict | None:
    """Whether the forward simulation came to the same figures and forecasts, and a sentence that says it."""
    if simulation is None:
        return None
    apart = list(_apart(simulation))
    if apart:
        where = wording.listed(apart)
        text = (
            f"The forward simulation differs from the backtest at {where}. "
            "One of them uses data that it must not use: trust neither."
        )
        return ReplayVerdict(agrees=False, text=text)
    largest = max(item.value or 0.0 for item in simulation.horizons.values())
    text = f"A forward simulation, session by session, gives the same figures within {largest:.1g}."
    again = (
        _retrained(horizon, item.retrained)
        for horizon, item in simulation.horizons.items()
        if item.retrained is not None
    )
    return ReplayVerdict(agrees=True, text=" ".join([text, *again]))


def _apart(simulation: Simulation) -> Iterator[str]:
    """Every horizon that rounding does not explain, first those of the replay."""
    for horizon, item in simulation.horizons.items():
        if not item.agrees:
            yield f"{horizon_name(horizon)} ({item.figure} at {item.session})"
    for horizon, item in simulation.horizons.items():
        again = item.retrained
        if again is not None and again.as_the_folds and again.forecasts_apart > simulation.tolerance:
            yield f"{horizon_name(horizon)} (forecasts after refits)"


def _retrained(horizon: int, item: Retrained) -> str:
    how = f"{horizon_name(horizon)}, refitted every {item.every_sessions} sessions on the data known by then"
    if item.as_the_folds:
        return f"{how}: the folds' forecasts within {item.forecasts_apart:.1g}."
    return f"{how}: {wording.figure(item.net_bp, wording.bp)} bp a day after costs."


# ------------------------------------------------------------------ shown
def _html(document: Report) -> Values | None:
    return {"plots": plots, "tables": portfolio_tables} if document.portfolio else None


def _markdown(document: Report) -> Iterator[str]:
    portfolio = document.portfolio
    if portfolio is None:
        return
    yield portfolio_tables.rules(portfolio.rules)
    yield ""
    plain = portfolio_tables.plain
    for horizon, item in portfolio.horizons.items():
        yield f"### {horizon_name(horizon)}, {item.sessions} sessions from {item.first} to {item.last}"
        yield ""
        yield from table(portfolio_tables.MARKET_HEADER, portfolio_tables.against_the_market(item))
        yield from (f"- {name}: {value}" for name, value in portfolio_tables.figures(item))
        yield f"- trades: {item.trades}, in {item.trades_page}"
        yield ""
        yield from table(portfolio_tables.ladder_header(item.ladder), plain(portfolio_tables.ladder(item.ladder)))
        yield from table(portfolio_tables.FOLD_HEADER, plain(portfolio_tables.folds(item.folds)))
        yield from table(["%", *map(str, item.monthly.years)], plain(portfolio_tables.months(item.monthly)))


def _terminal(document: Report, _terminal: Terminal) -> Iterator[str]:
    portfolio = document.portfolio
    if portfolio is None:
        return
    for item in portfolio.horizons.values():
        yield from wrapped(item.summary)
    if portfolio.replay:
        yield from wrapped(portfolio.replay.text)
    header = ("", "net a year", "Sharpe", "drawdown", "turnover", "costs bp", "trades", "benchmark", "hold")
    yield ""
    yield "  " + f"{header[0]:<8}" + "".join(f"{name:>11}" for name in header[1:])
    for horizon, item in portfolio.horizons.items():
        own = item.figures
        cells = (
            wording.figure(own.annualised_return, wording.signed_percent),
            wording.figure(own.sharpe, wording.ratio),
            wording.figure(own.max_drawdown, percent),
            wording.figure(own.mean_turnover, percent),
            wording.figure(item.costs_bp.total, wording.bp),
            str(item.trades),
            wording.figure(item.benchmark.annualised_return, wording.signed_percent),
            wording.figure(item.buy_and_hold.annualised_return, wording.signed_percent),
        )
        yield f"  {horizon_name(horizon):<8}" + "".join(f"{cell:>11}" for cell in cells)
    yield from wrapped(portfolio_tables.rules(portfolio.rules), "  ")


SECTION = Section(
    name="portfolio",
    order=20,
    title="Backtest",
    assemble=_assemble,
    top_level=True,
    html=_html,
    markdown=_markdown,
    terminal=_terminal,
)
