"""What the start page tells of each run: its verdicts, how far it got, and the pages that it laid out."""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from foundry_tasks.contract.ports import Store

KEPT_S = 10.0
"""How long an answer is good for, so that a page that is loaded again and again does not read the store as often."""
_READERS = 16
_REPORT = "report.html"
_DOCS = "data_docs/"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gates said of one horizon."""

    horizon: str
    verdict: str
    auc: float | None


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one DAG, as far as it got."""

    dag: str
    key: str
    """Its folder in the store."""
    run_id: str
    market: str
    as_of: str
    """The last session of its prices, ISO 8601; empty where it has none yet."""
    last_at: str
    """When its last stage began, ISO 8601 in UTC; empty where it has no log."""
    headline: str
    verdicts: tuple[Verdict, ...]
    last_stage: str
    error: str
    """Stage and sentence of what failed and was not mended since."""
    warnings: int
    report: str
    """Key of its report, empty where it has none yet."""
    data_docs: Mapping[str, str] = field(default_factory=dict)
    """Suite → key of its page."""


class Runs:
    """The runs in a store, newest first."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._found: tuple[Run, ...] = ()
        self._at = float("-inf")

    def newest_first(self) -> tuple[Run, ...]:
        """Every run. Raises FoundryError where the store cannot be read."""
        with self._lock:
            if time.monotonic() - self._at > KEPT_S:
                self._found = self._read()
                self._at = time.monotonic()
            return self._found

    def _read(self) -> tuple[Run, ...]:
        pages: dict[tuple[str, str], list[str]] = defaultdict(list)
        for prefix in ("runs/", "pages/"):
            for key in self._store.keys(prefix):
                _, dag, run, rest = [*key.split("/", 3), "", ""][:4]
                if rest:
                    pages[dag, run] += [rest] if prefix == "pages/" else []
        with ThreadPoolExecutor(_READERS) as readers:
            found = list(readers.map(self._run, pages.keys(), pages.values()))
        return tuple(sorted(found, key=lambda run: (run.last_at, run.as_of, run.run_id), reverse=True))

    def _run(self, named: tuple[str, str], pages: list[str]) -> Run:
        dag, key = named
        prices, gates, report = (
            self._document(f"runs/{dag}/{key}/{stage}/-/result.json") for stage in ("prices", "gates", "report")
        )
        log = list(self._log(dag, key))
        result = report or gates or prices
        last = log[-1] if log else {}
        state = {(line["stage"], line.get("shard")): line for line in log}
        failed = [line for line in state.values() if line["status"] == "error"]
        return Run(
            dag=dag,
            key=key,
            run_id=result.get("run_id") or last.get("run_id") or key,
            market=result.get("config", {}).get("market", ""),
            as_of=prices.get("as_of", ""),
            last_at=last.get("timestamp", ""),
            headline=report.get("metrics", {}).get("status", ""),
            verdicts=tuple(_verdicts(gates)),
            last_stage=last.get("stage", ""),
            error="; ".join(f"{line['stage']}: {' '.join(line.get('warnings', ()))}" for line in failed),
            warnings=sum(len(line.get("warnings", ())) for line in state.values() if line["status"] == "warn"),
            report=f"pages/{dag}/{key}/{_REPORT}" if _REPORT in pages else "",
            data_docs={
                page.split("/")[1]: f"pages/{dag}/{key}/{page}"
                for page in sorted(pages)
                if page.startswith(_DOCS) and page.endswith("/index.html")
            },
        )

    def _document(self, key: str) -> dict[str, Any]:
        """A JSON object; empty where it is absent or damaged, since a page that shows the rest helps more than none."""
        try:
            found = json.loads(self._store.read(key) or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _log(self, dag: str, key: str) -> Iterator[dict[str, Any]]:
        """Lines of the run log, but for those that are none."""
        for text in (self._store.read(f"runs/{dag}/{key}/run_log.jsonl") or b"").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict) and {"stage", "status"} <= line.keys():
                yield line


def _verdicts(gates: Mapping[str, Any]) -> Iterator[Verdict]:
    """Of `metrics` of the gates stage, shortest horizon first."""
    metrics = gates.get("metrics", {})
    horizons = [name for name in metrics if name.endswith("d") and name[:-1].isdecimal()]
    for name in sorted(horizons, key=lambda name: int(name[:-1])):
        yield Verdict(name[:-1], metrics[name].get("verdict", "undefined"), metrics[name].get("auc"))
