"""What a network says of rows, on any backend of Keras, numpy included; a session alone scores as it does among others."""

import foundry_tasks.models.deep.keras_backend  # noqa: F401 - before Keras

# isort: split
import keras
import numpy as np

from foundry_tasks.models.deep.sequences import Sequences
from foundry_tasks.models.design import Scores
from foundry_tasks.models.scaler import Scaler


def score_sessions(network: keras.Model, rows: Sequences, scaler: Scaler, steps: int) -> Scores:
    """(n_rows,) log-odds of the head `sign`.

    A session is a batch: matrix products round by their shape, so a session's scores have the same bits whatever is
    scored beside it.
    """
    scores = np.empty(len(rows))
    for session in rows.by_session():
        windows = scaler.apply(rows[session].windows(steps))
        scores[session] = np.asarray(network.predict_on_batch(windows)["sign"], dtype=np.float64)[:, 0]
    return scores
