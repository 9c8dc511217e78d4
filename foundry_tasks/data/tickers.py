"""Ticker identity: match the same ticker across files that spell it differently."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import pandas as pd

from foundry_tasks.contract.errors import DataRejectedError

T = TypeVar("T")
_CLASS_SEPARATORS = re.compile(r"[\s./_-]+")
_FLOAT_IDENTIFIER = re.compile(r"(0|[1-9]\d*)(\.0+)?")
_EXACT_INTEGERS = 2**53
_NAMED = 5


def identity(ticker: str) -> str:
    """A ticker's normal form: BRK.B, BRK-B, BRK/B, BRK_B and "BRK B" are the same.

    Case and suffix distinguish tickers: VOD and VOD.L differ.

    >>> identity("BRK-B"), identity(" BRK B ")
    ('BRK.B', 'BRK.B')
    """
    return _CLASS_SEPARATORS.sub(".", ticker.strip())


def as_prices_write(names: Iterable[str], priced: Iterable[str]) -> dict[str, str]:
    """Name → the ticker's spelling in `priced`, for those of `names` that have prices."""
    by_identity = {identity(ticker): ticker for ticker in priced}
    found = {name: by_identity.get(identity(name)) for name in names}
    return {name: ticker for name, ticker in found.items() if ticker is not None}


def spelled_otherwise(names: Iterable[str], priced: Iterable[str], where: str) -> str:
    """A sentence on the `names` that `priced` spells differently; "" if there are none. where: the source of `names`."""
    pairs = sorted(pair for pair in as_prices_write(names, priced).items() if pair[0] != pair[1])
    notes = [f"{name} is {ticker} in the prices" for name, ticker in pairs]
    more = f" and {len(notes) - _NAMED} more" if len(notes) > _NAMED else ""
    return f"{where}: {', '.join(notes[:_NAMED])}{more}; matched." if notes else ""


def ticker_text(values: pd.Series) -> pd.Series:
    """Tickers as stripped text; missing values stay missing.

    Identifiers become floats in a column with a missing value. They are restored if the whole column holds whole numbers:
    14593.0 becomes 14593. Text such as 000001 keeps its zeros.
    """
    codes, distinct = pd.factorize(values)
    names = pd.Index(_distinct_text(pd.Series(distinct)), dtype="str")
    return pd.Series(names.take(codes, allow_fill=True, fill_value=None), index=values.index, dtype="str")


def _distinct_text(distinct: pd.Series) -> pd.Series:
    if distinct.dtype.kind == "f":
        numbers = distinct.to_numpy(np.float64)
        whole = bool(((numbers == np.floor(numbers)) & (np.abs(numbers) < _EXACT_INTEGERS)).all())
        return (distinct.astype("int64") if whole else distinct).astype("str")
    text = distinct.astype("str").str.strip()
    if text.str.endswith(".0").any() and text.map(lambda name: bool(_FLOAT_IDENTIFIER.fullmatch(name))).all():
        text = text.str.replace(r"\.0+$", "", regex=True)
    return text


def one_spelling(table: pd.DataFrame, where: str, notes: list[str] | None = None) -> pd.DataFrame:
    """Remove the second spelling of a ticker from a tidy frame if both spellings hold the same bars.

    where: the source in an error. notes: a sentence for each removed spelling is appended. Raises DataRejectedError if two
    spellings of one ticker hold different bars.
    """
    by_identity: dict[str, str] = {}
    twins = []
    for ticker in sorted(table["ticker"].unique()):
        first = by_identity.setdefault(identity(ticker), ticker)
        if first != ticker:
            twins.append((first, ticker))
    for first, second in twins:
        bars, others = (
            table[table["ticker"] == name].drop(columns="ticker").sort_values("date", kind="stable", ignore_index=True)
            for name in (first, second)
        )
        if not bars.equals(others):
            raise DataRejectedError(
                f"{where}: {first} and {second} are one ticker in two spellings, with different bars. Write a ticker "
                "alike everywhere, or rename one of two companies."
            )
        if notes is not None:
            notes.append(f"{second} repeats the bars of {first}, another spelling of it, and is left out")
    return table[~table["ticker"].isin([second for _, second in twins])].reset_index(drop=True) if twins else table


def renamed(by_ticker: Mapping[str, T], priced: Sequence[str]) -> dict[str, T]:
    """`by_ticker` with its tickers spelled as in `priced`; a ticker without prices keeps its name."""
    known = as_prices_write(by_ticker, priced)
    return {known.get(name, name): value for name, value in by_ticker.items()}
