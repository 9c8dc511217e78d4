"""One small valid market in the file formats and layouts that people use."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa

from tests.market_bars import sound_bars

TICKERS = ("AAA", "BRK.B", "LOW")


def market(tickers: tuple[str, ...] = TICKERS, sessions: int = 150) -> pd.DataFrame:
    """Bars sorted by ticker and date: date, ticker, open, high, low, close, volume."""
    bars = sound_bars(tickers, last=date(2020, 12, 31))
    return bars.groupby("ticker").head(sessions).reset_index(drop=True)


def wide_closes(bars: pd.DataFrame) -> pd.DataFrame:
    """One row per date, one column per ticker."""
    return bars.pivot(index="date", columns="ticker", values="close").rename_axis(columns=None)


def pairs(bars: pd.DataFrame, *, ticker_first: bool = False) -> pd.DataFrame:
    """yfinance's layout for several tickers: columns of price field and ticker, dates in the index."""
    named = bars.rename(columns=str.capitalize)
    frame = named.pivot(index="Date", columns="Ticker", values=["Close", "High", "Low", "Open", "Volume"])
    frame.columns = frame.columns.set_names(["Price", "Ticker"])
    return frame.swaplevel(axis=1).sort_index(axis=1) if ticker_first else frame


def text(
    frame: pd.DataFrame, *, index: bool = False, separator: str = ",", decimal: str = ".", dates: str = "%Y-%m-%d"
) -> str:
    """A frame as CSV; floats have enough digits to be read back exactly."""
    return frame.to_csv(index=index, sep=separator, decimal=decimal, date_format=dates, lineterminator="\n")


def packed(content: bytes, packing: str, *, name: str) -> bytes:
    """`content` compressed by suffix. name: name of a zip's member."""
    if packing == ".zip":
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content)
        return stream.getvalue()
    if packing == ".zst":
        return _zstd(content)
    packers: dict[str, Callable[[bytes], bytes]] = {
        "": bytes,
        ".gz": gzip.compress,
        ".bz2": bz2.compress,
        ".xz": lzma.compress,
    }
    return packers[packing](content)


def _zstd(content: bytes) -> bytes:
    """A zstd frame with checksum, as the zstd command writes it; pyarrow writes none."""
    frame = bytearray(pa.compress(content, codec="zstd", asbytes=True))
    frame[4] |= 4
    return bytes(frame) + (_xxh64(content) & 0xFFFFFFFF).to_bytes(4, "little")


def _xxh64(data: bytes) -> int:
    """XXH64 with seed 0 (Collet, xxHash specification 0.1.1)."""
    one, two, three = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
    four, five, mask = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5, 2**64 - 1

    def turned(value: int, bits: int) -> int:
        return (value << bits | value >> (64 - bits)) & mask

    def mixed(lane: int, value: int) -> int:
        return turned((lane + value * two) & mask, 31) * one & mask

    at, total = 0, five
    if len(data) >= 32:
        lanes = [(one + two) & mask, two, 0, -one & mask]
        while at + 32 <= len(data):
            lanes = [
                mixed(lane, int.from_bytes(data[at + 8 * k : at + 8 * k + 8], "little")) for k, lane in enumerate(lanes)
            ]
            at += 32
        total = sum(turned(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True)) & mask
        for lane in lanes:
            total = ((total ^ mixed(0, lane)) * one + four) & mask
    total = (total + len(data)) & mask
    while at + 8 <= len(data):
        total = (turned(total ^ mixed(0, int.from_bytes(data[at : at + 8], "little")), 27) * one + four) & mask
        at += 8
    if at + 4 <= len(data):
        total = (turned(total ^ int.from_bytes(data[at : at + 4], "little") * one & mask, 23) * two + three) & mask
        at += 4
    for byte in data[at:]:
        total = turned(total ^ byte * five & mask, 11) * one & mask
    total = (total ^ total >> 33) * two & mask
    total = (total ^ total >> 29) * three & mask
    return total ^ total >> 32


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
