"""Drop-one: loss of per-session AUC of the base models' plain average when one of them is removed, paired by session.

A base model with a high AUC may add no information to the others, and one with a low AUC may add some.
"""

from collections.abc import Mapping

from foundry_tasks.data.panel import FloatArray
from foundry_tasks.evaluation.metrics import session_auc
from foundry_tasks.models.meta_learner import average
from foundry_tasks.statistics.block_means import BlockRule, Interval, mean_interval

_RULE = BlockRule(confidence=0.95, min_blocks=12)


def drop_one(scores: Mapping[str, FloatArray], up: FloatArray, *, horizon: int) -> dict[str, Interval]:
    """Base model → mean per-session AUC of the average with it minus that of the average without it, with its interval.

    scores: name → (n_sessions, n_tickers), out of fold, of at least two models. up: same shape, 0 or 1. horizon: in sessions.
    Only rows that every model scores are used, so both averages rank the same tickers.
    """
    together = average(scores)
    found = {}
    for name in scores:
        without = average({other: values for other, values in scores.items() if other != name})
        difference = session_auc(together, up) - session_auc(without + 0 * together, up)
        found[name] = mean_interval(difference, horizon=horizon, rule=_RULE)
    return found
