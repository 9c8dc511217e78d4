"""Implements `contract.ports.Expectations` with Great Expectations: JSON suites in, a verdict and Data Docs out.

The import of GX takes seconds. `warm_up` runs it on a thread while the stage computes.
"""

import gc
import importlib
import json
import logging
import math
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from foundry_tasks.adapters.data_docs import self_contained
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.ports import EXAMPLE_KEYS, Finding, Verdict

MAX_EXAMPLES = 20
_PARAMETER = "$parameter"


class GreatExpectations:
    """Validates pandas frames against the suites of one folder."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._loading: threading.Thread | None = None

    def warm_up(self) -> None:
        """Start the import of GX on a thread; further calls do nothing."""
        if self._loading is None:
            self._loading = threading.Thread(target=_load, name="load-great-expectations", daemon=True)
            self._loading.start()

    def validate(self, suite: str, table: Any, facts: Mapping[str, Any]) -> Verdict:
        """As in the port. Raises ConfigError if the suite cannot be read or names a fact that is not in `facts`.

        An expectation with `meta.optional` is skipped if the table lacks its column. Examples identify rows by ticker, date,
        horizon and feature, as far as the table has these columns.
        """
        expectations = [
            expectation
            for expectation in _filled(self._read(suite), facts, suite)
            if not expectation["meta"].get("optional") or set(_columns(expectation["kwargs"])) <= set(table.columns)
        ]
        table = table.reset_index(drop=True)  # GX looks up example rows by label
        self.warm_up()
        if self._loading is not None:
            self._loading.join()
        result = _checkpoint(suite, table, expectations)
        findings = tuple(_finding(one) for one in result.results if not one.success)
        critical = sum(finding.severity == "critical" for finding in findings)
        status = f"{'rejected' if critical else 'passed'}: {critical} critical, {len(findings) - critical} warnings"
        return Verdict(
            suite=suite,
            passed=not critical,
            expectations=len(expectations),
            findings=findings,
            docs={"index.html": self_contained(_page(result), f"Data Docs: {suite}", status).encode()},
        )

    def _read(self, suite: str) -> list[dict[str, Any]]:
        path = self._folder / f"{suite}.json"
        try:
            document = json.loads(path.read_text())
            return list(document["expectations"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"expectation suite {path} cannot be read: {type(error).__name__}: {error}. Restore it, or set "
                "FOUNDRY_EXPECTATIONS to the folder that holds it."
            ) from error


# ------------------------------------------------------------------ suites
def _filled(expectations: Sequence[Mapping[str, Any]], facts: Mapping[str, Any], suite: str) -> list[dict[str, Any]]:
    """The suite with values in place of `$parameter`, in arguments and notes."""

    def value(item: Any) -> Any:
        if isinstance(item, Mapping) and _PARAMETER in item:
            fact = facts[item[_PARAMETER]]
            is_day = isinstance(fact, date) and not isinstance(fact, datetime)
            return datetime(fact.year, fact.month, fact.day) if is_day else fact  # noqa: DTZ001 - a date, as in the table
        return item

    try:
        return [
            {
                "type": one["type"],
                "kwargs": {name: value(item) for name, item in one.get("kwargs", {}).items()},
                "severity": one.get("severity", "critical"),
                "meta": {**one.get("meta", {}), "notes": str(one.get("meta", {}).get("notes", "")).format(**facts)},
            }
            for one in expectations
        ]
    except KeyError as error:
        raise ConfigError(
            f"expectation suite {suite!r} asks for {error}, which is no fact of this stage; it has "
            f"{', '.join(sorted(facts))}. Correct expectations/{suite}.json."
        ) from error


def _columns(arguments: Mapping[str, Any]) -> list[str]:
    pair = [arguments[name] for name in ("column", "column_A", "column_B") if name in arguments]
    return [*pair, *arguments.get("column_list", ())]


# ------------------------------------------------------------------ Great Expectations itself
def _load() -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    # Hides deprecation warnings of GX's dependencies. Not catch_warnings: it is not safe on a thread.
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    with _once_asked_for("scipy.stats", "altair"), _seldom_collected():
        import great_expectations  # noqa: PLC0415 - takes seconds, so it runs on the thread

    return great_expectations


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Run the garbage collector rarely. It takes a fifth of the import's time, and a module's objects are not garbage."""
    often = gc.get_threshold()
    gc.set_threshold(10_000, *often[1:])
    try:
        yield
    finally:
        gc.set_threshold(*often)


@contextmanager
def _once_asked_for(*names: str) -> Iterator[None]:
    """Defer the import of the modules `names` until an attribute of theirs is read.

    GX uses scipy.stats for tests of distributions and altair for plots; together they take a third of its import. A module
    that is already loaded, or whose attribute another thread reads meanwhile, is the real module.
    """
    for name in names:
        sys.modules.setdefault(name, _Awaited(name))
    try:
        yield
    finally:
        for name in names:
            if isinstance(sys.modules.get(name), _Awaited):
                del sys.modules[name]


class _Awaited(ModuleType):
    """Placeholder that imports its module when an attribute is read."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def _checkpoint(suite: str, table: Any, expectations: Sequence[Mapping[str, Any]]) -> Any:
    """GX's result. Nothing is written to disk, sent over the network, or printed."""
    gx = _load()
    from great_expectations.data_context.types.base import ProgressBarsConfig  # noqa: PLC0415 - GX is loaded by now

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("foundry").add_dataframe_asset(suite)
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(
            name=suite,
            data=asset.add_batch_definition_whole_dataframe("all"),
            suite=context.suites.add(gx.ExpectationSuite(name=suite, expectations=list(expectations))),
        )
    )
    keys = [name for name in EXAMPLE_KEYS if name in table.columns]
    result_format = {"result_format": "SUMMARY", "partial_unexpected_count": MAX_EXAMPLES}
    if keys:
        result_format["unexpected_index_column_names"] = keys
    return definition.run(batch_parameters={"dataframe": table}, result_format=result_format)


def _page(result: Any) -> str:
    """The HTML page of Data Docs for a result."""
    from great_expectations.render.renderer import ValidationResultsPageRenderer  # noqa: PLC0415 - GX is loaded by now
    from great_expectations.render.view import DefaultJinjaPageView  # noqa: PLC0415 - as above

    page: str = DefaultJinjaPageView().render(ValidationResultsPageRenderer().render(result))
    return page


# ------------------------------------------------------------------ findings
def _finding(one: Any) -> Finding:
    config, details = one.expectation_config, one.result or {}
    severity: Literal["critical", "warning"] = "critical" if _name(config.severity) == "critical" else "warning"
    note = str(config.meta.get("notes", "")) if config.meta else ""
    raised = any(error.get("raised_exception") for error in _exceptions(one.exception_info))
    if raised:
        severity, note = "critical", f"{note} (could not be checked)"
    examples = tuple(
        {name: _plain(value) for name, value in example.items()}
        for example in (details.get("partial_unexpected_index_list") or ())[:MAX_EXAMPLES]
    )
    if not examples and "observed_value" in details:
        examples = ({"observed": _plain(details["observed_value"])},)
    return Finding(
        expectation=config.type,
        severity=severity,
        column=", ".join(_columns(config.kwargs)),
        failed=int(details.get("unexpected_count") or 0),
        checked=int(details.get("element_count") or 0),
        examples=examples,
        note=note,
    )


def _name(severity: Any) -> str:
    return str(getattr(severity, "value", severity)).lower()


def _exceptions(info: Any) -> list[Mapping[str, Any]]:
    """GX stores one exception, or one per failed metric."""
    if not isinstance(info, Mapping):
        return []
    return [info] if "raised_exception" in info else [one for one in info.values() if isinstance(one, Mapping)]


def _plain(value: Any) -> Any:
    """The value as a JSON type."""
    if hasattr(value, "isoformat"):
        return value.isoformat()[:10]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | bool | None) else str(value)
