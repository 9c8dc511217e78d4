"""Keys of the store: results of runs, objects, ledger records, predictions, trials and price heads. Pure functions."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import date

from foundry_tasks.contract.plain import ConfValue

NO_SHARD = "-"
RUN_LOG = "run_log.jsonl"
REPORT_PAGE = "report.html"
_UNSAFE = re.compile(r"[^a-z0-9]+")
_SLUG_LENGTH = 40


def sha256_of(data: bytes) -> str:
    """SHA-256 of `data`, 64 hexadecimal digits: the name of an object in the store."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(value: ConfValue) -> bytes:
    """JSON with sorted keys and no spaces, so that equal values have equal digests."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=str).encode()


def digest_of(value: ConfValue) -> str:
    """SHA-256 of the canonical JSON of `value`."""
    return sha256_of(canonical_json(value))


def run_key(run_id: str) -> str:
    """Folder name of a run: a readable slug and a hash. Run ids contain `:` and `+` and may be long."""
    slug = _UNSAFE.sub("-", run_id.lower()).strip("-")[:_SLUG_LENGTH].rstrip("-")
    return f"{slug}-{sha256_of(run_id.encode())[:8]}"


def run_prefix(dag: str, run_id: str) -> str:
    """Prefix of a run's results and log."""
    return f"runs/{dag}/{run_key(run_id)}"


def result_key(dag: str, run_id: str, stage: str, shard: str | None) -> str:
    """Key of a stage's result; absent until the stage has succeeded. shard: None for a stage that is not mapped."""
    return f"{run_prefix(dag, run_id)}/{stage}/{shard or NO_SHARD}/result.json"


def run_log_key(dag: str, run_id: str) -> str:
    """Key of a run's log: one JSON line per stage."""
    return f"{run_prefix(dag, run_id)}/{RUN_LOG}"


def page_key(dag: str, run_id: str, page: str) -> str:
    """Key of a page for people, such as the report. A repeated run writes the same key."""
    return f"pages/{dag}/{run_key(run_id)}/{page}"


def quarantine_key(dag: str, run_id: str, stage: str, name: str) -> str:
    """Key of data that expectations rejected. It is kept for inspection; no stage reads it."""
    return f"quarantine/{dag}/{run_key(run_id)}/{stage}/{name}"


def object_key(sha256: str) -> str:
    """Key of an immutable object, named by the SHA-256 of its content."""
    return f"objects/{sha256}"


def reuse_key(stage: str, digest: str) -> str:
    """Key of a result that a stage reuses. digest: of the inputs, config and code that it was computed from."""
    return f"reuse/{stage}/{digest}.json"


def checkpoint_prefix(stage: str, digest: str) -> str:
    """Prefix of a stage's checkpoints, for a retry after the stage was killed. digest: as in `reuse_key`."""
    return f"checkpoints/{stage}/{digest}"


def head_key(market: str, source_digest: str) -> str:
    """Key of the newest price snapshot of a market's source. It is replaced by compare-and-swap."""
    return f"markets/{market}/{source_digest[:16]}/head.json"


def ledger_key(model: str, sequence: int) -> str:
    """Key of one ledger record. A record is created only if its key is absent."""
    return f"ledger/{model}/{sequence:08d}.json"


def prediction_key(market: str, as_of: date, horizon: int, version: int) -> str:
    """Key of a version's prediction after a session. Created only if absent, so the first prediction of a session is scored.

    >>> prediction_key("us", date(2024, 1, 31), horizon=5, version=3)
    'predictions/us/2024-01-31/5d-version3.json'
    """
    return f"{predictions_prefix(market)}{as_of.isoformat()}/{horizon}d-version{version}.json"


def predictions_prefix(market: str) -> str:
    """Prefix of a market's predictions. Its keys sort by as-of."""
    return f"predictions/{market}/"


def trial_key(market: str, digest: str) -> str:
    """Key of a trial: a configuration and its P&L on a market. Created only if absent, so a repeated trial counts once."""
    return f"{trials_prefix(market)}{digest}.json"


def trials_prefix(market: str) -> str:
    """Prefix of a market's trials."""
    return f"trials/{market}/"


def null_key(market: str, horizon: int, recipe_digest: str, digest: str) -> str:
    """Key of the refits of one audit: gated figures of a recipe under shifted labels. Created only if absent.

    digest: of the document.
    """
    return f"{nulls_prefix(market, horizon)}{recipe_digest[:16]}/{digest[:16]}.json"


def nulls_prefix(market: str, horizon: int) -> str:
    """Prefix of a market's nulls at a horizon. Up to version 0.2.0 a recipe had one null, `<recipe>.json`."""
    return f"nulls/{market}/{horizon}d/"


def outputs_digest(outputs: Mapping[str, str]) -> str:
    """One digest of a stage's outputs (name → SHA-256). It does not depend on time, run or runtime."""
    return digest_of(dict(outputs))
