"""STAGES: name → config, inputs, retries, resources; the shards of a stage, and the image of a task.

Operators, the CLI and the docs read it.
"""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from pydantic import JsonValue, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, to_jsonable_python

from foundry_tasks.contract import config as c
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.plain import Conf, ConfValue

Image = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class StageSpec:
    """A stage of a run. A task of it is one process or container."""

    name: str
    does: str
    """What it does, in a few words. They are shown while it runs."""
    config: type[c.StageConfig]
    inputs: tuple[str, ...] = ()
    """Upstream stages whose results it reads. A DAG may lack some of them."""
    fits_models: bool = False
    """Whether it may fit models. A task that fits deep ones runs in the image `cuda`."""
    mapped: bool = False
    """Whether it may run as several tasks, one per shard."""
    pure: bool = True
    """Whether equal inputs, config and code make its result reusable."""
    needs_internet: bool = False
    """Whether its container reaches the internet, to fetch prices. Others reach the store and MLflow only."""
    writes_registry: bool = False
    """Whether its container has the credentials for writing registry and ledger."""
    moves_champion: bool = False
    """Whether it may make another version champion; its Airflow task then announces that."""
    retries: int = 2
    """After transient exits only."""
    timeout_s: int = 3600
    cpus: float = 2.0
    memory_mb: int = 8192
    pids: int = 512


STAGES: Mapping[str, StageSpec] = {
    spec.name: spec
    for spec in (
        StageSpec("prices", "fetch daily prices, exclude bad bars", c.PricesConfig, needs_internet=True),
        StageSpec(
            "features", "compute features known at the close of each session", c.FeaturesConfig, inputs=("prices",)
        ),
        StageSpec("labels", "compute forward returns and labels", c.LabelsConfig, inputs=("prices",)),
        StageSpec(
            "models",
            "fit the base models in every fold",
            c.ModelsConfig,
            inputs=("prices", "features", "labels"),
            fits_models=True,
            mapped=True,
            timeout_s=4 * 3600,
        ),
        StageSpec(
            "ensemble",
            "stack the base models and calibrate to P(up)",
            c.EnsembleConfig,
            inputs=("features", "labels", "models"),
        ),
        StageSpec(
            "nulls",
            "refit the recipe under shifted labels",
            c.NullsConfig,
            inputs=("prices", "features", "labels"),
            fits_models=True,
            timeout_s=24 * 3600,
        ),
        StageSpec(
            "leakage",
            "recompute the past with later prices cut and poisoned",
            c.LeakageConfig,
            inputs=("prices", "features", "labels", "models", "ensemble"),
            fits_models=True,
            timeout_s=4 * 3600,
        ),
        StageSpec(
            "gates",
            "judge the evidence by the policy",
            c.GatesConfig,
            inputs=("prices", "features", "labels", "models", "ensemble", "leakage"),
            writes_registry=True,
            pure=False,
        ),
        StageSpec(
            "portfolio",
            "trade the forecasts after costs",
            c.PortfolioConfig,
            inputs=("prices", "features", "labels", "models", "ensemble"),
        ),
        StageSpec(
            "simulate",
            "trade again, session by session, and compare",
            c.SimulateConfig,
            inputs=("prices", "features", "labels", "models", "ensemble", "portfolio"),
            fits_models=True,
            timeout_s=4 * 3600,
        ),
        StageSpec(
            "refit",
            "refit the models that passed, on all sessions",
            c.RefitConfig,
            inputs=("features", "labels", "models", "ensemble", "gates"),
            fits_models=True,
            timeout_s=4 * 3600,
        ),
        StageSpec(
            "promote",
            "register versions, move the champion",
            c.PromoteConfig,
            inputs=("prices", "features", "labels", "gates", "refit"),
            writes_registry=True,
            moves_champion=True,
            pure=False,
        ),
        StageSpec(
            "predict",
            "predict from the last session",
            c.PredictConfig,
            inputs=("prices", "features", "promote"),
            pure=False,
        ),
        StageSpec(
            "monitor",
            "score earlier predictions, measure drift",
            c.MonitorConfig,
            inputs=("prices", "features", "predict"),
            pure=False,
        ),
        StageSpec(
            "report",
            "write the report",
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
        StageSpec(
            "decide",
            "carry out a person's decision",
            c.DecideConfig,
            writes_registry=True,
            moves_champion=True,
            pure=False,
        ),
        StageSpec("audit", "count errors of the gates on simulated markets", c.AuditConfig, timeout_s=4 * 3600),
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
    """The upstream stages of `stage` that `dag` runs. A user's own DAG is assumed to run all of them."""
    return tuple(name for name in STAGES[stage].inputs if name in PIPELINES.get(dag, STAGES))


def recent_sessions(dag: str) -> int | None:
    """Number of last sessions that a run of `dag` computes features of. None: all, since it may fit models on them.

    A user's own DAG is assumed to fit models.
    """
    fits = any(STAGES[name].fits_models for name in PIPELINES.get(dag, STAGES))
    return None if fits else c.RECENT_SESSIONS


def conf_fields(stages: Iterable[str] = STAGES) -> dict[str, FieldInfo]:
    """Every key that a run's conf may hold for `stages`, with its type, default and bounds."""
    return {name: field for stage in stages for name, field in STAGES[stage].config.model_fields.items()}


LIGHT = "light"
"""In a shard, in place of a model: all models that are not deep."""


def shards(conf: Conf, default: c.FanOut = "none") -> list[str]:
    """The shards of the models stage for a run's `fan_out`, in the form of `--shard`. Each shard is one task.

    Horizons are split last, since the horizons of a model's fold share its bins. A deep model is always a shard of its
    own, since it needs another image. conf: a run's whole conf, its market's defaults merged in. default: `fan_out` where
    the conf has none. Raises ConfigError for a conf that the stage would refuse.
    """
    config = cast(c.ModelsConfig, stage_config("models", conf))
    finest = get_args(c.FanOut).index(config.fan_out or default)
    parts: dict[str, Iterable[int | str]] = {}
    if finest >= 3:
        parts["h"] = config.horizons
    if finest >= 1:
        parts["model"] = config.models
    elif deep := [name for name in config.models if name in c.DEEP_MODELS]:
        parts["model"] = [*([LIGHT] if len(deep) < len(config.models) else []), *deep]
    if finest >= 2:
        parts["fold"] = map(c.fold_name, range(1 - config.warmup_blocks, config.folds + 1))
    chosen = [[f"{name}={value}" for value in values] for name, values in parts.items()]
    return [",".join(shard) for shard in itertools.product(*chosen)]


def shard_parts(shard: str | None) -> dict[str, str]:
    """The parts of a shard: {"h": "5", "model": "light"} for `h=5,model=light`, {} for None."""
    return dict(part.partition("=")[::2] for part in (shard or "").split(",") if part)


def models_of(shard: str | None, models: Iterable[c.ModelName]) -> tuple[c.ModelName, ...]:
    """The models of a shard among `models`; empty where it names none of them."""
    named = shard_parts(shard).get("model")
    if named == LIGHT:
        return tuple(name for name in models if name not in c.DEEP_MODELS)
    return tuple(name for name in models if named in {None, name})


def image_of_task(stage: str, shard: str | None, conf: Conf) -> Image:
    """The image of a task: `cuda`, with a GPU, where the task fits a deep model; else `cpu`.

    conf: a run's whole conf, its market's defaults merged in. Raises ConfigError for one that the models stage would refuse.
    """
    replays = stage == "simulate" and conf.get("retrain_sessions") is None
    if not STAGES[stage].fits_models or replays:
        return "cpu"
    config = cast(c.ModelsConfig, stage_config("models", conf))
    return "cuda" if set(models_of(shard, config.models)) & set(c.DEEP_MODELS) else "cpu"


def stage_config(stage: str, conf: Conf) -> c.StageConfig:
    """The config of `stage`, from its keys in `conf`. Raises ConfigError that lists every fault."""
    try:
        return _validated(stage, conf)
    except ValidationError as error:
        raise ConfigError(*_faults(error)) from error


def _validated(stage: str, conf: Conf) -> c.StageConfig:
    model = STAGES[stage].config
    return model.model_validate({key: value for key, value in conf.items() if key in model.model_fields})


def sharing_conf(stage: str) -> tuple[str, ...]:
    """The stages that read the same conf as `stage`: all stages of the pipelines that run it."""
    together = {name for stages in PIPELINES.values() if stage in stages for name in stages}
    return tuple(name for name in STAGES if name in together)


MARKET_STAGES = sharing_conf("prices")
"""The stages that read a market's defaults."""


_REPLACED = {
    "max_ece": "max_ece is no key any more: calibration is gated by its slope and max_calibration_gap. Remove max_ece",
}
"""Key of an earlier version → message."""


def check_conf(conf: Conf, stages: Iterable[str] = MARKET_STAGES) -> dict[str, JsonValue]:
    """`conf` with the values that `stages` read, ready for JSON: numbers as numbers, dates in ISO form.

    Raises ConfigError that lists every key that no stage has and every value that is invalid for a stage.
    """
    stages = tuple(stages)
    known = conf_fields(stages)
    unknown = sorted(set(conf) - set(known))
    lists_them = f"`foundry {'conf' if 'prices' in stages else stages[0]} --help` lists them"
    faults = [
        _REPLACED.get(key) or f"unknown config key {key!r}{c.did_you_mean(key, known)} {lists_them}" for key in unknown
    ]
    values: dict[str, ConfValue] = {}
    for stage in stages:
        try:
            config = _validated(stage, conf)
        except ValidationError as error:
            faults += [fault for fault in _faults(error) if fault not in faults]
        else:
            values |= {key: getattr(config, key) for key in conf if key in STAGES[stage].config.model_fields}
    if faults:
        raise ConfigError(*faults)
    return {key: to_jsonable_python(values[key]) for key in conf}


_CLEARER = {
    "bool_parsing": "write true or false; yes, no, on, off, 1 and 0 are taken too",
    "string_type": "write it as a text, in quotes",
}
"""Pydantic's type of an error → the message that replaces its own."""


def _faults(error: ValidationError) -> list[str]:
    def one(fault: ErrorDetails) -> str:
        where = ".".join(str(part) for part in fault["loc"])
        message = _CLEARER.get(fault["type"], fault["msg"].removeprefix("Value error, "))
        value = repr(fault["input"])
        return f"{where}={value if len(value) <= 200 else value[:200] + '…'}: {message}" if where else message

    return [one(fault) for fault in error.errors()]
