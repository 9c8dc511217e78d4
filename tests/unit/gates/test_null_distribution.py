"""The cheap null: fixed forecasts with every circular shift of the labels."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.evaluation import metrics
from foundry_tasks.features.lookback import LOOKBACK_SESSIONS
from foundry_tasks.gates import null_distribution as null
from tests.unit.gates.forecaster import evidence

RNG = np.random.default_rng(5)
SCORES = RNG.normal(size=(12, 30))
LABELS = (RNG.random((12, 30)) < 0.55).astype(float)
RETURNS = RNG.normal(size=(12, 30))


@given(st.integers(0, 11))
def test_a_shift_is_the_metric_on_labels_that_were_rolled(shift):
    def at(table):
        return null.shifted(table, np.array([shift]))[0]

    rolled, returns, base = np.roll(LABELS, -shift, axis=0), np.roll(RETURNS, -shift, axis=0), np.full((12, 30), 0.55)
    p_up = 1 / (1 + np.exp(-SCORES))
    assert at(null.auc_table(SCORES, LABELS)) == pytest.approx(metrics.session_auc(SCORES, rolled))
    assert at(null.hit_table(SCORES, LABELS)) == pytest.approx(metrics.session_hit_rate(SCORES, rolled))
    assert at(null.rank_ic_table(SCORES, RETURNS)) == pytest.approx(metrics.session_rank_ic(SCORES, returns))
    difference = metrics.session_brier(p_up, rolled) - metrics.session_brier(base, rolled)
    assert at(null.brier_table(p_up, base, LABELS)) == pytest.approx(difference)


def test_a_ticker_without_a_label_or_a_score_is_left_out_of_that_session_alone():
    scores, labels = SCORES.copy(), LABELS.copy()
    scores[3, :4], labels[7, 2:9] = np.nan, np.nan
    table = null.auc_table(scores, labels)
    assert null.shifted(table, np.array([4]))[0] == pytest.approx(
        metrics.session_auc(scores, np.roll(labels, -4, axis=0)), abs=0.02
    )
    assert table[0, 0] == null.auc_table(SCORES, LABELS)[0, 0]


def test_a_session_without_labels_has_no_figure_and_spoils_no_mean():
    labels = LABELS.copy()
    labels[-1] = np.nan
    table = null.auc_table(SCORES, labels)
    assert np.isnan(table[:, -1]).all()
    assert np.isfinite(null.shifted(table, np.array([3]))[0]).sum() == 11


@pytest.mark.parametrize(
    ("n_sessions", "least", "shifts"),
    [(1250, LOOKBACK_SESSIONS, 1251 - 2 * LOOKBACK_SESSIONS), (750, 250, 251), (600, 200, 201), (180, 60, 61)],
)
def test_shifts_are_a_lookback_or_a_third_of_a_shorter_window_from_home_either_way(n_sessions, least, shifts):
    found = null.admissible_shifts(n_sessions)
    assert len(found) == shifts
    assert min(found.min(), n_sessions - found.max()) == least


def test_an_edge_is_gone_once_its_labels_are_shifted():
    found = null.null_distribution(evidence(auc=0.54)).figures["auc"]
    assert found.observed == pytest.approx(0.54, abs=0.01)
    assert found.mean == pytest.approx(0.5, abs=0.002)
    assert found.observed > found.q95
    assert found.chance == pytest.approx(1 / 136)


def test_the_null_of_a_lower_figure_that_is_better_counts_lower_shifts_as_good():
    honest = evidence(auc=0.56)
    assert null.null_distribution(honest).figures["brier"].chance < 0.05
    backwards = replace(honest, p_up=2 * honest.base_rate - honest.p_up)
    assert null.null_distribution(backwards).figures["brier"].chance > 0.95


def test_a_model_that_always_ranks_the_same_tickers_first_does_not_beat_chance():
    """Some tickers rise more often than others on all days. Ranking these shows no timing."""
    rng = np.random.default_rng(2)
    rises = rng.uniform(0.4, 0.6, (1, 100))
    up = (rng.random((400, 100)) < rises).astype(float)
    static = replace(evidence(), p_up=np.broadcast_to(rises, up.shape), up=up)
    found = null.null_distribution(static).figures["auc"]
    assert found.observed > 0.55
    assert found.chance > 0.05


def test_efficiency_under_the_null_is_undefined_where_validation_showed_no_edge():
    faded = evidence()
    flat = replace(faded, validation_relative=[series * 0 + 0.5 for series in faded.validation_relative])
    assert np.isnan(null.null_distribution(flat).figures["wfe"].q95)


def test_too_few_sessions_for_one_shift_leave_the_null_undefined():
    short = evidence()
    rows = {name: getattr(short, name)[:0] for name in ("p_up", "base_rate", "up", "above_median", "forward_return")}
    figures = null.null_distribution(replace(short, **rows, test_relative=[])).figures
    assert np.isnan(figures["auc"].q95)


def test_the_figures_of_a_refit_are_those_that_the_cheap_null_observes():
    found, cheap = null.gated_figures(evidence()), null.null_distribution(evidence()).figures
    assert found == pytest.approx({name: figure.observed for name, figure in cheap.items()}, rel=1e-9)


@given(st.integers(1, 61), st.integers(0, 500), st.integers(1, 60), st.sampled_from([0, 19, 249]))
def test_a_shifted_label_shares_no_session_with_what_a_model_reads(span, more, refits, lookback):
    least = LOOKBACK_SESSIONS + lookback + span + 1
    n_sessions = 2 * least + refits - 1 + more
    shifts = null.spread_shifts(n_sessions, span, refits, lookback=lookback)
    assert len(set(shifts)) == refits
    today = n_sessions
    for shift in (min(shifts), n_sessions - max(shifts)):
        ends, read_from = today - shift + span, today - lookback - LOOKBACK_SESSIONS
        assert ends < read_from
    assert min(shifts) == least


def test_a_market_that_is_too_short_to_forget_is_refused():
    with pytest.raises(ConfigError, match="Use 762 sessions, or lower null_refits"):
        null.spread_shifts(761, 1, 41)
    assert len(null.spread_shifts(762, 1, 41)) == 41
