"""Windows of the sessions up to a row's own, copied from the panel per batch.

All windows of 505 tickers over five years, with 60 sessions and 60 inputs, take nine gigabytes as one array, which holds
each value 60 times. Here the panel is in memory once, 150 megabytes; a row is an index into it, and windows are copied
when a network reads a batch.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Sequences:
    """Rows of a panel, each the last session of a window. The values of a `Design` with transform `sequence`.

    panel: (n_sessions, n_tickers, n_inputs) float32, NaN where there is no value. session, ticker: (n_rows,) indices into
    it, in order of session. swapped: an input whose windows are those of other tickers, and these tickers, (n_rows,).
    """

    panel: npt.NDArray[np.float32]
    session: Places
    ticker: Places
    swapped: tuple[int, Places] | None = None

    def __len__(self) -> int:
        return len(self.session)

    def __getitem__(self, rows: slice | npt.NDArray[np.bool_] | npt.NDArray[np.integer]) -> "Sequences":
        """The rows that a slice, a mask or indices select; the panel is not copied."""
        swapped = self.swapped and (self.swapped[0], self.swapped[1][rows])
        return replace(self, session=self.session[rows], ticker=self.ticker[rows], swapped=swapped)

    def by_session(self) -> Iterator[slice]:
        """A slice of the rows of each session, in order."""
        starts = np.flatnonzero(np.diff(self.session, prepend=-1, append=-1))
        for first, end in pairwise(starts):
            yield slice(int(first), int(end))

    def windows(self, steps: int) -> npt.NDArray[np.float32]:
        """Windows of all rows, (n_rows, steps, n_inputs): the row's session is the last step, NaN before the first session.

        The windows are copies; call it on a batch of rows.
        """
        session = self.session[:, None] + np.arange(1 - steps, 1, dtype=np.int32)
        before, session = session < 0, np.maximum(session, 0)
        windows: npt.NDArray[np.float32] = self.panel[session, self.ticker[:, None]]
        if self.swapped is not None:
            column, ticker = self.swapped
            windows[:, :, column] = self.panel[session, ticker[:, None], column]
        windows[before] = np.nan
        return windows

    def known_values(self) -> npt.NDArray[np.float32]:
        """Inputs of all tickers from the rows' first to last session, (n_cells, n_inputs), a view; NaN without a row."""
        sessions = self.panel[self.session.min() : self.session.max() + 1]
        return sessions.reshape(-1, self.panel.shape[2])

    def with_input_of(self, column: int, rows: npt.NDArray[np.intp]) -> "Sequences":
        """A copy in which the windows of one input are those of other rows of the same sessions. rows: (n_rows,) indices."""
        return replace(self, swapped=(column, self.ticker[rows]))
