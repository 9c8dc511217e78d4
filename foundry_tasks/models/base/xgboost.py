"""XGBoost, on ranks within the session."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from foundry_tasks.contract.config import LabelKind
from foundry_tasks.models.boosting import best_rounds
from foundry_tasks.models.design import Inputs, Scores, Transform
from foundry_tasks.models.estimator import BaseModel, Mapper, Prepared, SavedModel, Stopping, Target, learnable, shares
from foundry_tasks.models.scaler import row_chunks

if TYPE_CHECKING:
    import xgboost


INPUTS = frozenset(
    [
        "residual_1d",
        "residual_1d_over_vol",
        "residual_5d",
        "residual_5d_over_vol",
        "residual_20d",
        "residual_vol_60d",
        "ret_1d_vs_sector_over_vol",
        "ret_5d_vs_sector_over_vol",
        "ret_20d_vs_sector",
        "mom_12_1_vs_sector",
        "vol_20d_vs_sector",
        "overnight_vs_sector",
        "intraday_vs_sector",
        "overnight_vs_sector_5d",
        "intraday_vs_sector_5d",
        "mom_6_1",
        "season_12m",
        "high_252d",
        "rel_strength_60d",
        "zscore_20d",
        "rsi_3d",
        "streak",
        "gap_over_vol",
        "upper_shadow",
        "lower_shadow",
        "close_location",
        "close_location_5d",
        "night_less_day_20d",
        "range_ratio_20d",
        "signed_volume_5d",
        "signed_volume_20d",
        "vol_ratio_20d",
        "dollar_volume_20d",
        "amihud_20d",
        "vol_trend",
        "max_ret_20d",
        "skew_60d",
        "beta_252d",
    ]
)
"""One input for each thing there is to say: XGBoost's time grows with its inputs whatever share a tree may use."""
MIN_INPUTS = 15
"""Where the prices allow fewer of INPUTS than this, all inputs are used."""


@dataclass(frozen=True)
class XGBoostModel:
    """A booster in XGBoost's own format, read when first used; `used` are the places of its inputs in `names`."""

    lookback_sessions: ClassVar[int] = 0
    names: tuple[str, ...]
    used: tuple[int, ...]
    transform: Transform
    ubjson: bytes

    @cached_property
    def booster(self) -> "xgboost.Booster":
        """XGBoost's own."""
        import xgboost  # noqa: PLC0415 - 1.8 s

        booster = xgboost.Booster()
        booster.load_model(bytearray(self.ubjson))
        return booster

    def score(self, inputs: Inputs, *, threads: int = 1) -> Scores:
        """(n_rows, n_inputs) → (n_rows,) log-odds."""
        self.booster.set_param({"nthread": threads})
        return np.asarray(self.booster.inplace_predict(inputs[:, self.used], predict_type="margin"), dtype=np.float64)

    def gain(self) -> Mapping[str, float]:
        """Shares of the splits' gain."""
        gains = self.booster.get_score(importance_type="total_gain")
        places = {place: gains.get(f"f{column}", 0.0) for column, place in enumerate(self.used)}
        return shares(np.array([places.get(place, 0.0) for place in range(len(self.names))]), self.names)

    def to_bytes(self) -> bytes:
        """JSON around XGBoost's own format in base64."""
        return json.dumps(
            {
                "kind": XGBoostClassifier.name,
                "names": self.names,
                "used": self.used,
                "transform": self.transform,
                "ubjson": base64.b64encode(self.ubjson).decode(),
            }
        ).encode()

    @classmethod
    def from_dict(cls, saved: SavedModel) -> "XGBoostModel":
        """What `to_bytes` wrote."""
        booster = base64.b64decode(saved["ubjson"])
        return cls(tuple(saved["names"]), tuple(saved["used"]), saved["transform"], booster)


@dataclass(frozen=True)
class _Binned:
    used: tuple[int, ...]
    matrix: "xgboost.QuantileDMatrix"


@dataclass(frozen=True)
class XGBoostClassifier:
    """Shallow trees that grow level by level; they alone learn up or down, drift and beta included."""

    rounds: int = 60
    learning_rate: float = 0.07
    depth: int = 3
    min_leaf_rows: int = 2000
    colsample_bytree: float = 0.4
    """Of the inputs, for each tree."""
    subsample: float = 0.5
    """Of the rows, for each tree."""
    l2: float = 50.0
    max_bin: int = 64

    name: ClassVar[str] = "xgboost"
    transform: ClassVar[Transform] = "rank"
    label_kind: ClassVar[LabelKind] = "up"
    seeded: ClassVar[bool] = True
    library: ClassVar[str] = "xgboost"

    def prepare(self, inputs: Inputs, names: tuple[str, ...]) -> Prepared:
        """Learn the bins."""
        import xgboost  # noqa: PLC0415 - 1.8 s

        chosen = tuple(place for place, name in enumerate(names) if name in INPUTS)
        used = chosen if len(chosen) >= MIN_INPUTS else tuple(range(len(names)))

        class Chunks(xgboost.DataIter):  # type: ignore[misc] # it ships no types
            """What is used of a few rows at a time, which is a copy, so that there is none of all rows."""

            def reset(self) -> None:
                self.left = row_chunks(len(inputs))

            def next(self, input_data: Callable[..., None]) -> bool:
                rows = next(self.left, None)
                if rows is not None:
                    chunk = inputs[rows][:, used]
                    input_data(data=chunk, label=np.zeros(len(chunk), dtype=np.float32))
                return rows is not None

        return Prepared(
            names, _Binned(used, xgboost.QuantileDMatrix(Chunks(), max_bin=self.max_bin, nthread=1)), len(inputs)
        )

    def fit(
        self,
        prepared: Prepared,
        target: Target,
        *,
        seeds: Sequence[int],
        stopping: Stopping | None = None,
        mapper: Mapper = map,
    ) -> tuple[XGBoostModel, ...]:
        """Boost. Rows without a target have no weight, so that one binning serves every target."""
        known = learnable(target)
        binned: _Binned = prepared.data
        binned.matrix.set_info(label=np.where(known, target, 0).astype(np.float32), weight=known.astype(np.float32))
        return tuple(mapper(lambda seed: self._boost(prepared.names, binned, seed, stopping), seeds))

    def _boost(self, names: tuple[str, ...], binned: _Binned, seed: int, stopping: Stopping | None) -> XGBoostModel:
        import xgboost  # noqa: PLC0415 - 1.8 s

        booster = xgboost.train({**self._parameters(), "seed": seed}, binned.matrix, self.rounds)
        if stopping is not None:
            rounds = best_rounds(
                self.rounds,
                stopping,
                lambda first, end: booster.inplace_predict(
                    stopping.inputs[:, binned.used], iteration_range=(first, end), predict_type="margin"
                ),
            )
            booster = booster[:rounds]
        return XGBoostModel(names, binned.used, self.transform, bytes(booster.save_raw("ubj")))

    def _parameters(self) -> dict[str, str | float]:
        return {
            "objective": "binary:logistic",
            "tree_method": "hist",
            "eta": self.learning_rate,
            "max_depth": self.depth,
            # Hessians count rows: one is close to ¼ where nothing is far from even.
            "min_child_weight": self.min_leaf_rows / 4,
            "colsample_bytree": self.colsample_bytree,
            "subsample": self.subsample,
            "reg_lambda": self.l2,
            "max_bin": self.max_bin,
            "base_score": 0.5,
            "nthread": 1,
            "verbosity": 0,
        }


BASE_MODEL = BaseModel(XGBoostClassifier(), XGBoostModel.from_dict, packages=("xgboost",))
