"""Error rates of the gate `calibration` at the size of the five-year set; `benchmarks/gate_errors.py` counts more of them."""

from functools import cache

import numpy as np
import pytest

from benchmarks.gate_errors import MARKETS, judged

pytestmark = pytest.mark.slow(12)

MARKETS_DRAWN = 25


@cache
def failed() -> dict[str, int]:
    """Kind of forecast → number of failures in MARKETS_DRAWN markets at one day."""
    rng, count = np.random.default_rng(0), {}
    for _ in range(MARKETS_DRAWN):
        for kind, (p_up, up) in MARKETS[1].forecasts(rng).items():
            count[kind] = count.get(kind, 0) + (judged(p_up, up, 1)[0] == "failed")
    return count


def test_a_calibrated_forecast_does_not_fail():
    assert failed()["calibrated"] == 0


@pytest.mark.parametrize("kind", ["inverted", "five-fold", "random"])
def test_an_inverted_a_random_and_a_five_fold_overconfident_forecast_fail(kind):
    """With an ECE of at most 0.05 all of them passed."""
    assert failed()[kind] == MARKETS_DRAWN


def test_a_random_forecast_that_shares_a_style_with_its_market_fails_in_nineteen_of_twenty():
    assert failed()["random with a style"] >= 0.88 * MARKETS_DRAWN
