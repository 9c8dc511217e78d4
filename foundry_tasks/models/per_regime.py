"""A base model per regime: one fit on the calm and one on the turbulent sessions of the fit window.

A session is scored by the model of its regime. Off by default: each model learns from half of the sessions.
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
"""If either regime has fewer sessions with a target, one model is fitted on all sessions."""


@dataclass(frozen=True)
class PerRegimeModel:
    """Two models on the same inputs, and the split between their regimes."""

    kind = "per_regime"
    split: RegimeSplit
    calm: AveragedModel
    turbulent: AveragedModel

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs of both models, in order."""
        return self.calm.names

    @property
    def transform(self) -> Transform:
        """The transform of both models."""
        return self.calm.transform

    @property
    def lookback_sessions(self) -> int:
        """Sessions before a row's own that both models read."""
        return self.calm.lookback_sessions

    def score(self, inputs: Inputs, *, threads: int = 1) -> Scores:
        """Log-odds in an unknown regime, the mean of both models: (n_rows, n_inputs) → (n_rows,)."""
        return (self.calm.score(inputs, threads=threads) + self.turbulent.score(inputs, threads=threads)) / 2

    def score_in(self, inputs: Inputs, volatility: FloatArray, *, threads: int = 1) -> Scores:
        """Log-odds of each row by the model of its session's regime, (n_rows,).

        inputs: (n_rows, n_inputs). volatility: (n_rows,), the market volatility of the row's session; NaN: unknown regime.
        """
        calm, turbulent = self.split.members(volatility)
        scores = np.empty(len(inputs))
        for rows, model in ((calm, self.calm), (turbulent, self.turbulent), (~(calm | turbulent), self)):
            if rows.any():
                scores[rows] = model.score(inputs[rows], threads=threads)
        return scores

    def gain(self) -> Mapping[str, float]:
        """Input → mean share of gain over the members of both models."""
        return AveragedModel((*self.calm.members, *self.turbulent.members)).gain()

    def first_seed(self) -> "PerRegimeModel":
        """The two models of the first seed."""
        return PerRegimeModel(self.split, self.calm.first_seed(), self.turbulent.first_seed())

    def to_bytes(self) -> bytes:
        """JSON that holds the threshold and the JSON of both models."""
        halves = {name: json.loads(model.to_bytes()) for name, model in self._halves()}
        return json.dumps({"kind": self.kind, "threshold": self.split.threshold, **halves}).encode()

    def _halves(self) -> tuple[tuple[str, AveragedModel], ...]:
        return ("calm", self.calm), ("turbulent", self.turbulent)

    @classmethod
    def from_dict(cls, saved: SavedModel, load_member: Callable[[SavedModel], FittedModel]) -> "PerRegimeModel":
        """The inverse of `to_bytes`. load_member: parsed JSON of a member → the member."""
        calm, turbulent = (AveragedModel.from_dict(saved[name], load_member) for name in ("calm", "turbulent"))
        return cls(RegimeSplit(saved["threshold"]), calm, turbulent)


def fit_per_regime(
    fit: Callable[[Target], AveragedModel], target: Target, session: np.ndarray, volatility: FloatArray
) -> AveragedModel | PerRegimeModel:
    """One fit per regime, or one fit on all sessions if a regime has fewer than MIN_REGIME_SESSIONS.

    fit: fits a model to the rows that have a target. target, session: (n_rows,). volatility: (n_sessions,). The split is
    the median over the sessions that have a target, so it does not depend on later sessions.
    """
    learned = np.unique(session[np.isfinite(target)])
    split = RegimeSplit.fitted(volatility[learned])
    if min(regime.sum() for regime in split.members(volatility[learned])) < MIN_REGIME_SESSIONS:
        return fit(target)
    calm, turbulent = (fit(np.where(regime[session], target, np.nan)) for regime in split.members(volatility))
    return PerRegimeModel(split, calm, turbulent)


def score_rows(model: FittedModel, design: Design, rows: slice = slice(None), *, threads: int = 1) -> Scores:
    """Log-odds of some rows of a design, (n_rows,). A PerRegimeModel scores each row by its session's regime."""
    inputs = design.values[rows]
    if isinstance(model, PerRegimeModel):
        return model.score_in(inputs, design.volatility[design.session[rows]], threads=threads)
    return model.score(inputs, threads=threads)
