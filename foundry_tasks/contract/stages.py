"""STAGES: name → config, image, inputs, outputs, retries, resources. Operators, the CLI and the docs all read this."""

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from foundry_tasks.contract import config as c
from foundry_tasks.contract.errors import ConfigError

Image = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One step of a run, one container."""

    name: str
    config: type[c.StageConfig]
    inputs: tuple[str, ...] = ()
    """Upstream stages whose results it reads; in a DAG that lacks one, it does without."""
    image: Image = "cpu"
    mapped: bool = False
    """Whether it may run in pieces, each a shard of its own."""
    pure: bool = True
    """Whether equal inputs, config and code make its result reusable."""
    outside: bool = False
    """Whether its container reaches the world, to fetch prices; the others reach the store and MLflow alone."""
    governs: bool = False
    """Whether its container holds the keys that write registry and ledger."""
    retries: int = 2
    """On transient exits only."""
    timeout_s: int = 3600
    cpus: float = 2.0
    memory_mb: int = 8192
    pids: int = 512


STAGES: Mapping[str, StageSpec] = {
    spec.name: spec
    for spec in (
        StageSpec("prices", c.PricesConfig, outside=True),
        StageSpec("features", c.FeaturesConfig, inputs=("prices",)),
        StageSpec("labels", c.LabelsConfig, inputs=("prices",)),
        StageSpec("models", c.ModelsConfig, inputs=("prices", "features", "labels"), mapped=True, timeout_s=4 * 3600),
        StageSpec("ensemble", c.EnsembleConfig, inputs=("features", "labels", "models")),
        StageSpec("nulls", c.NullsConfig, inputs=("prices", "features", "labels"), timeout_s=24 * 3600),
        StageSpec("leakage", c.LeakageConfig, inputs=("prices", "features", "labels", "models")),
        StageSpec(
            "gates",
            c.GatesConfig,
            inputs=("prices", "features", "labels", "models", "ensemble", "leakage"),
            pure=False,
        ),
        StageSpec("portfolio", c.PortfolioConfig, inputs=("prices", "features", "labels", "models", "ensemble")),
        StageSpec(
            "simulate",
            c.SimulateConfig,
            inputs=("prices", "features", "labels", "models", "ensemble", "portfolio"),
            timeout_s=4 * 3600,
        ),
        StageSpec("refit", c.RefitConfig, inputs=("features", "labels", "models", "ensemble", "gates")),
        StageSpec(
            "promote",
            c.PromoteConfig,
            inputs=("prices", "features", "labels", "gates", "refit"),
            governs=True,
            pure=False,
        ),
        StageSpec("predict", c.PredictConfig, inputs=("prices", "features", "promote"), pure=False),
        StageSpec("monitor", c.MonitorConfig, inputs=("prices", "features", "predict"), pure=False),
        StageSpec(
            "report",
            c.ReportConfig,
            inputs=(
                "prices",
                "features",
                "labels",
                "models",
                "ensemble",
                "leakage",
                "gates",
                "portfolio",
                "simulate",
                "refit",
                "promote",
                "predict",
                "monitor",
            ),
            pure=False,
        ),
        StageSpec("decide", c.DecideConfig, governs=True, pure=False),
        StageSpec("audit", c.AuditConfig, timeout_s=4 * 3600),
    )
}

_EVIDENCE = ("prices", "features", "labels", "models", "ensemble", "leakage", "gates")
PIPELINES: Mapping[str, tuple[str, ...]] = {
    "foundry_train": (*_EVIDENCE, "refit", "promote", "predict", "report"),
    "foundry_daily": ("prices", "features", "predict", "monitor", "report"),
    "foundry_backtest": (*_EVIDENCE, "portfolio", "simulate", "report"),
    "foundry_promote": ("decide",),
    "foundry_audit": ("audit", "prices", "features", "labels", "nulls"),
}
"""Which stages a DAG runs, in an order that respects their inputs."""


def inputs_in(dag: str, stage: str) -> tuple[str, ...]:
    """The upstream stages of `stage` that `dag` runs; a DAG of a user's own is taken to run them all."""
    return tuple(name for name in STAGES[stage].inputs if name in PIPELINES.get(dag, STAGES))


def conf_fields(stages: Iterable[str] = STAGES) -> dict[str, FieldInfo]:
    """Every key that a run's conf may hold for `stages`, with its type, default and bounds."""
    return {name: field for stage in stages for name, field in STAGES[stage].config.model_fields.items()}


def conf_schema(stages: Iterable[str] = STAGES) -> dict[str, dict[str, Any]]:
    """JSON schema of every key that a run's conf may hold for `stages`: what it is for, and what values it takes.

    Flat, as a form wants it. Null always fits: a field that is left empty. A key of several stages is what the first says.
    """
    found: dict[str, dict[str, Any]] = {}
    for stage in stages:
        for name, schema in STAGES[stage].config.model_json_schema()["properties"].items():
            found.setdefault(name, _nullable(schema))
    return found


def _nullable(schema: Mapping[str, Any]) -> dict[str, Any]:
    about = {"description": f"{schema.get('description', '')} Default: {json.dumps(schema.get('default'))}.".lstrip()}
    given = next((kind for kind in schema.get("anyOf", ()) if kind["type"] != "null"), schema)
    found = {
        key: value for key, value in given.items() if key not in {"title", "default", "description", "prefixItems"}
    }
    if "enum" in found:
        found["enum"] = [None, *found["enum"]]
    return about | found | {"type": ["null", found["type"]]}


def shards(conf: Mapping[str, Any], default: c.FanOut = "none") -> list[str]:
    """The pieces that the models stage is mapped over, as `fan_out` says: what `--shard` takes, one task a piece.

    conf: a run's whole conf, its market's defaults merged in. default: where the conf does not say. Raises ConfigError
    for a conf that the stage would refuse.
    """
    config = cast(c.ModelsConfig, stage_config("models", conf))
    finest = ("none", "horizon", "model", "fold").index(config.fan_out or default)
    parts: dict[str, Iterable[Any]] = {
        "h": config.horizons,
        "model": config.models,
        "fold": map(c.fold_name, range(1 - config.warmup_blocks, config.folds + 1)),
    }
    chosen = [[f"{name}={value}" for value in values] for name, values in list(parts.items())[:finest]]
    return [",".join(piece) for piece in itertools.product(*chosen)]


def stage_config(stage: str, conf: Mapping[str, Any]) -> c.StageConfig:
    """The keys of `conf` that `stage` knows, validated. Raises ConfigError that lists every fault at once."""
    model = STAGES[stage].config
    try:
        return model.model_validate({key: value for key, value in conf.items() if key in model.model_fields})
    except ValidationError as error:
        raise ConfigError(_faults(error)) from error


def sharing_conf(stage: str) -> tuple[str, ...]:
    """The stages that read one conf with `stage`: all that stand in a pipeline with it."""
    together = {name for stages in PIPELINES.values() if stage in stages for name in stages}
    return tuple(name for name in STAGES if name in together)


MARKET_STAGES = sharing_conf("prices")
"""The stages that a market's defaults are for."""


def check_conf(conf: Mapping[str, Any], stages: Iterable[str] = MARKET_STAGES) -> None:
    """Refuse a conf that holds a key unknown to `stages`, or an impossible value for any of them."""
    stages = tuple(stages)
    known = sorted(conf_fields(stages))
    unknown = sorted(set(conf) - set(known))
    faults = [f"unknown config key {key!r}" for key in unknown]
    for stage in stages:
        try:
            stage_config(stage, conf)
        except ConfigError as error:
            faults += [fault for fault in str(error).split("; ") if fault not in faults]
    if unknown:
        faults.append(f"known keys: {', '.join(known)}")
    if faults:
        raise ConfigError("; ".join(faults))


def _faults(error: ValidationError) -> str:
    def one(fault: Any) -> str:
        where = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        return f"{where}={fault['input']!r}: {message}" if where else message

    return "; ".join(one(fault) for fault in error.errors())
