"""Windows of the sessions up to a row's own, gathered when they are asked for.

505 tickers over five years, 60 sessions back and 60 inputs wide, are nine gigabytes as one array, each value of it 60 times.
Here the panel lies once in memory, 150 megabytes, a row is a place in it, and a batch of windows is copied out when a
network eats it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Sequences:
    """Rows of a panel, each the last session of a window; it stands where a `Design` of other models has its array.

    panel: (n_sessions, n_tickers, n_inputs) float32, NaN where there is no value. session, ticker: (n_rows,) places in it,
    rows in order of session. swapped: an input whose windows are other tickers', and whose, (n_rows,).
    """

    panel: npt.NDArray[np.float32]
    session: Places
    ticker: Places
    swapped: tuple[int, Places] | None = None

    def __len__(self) -> int:
        return len(self.session)

    def __getitem__(self, rows: slice | npt.NDArray[np.bool_] | npt.NDArray[np.integer]) -> "Sequences":
        """Some rows, as a slice, a mask or places choose them; the panel is not copied."""
        swapped = self.swapped and (self.swapped[0], self.swapped[1][rows])
        return replace(self, session=self.session[rows], ticker=self.ticker[rows], swapped=swapped)

    def by_session(self) -> Iterator[slice]:
        """The rows of each session, one after the other."""
        starts = np.flatnonzero(np.diff(self.session, prepend=-1, append=-1))
        for first, end in pairwise(starts):
            yield slice(int(first), int(end))

    def windows(self, steps: int) -> npt.NDArray[np.float32]:
        """(n_rows, steps, n_inputs): each row's session is the last step, NaN before the panel's first.

        All rows at once: ask for it of a batch.
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
        """(n_cells, n_inputs): every ticker of the rows' sessions, as a view; NaN where it has no row."""
        sessions = self.panel[self.session.min() : self.session.max() + 1]
        return sessions.reshape(-1, self.panel.shape[2])

    def with_input_of(self, column: int, rows: npt.NDArray[np.intp]) -> "Sequences":
        """The same, but that an input's windows are those of other rows of the same sessions. rows: (n_rows,)."""
        return replace(self, swapped=(column, self.ticker[rows]))
