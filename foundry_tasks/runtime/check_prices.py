"""`foundry check`: runs the prices stage on a file with a temporary store, so that no run is affected."""

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from foundry_tasks.contract import artifacts
from foundry_tasks.contract.documents import Prices
from foundry_tasks.contract.documents.prices import PriceHead
from foundry_tasks.contract.errors import ConfigError, DataRejectedError, TransientError
from foundry_tasks.contract.identity import Identity
from foundry_tasks.contract.plain import Conf
from foundry_tasks.contract.ports import Finding, Store
from foundry_tasks.report.price_cases import Snapshot, rejected_cases, worst_cases
from foundry_tasks.report.price_check import PriceCheck, as_page
from foundry_tasks.runtime import runner

_DAG, _RUN = "foundry_train", "check"
_JUDGED = ("action", "bad_jump", "large_move")
"""Columns of the expectation suite whose findings are large moves."""


def check_prices(prices: str, conf: Conf, as_of: date, run_context: Callable[[str], runner.RunContext]) -> PriceCheck:
    """Run the prices stage on `prices`, a file, a folder or an `s3://` URI, and return its results.

    run_context: folder of the store → context of the stage. Raises the errors of the stage, except DataRejectedError: a
    rejected file is returned with the reason and the warnings before it.
    """
    for key, value in (("source", "parquet"), ("prices", prices)):
        if conf.get(key, value) != value:
            raise ConfigError(
                f"{key} is {conf[key]!r} in the conf, and `foundry check` reads {prices!r}. Leave {key} out."
            )
    with _folder() as folder:
        context = run_context(folder)
        identity = Identity(_DAG, _RUN, "prices", None, as_of)
        try:
            result = runner.execute(identity, {**conf, "source": "parquet", "prices": prices}, context)
        except DataRejectedError as error:
            return _rejected(prices, error, context.store)
        published = context.store.object_path(result.outputs[Prices.artifact].sha256)
        about = Prices.model_validate_json(published.read_bytes())
        return PriceCheck(
            prices=prices,
            about=about,
            warnings=_once(result.warnings),
            cases=worst_cases(about.large_moves, Snapshot(context.store.object_path(about.snapshot))),
        )


def write_page(check: PriceCheck, page: Path) -> str:
    """Write the page, replacing an existing file; returns its URI. Raises ConfigError if it cannot be written."""
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(as_page(check), encoding="utf-8")
    except (OSError, ValueError) as error:  # ValueError: a name that no file system accepts
        reason = str(getattr(error, "strerror", None) or error).lower()
        raise ConfigError(f"--page {page} cannot be written: {reason}. Name another.") from error
    return page.resolve().as_uri()


@contextmanager
def _folder() -> Iterator[str]:
    try:
        made = tempfile.TemporaryDirectory(prefix="foundry-check-")
    except OSError as error:
        raise TransientError(f"no folder for the check: {error.strerror}. Free space there or set TMPDIR.") from error
    with made as folder:
        yield folder


def _rejected(prices: str, error: DataRejectedError, store: Store) -> PriceCheck:
    """The check of a rejected file: facts about its bars, and the findings of the expectations."""
    document = store.read(artifacts.quarantine_key(_DAG, _RUN, "prices", "prices.json"))
    findings = [Finding(**one) for one in json.loads(document or b"[]")]
    head = next((store.read(key) for key in store.keys("markets/") if key.endswith("/head.json")), None)
    snapshot = Snapshot(store.object_path(PriceHead.model_validate_json(head).snapshot)) if head else None
    shown = [one for one in findings if one.severity == "critical" or one.column in _JUDGED]
    return PriceCheck(
        prices=prices,
        refusal=str(error).partition(f" More: {store.uri}")[0],  # the store and its pages are deleted by then
        read=snapshot.facts() if snapshot else None,
        warnings=_once(one.sentence for one in findings if one.severity == "warning"),
        cases=rejected_cases(shown, snapshot) if snapshot else (),
    )


def _once(warnings: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.removeprefix("prices: ") for text in warnings))
