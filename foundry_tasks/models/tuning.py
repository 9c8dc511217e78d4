"""Random search for a booster's parameters on a purged window inside the fit window. Bergstra and Bengio (2012)."""

from dataclasses import replace
from typing import Any

import numpy as np

from foundry_tasks.models.estimator import Estimator, Prepared, Stopping, Target
from foundry_tasks.models.session_auc import mean_session_auc

SCALES: dict[str, tuple[float, ...]] = {
    "learning_rate": (0.5, 1.0, 2.0),
    "min_leaf_rows": (0.5, 1.0, 2.0),
    "l2": (0.2, 1.0, 5.0),
    "rounds": (0.5, 1.0, 1.5),
}
"""Parameter → factors; a draw multiplies the default by one of them. Parameters that an estimator lacks are skipped."""


def tuned(
    estimator: Estimator, prepared: Prepared, target: Target, judge: Stopping, *, trials: int, seed: int
) -> Estimator:
    """The default or one of `trials` random draws around it: the one with the highest mean per-session AUC on `judge`.

    prepared, target: rows to fit on, none of them in the window `judge`. Every trial is fitted with one seed, `seed`. Of
    equal AUCs the first is kept. Raises DegenerateTargetError if the target has fewer than two classes.
    """
    rng = np.random.default_rng(seed)
    candidates = [estimator, *(_draw(estimator, rng) for _ in range(trials))]

    def merit(candidate: Estimator) -> float:
        (model,) = candidate.fit(prepared, target, seeds=[seed])
        return mean_session_auc(model.score(judge.inputs), judge.target, judge.session)

    return max(candidates, key=merit)


def _draw(estimator: Any, rng: np.random.Generator) -> Estimator:
    drawn = {}
    for name, scales in SCALES.items():
        if hasattr(estimator, name):
            value = getattr(estimator, name)
            drawn[name] = type(value)(value * rng.choice(scales))
    changed: Estimator = replace(estimator, **drawn)
    return changed
