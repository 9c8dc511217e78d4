"""A backtest's figures as tables of text, for the page and the Markdown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from foundry_tasks.contract.config import BacktestConfig
from foundry_tasks.contract.documents import Interval
from foundry_tasks.contract.documents.portfolio import Earnings, FoldEarnings, Ladder, MonthlyReturns
from foundry_tasks.gates.style import ENTRY_NAMES
from foundry_tasks.report import wording
from foundry_tasks.report.wording import figure, percent, ratio, signed_percent

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
ENTRIES = {"same_close": "same close", "next_open": "next open", "next_close": "next close"}
_SIZINGS = {
    "long_only": "Long the tickers whose P(up) is above one half",
    "long_short": "Long above the session's median, short below it",
    "top_bottom": "Long the {names_a_side} highest, short the {names_a_side} lowest P(up), or half of the tickers each",
    "probability": "Long and short by the distance from the session's median",
}
_IMPACTS = {"none": "no market impact", "square_root": "square-root impact", "volume_share": "volume-share impact"}


@dataclass(frozen=True, slots=True)
class Cell:
    """Text with its CSS classes: `gain` or `loss` by sign, and `sure` if the interval excludes zero."""

    text: str
    kind: str = ""


def rules(rule: BacktestConfig) -> str:
    """Rules and costs of the backtest, as a sentence."""
    holding = rule.holding_sessions
    parts = [
        _SIZINGS[rule.sizing].format(names_a_side=rule.names_a_side),
        f"decided at the close of t and traded at the {ENTRY_NAMES[rule.entry]}",
        f"held for {wording.horizon_name(holding)}" if holding else "held as long as the horizon",
        f"{rule.commission_bp:g} bp commission and {rule.half_spread_bp:g} bp half-spread on what is traded",
        f"{rule.borrow_bp_a_year:g} bp a year on shorts",
        _IMPACTS[rule.impact],
    ]
    if rule.max_turnover is not None:
        parts.append(f"at most {percent(rule.max_turnover)} of the capital traded a session")
    return f"{'; '.join(parts)}."


def figures(item: Earnings) -> list[tuple[str, str]]:
    """Name and text of every figure of one horizon."""
    own, costs = item.figures, item.costs_bp
    by_kind = {"borrow": costs.borrow, "commission": costs.commission, "impact": costs.impact, "spread": costs.spread}
    kinds = ", ".join(f"{kind} {wording.bp(value)}" for kind, value in by_kind.items() if value)
    return [
        ("net, bp a day", wording.estimate(item.net_bp, wording.bp)),
        ("gross, bp a day", wording.estimate(item.gross_bp, wording.bp)),
        ("costs, bp a day", f"{figure(costs.total, wording.bp)} ({kinds or 'none'})"),
        ("break-even cost, bp a side", figure(item.break_even_bp, wording.bp)),
        ("Sharpe ratio, net", wording.estimate(item.sharpe, ratio)),
        ("probability that it is above zero", figure(item.sharpe_above_zero, percent)),
        ("Sortino ratio", figure(own.sortino, ratio)),
        ("Calmar ratio", figure(own.calmar, ratio)),
        ("winning days", figure(own.win_rate, percent)),
        ("alpha a year", f"{figure(own.annualised_alpha, signed_percent)} (t {figure(own.alpha_t, ratio)})"),
        ("beta", f"{figure(own.beta, ratio)} (t {figure(own.beta_t, ratio)})"),
        ("turnover a day", figure(own.mean_turnover, percent)),
        ("held, gross", figure(item.exposure.gross, percent)),
        ("held, net", figure(item.exposure.net, percent)),
        ("held without a price", f"{item.halted} position-days, {item.delisted} positions delisted"),
    ]


def against_the_market(item: Earnings) -> list[list[str]]:
    """Rows: portfolio after costs, benchmark, buy and hold of the universe. Columns: MARKET_HEADER."""
    rows = (("portfolio, net", item.figures), ("benchmark", item.benchmark), ("buy and hold", item.buy_and_hold))
    return [
        [
            name,
            figure(found.annualised_return, signed_percent),
            figure(found.annualised_volatility, percent),
            figure(found.sharpe, ratio),
            figure(found.max_drawdown, percent),
        ]
        for name, found in rows
    ]


MARKET_HEADER = ("", "a year", "volatility", "Sharpe", "drawdown")


def months(table: MonthlyReturns) -> list[list[Cell]]:
    """One row per calendar month with a column per year, then a row of the years' totals."""
    rows = [[Cell(name), *(_month(year[at]) for year in table.months)] for at, name in enumerate(MONTHS)]
    return [*rows, [Cell("year"), *map(_month, table.totals)]]


def ladder(found: Ladder) -> list[list[Cell]]:
    """Rows: entry, holding period, mean net bp a day at each cost, break-even cost. Columns: `ladder_header`."""
    rows: dict[tuple[str, int], list[Cell]] = {}
    for cell in found.cells:
        key = cell.entry, cell.holding_sessions
        rows.setdefault(key, [Cell(ENTRIES[cell.entry]), Cell(str(cell.holding_sessions))]).append(_mean(cell))
    for left in found.break_even_bp:
        rows[left.entry, left.holding_sessions].append(_signed(left.cost_bp, wording.bp))
    return list(rows.values())


def ladder_header(found: Ladder) -> list[str]:
    """Entry, days held, each cost a side, break-even."""
    costs = sorted({cell.cost_bp for cell in found.cells})
    return ["entry", "days", *(f"{cost:g} bp" for cost in costs), "break-even"]


FOLD_HEADER = ("fold", "validation", "test", "WFE", "WFE up/down", "net bp", "Sharpe")


def folds(found: Sequence[FoldEarnings]) -> list[list[Cell]]:
    """One row per fold: relative accuracy in validation and test, WFE, net P&L, Sharpe ratio. Columns: FOLD_HEADER."""
    return [
        [
            Cell(str(fold.fold)),
            Cell(_short(fold.validation_relative, percent)),
            Cell(_short(fold.test_relative, percent)),
            Cell(_short(fold.wfe_relative, wording.whole_percent)),
            Cell(_short(fold.wfe_up, wording.whole_percent)),
            _signed(fold.net_bp, wording.bp),
            Cell(_short(fold.sharpe, ratio)),
        ]
        for fold in found
    ]


def _short(value: float | None, write: Callable[[float], str]) -> str:
    """As `figure`, but with a dash for undefined."""
    return "–" if value is None else write(value)


def _mean(cell: Interval) -> Cell:
    sure = cell.lower is not None and cell.upper is not None and (cell.lower > 0 or cell.upper < 0)
    return _signed(cell.value, wording.bp, sure=sure)


def _signed(value: float | None, write: Callable[[float], str], *, sure: bool = False) -> Cell:
    """A number with the class of its sign; a number that is written as zero has no class."""
    text = _short(value, write)
    if value is None or not any(digit in text for digit in "123456789"):
        return Cell(text)
    return Cell(text, f"{'gain' if value > 0 else 'loss'}{' sure' if sure else ''}")


def _month(value: float | None) -> Cell:
    return Cell("") if value is None else _signed(value, wording.signed_bare_percent)


def plain(rows: Sequence[Sequence[Cell]]) -> list[list[str]]:
    """The texts of cells, for a table without colours."""
    return [[cell.text for cell in row] for row in rows]
