"""Prices up to the current session, in arrays into which later sessions have not been copied yet."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from foundry_tasks.data.panel import BoolArray, FloatArray, PricePanel
from foundry_tasks.data.sectors import DatedSectors

Array = TypeVar("Array", FloatArray, BoolArray, npt.NDArray[np.int16])


class GrowingHistory:
    """The first sessions of a market; each `learn` adds one. Rows of later sessions hold NaN."""

    def __init__(self, world: PricePanel) -> None:
        self._world = world
        self._copy = world.mapped(lambda _, values: np.full_like(values, np.nan))
        self._member = np.zeros_like(world.member)
        self._sessions = 0

    def learn(self, session: int) -> None:
        """Copy one session. session: its index, one more than the last."""
        for name, values in self._copy.fields.items():
            values[session] = self._world.fields[name][session]
        for ours, theirs in ((self._copy.benchmark, self._world.benchmark), (self._copy.vix, self._world.vix)):
            if ours is not None and theirs is not None:
                ours[session] = theirs[session]
        self._member[session] = self._world.member[session]
        self._sessions = session + 1

    def panel(self) -> PricePanel:
        """The sessions so far."""
        dated = self._world.dated_sectors
        sectors = dated and DatedSectors(dated.names, _read_only(dated.code[: self._sessions].copy()))
        return PricePanel(
            sessions=self._world.sessions[: self._sessions].copy(),
            tickers=self._world.tickers,
            fields={name: _read_only(values[: self._sessions]) for name, values in self._copy.fields.items()},
            member=_read_only(self._member[: self._sessions]),
            sectors=self._world.sectors if sectors is None else sectors.last,
            benchmark=None if self._copy.benchmark is None else _read_only(self._copy.benchmark[: self._sessions]),
            vix=None if self._copy.vix is None else _read_only(self._copy.vix[: self._sessions]),
            breaks=None if self._world.breaks is None else _read_only(self._world.breaks[: self._sessions].copy()),
            dated_sectors=sectors,
        )


def _read_only(view: Array) -> Array:
    view.flags.writeable = False
    return view
