"""STAGES: name → config, image, inputs, outputs, retries, resources. Operators, the CLI and the docs all read this."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

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
    retries: int = 2
    """On transient exits only."""
    timeout_s: int = 3600
    cpus: float = 2.0
    memory_mb: int = 8192
    pids: int = 512


STAGES: Mapping[str, StageSpec] = {
    spec.name: spec
    for spec in (
        StageSpec("prices", c.PricesConfig),
        StageSpec("features", c.FeaturesConfig, inputs=("prices",)),
        StageSpec("labels", c.LabelsConfig, inputs=("prices",)),
        StageSpec("models", c.ModelsConfig, inputs=("prices", "features", "labels"), mapped=True, timeout_s=4 * 3600),
        StageSpec("ensemble", c.EnsembleConfig, inputs=("features", "labels", "models")),
        StageSpec("leakage", c.LeakageConfig, inputs=("prices", "features", "labels", "models")),
        StageSpec("gates", c.GatesConfig, inputs=("labels", "models", "ensemble", "leakage"), pure=False),
        StageSpec("refit", c.RefitConfig, inputs=("features", "labels", "models", "ensemble", "gates")),
        StageSpec("promote", c.PromoteConfig, inputs=("prices", "features", "labels", "gates", "refit"), pure=False),
        StageSpec("predict", c.PredictConfig, inputs=("prices", "features", "promote"), pure=False),
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
                "refit",
                "promote",
                "predict",
            ),
            pure=False,
        ),
    )
}

PIPELINES: Mapping[str, tuple[str, ...]] = {
    "foundry_train": tuple(STAGES),
    "foundry_daily": ("prices", "features", "predict", "report"),
}
"""Which stages a DAG runs, in an order that respects their inputs."""


def inputs_in(dag: str, stage: str) -> tuple[str, ...]:
    """The upstream stages of `stage` that `dag` runs; a DAG of a user's own is taken to run them all."""
    return tuple(name for name in STAGES[stage].inputs if name in PIPELINES.get(dag, STAGES))


def conf_fields(stages: Iterable[str] = STAGES) -> dict[str, FieldInfo]:
    """Every key that a run's conf may hold for `stages`, with its type, default and bounds."""
    return {name: field for stage in stages for name, field in STAGES[stage].config.model_fields.items()}


def stage_config(stage: str, conf: Mapping[str, Any]) -> c.StageConfig:
    """The keys of `conf` that `stage` knows, validated. Raises ConfigError that lists every fault at once."""
    model = STAGES[stage].config
    try:
        return model.model_validate({key: value for key, value in conf.items() if key in model.model_fields})
    except ValidationError as error:
        raise ConfigError(_faults(error)) from error


def check_conf(conf: Mapping[str, Any], stages: Iterable[str] = STAGES) -> None:
    """Refuse a conf that holds an unknown key or an impossible value for any of `stages`."""
    unknown = sorted(set(conf) - set(conf_fields()))
    faults = [f"unknown config key {key!r}" for key in unknown]
    for stage in stages:
        try:
            stage_config(stage, conf)
        except ConfigError as error:
            faults += [fault for fault in str(error).split("; ") if fault not in faults]
    if unknown:
        faults.append(f"known keys: {', '.join(sorted(conf_fields()))}")
    if faults:
        raise ConfigError("; ".join(faults))


def _faults(error: ValidationError) -> str:
    def one(fault: Any) -> str:
        where = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        return f"{where}={fault['input']!r}: {message}" if where else message

    return "; ".join(one(fault) for fault in error.errors())
