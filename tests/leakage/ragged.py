"""A simulated market with joiners, leavers, halts and delistings, and copies of it with another future."""

from dataclasses import replace

import numpy as np

from foundry_tasks.data.panel import FloatArray, PricePanel
from tests.leakage.markets import simulated_market

JOINS, LEAVES, HALTED, DIES = 0, 1, 2, 3
"""Columns of these tickers."""
JOINS_AT, LEAVES_AT, DIES_AT = 280, 300, 330
HALTS = ((255, 258), (296, 298), (309, 312))
"""Sessions without a bar, [first, end)."""


def ragged_market(*, sessions: int = 360, tickers: int = 12, seed: int = 0) -> PricePanel:
    """A simulated market with a late joiner, an early leaver, a ticker with halts and one that is delisted."""
    whole = simulated_market(sessions=sessions, tickers=tickers, seed=seed)
    fields = {name: values.copy() for name, values in whole.fields.items()}
    for values in fields.values():
        for first, end in HALTS:
            values[first:end, HALTED] = np.nan
        values[DIES_AT:, DIES] = np.nan
    member = whole.member.copy()
    member[:JOINS_AT, JOINS] = False
    member[LEAVES_AT:, LEAVES] = False
    member[DIES_AT:, DIES] = False
    return replace(whole, fields=fields, member=member)


def with_future(prices: PricePanel, after: int, kind: str, seed: int = 99) -> PricePanel:
    """The same prices up to session index `after`, then other prices.

    kind: `noise` multiplies later values by random factors, `gone` sets them to NaN, `shuffled` reorders the later
    sessions. Later membership is inverted.
    """
    rng = np.random.default_rng(seed)
    order = after + 1 + rng.permutation(len(prices.sessions) - after - 1)

    def change(_: str, values: FloatArray) -> FloatArray:
        changed = values.copy()
        if kind == "gone":
            changed[after + 1 :] = np.nan
        elif kind == "noise":
            changed[after + 1 :] *= np.exp(rng.normal(0, 0.5, changed[after + 1 :].shape))
        else:
            changed[after + 1 :] = values[order]
        return changed

    member = prices.member.copy()
    member[after + 1 :] = ~member[after + 1 :]
    return replace(prices.mapped(change), member=member)
