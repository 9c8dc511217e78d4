"""Mean per-session AUC of rows, for early stopping, tuning and permutation importance of base models."""

import numpy as np
import numpy.typing as npt

from foundry_tasks.evaluation.metrics import session_auc
from foundry_tasks.models.design import Scores


def mean_session_auc(scores: Scores, target: npt.NDArray[np.floating], session: npt.NDArray[np.integer]) -> float:
    """Mean over sessions of the AUC of `scores` against 0/1 `target`; ties count one half.

    scores, target, session: (n_rows,). Rows whose score or target is NaN are dropped, and so are sessions with one class;
    NaN if no session is left.

    >>> mean_session_auc(np.array([0.2, 0.9, 0.4, 0.4]), np.array([0.0, 1.0, 0.0, 1.0]), session=np.array([0, 0, 1, 1]))
    0.75
    """
    known = np.isfinite(target) & np.isfinite(scores)
    if not known.any():
        return float("nan")
    _, group, sizes = np.unique(session[known], return_inverse=True, return_counts=True)
    order = np.argsort(group, kind="stable")
    place = np.empty(len(group), dtype=np.intp)
    place[order] = np.arange(len(group)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    wide = np.full((2, len(sizes), sizes.max()), np.nan)
    wide[:, group, place] = scores[known], target[known]
    auc = session_auc(*wide)
    decided = auc[np.isfinite(auc)]
    return float(decided.mean()) if len(decided) else float("nan")
