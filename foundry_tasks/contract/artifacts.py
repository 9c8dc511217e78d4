"""The URI layout of the store, pure: where a run's result, an object, a ledger record, a trial and a price head lie."""

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
    """The name of an object."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(value: ConfValue) -> bytes:
    """JSON with sorted keys and no spaces, so that equal values have equal digests."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=str).encode()


def digest_of(value: ConfValue) -> str:
    """sha256 of the canonical JSON of `value`."""
    return sha256_of(canonical_json(value))


def run_key(run_id: str) -> str:
    """A run's folder: a readable slug and a hash, since run ids hold `:` and `+` and may be long."""
    slug = _UNSAFE.sub("-", run_id.lower()).strip("-")[:_SLUG_LENGTH].rstrip("-")
    return f"{slug}-{sha256_of(run_id.encode())[:8]}"


def run_prefix(dag: str, run_id: str) -> str:
    """Everything a run has published."""
    return f"runs/{dag}/{run_key(run_id)}"


def result_key(dag: str, run_id: str, stage: str, shard: str | None) -> str:
    """The result of a stage; no such object, no result."""
    return f"{run_prefix(dag, run_id)}/{stage}/{shard or NO_SHARD}/result.json"


def run_log_key(dag: str, run_id: str) -> str:
    """One JSON line a stage."""
    return f"{run_prefix(dag, run_id)}/{RUN_LOG}"


def page_key(dag: str, run_id: str, page: str) -> str:
    """A page that people open, under a name that stays the same when the run is repeated."""
    return f"pages/{dag}/{run_key(run_id)}/{page}"


def quarantine_key(dag: str, run_id: str, stage: str, name: str) -> str:
    """What expectations rejected, kept to be looked at and never read by a stage."""
    return f"quarantine/{dag}/{run_key(run_id)}/{stage}/{name}"


def object_key(sha256: str) -> str:
    """An immutable object, named by its content."""
    return f"objects/{sha256}"


def reuse_key(stage: str, digest: str) -> str:
    """Where a pure stage finds what it has already computed from the same inputs, config and code."""
    return f"reuse/{stage}/{digest}.json"


def checkpoint_prefix(stage: str, digest: str) -> str:
    """Checkpoints of a stage's work, which a try that is killed leaves to the next."""
    return f"checkpoints/{stage}/{digest}"


def head_key(market: str, source_digest: str) -> str:
    """The newest price snapshot of a market's source; moved by compare-and-swap."""
    return f"markets/{market}/{source_digest[:16]}/head.json"


def ledger_key(model: str, sequence: int) -> str:
    """One ledger record, created only if absent."""
    return f"ledger/{model}/{sequence:08d}.json"


def prediction_key(market: str, as_of: date, horizon: int, version: int) -> str:
    """What a version said after a session, created only if absent: the first word on a day is the one that is scored.

    >>> prediction_key("us", date(2024, 1, 31), horizon=5, version=3)
    'predictions/us/2024-01-31/5d-version3.json'
    """
    return f"{predictions_prefix(market)}{as_of.isoformat()}/{horizon}d-version{version}.json"


def predictions_prefix(market: str) -> str:
    """Every prediction of a market, in the order of as-of."""
    return f"predictions/{market}/"


def trial_key(market: str, digest: str) -> str:
    """A configuration that was evaluated on a market and what it earned, created only if absent: once, however often."""
    return f"{trials_prefix(market)}{digest}.json"


def trials_prefix(market: str) -> str:
    """Every trial of a market."""
    return f"trials/{market}/"


def null_key(market: str, horizon: int, recipe_digest: str) -> str:
    """What the gated figures of a recipe are on this market where there is nothing to find; the newest audit's."""
    return f"nulls/{market}/{horizon}d/{recipe_digest[:16]}.json"


def outputs_digest(outputs: Mapping[str, str]) -> str:
    """One digest over a stage's outputs (name → sha256), free of time, run and runtime."""
    return digest_of(dict(outputs))
