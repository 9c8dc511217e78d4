"""Reads mutated files one after the other in a separate process: `python -m tests.cases.damage KIND COUNT FOLDER`.

Native readers can crash, hang, or use all memory. Each of these ends the process, and `FOLDER` then has the file that
caused it. Prints other faults as JSON.
"""

import io
import json
import resource
import signal
import sys
import traceback
from pathlib import Path

import numpy as np
import pandas as pd

from foundry_tasks.contract.errors import FoundryError
from foundry_tasks.data.sources.parquet import FileSource
from tests.cases.files import market, packed, text

CPU_SECONDS, SECONDS, GROWTH_BYTES = 10, 120, 2**30
CHECKED = (".csv.gz", ".csv.bz2", ".csv.xz", ".csv.zip", ".csv.zst")
KINDS = (".csv", *CHECKED, ".parquet", ".crc.parquet")


def original(kind: str) -> bytes:
    """A small valid file."""
    bars = market(tickers=("AAA", "BBB"), sessions=24)
    if kind.endswith("parquet"):
        return parquet(bars, checksums=kind.startswith(".crc"))
    content = text(bars).encode()
    return packed(content, kind.removeprefix(".csv"), name="bars.csv")


def parquet(bars: pd.DataFrame, *, checksums: bool) -> bytes:
    stream = io.BytesIO()
    bars.to_parquet(stream, index=False, write_page_checksum=checksums)
    return stream.getvalue()


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """The file with one to three changed bytes, flipped bits, a cut, zeros in the middle, or repeated."""
    data = bytearray(content)
    what = rng.integers(0, 6)
    if what < 3:
        for at in rng.integers(0, len(data), rng.integers(1, 4)):
            data[at] = rng.integers(0, 256) if what else data[at] ^ (1 << rng.integers(0, 8))
    elif what == 3:
        del data[rng.integers(0, len(data)) :]
    elif what == 4:
        at = rng.integers(0, len(data))
        del data[at : at + rng.integers(1, 40)]
    else:  # the end, where zip and Parquet have their index
        at = len(data) - 1 - min(int(rng.exponential(200)), len(data) - 1)
        data[at] ^= 1 << rng.integers(0, 8)
    return bytes(data)


def verdict(path: Path, sound: pd.DataFrame, *, checked: bool) -> str:
    """The fault in the reader's behaviour on a mutated file, or ""."""
    try:
        found = FileSource(str(path), str(path)).fetch((), None, None)
    except FoundryError as error:
        line = str(error).replace(str(path), "FILE")
        return "" if len(line) <= 300 else f"a line of {len(line)} characters: {line[:200]}"
    except BaseException:
        return traceback.format_exc()[-1500:]
    return "" if not checked or found.equals(sound) else "other prices, without a word"


def main(kind: str, count: int, folder: Path) -> None:
    content = original(kind)
    path = folder / f"bars{kind}"
    path.write_bytes(content)
    sound = FileSource(str(path), str(path)).fetch((), None, None)
    rng = np.random.default_rng(len(kind))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + GROWTH_BYTES, used + GROWTH_BYTES))
    wrong = []
    for index in range(count):
        data = mutated(content, rng)
        path.write_bytes(data)
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        signal.alarm(SECONDS)
        said = verdict(path, sound, checked=kind in CHECKED)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        if said:
            wrong.append({"index": index, "said": said})
            (folder / f"wrong-{index}{kind}").write_bytes(data)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    sys.stdout.write(json.dumps({"wrong": wrong[:5], "times": len(wrong), "grown_kib": grown}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
