"""Permutation importance: loss of per-session AUC when one input is shuffled within the session. Breiman (2001)."""

from dataclasses import dataclass

import numpy as np

from foundry_tasks.models.deep.sequences import Sequences
from foundry_tasks.models.design import Rows
from foundry_tasks.models.estimator import Target
from foundry_tasks.models.per_regime import PerRegimeModel
from foundry_tasks.models.seed_average import AveragedModel
from foundry_tasks.models.session_auc import mean_session_auc


@dataclass(frozen=True)
class LabelledRows:
    """Rows with their labels, in order of session.

    inputs: n_rows rows. target: (n_rows,) 0 or 1, NaN where unknown. session: (n_rows,) indices.
    """

    inputs: Rows
    target: Target
    session: np.ndarray


def permutation_importance(
    model: AveragedModel | PerRegimeModel, rows: LabelledRows, *, top: int, seed: int, threads: int = 1
) -> dict[str, float]:
    """Input → loss of mean per-session AUC, for the `top` inputs by gain, largest first.

    rows: of sessions that the model was not fitted on. Only the model of the first seed is used: the others differ by
    chance. Empty if no session has an AUC, such as with one ticker.
    """
    first = model.first_seed()
    base = mean_session_auc(first.score(rows.inputs, threads=threads), rows.target, rows.session)
    if np.isnan(base):
        return {}
    gain = first.gain()
    chosen = sorted(gain, key=lambda name: -gain[name])[:top]
    rng = np.random.default_rng(seed)
    losses = {}
    for name in chosen:
        column = first.names.index(name)
        shuffled = _with_input_of(rows.inputs, column, _within_sessions(rows.session, rng))
        losses[name] = base - mean_session_auc(first.score(shuffled, threads=threads), rows.target, rows.session)
    return dict(sorted(losses.items(), key=lambda item: -item[1]))


def _with_input_of(inputs: Rows, column: int, rows: np.ndarray) -> Rows:
    """A copy of the inputs in which one column is taken from other rows; for sequences, the whole window of that column."""
    if isinstance(inputs, Sequences):
        return inputs.with_input_of(column, rows)
    shuffled = inputs.copy()
    shuffled[:, column] = inputs[rows, column]
    return shuffled


def _within_sessions(session: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Row indices, shuffled within each session; sessions stay in order."""
    order: np.ndarray = np.lexsort((rng.random(len(session)), session))
    return order
