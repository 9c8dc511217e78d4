"""Drop-one: what the plain average of the base models loses without one of them, paired by session.

A model that ranks well alone may add nothing that the others do not know, and a weak one may.
"""

from collections.abc import Mapping

from foundry_tasks.data.panel import FloatArray
from foundry_tasks.evaluation.metrics import session_auc
from foundry_tasks.models.meta_learner import average
from foundry_tasks.statistics.bootstrap import Interval, Resampling, mean_interval

_RESAMPLING = Resampling(confidence=0.95, resamples=2000, min_blocks=12, seed=0)


def drop_one(scores: Mapping[str, FloatArray], up: FloatArray, *, horizon: int) -> dict[str, Interval]:
    """Base model → per-session AUC of the average with it, less that of the average without it.

    scores: name → (n_sessions, n_tickers), out of fold, of two models at least; up: same shape, 0 or 1. Only what every
    model scores counts, so that both averages rank the same tickers.
    """
    together = average(scores)
    found = {}
    for name in scores:
        without = average({other: values for other, values in scores.items() if other != name})
        difference = session_auc(together, up) - session_auc(without + 0 * together, up)
        found[name] = mean_interval(difference, horizon=horizon, resampling=_RESAMPLING)
    return found
