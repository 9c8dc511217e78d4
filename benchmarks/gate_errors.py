"""Error rates of the intervals and of the gate `calibration`, on simulated figures with known truth.

    python benchmarks/gate_errors.py [--repeats 20000] [--forecasts 1000]

Prints the two tables of docs/evidence.md: one-sided size of an interval's lower bound, and verdicts on calibration. Takes half
an hour at the defaults on an idle core.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter
from scipy.special import expit, logit, ndtr, ndtri

from foundry_tasks.contract.config import GatePolicy
from foundry_tasks.contract.documents.gates import GateVerdict
from foundry_tasks.data.panel import FloatArray
from foundry_tasks.gates.case import Case
from foundry_tasks.gates.catalogue.calibration import GATE
from foundry_tasks.gates.null_distribution import NullDistribution
from foundry_tasks.statistics.block_means import BlockRule, block_length, mean_interval
from foundry_tasks.statistics.bootstrap import resampled_means
from foundry_tasks.walk.evidence import Evidence

RULE = BlockRule(confidence=0.95, min_blocks=12)
CHUNK = 2000
SESSIONS, TICKERS = 750, 480
"""The size of the five-year set."""


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=20_000, help="series of each row of the first table")
    parser.add_argument("--forecasts", type=int, default=1000, help="forecasts of each row of the second table")
    asked = parser.parse_args()
    print(
        "| horizon | sessions | blocks | scores | t of blocks | bootstrap | width | power |\n|---|---|---|---|---|---|---|---|"
    )
    for horizon, blocks in ((1, 18), (1, 75), (5, 18), (5, 50), (20, 12), (20, 18)):
        for persistence in (0.9, 0.98, 1.0):
            print(_interval_row(horizon, blocks, persistence, asked.repeats), flush=True)
    print("\n| horizon | forecast | slope | standard deviation | failed | warned |\n|---|---|---|---|---|---|")
    for horizon in (1, 5, 20):
        for row in _calibration_rows(horizon, asked.forecasts):
            print(row, flush=True)
    return 0


# ------------------------------------------------------------------ bounds
def figures_without_skill(
    horizon: int, blocks: int, persistence: float, *, chunks: int, seed: int
) -> Iterator[FloatArray]:
    """Chunks of figures by session with mean 0, (CHUNK, n_sessions): a score times the sum of the next h returns.

    As the AUC of a session, in which a score that persists over sessions meets labels that overlap. persistence: of the
    score from one session to the next; 1 is a constant score.
    """
    rng, n_sessions = np.random.default_rng(seed), blocks * block_length(horizon)
    for _ in range(chunks):
        following = overlapping_sums(rng.normal(size=(n_sessions + horizon - 1, CHUNK)), horizon)
        yield (following if persistence == 1 else following * persistent(following.shape, persistence, rng)).T


def persistent(shape: tuple[int, int], persistence: float, rng: np.random.Generator) -> FloatArray:
    """Autoregressive scores with variance 1, (n_sessions, n_series)."""
    shocks = rng.normal(size=shape)
    shocks[1:] *= np.sqrt(1 - persistence**2)
    scores: FloatArray = lfilter([1.0], [1.0, -persistence], shocks, axis=0)
    return scores


def overlapping_sums(series: FloatArray, horizon: int) -> FloatArray:
    """Sum of each session and the h − 1 after it, along the first axis."""
    sums = np.cumsum(np.concatenate([np.zeros((1, *series.shape[1:])), series]), axis=0)
    following: FloatArray = sums[horizon:] - sums[:-horizon]
    return following


def _interval_row(horizon: int, blocks: int, persistence: float, repeats: int) -> str:
    """Sizes of t and bootstrap, ratio of their mean widths, power at a mean of three true standard errors."""
    block, rng, chunks = block_length(horizon), np.random.default_rng(1), max(repeats // CHUNK, 1)
    n_sessions = blocks * block
    edge = 3 * horizon / np.sqrt(n_sessions)
    found = []
    for chunk in figures_without_skill(horizon, blocks, persistence, chunks=chunks, seed=horizon * blocks):
        for number, series in enumerate(chunk):
            ours = mean_interval(series, horizon=horizon, rule=RULE)
            low, high = np.nan, np.nan
            if number % 5 == 0:  # the bootstrap takes most of the time
                means = resampled_means(series, block=block, resamples=1000, rng=rng)
                low, high = np.quantile(means, RULE.levels)
            found.append((ours.lower, ours.upper, low, high))
    lower, upper, low, high = np.array(found).T
    both = np.isfinite(low)
    sizes = f"{(lower > 0).mean():.1%} | {(low[both] > 0).mean():.1%}"
    width = (upper - lower)[both].mean() / (high - low)[both].mean()
    power = f"{(lower > -edge).mean():.0%}, {(low[both] > -edge).mean():.0%}" if persistence == 1 else ""
    return f"| {horizon} | {n_sessions} | {blocks} | {persistence:g} | {sizes} | {width:.2f} | {power} |"


# ------------------------------------------------------------------ calibration
@dataclass(frozen=True, slots=True)
class Market:
    """A market of SESSIONS × TICKERS in which a forecaster has an AUC of about 0.514 per session.

    Returns of a day: market (σ 0.6) + style of the session × the ticker's loading (σ 0.6) + its own (σ 1). Scores have a
    correlation of 0.3 with the loadings and persist; they add `edge` per unit to the return. The style raises the standard
    deviation of a session's AUC from 0.026 to 0.068, that of real prices. base: share of up labels.
    """

    horizon: int
    persistence: float
    base: float
    edge: float = 0.035
    loading: float = 0.3
    market: float = 0.6
    style: float = 0.6

    def forecasts(self, rng: np.random.Generator) -> Mapping[str, tuple[FloatArray, FloatArray]]:
        """Kind of forecast → P(up) and up, (SESSIONS, TICKERS) each.

        calibrated: the probability of up given the score. inverted: 2 base − P(up). five-fold: logits × 5, mean kept. random:
        drawn anew in each session, with the same dispersion of logits. random with a style: the calibrated forecast, on labels
        of a market without the edge.
        """
        days, scale = SESSIONS + self.horizon - 1, np.sqrt(1 + self.market**2 + self.style**2)
        loadings = rng.normal(size=TICKERS)
        scores = self.loading * loadings + np.sqrt(1 - self.loading**2) * persistent(
            (SESSIONS, TICKERS), self.persistence, rng
        )
        daily = rng.normal(size=(days, TICKERS)) + self.style * rng.normal(size=(days, 1)) * loadings
        daily += self.market * rng.normal(size=(days, 1))
        drift = scale * ndtri(self.base)
        noise = drift + overlapping_sums(daily, self.horizon) / np.sqrt(self.horizon)
        up, up_without_edge = (noise + self.edge * scores > 0).astype(float), (noise > 0).astype(float)
        p_up = ndtr((drift + self.edge * scores) / scale)
        logits, level = logit(p_up), logit(self.base)
        spread = (logits - logits.mean(axis=1, keepdims=True)).std()
        return {
            "calibrated": (p_up, up),
            "inverted": (2 * self.base - p_up, up),
            "five-fold": (expit(level + 5 * (logits - level)), up),
            "random": (expit(level + spread * rng.normal(size=p_up.shape)), up),
            "random with a style": (p_up, up_without_edge),
        }


MARKETS = {1: Market(1, 0.9, 0.524), 5: Market(5, 0.95, 0.54), 20: Market(20, 0.98, 0.571)}


def judged(p_up: FloatArray, up: FloatArray, horizon: int) -> tuple[GateVerdict, float]:
    """Verdict of the gate `calibration`, and the slope."""
    evidence = Evidence(
        horizon=horizon, p_up=p_up, base_rate=p_up, up=up, above_median=up, forward_return=up, member=np.isfinite(up),
        validation_relative=(), test_relative=(), validation_up=(), test_up=(), leaks=(),
    )  # fmt: skip
    answer = GATE.judge(Case(evidence, GatePolicy(), 0, NullDistribution(0, 0, 0, {})))
    return answer.verdict, np.nan if answer.value is None else answer.value


def _calibration_rows(horizon: int, repeats: int) -> Iterator[str]:
    rng = np.random.default_rng(horizon)
    found: dict[str, list[tuple[GateVerdict, float]]] = {}
    for _ in range(repeats):
        for kind, (p_up, up) in MARKETS[horizon].forecasts(rng).items():
            found.setdefault(kind, []).append(judged(p_up, up, horizon))
    for kind, answers in found.items():
        slopes = np.array([slope for _, slope in answers])
        failed, warned = (sum(verdict == one for verdict, _ in answers) / repeats for one in ("failed", "warned"))
        yield f"| {horizon} | {kind} | {slopes.mean():.2f} | {slopes.std():.2f} | {failed:.1%} | {warned:.1%} |"


if __name__ == "__main__":
    sys.exit(main())
