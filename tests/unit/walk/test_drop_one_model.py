"""Drop-one: a model with independent information adds value, a copy adds none, noise costs."""

import numpy as np
import pytest

from foundry_tasks.walk.drop_one_model import drop_one

SESSIONS, TICKERS = 200, 60
RNG = np.random.default_rng(8)
SIGNALS = RNG.normal(size=(2, SESSIONS, TICKERS))
UP = (SIGNALS.sum(axis=0) + RNG.normal(scale=2, size=(SESSIONS, TICKERS)) > 0).astype(float)


def test_a_model_that_knows_what_the_other_does_not_adds():
    found = drop_one({"one": SIGNALS[0], "other": SIGNALS[1]}, UP, horizon=1)
    assert all(interval.lower > 0.02 for interval in found.values())


def test_a_copy_adds_nothing():
    found = drop_one({"one": SIGNALS[0], "copy": 3 * SIGNALS[0] + 1}, UP, horizon=1)
    assert found["copy"].value == pytest.approx(0, abs=1e-12)


def test_noise_takes_away():
    found = drop_one({"one": SIGNALS[0], "noise": RNG.normal(size=UP.shape)}, UP, horizon=1)
    assert found["noise"].upper < 0


def test_both_averages_rank_the_same_tickers():
    halved = np.where(np.arange(TICKERS) % 2, SIGNALS[1], np.nan)
    found = drop_one({"one": SIGNALS[0], "half": halved}, UP, horizon=1)
    kept = drop_one({"one": SIGNALS[0][:, 1::2], "half": SIGNALS[1][:, 1::2]}, UP[:, 1::2], horizon=1)
    assert found["half"].value == pytest.approx(kept["half"].value, abs=0.01)
    assert found["one"].value == pytest.approx(kept["one"].value, abs=0.01)


def test_too_few_sessions_have_no_interval():
    found = drop_one({"one": SIGNALS[0][:50], "other": SIGNALS[1][:50]}, UP[:50], horizon=5)
    assert not found["one"].defined
