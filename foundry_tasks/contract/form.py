"""The trigger form of a DAG: its fields and sections, their help texts and allowed values."""

import json
from collections.abc import Mapping
from types import MappingProxyType

from pydantic import JsonValue

from foundry_tasks.contract.plain import Conf, ConfValue
from foundry_tasks.contract.stages import PIPELINES, STAGES

FRONT: Mapping[str, tuple[str, ...]] = {
    "foundry_train": ("market", "source", "prices", "start", "horizons", "models"),
    "foundry_daily": ("market", "source", "prices", "tickers", "max_position", "kelly_fraction"),
    "foundry_backtest": (
        *("market", "universe", "start", "end", "horizons", "models"),
        *("commission_bp", "half_spread_bp"),
    ),
    "foundry_audit": ("market", "simulated_markets", "null_refits", "min_auc", "min_auc_lower", "min_wfe"),
}
"""DAG → keys at the top of the form, outside any section. Airflow shows them open; sections are collapsed."""

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Prices and universe": (
        *("market", "source", "prices", "columns", "universe", "tickers", "start", "end"),
        *("calendar", "sectors", "benchmark", "vix", "cross_check", "skip_closed", "keep", "redenominations"),
    ),
    "Forecasts": ("horizons", "models", "feature_set", "label_kind", "label_entry", "calibration"),
    "Positions": (
        "max_position",
        "kelly_fraction",
        "sizing",
        "names_a_side",
        "entry",
        "holding_sessions",
        "max_turnover",
    ),
    "Costs": ("commission_bp", "half_spread_bp", "borrow_bp_a_year", "impact", "capital"),
    "Walk-forward": ("folds", "test_sessions", "validation_sessions", "walk", "retrain_sessions"),
    "Run and report": ("reason", "top", "validate_only", "skip_gates"),
    "Simulated markets": ("simulated_markets", "null_refits", "oracle_aucs", "market_sessions", "market_tickers"),
    "Monitoring": ("live_sessions", "min_live_auc_lower", "drift_sessions", "max_psi"),
    "Gates": (
        *("min_auc", "min_auc_lower", "min_wfe", "warn_wfe", "max_calibration_gap", "min_spread_ratio", "max_sign_gap"),
        *("min_coverage", "min_champion_difference", "min_null_refits", "promotion_window_sessions"),
    ),
    "Expert: deep models": (
        *("sequence_sessions", "deep_size", "deep_epochs", "deep_loss", "deep_tasks"),
        *("denoise", "learning_rate", "precision"),
    ),
    "Expert: fitting": (
        *("seeds", "seed", "tuning_trials", "early_stopping", "stopping_sessions", "per_regime"),
        *("regime_scale", "regime_intercept", "calibration_sessions", "min_rank_correlation", "spread_ratio_band"),
    ),
    "Expert: windows": (
        *("warmup_blocks", "embargo_sessions", "first_test_session", "fit_sessions", "min_fit_sessions"),
        "overlap_sessions",
    ),
    "Expert: statistics": ("confidence", "resamples", "min_blocks", "audit_dates"),
    "Expert: resources": ("threads", "fan_out"),
}
"""Title → its keys, in the order of every form. A form omits keys that its DAG does not have or that FRONT names."""


Schema = dict[str, JsonValue]
"""JSON schema of a field."""


def sections(dag: str) -> dict[str, str | None]:
    """Key → title of its section, in the order of the form; None: at the top."""
    known = set(_properties(dag))
    placed = dict.fromkeys(FRONT[dag])
    for title, keys in SECTIONS.items():
        placed |= {key: title for key in keys if key in known and key not in placed}
    return placed


def form(dag: str, filled: Conf = MappingProxyType({})) -> dict[str, Schema]:
    """Key → JSON schema with Airflow's additions, in the order of the form. Every field accepts null.

    filled: values that the form is filled in with. Every other field is empty and takes its default.
    """
    properties = _properties(dag)
    return {
        key: _field(key, properties[key], filled) | ({"section": title} if title else {})
        for key, title in sections(dag).items()
    }


_NAMES_THE_MARKET = "market"
"""The one key that no market file can set."""
_SHOWN_ELSEWHERE = {"title", "default", "description", "anyOf", "prefixItems"}


def _field(key: str, schema: Schema, filled: Conf) -> Schema:
    given = next((kind for kind in _schemas(schema, "anyOf") if kind["type"] != "null"), schema)
    found: Schema = {name: value for name, value in given.items() if name not in _SHOWN_ELSEWHERE}
    found["type"] = ["null", given["type"]]
    text, _, empty = " ".join(str(schema["description"]).split()).partition(" Empty: ")
    default = empty.removesuffix(".") or _shown(schema["default"])
    if isinstance(choices := found.get("enum"), list):
        found["enum"] = [None, *choices]
        found["values_display"] = {"null": f"default: {default}"}
    if given["type"] == "array":
        found |= _list(given)
    help_text = f"{text}\n\n{_empty(key, str(given['type']), default, filled)}"
    return found | {"description_md": help_text.replace("`", "**")}  # Airflow renders code taller than the line


def _empty(key: str, kind: str, default: str, filled: Conf) -> str:
    """The sentence on the value of a field that is left untouched."""
    if key in filled:
        return f"Untouched: {_shown(filled[key])}."
    market = "" if key == _NAMES_THE_MARKET else "the market file's value, otherwise "
    return f"{'Untouched' if kind == 'boolean' else 'Empty'}: {market}{default}."


def _list(schema: Schema) -> Schema:
    """How a list is entered: chosen from its values where the schema bounds them, else line by line or as JSON.

    Airflow passes chosen values as text.
    """
    [items, *_] = _schemas(schema, "items") or _schemas(schema, "prefixItems")
    if "enum" in items:
        return {"items": items, "examples": items["enum"]}
    least, most = items.get("minimum"), items.get("maximum")
    if items["type"] == "integer" and isinstance(least, int) and isinstance(most, int):
        choices: list[JsonValue] = [str(number) for number in range(least, most + 1)]
        return {"items": {"anyOf": [items, {"enum": choices}]}, "examples": choices}
    return {"items": items}


def _schemas(schema: Schema, key: str) -> list[Schema]:
    """The schema or the schemas under a key of a schema."""
    found = schema.get(key, [])
    return [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, dict)]


def _shown(value: ConfValue) -> str:
    """A value as it is typed in the form."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list) and not any(isinstance(item, float) for item in value):
        return ", ".join(map(_shown, value))  # lists of floats are typed and shown as JSON
    return value if isinstance(value, str) else json.dumps(value)


def _properties(dag: str) -> dict[str, Schema]:
    """Key → JSON schema. For a key of several stages: schema of the first, description of the first that has one."""
    found: dict[str, Schema] = {}
    for stage in (*PIPELINES[dag], *STAGES):
        for key, schema in STAGES[stage].config.model_json_schema()["properties"].items():
            if stage in PIPELINES[dag]:
                found.setdefault(key, dict(schema))
            if key in found and "description" in schema:
                found[key].setdefault("description", schema["description"])
    return found
