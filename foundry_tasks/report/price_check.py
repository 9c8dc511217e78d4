"""What `foundry check` says of a price file: plain text of at most 100 columns, and a page with the worst cases."""

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from foundry_tasks.contract.documents import Prices
from foundry_tasks.contract.documents.prices import ExcludedBars
from foundry_tasks.report import price_cases, wording
from foundry_tasks.report.html import STYLE, page_environment
from foundry_tasks.report.price_cases import Case, FileFacts
from foundry_tasks.report.terminal_style import WIDTH

_TICKERS_NAMED = 5

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PriceCheck:
    """prices: as the user names them. about: prices.json of a file that is taken. refusal: why one is not, in one line.

    read: what is known of a rejected file; None where it could not be read.
    """

    prices: str
    about: Prices | None = None
    refusal: str = ""
    read: FileFacts | None = None
    warnings: tuple[str, ...] = ()
    cases: tuple[Case, ...] = ()

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Names and sentences, in the order of interest."""
        about, read = self.about, self.read
        if about:
            sessions = f"{about.sessions:,}, {about.first_session} to {about.last_session}"
            counts = [("tickers", f"{about.tickers:,}"), ("sessions", sessions), ("as of", about.as_of.isoformat())]
            return [("file", self.prices), *counts, *wording.data_facts(about)[1:]]
        return [("file", self.prices)] + (
            [
                ("tickers", f"{read.tickers:,}"),
                ("bars", f"{read.bars:,}, {read.first} to {read.last}"),
                ("columns", ", ".join(read.columns)),
            ]
            if read
            else []
        )

    @property
    def excluded(self) -> list[str]:
        """One line a reason: bars, tickers, the first of them."""
        return [
            f"{reason}: {_count(sum(entry.bars for entry in entries), 'bar')} of {_count(len(entries), 'ticker')}: "
            f"{_first([_span(entry) for entry in entries])}"
            for reason, entries in _grouped(
                self.about.excluded if self.about else (), lambda entry: entry.reason
            ).items()
        ]

    @property
    def large_moves(self) -> dict[str, list[tuple[str, str, str, str, str]]]:
        """Verdict → ticker, date, move, ratio and how to overrule, one row a move; moves that are kept come last."""
        moves = sorted(self.about.large_moves if self.about else (), key=lambda one: not one.overrule)
        return {
            verdict: [
                (one.ticker, one.date.isoformat(), wording.signed_percent(one.move), one.ratio, one.overrule)
                for one in group
            ]
            for verdict, group in _grouped(moves, lambda one: one.verdict).items()
        }


# ------------------------------------------------------------------ text
def as_text(check: PriceCheck) -> str:
    """For a terminal. A name or a path that is longer than a line is never cut, since people copy it."""
    lines = [*_facts(check), *_listed("Warnings", check.warnings)]
    if check.about:
        lines += [*_listed("Excluded", check.excluded), *_moves(check)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _facts(check: PriceCheck) -> Iterator[str]:
    width = max(len(name) for name, _ in check.facts)
    for name, value in check.facts:
        yield from _wrapped(value, f"{name:<{width}}  ", " " * (width + 2))


def _listed(title: str, items: Sequence[str]) -> Iterator[str]:
    yield ""
    yield f"{title}: {'none' if not items else len(items)}"
    for item in items:
        yield from _wrapped(item, "  ", "    ")


def _moves(check: PriceCheck) -> Iterator[str]:
    yield ""
    yield f"Large moves: {sum(map(len, check.large_moves.values())) or 'none'}"
    for verdict, rows in check.large_moves.items():
        yield from _wrapped(f"{len(rows):,}: {verdict}", "  ", "    ")
        tickers, moves, ratios = (max(len(row[place]) for row in rows) for place in (0, 2, 3))
        for ticker, day, move, ratio, overrule in rows:
            line = f"    {ticker:<{tickers}}  {day}  {move:>{moves}}  {ratio:<{ratios}}"
            fits = overrule and len(line) + 2 + len(overrule) <= WIDTH
            yield f"{line}  {overrule}" if fits else line
            if overrule and not fits:
                yield f"      {overrule}"
    if any(row[-1] for rows in check.large_moves.values() for row in rows):
        yield from _wrapped(
            "If a move is real, write its line into the market file, all bars in one list, or give it as "
            "--set 'keep=[\"TICKER DATE\"]'.",
            "  ",
            "  ",
        )


def _wrapped(text: str, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=others, break_long_words=False, break_on_hyphens=False
    ) or [first]


# ------------------------------------------------------------------ page
def as_page(check: PriceCheck) -> str:
    """A page that asks nobody for anything. Well-formed XML as well."""
    page: str = (
        page_environment()
        .get_template("check.html.j2")
        .render(
            check=check,
            style=STYLE.read_text(),
            drawn=price_cases.drawn,
            around=price_cases.AROUND_SESSIONS,
            summary=_summary(check),
        )
    )
    return page


def _summary(check: PriceCheck) -> str:
    """What became of the file, in one line."""
    if not check.about:
        return check.refusal
    bars = sum(entry.bars for entry in check.about.excluded)
    moves = [row for rows in check.large_moves.values() for row in rows]
    no_return = sum(bool(overrule) for *_, overrule in moves)
    return (
        f"{_count(bars, 'bar') if bars else 'No bar'} excluded; {no_return or 'none'} of {_count(len(moves), 'large move')} "
        "not taken for a return."
        if bars or moves
        else "Every bar is kept, and there is no large move."
    )


# ------------------------------------------------------------------ words
def _grouped(entries: Iterable[T], key: Callable[[T], str]) -> dict[str, list[T]]:
    groups: dict[str, list[T]] = {}
    for entry in entries:
        groups.setdefault(key(entry), []).append(entry)
    return groups


def _span(entry: ExcludedBars) -> str:
    when = f"{entry.first}" if entry.first == entry.last else f"{entry.first} to {entry.last}"
    return f"{entry.ticker} ({when})"


def _first(names: Sequence[str]) -> str:
    rest = len(names) - _TICKERS_NAMED
    return ", ".join(names[:_TICKERS_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"
