"""Incremental updates of stored prices: detect restated history and splice in new rows."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

_TOLERANCE = 2e-5
"""Relative. An adjusted close has about seven digits, and the smallest dividend moves it by more than this."""
_KEYS = ["ticker", "date"]


def restated_tickers(kept: pd.DataFrame, fetched: pd.DataFrame) -> tuple[str, ...]:
    """Tickers whose close or adjusted close differs on an overlapping session, and those without an overlapping session.

    kept, fetched: tidy frames. A split, a dividend or a correction restates a ticker's history, which is then fetched again.
    """
    columns = [name for name in ("close", "adj_close") if name in kept and name in fetched]
    both = kept.merge(fetched, on=_KEYS, suffixes=("", "_new"))
    changed = np.zeros(len(both), bool)
    for name in columns:
        old, new = both[name].to_numpy(), both[f"{name}_new"].to_numpy()
        changed |= ~np.isclose(old, new, rtol=_TOLERANCE, atol=0, equal_nan=True)
    unknown = set(fetched["ticker"].unique()) - set(both["ticker"].unique())
    return tuple(sorted(set(both["ticker"][changed]) | unknown))


def spliced(
    kept: pd.DataFrame, fetched: pd.DataFrame, anew: pd.DataFrame | None, restated: Sequence[str]
) -> pd.DataFrame:
    """Kept rows, replaced by fetched ones where both exist, and restated tickers from `anew`; sorted by ticker and date.

    kept, fetched, anew: tidy frames. A restated ticker that `anew` lacks keeps its old rows alone, so that two scales are
    never mixed.
    """
    whole = [] if anew is None else [anew[anew["ticker"].isin(list(restated))]]
    renewed = {ticker for part in whole for ticker in part["ticker"].unique()}
    stays = kept[~kept["ticker"].isin(renewed)]
    new = fetched[~fetched["ticker"].isin(list(restated))]
    both = pd.concat([stays, new, *whole], ignore_index=True)
    return both.drop_duplicates(_KEYS, keep="last").sort_values(_KEYS, kind="stable", ignore_index=True)
