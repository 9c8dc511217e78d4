"""Rows of the start page: each run's verdicts, progress and pages."""

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
"""Seconds for which the list is cached, so that reloads of the page do not read the store each time."""
_READERS = 16
_REPORT = "report.html"
_DOCS = "data_docs/"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gates' verdict on one horizon."""

    horizon: str
    verdict: str
    auc: float | None


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one DAG, finished or not."""

    dag: str
    key: str
    """The run's folder in the store."""
    run_id: str
    market: str
    as_of: str
    """Last session of its prices, ISO 8601; "" before the stage prices has ended."""
    last_at: str
    """Start of its last stage, ISO 8601 in UTC; "" without a run log."""
    headline: str
    verdicts: tuple[Verdict, ...]
    last_stage: str
    error: str
    """Stage and message of failures that no later try has repaired."""
    warnings: int
    report: str
    """Key of its report; "" before the stage report has ended."""
    data_docs: Mapping[str, str] = field(default_factory=dict)
    """Suite → key of its Data Docs page."""


class Runs:
    """The runs in a store, newest first."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._found: tuple[Run, ...] = ()
        self._at = float("-inf")

    def newest_first(self) -> tuple[Run, ...]:
        """All runs. Raises FoundryError if the store cannot be read."""
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
        """A JSON object; empty if it is missing or damaged, so that the page can show the rest."""
        try:
            found = json.loads(self._store.read(key) or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _log(self, dag: str, key: str) -> Iterator[dict[str, Any]]:
        """Valid lines of the run log."""
        for text in (self._store.read(f"runs/{dag}/{key}/run_log.jsonl") or b"").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict) and {"stage", "status"} <= line.keys():
                yield line


def _verdicts(gates: Mapping[str, Any]) -> Iterator[Verdict]:
    """Verdicts from `metrics` of the gates stage, shortest horizon first."""
    metrics = gates.get("metrics", {})
    horizons = [name for name in metrics if name.endswith("d") and name[:-1].isdecimal()]
    for name in sorted(horizons, key=lambda name: int(name[:-1])):
        yield Verdict(name[:-1], metrics[name].get("verdict", "undefined"), metrics[name].get("auc"))
