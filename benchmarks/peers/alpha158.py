"""Alpha158 by Qlib's expression engine, on all cores: `python alpha158.py FILE FOLDER`. FOLDER is for its binary files.

FILE has one row per bar. Nothing is cached between turns.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import qlib
from qlib.contrib.data.loader import Alpha158DL
from qlib.data import D
from turns import take_turns

FIELDS = ("open", "high", "low", "close", "volume", "vwap")


def write_binary(bars: pd.DataFrame, folder: Path) -> None:
    """Write Qlib's files: calendar, dates of each ticker, and float32 values after the index of the first session."""
    bars = bars.assign(vwap=(bars["high"] + bars["low"] + bars["close"]) / 3)
    sessions = np.sort(bars["date"].unique())
    days = [str(day)[:10] for day in sessions]
    for name in ("calendars", "instruments"):
        (folder / name).mkdir(parents=True)
    (folder / "calendars" / "day.txt").write_text("\n".join(days))
    listed = []
    for ticker, group in bars.groupby("ticker", observed=True):
        at = np.searchsorted(sessions, group["date"])
        listed.append(f"{ticker}\t{days[at[0]]}\t{days[at[-1]]}")
        own = folder / "features" / str(ticker).lower()
        own.mkdir(parents=True)
        for field in FIELDS:
            values = np.full(at[-1] - at[0] + 1, np.nan, dtype="<f4")
            values[at - at[0]] = group[field]
            np.concatenate([np.array([at[0]], dtype="<f4"), values]).tofile(own / f"{field}.day.bin")
    (folder / "instruments" / "all.txt").write_text("\n".join(listed))


def main() -> None:
    """Write Qlib's files, then take turns."""
    folder = Path(sys.argv[2])
    write_binary(pd.read_parquet(sys.argv[1]), folder)
    qlib.init(provider_uri=str(folder), region="us", expression_cache=None, dataset_cache=None)
    expressions, names = Alpha158DL.get_feature_config()

    def features() -> dict[str, np.ndarray]:
        made = D.features(D.instruments("all"), expressions, freq="day")
        qlib.data.cache.H.clear()
        return {name: made[expression].to_numpy() for name, expression in zip(names, expressions, strict=True)}

    take_turns(features)


if __name__ == "__main__":
    main()
