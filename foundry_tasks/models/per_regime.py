"""A base model fitted once on the calm and once on the turbulent sessions of its window; a session is scored by its own.

Off by default: each half learns from half the sessions.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from foundry_tasks.data.panel import FloatArray
from foundry_tasks.models.design import Design, Inputs, Scores, Transform
from foundry_tasks.models.estimator import FittedModel, SavedModel, Target
from foundry_tasks.models.market_regime import RegimeSplit
from foundry_tasks.models.seed_average import AveragedModel

MIN_REGIME_SESSIONS = 60
"""With fewer sessions to learn from in either regime, one model learns from all of them."""


@dataclass(frozen=True)
class PerRegimeModel:
    """Two models on the same inputs, and where the regimes part."""

    kind = "per_regime"
    split: RegimeSplit
    calm: AveragedModel
    turbulent: AveragedModel

    @property
    def names(self) -> tuple[str, ...]:
        """Both models' inputs, in order."""
        return self.calm.names

    @property
    def transform(self) -> Transform:
        """Both models'."""
        return self.calm.transform

    @property
    def lookback_sessions(self) -> int:
        """Both models'."""
        return self.calm.lookback_sessions

    def score(self, inputs: Inputs, *, threads: int = 1) -> Scores:
        """(n_rows, n_inputs) → (n_rows,) log-odds in no known regime: the mean of the two."""
        return (self.calm.score(inputs, threads=threads) + self.turbulent.score(inputs, threads=threads)) / 2

    def score_in(self, inputs: Inputs, volatility: FloatArray, *, threads: int = 1) -> Scores:
        """(n_rows, n_inputs), (n_rows,) → (n_rows,) log-odds, each row by the model of its session's regime."""
        calm, turbulent = self.split.members(volatility)
        scores = np.empty(len(inputs))
        for rows, model in ((calm, self.calm), (turbulent, self.turbulent), (~(calm | turbulent), self)):
            if rows.any():
                scores[rows] = model.score(inputs[rows], threads=threads)
        return scores

    def gain(self) -> Mapping[str, float]:
        """Mean of the two models' shares."""
        return AveragedModel((*self.calm.members, *self.turbulent.members)).gain()

    def first_seed(self) -> "PerRegimeModel":
        """The first seed's two models."""
        return PerRegimeModel(self.split, self.calm.first_seed(), self.turbulent.first_seed())

    def to_bytes(self) -> bytes:
        """JSON around the two models'."""
        halves = {name: json.loads(model.to_bytes()) for name, model in self._halves()}
        return json.dumps({"kind": self.kind, "threshold": self.split.threshold, **halves}).encode()

    def _halves(self) -> tuple[tuple[str, AveragedModel], ...]:
        return ("calm", self.calm), ("turbulent", self.turbulent)

    @classmethod
    def from_dict(cls, saved: SavedModel, load_member: Callable[[SavedModel], FittedModel]) -> "PerRegimeModel":
        """What `to_bytes` wrote."""
        calm, turbulent = (AveragedModel.from_dict(saved[name], load_member) for name in ("calm", "turbulent"))
        return cls(RegimeSplit(saved["threshold"]), calm, turbulent)


def fit_per_regime(
    fit: Callable[[Target], AveragedModel], target: Target, session: np.ndarray, volatility: FloatArray
) -> AveragedModel | PerRegimeModel:
    """One fit a regime, or one of all sessions where a regime has too few.

    fit: a model of the rows that have a target. target, session: (n_rows,). volatility: (n_sessions,). The split is the
    median of the sessions that have a target, so no later session moves it.
    """
    learned = np.unique(session[np.isfinite(target)])
    split = RegimeSplit.fitted(volatility[learned])
    if min(regime.sum() for regime in split.members(volatility[learned])) < MIN_REGIME_SESSIONS:
        return fit(target)
    calm, turbulent = (fit(np.where(regime[session], target, np.nan)) for regime in split.members(volatility))
    return PerRegimeModel(split, calm, turbulent)


def score_rows(model: FittedModel, design: Design, rows: slice = slice(None), *, threads: int = 1) -> Scores:
    """Log-odds of a design's rows, (n_rows,)."""
    inputs = design.values[rows]
    if isinstance(model, PerRegimeModel):
        return model.score_in(inputs, design.volatility[design.session[rows]], threads=threads)
    return model.score(inputs, threads=threads)
