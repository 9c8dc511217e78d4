"""LightGBM, on raw inputs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from foundry_tasks.contract.config import LabelKind
from foundry_tasks.models.boosting import best_rounds
from foundry_tasks.models.design import Inputs, Scores, Transform
from foundry_tasks.models.estimator import BaseModel, Mapper, Prepared, SavedModel, Stopping, Target, learnable, shares
from foundry_tasks.models.openmp import provide_openmp

if TYPE_CHECKING:
    import lightgbm

provide_openmp()  # here, since everything that fits or scores by LightGBM imports this module first


@dataclass(frozen=True)
class LightGBMModel:
    """A booster as text, read when it is first used."""

    lookback_sessions: ClassVar[int] = 0
    names: tuple[str, ...]
    transform: Transform
    text: str

    @cached_property
    def booster(self) -> "lightgbm.Booster":
        """LightGBM's own."""
        import lightgbm  # noqa: PLC0415 - 1.7 s

        return lightgbm.Booster(model_str=self.text)

    def score(self, inputs: Inputs, *, threads: int = 1) -> Scores:
        """(n_rows, n_inputs) → (n_rows,) log-odds."""
        return np.asarray(self.booster.predict(inputs, raw_score=True, num_threads=threads), dtype=np.float64)

    def gain(self) -> Mapping[str, float]:
        """Shares of the splits' gain."""
        return shares(self.booster.feature_importance("gain"), self.names)

    def to_bytes(self) -> bytes:
        """JSON around LightGBM's text format."""
        kind = LightGBMClassifier.name
        return json.dumps({"kind": kind, "names": self.names, "transform": self.transform, "text": self.text}).encode()

    @classmethod
    def from_dict(cls, saved: SavedModel) -> "LightGBMModel":
        """What `to_bytes` wrote."""
        return cls(tuple(saved["names"]), saved["transform"], saved["text"])


@dataclass(frozen=True)
class LightGBMClassifier:
    """Few, shallow, heavily averaged trees: a day's direction is nearly noise, and a session's rows move together."""

    rounds: int = 75
    learning_rate: float = 0.06
    num_leaves: int = 15
    min_leaf_rows: int = 2000
    feature_fraction: float = 0.2
    """Of the inputs, for each tree."""
    bagging_fraction: float = 0.3
    """Of the rows, for each tree."""
    l2: float = 50.0
    max_bin: int = 63

    name: ClassVar[str] = "lightgbm"
    transform: ClassVar[Transform] = "raw"
    label_kind: ClassVar[LabelKind] = "sector"
    seeded: ClassVar[bool] = True
    library: ClassVar[str] = "lightgbm"

    def prepare(self, inputs: Inputs, names: tuple[str, ...]) -> Prepared:
        """Learn the bins."""
        import lightgbm  # noqa: PLC0415 - 1.7 s

        data = lightgbm.Dataset(
            inputs,
            label=np.zeros(len(inputs), dtype=np.float32),
            weight=np.ones(len(inputs), dtype=np.float32),
            params=self._parameters(),
            free_raw_data=True,
        )
        return Prepared(names, data.construct(), len(inputs))

    def fit(
        self,
        prepared: Prepared,
        target: Target,
        *,
        seeds: Sequence[int],
        stopping: Stopping | None = None,
        mapper: Mapper = map,
    ) -> tuple[LightGBMModel, ...]:
        """Boost. Rows without a target have no weight, so that one binning serves every target."""
        known = learnable(target)
        prepared.data.set_label(np.where(known, target, 0).astype(np.float32))
        prepared.data.set_weight(known.astype(np.float32))
        return tuple(mapper(lambda seed: self._boost(prepared, seed, stopping), seeds))

    def _boost(self, prepared: Prepared, seed: int, stopping: Stopping | None) -> LightGBMModel:
        import lightgbm  # noqa: PLC0415 - 1.7 s

        booster = lightgbm.train({**self._parameters(), "seed": seed}, prepared.data, self.rounds)
        rounds = self.rounds
        if stopping is not None:
            rounds = best_rounds(
                self.rounds,
                stopping,
                lambda first, end: booster.predict(
                    stopping.inputs,
                    raw_score=True,
                    start_iteration=first,
                    num_iteration=end - first,
                    num_threads=1,
                ),
            )
        return LightGBMModel(prepared.names, self.transform, booster.model_to_string(num_iteration=rounds))

    def _parameters(self) -> dict[str, str | float]:
        return {
            "objective": "binary",
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            # Hessians count rows by weight: a row's is close to ¼ where nothing is far from even.
            "min_sum_hessian_in_leaf": self.min_leaf_rows / 4,
            "min_data_in_leaf": 1,
            "feature_fraction": self.feature_fraction,
            "bagging_fraction": self.bagging_fraction,
            "bagging_freq": 1,
            "lambda_l2": self.l2,
            "max_bin": self.max_bin,
            "num_threads": 1,
            "deterministic": True,
            "force_col_wise": True,
            "verbosity": -1,
        }


BASE_MODEL = BaseModel(LightGBMClassifier(), LightGBMModel.from_dict, packages=("lightgbm",))
