"""nulls: the null of the gated figures. A recipe is refitted many times on this market, under shifted labels."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TypeVar

import numpy as np

from foundry_tasks.contract.checkpoints import Note
from foundry_tasks.contract.config import (
    MIN_REFITS,
    EnsembleConfig,
    FeaturesConfig,
    GatePolicy,
    ModelsConfig,
    NullsConfig,
    StageConfig,
)
from foundry_tasks.contract.documents import Nulls
from foundry_tasks.contract.documents.base import Figure
from foundry_tasks.contract.documents.nulls import StoredNull
from foundry_tasks.contract.errors import NothingToDo
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.data.panel import BoolArray
from foundry_tasks.data.tables import FeatureFile, read_matrices
from foundry_tasks.features.labels import Labels, label_span
from foundry_tasks.gates.null_distribution import RefittedNull, gated_figures, spread_shifts
from foundry_tasks.inputs.label_file import read_labels
from foundry_tasks.inputs.null_store import recipe_of, store_null, stored_nulls
from foundry_tasks.inputs.run_inputs import RunInputs
from foundry_tasks.models.design import Designs
from foundry_tasks.walk.study import Recipe, study_panel


def run(config: NullsConfig, io: StageIO) -> None:
    """features, labels → nulls.json, and each horizon's refits in the store, where the gates of this market read them.

    They are added to the recipe's earlier refits. Refits that an earlier try has finished are reused. Raises NothingToDo for
    null_refits=0.
    """
    if not config.null_refits:
        raise NothingToDo("null_refits=0: nothing is refitted under shifted labels.")
    with io.step("read"):
        features = FeatureFile(io.path("features", "features.parquet"))
    upstream = [io.inputs.result(stage).config for stage in ("prices", "features", "labels")]
    feature_set = FeaturesConfig.model_validate(io.inputs.result("features").config).feature_set
    label_entry = RunInputs(io.inputs).labels_config.label_entry
    models, ensemble = _part(ModelsConfig, config), _part(EnsembleConfig, config)
    recipe = recipe_of([*upstream, models.model_dump(mode="json"), ensemble.model_dump(mode="json")])
    spread = partial(
        spread_shifts, len(features.sessions), refits=config.null_refits, lookback=models.lookback_sessions
    )
    shifts = {h: spread(span=label_span(h, label_entry)) for h in config.horizons}
    designs, stored = Designs(features), dict[int, StoredNull]()
    io.steps.progress.start("nulls", len(config.horizons) * config.null_refits)
    for horizon in config.horizons:
        rows = _refits(
            io,
            Recipe(
                feature_set,
                models.model_copy(update={"horizons": (horizon,)}),
                ensemble,
                GatePolicy(),
                label_entry,
            ),
            designs,
            shifts[horizon],
        )
        null = RefittedNull(_by_figure(rows), shifts[horizon], str(features.sessions[-1]))
        stored[horizon] = store_null(io.store, config.market, horizon, recipe, null)
        own = next(each for each in stored_nulls(io.store, config.market, horizon, recipe) if each.own)
        auc, refits = own.q95("auc"), own.refits("auc")
        io.outputs.metrics[f"{horizon}d"] = {"refits": refits, "auc_q95": auc if math.isfinite(auc) else None}
        if refits < MIN_REFITS:
            io.warn(f"{horizon}d: {refits} refits are too few for a 95 % quantile: the gates need {MIN_REFITS}")
    io.publish(Nulls(horizons=stored))


Part = TypeVar("Part", bound=StageConfig)


def _part(kind: type[Part], config: NullsConfig) -> Part:
    """The config of one stage, from its keys in `config`."""
    return kind.model_validate({name: getattr(config, name) for name in kind.model_fields})


class Refitted(Note):
    """The gated figures of a refit."""

    figures: Mapping[str, Figure]


def _refits(io: StageIO, recipe: Recipe, designs: Designs, shifts: Sequence[int]) -> list[Mapping[str, float | None]]:
    """The gated figures of one horizon, one row per shift."""
    horizon, rows = recipe.horizon, []
    labels, member = _labels(io, horizon)
    for shift in shifts:
        name = f"{horizon}d-{shift}"
        refitted = io.checkpoints.load(name, Refitted)
        if refitted is None:
            with io.step(f"refit_{horizon}d"):
                evidence = study_panel(designs, labels, member, recipe, shift_sessions=shift)
            refitted = Refitted(figures=gated_figures(evidence))
            io.checkpoints.save(name, refitted)
        rows.append(refitted.figures)
        io.steps.progress.advance(f"{horizon}d labels shifted by {shift} sessions")
    return rows


def _known(value: float) -> float | None:
    """NaN and infinity as None, which JSON can write."""
    return value if math.isfinite(value) else None


def _labels(io: StageIO, horizon: int) -> tuple[Labels, BoolArray]:
    path = io.path("labels", "labels.parquet")
    member: BoolArray = read_matrices(path, ["member"])["member"]
    return read_labels(path, horizon), member


def _by_figure(rows: Sequence[Mapping[str, float | None]]) -> dict[str, tuple[float, ...]]:
    """One row per refit → figure → values, NaN for None."""
    return {name: tuple(np.array([row[name] for row in rows], dtype=np.float64).tolist()) for name in rows[0]}
