"""Compare the newest closes of two live sources. Differences are reported, not corrected."""

import numpy as np
import pandas as pd

SESSIONS = 3
"""Number of newest sessions to compare: sources correct a bad close within days, and a missed split shows at once."""
TOLERANCE = 0.005
"""Relative. Sources count different auctions and venues; for liquid stocks their closes differ by less than this."""
_WORST = 5


def differing_closes(ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """Bars whose closes differ by more than TOLERANCE: ticker, date, close, close_there, relative `difference`; worst first.

    ours, theirs: tidy frames; bars that one of them lacks are not compared.
    """
    both = ours.merge(theirs, on=["ticker", "date"], suffixes=("", "_there")).dropna(subset=["close", "close_there"])
    both["difference"] = np.abs(both["close"] / both["close_there"] - 1)
    columns = ["ticker", "date", "close", "close_there", "difference"]
    found = both.loc[~(both["difference"] <= TOLERANCE), columns]
    return found.sort_values("difference", ascending=False, kind="stable", ignore_index=True)


def sentence(ours: pd.DataFrame, theirs: pd.DataFrame, here: str, there: str) -> str | None:
    """The warning about the comparison; None if no close differs.

    ours, theirs: tidy frames. here, there: names of the two sources.
    """
    found = differing_closes(ours, theirs)
    compared = len(ours.merge(theirs, on=["ticker", "date"]))
    if not compared:
        return f"cross_check: {there} has none of the newest {len(ours):,} bars of {here}; nothing was compared."
    if found.empty:
        return None
    worst = ", ".join(
        f"{bar.ticker} {bar.date:%Y-%m-%d} {bar.close:.6g} against {bar.close_there:.6g}"
        for bar in found.head(_WORST).itertuples()
    )
    more = f" and {len(found) - _WORST} more" if len(found) > _WORST else ""
    return (
        f"cross_check: {len(found):,} of {compared:,} closes of {here} differ from {there} by more than {TOLERANCE:.1%}: "
        f"{worst}{more}."
    )
