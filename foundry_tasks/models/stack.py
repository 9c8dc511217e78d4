"""A stack: base models' scores → one score → P(up). The ensemble stage makes it and a model version contains it."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from foundry_tasks.data.panel import FloatArray
from foundry_tasks.models.calibration import Calibrator, calibrator_from_dict
from foundry_tasks.models.market_regime import VOLATILITY
from foundry_tasks.models.meta_learner import MetaLearner, average
from foundry_tasks.models.regime_adjustment import RegimeAdjustment


@dataclass(frozen=True)
class Stack:
    """Combination of base models and calibration.

    models: base models, in order. meta: the meta-learner; None: the plain average of the base models. why: text with the
    choice between the two and its evidence. adjustment: optional adjustment of P(up) to the market's regime.
    """

    models: tuple[str, ...]
    meta: MetaLearner | None
    calibrator: Calibrator
    why: str
    adjustment: RegimeAdjustment | None = None

    def scores(self, base: Mapping[str, FloatArray], regime: Mapping[str, FloatArray]) -> FloatArray:
        """Scores standardised within the session, (n_sessions, n_tickers).

        base: name → (n_sessions, n_tickers). regime: name → (n_sessions,).
        """
        kept = {name: base[name] for name in self.models}
        return average(kept) if self.meta is None else self.meta.scores(kept, regime)

    def p_up(
        self, base: Mapping[str, FloatArray], regime: Mapping[str, FloatArray], base_rate: FloatArray
    ) -> FloatArray:
        """P(up), (n_sessions, n_tickers). base, regime: as in `scores`. base_rate: (n_sessions,), as known at each session."""
        scores = self.scores(base, regime)
        if self.adjustment is not None:
            scores = self.adjustment.scaled(scores, regime[VOLATILITY])
            base_rate = self.adjustment.rate(base_rate, regime[VOLATILITY])
        return self.calibrator.p_up(scores, np.broadcast_to(base_rate[:, None], scores.shape))

    def to_bytes(self) -> bytes:
        """JSON; boosters in base64."""
        meta = None if self.meta is None else {
            "models": self.meta.models,
            "regimes": self.meta.regimes,
            "boosters": [base64.b64encode(document).decode() for document in self.meta.boosters],
        }  # fmt: skip
        document = {
            "models": self.models,
            "meta": meta,
            "calibrator": self.calibrator.as_dict(),
            "why": self.why,
            "adjustment": self.adjustment and self.adjustment.as_dict(),
        }
        return json.dumps(document, sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Stack":
        """The inverse of `to_bytes`."""
        document = json.loads(data)
        meta, adjustment = document["meta"], document.get("adjustment")
        return cls(
            models=tuple(document["models"]),
            meta=meta
            and MetaLearner(
                tuple(meta["models"]),
                tuple(meta["regimes"]),
                tuple(base64.b64decode(booster) for booster in meta["boosters"]),
            ),
            calibrator=calibrator_from_dict(document["calibrator"]),
            why=document["why"],
            adjustment=adjustment and RegimeAdjustment.from_dict(adjustment),
        )
