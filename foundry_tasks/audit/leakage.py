"""The leakage audit: do the artifacts of a session depend on later data? It runs on the data of every run.

Prices after a date are cut off, replaced by NaN and replaced by noise, and everything up to that date is computed again.
After a replacement the bits must be equal, after a cut the values within CUT_TOLERANCE; no feature is exempt. Each function
returns its findings, one text per leak; an empty tuple is a clean audit.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from foundry_tasks.contract.config import LabelEntry
from foundry_tasks.contract.documents import Fold
from foundry_tasks.data.panel import BoolArray, FeaturePanel, FeatureSource, FloatArray, PricePanel
from foundry_tasks.features.labels import build_labels, label_span

CUT_TOLERANCE = 1e-12
SCORE_TOLERANCE = 1e-9
RESCALING_TOLERANCE = 1e-4
RESCALING_FACTOR = 0.5
DIVIDEND_FACTOR = 0.5
"""A power of two, which changes no bit of a ratio."""

Build = Callable[[PricePanel], Iterable[FeaturePanel]]
"""Prices → their features, in blocks of sessions. One block at a time is in memory."""


def poisoned(prices: PricePanel, after: int, poison: FloatArray | float) -> PricePanel:
    """Prices multiplied by `poison` in every session later than index `after` (NaN: they become NaN).

    poison: factors, (n_sessions, n_tickers), or one for all. Membership is inverted in these sessions too.
    """

    def change(_: str, values: FloatArray) -> FloatArray:
        factor = poison if isinstance(poison, float) or values.ndim == 2 else poison[:, 0]
        changed = values.copy()
        changed[after + 1 :] = (values * factor)[after + 1 :]
        return changed

    member = prices.member.copy()
    member[after + 1 :] = ~member[after + 1 :]
    return replace(prices.mapped(change), member=member)


def randomised_labels(labels: FloatArray, start: int, rng: np.random.Generator) -> FloatArray:
    """Labels with random 0 or 1 from session index `start` on.

    labels: (n_sessions, n_tickers) or (n_sessions, n_tickers, n_tasks). Returns a copy.
    """
    changed = labels.copy()
    changed[start:] = rng.random(changed[start:].shape) > 0.5
    return changed


def strangers(prices: PricePanel, at: int) -> BoolArray:
    """(n_sessions, n_tickers): bars up to session index `at` of tickers that are no members from there up to `at`.

    No window of a member reaches such a bar.
    """
    again = np.zeros(prices.member.shape, bool)
    again[: at + 1] = np.logical_or.accumulate(prices.live[at::-1], axis=0)[::-1]
    again[at + 1 :] = True
    strange: BoolArray = ~again & np.isfinite(prices.adjusted_close)
    return strange


def audit_features(
    prices: PricePanel, published: FeatureSource, build: Build, *, at: int, rng: np.random.Generator
) -> tuple[str, ...]:
    """Recompute features with prices after session index `at` cut off or poisoned, and compare with the published ones.

    With the later prices go the later dividends: where prices are cut off, the adjusted closes of half of the tickers are
    halved. Where they are noise, so are those of `strangers`. Returns findings, one text per leak.
    """
    noise = np.exp(rng.normal(0.0, 0.5, size=prices.member.shape))
    factor = np.where(rng.random(len(prices.tickers)) < 0.5, DIVIDEND_FACTOR, 1.0)
    strange = strangers(prices, at)

    def otherwise_adjusted(name: str, values: FloatArray) -> FloatArray:
        return values * factor if name == "adj_close" else values

    def among_strangers(_: str, values: FloatArray) -> FloatArray:
        return values if values.ndim == 1 else np.where(strange, values * noise, values)

    dividends = " and adjusted closes are halved, as by a later dividend" if "adj_close" in prices.fields else ""
    outsiders = ", as are those of tickers that are no members" if strange.any() else ""
    trials = {
        f"cut off{dividends}": (prices.up_to(at + 1).mapped(otherwise_adjusted), CUT_TOLERANCE),
        "replaced by NaN": (poisoned(prices, at, float("nan")), 0.0),
        f"replaced by noise{outsiders}": (poisoned(prices.mapped(among_strangers), at, noise), 0.0),
    }
    found: list[str] = []
    for how, (panel, tolerance) in trials.items():
        gone, changed = _differences(published, build(panel), at + 1, tolerance)
        found += [f"feature {name} is gone once prices after {prices.sessions[at]} are {how}" for name in gone]
        found += [
            f"feature {name} changes before {prices.sessions[at]} when later prices are {how}" for name in changed
        ]
    return tuple(dict.fromkeys(found))


def _differences(
    published: FeatureSource, again: Iterable[FeaturePanel], n_sessions: int, tolerance: float
) -> tuple[list[str], list[str]]:
    """Features that the recomputation lacks, and those that differ in the first `n_sessions`; each block is read once.

    If the recomputation lacks sessions, it lacks all features.
    """
    gone: dict[str, None] = {}
    changed: dict[str, None] = {}
    start = 0
    for block in again:
        sessions = slice(start, min(start + len(block.sessions), n_sessions))
        start += len(block.sessions)
        for name, values in zip(published.names, published.block(published.names, sessions), strict=True):
            if name not in block.names:
                gone[name] = None
            elif not equal(block[name][: len(values)], values, tolerance):
                changed[name] = None
        if start >= n_sessions:
            return list(gone), list(changed)
    return list(published.names), list(changed)


def audit_rescaling(prices: PricePanel, published: FeatureSource, build: Build) -> tuple[str, ...]:
    """Halve the whole price history of one ticker and double its volumes, as a later split does. No feature may change.

    Values are compared within RESCALING_TOLERANCE. Returns findings, one text per leak.
    """
    factor = np.ones(len(prices.tickers))
    factor[int(np.argmax(np.isfinite(prices.adjusted_close).sum(axis=0)))] = RESCALING_FACTOR

    def change(name: str, values: FloatArray) -> FloatArray:
        if values.ndim == 1:
            return values
        return values / factor if name == "volume" else values * factor

    again = build(prices.mapped(change))
    _, changed = _differences(published, again, len(prices.sessions), RESCALING_TOLERANCE)
    return tuple(f"feature {name} changes when a ticker's history is rescaled" for name in changed)


def audit_labels(
    prices: PricePanel,
    published: Mapping[int, Mapping[str, FloatArray]],
    entry: LabelEntry,
    *,
    at: int,
    rng: np.random.Generator,
) -> tuple[str, ...]:
    """Poison or cut prices after session index `at`: labels that end by `at` must not change, later ones must be unknown.

    published: horizon → field of `Labels` → (n_sessions, n_tickers). Returns findings, one text per leak.
    """
    noise = np.exp(rng.normal(0.0, 0.5, size=prices.member.shape))
    found = []
    for horizon, labels in published.items():
        ended = at + 1 - label_span(horizon, entry)
        kept = vars(build_labels(poisoned(prices, at, noise), horizon, entry))
        known = vars(build_labels(prices.up_to(at + 1), horizon, entry))
        for name, values in labels.items():
            label = f"the {horizon}-day label {name}"
            if not equal(kept[name][:ended], values[:ended], 0.0):
                found.append(f"{label} looks further ahead than {label_span(horizon, entry)} sessions")
            if np.isfinite(known[name][max(ended, 0) :]).any():
                found.append(f"{label} is known before its {label_span(horizon, entry)} sessions are over")
    return tuple(found)


def audit_folds(folds: Sequence[Fold], *, label_span: int, lookback: int = 0) -> tuple[str, ...]:
    """Check that windows of a fold are at least `label_span` + `lookback` sessions apart and that test windows do not overlap.

    label_span: sessions that a label looks ahead. lookback: sessions that the inputs of sequence models look back; 0 without
    such models. Returns findings, one text per fault.
    """
    needed = f"labels reach {label_span}" + (f" and sequences {lookback} back" if lookback else "")
    found = []
    for fold in folds:
        for (name, window), (later_name, later) in pairwise(fold.windows()):
            gap = later.start - window.stop
            if gap < 0:
                found.append(f"{fold.name}: {name} and {later_name} overlap by {-gap} sessions")
            elif gap < label_span + lookback:
                found.append(f"{fold.name}: {gap} sessions between {name} and {later_name}, {needed}")
    for fold, later_fold in pairwise(folds):
        if later_fold.test.start < fold.test.stop:
            found.append(f"tests of {fold.name} and {later_fold.name} overlap")
    return tuple(found)


def audit_scores(name: str, published: FloatArray, clean: FloatArray, poisoned_scores: FloatArray) -> tuple[str, ...]:
    """Compare the published scores of a session with a refit on clean data, and that refit with one on poisoned later data.

    published, clean, poisoned_scores: (n_tickers,). If the first two differ, the published model is not a fit on its fit
    window. If the last two differ, the fit used data after its fit window. If published and poisoned scores are equal,
    there is neither fault and no clean refit is needed. Returns findings, one text per fault.
    """
    found = []
    if not same_scores(clean, published):
        found.append(f"{name}: the published scores are not those of a refit on the fit window")
    if not same_scores(clean, poisoned_scores):
        found.append(f"{name}: scores change when data after the fit window are poisoned")
    return tuple(found)


def same_scores(a: FloatArray, b: FloatArray) -> bool:
    """Whether scores of one session, (n_tickers,), are equal within SCORE_TOLERANCE."""
    return equal(a, b, SCORE_TOLERANCE)


def equal(a: FloatArray, b: FloatArray, tolerance: float) -> bool:
    """Whether |a − b| ≤ tolerance · (1 + |b|) for all elements, with NaN equal to NaN. tolerance 0: equal values.

    a, b: arrays; those of different shapes are not equal.
    """
    if a.shape != b.shape:
        return False
    if tolerance == 0:
        return bool(np.array_equal(a, b, equal_nan=True))
    return bool(np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True))
