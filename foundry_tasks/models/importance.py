"""Permutation importance: what the ranking of a session loses when one input is shuffled within it. Breiman (2001)."""

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
    """Rows in order of session, with what became of them. inputs: n_rows; target, session: (n_rows,)."""

    inputs: Rows
    target: Target
    session: np.ndarray


def permutation_importance(
    model: AveragedModel | PerRegimeModel, rows: LabelledRows, *, top: int, seed: int, threads: int = 1
) -> dict[str, float]:
    """Loss of mean per-session AUC by input, for the `top` inputs by gain, largest first.

    rows: of sessions that the model has not seen. The first seed's model stands for all: the others differ by chance only.
    Empty where no session has a ranking to lose, such as with one ticker.
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
    """The inputs, but that one is other rows'; of a sequence its whole window."""
    if isinstance(inputs, Sequences):
        return inputs.with_input_of(column, rows)
    shuffled = inputs.copy()
    shuffled[:, column] = inputs[rows, column]
    return shuffled


def _within_sessions(session: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Places of rows, shuffled within each session; sessions are in order."""
    order: np.ndarray = np.lexsort((rng.random(len(session)), session))
    return order
