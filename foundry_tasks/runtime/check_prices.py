"""`foundry check`: what the prices stage says of a file, in a store that is deleted, so that nothing of a run changes."""

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
"""Columns of the suite whose findings are large moves."""


def check_prices(prices: str, conf: Conf, as_of: date, run_context: Callable[[str], runner.RunContext]) -> PriceCheck:
    """Run the prices stage on `prices`, a file, a folder or an `s3://` URI, and gather what it says.

    run_context: gives what the stage is run in, with its store in the folder that it is given. Raises what the stage
    raises; but what it rejects is returned with the reason, and with the warnings that came before.
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
    """Write the page, over what was there; returns its address. Raises ConfigError where it cannot be written."""
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(as_page(check), encoding="utf-8")
    except (OSError, ValueError) as error:  # a name of no file system
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
    """What is known of a rejected file: what was read of it, and all that expectations found."""
    document = store.read(artifacts.quarantine_key(_DAG, _RUN, "prices", "prices.json"))
    findings = [Finding(**one) for one in json.loads(document or b"[]")]
    head = next((store.read(key) for key in store.keys("markets/") if key.endswith("/head.json")), None)
    snapshot = Snapshot(store.object_path(PriceHead.model_validate_json(head).snapshot)) if head else None
    shown = [one for one in findings if one.severity == "critical" or one.column in _JUDGED]
    return PriceCheck(
        prices=prices,
        refusal=str(error).partition(f" More: {store.uri}")[0],  # the store and its pages are gone when this is read
        read=snapshot.facts() if snapshot else None,
        warnings=_once(one.sentence for one in findings if one.severity == "warning"),
        cases=rejected_cases(shown, snapshot) if snapshot else (),
    )


def _once(warnings: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.removeprefix("prices: ") for text in warnings))
