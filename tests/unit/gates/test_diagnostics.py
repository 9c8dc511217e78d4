"""Diagnostics of the gates on a market of two folds, by hand or random."""

import numpy as np
import pytest

from foundry_tasks.contract.config import GatePolicy
from foundry_tasks.contract.documents import Fold, Window
from foundry_tasks.evaluation import metrics
from foundry_tasks.evaluation.wfe import walk_forward_efficiency
from foundry_tasks.features.labels import Labels
from foundry_tasks.gates.diagnostics import edges_of, gate_diagnostics
from foundry_tasks.walk.evidence import FoldOutput, gather_evidence

POLICY = GatePolicy(resamples=200, min_blocks=2)
N_SESSIONS, N_TICKERS = 260, 12
FOLDS = (
    Fold(1, Window(0, 60), Window(62, 98), Window(100, 180)),
    Fold(2, Window(0, 140), Window(142, 178), Window(180, 260)),
)


class Walk:
    """Forecasts with some skill, or only the base rate."""

    def __init__(self, *, skill: float = 0.3) -> None:
        rng = np.random.default_rng(2)
        self.returns = rng.normal(0.001, 0.02, (N_SESSIONS, N_TICKERS))
        up = (self.returns > 0).astype(float)
        median = (self.returns > np.median(self.returns, axis=1, keepdims=True)).astype(float)
        self.labels = Labels(self.returns, up, median, median, np.abs(self.returns), np.abs(self.returns))
        noise = rng.normal(size=up.shape) if skill else np.zeros(up.shape)
        self.p_up = 0.52 + 0.01 * (skill * self.returns / 0.02 + noise)
        self.outputs = [self._output(fold) for fold in FOLDS]
        member = np.ones(up.shape, bool)
        self.evidence = gather_evidence(self.outputs, self.labels, member, horizon=1, leaks=())
        self.edges = edges_of(self.outputs, self.labels, self.evidence)

    def _output(self, fold: Fold) -> FoldOutput:
        rows = slice(fold.validation.start, fold.test.stop)
        return FoldOutput(fold, self.p_up[rows], np.full_like(self.p_up[rows], 0.52))

    def diagnostics(self):
        tested = self.returns[100:260]
        returns = {"close": tested, "next_open": np.full_like(tested, np.nan)}
        return gate_diagnostics(self.evidence, self.edges, returns, POLICY, seed=1)


@pytest.fixture(scope="module")
def walk():
    return Walk()


def test_the_edge_in_rank_ic_is_that_of_each_fold_s_own_windows(walk):
    edge = walk.edges.rank_ic
    for fold, validation, test in zip(FOLDS, edge.validation, edge.test, strict=True):
        for window, series in ((fold.validation, validation), (fold.test, test)):
            expected = metrics.session_rank_ic(walk.p_up[window.slice], walk.returns[window.slice])
            np.testing.assert_array_equal(series, expected)


def test_an_always_long_forecast_has_no_edge_beyond_the_base_rate():
    edge = Walk(skill=0.0).edges.over_base_rate
    assert all((series == 0).all() for series in (*edge.validation, *edge.test))


def test_a_ticker_without_a_forecast_counts_on_neither_side_of_that_difference():
    walk = Walk()
    walk.outputs[0].p_up[5, 3] = np.nan
    edge = edges_of(walk.outputs, walk.labels, walk.evidence).over_base_rate
    up, kept = walk.labels.up[67], np.arange(N_TICKERS) != 3
    expected = np.mean((walk.p_up[67, kept] > 0.5) == up[kept]) - np.mean(up[kept])
    assert edge.validation[0][5] == pytest.approx(expected)


def test_the_relative_efficiency_beside_is_the_one_that_is_gated(walk):
    e = walk.evidence
    expected = walk_forward_efficiency([s.mean() for s in e.validation_relative], [s.mean() for s in e.test_relative])
    assert walk.diagnostics().efficiency.relative.value == expected


def test_figures_of_a_fold_are_the_means_of_its_sessions(walk):
    auc = metrics.session_auc(walk.evidence.p_up, walk.evidence.up)
    assert [fold.auc_up for fold in walk.diagnostics().folds] == pytest.approx([auc[:80].mean(), auc[80:].mean()])


def test_an_entry_without_prices_is_left_out(walk):
    assert list(walk.diagnostics().entries) == ["close"]


def test_the_icir_is_that_of_the_rank_ic_it_stands_beside(walk):
    found = walk.diagnostics()
    assert found.information.mean == pytest.approx(found.rank_ic.value)


def test_the_calibration_error_is_a_figure_with_an_interval_beside_the_gates(walk):
    found = walk.diagnostics().calibration_error
    assert 0 <= found.lower <= found.upper
    assert found.value > 0


def test_consistency_counts_the_folds_above_neutral(walk):
    for name in ("relative", "over_base_rate", "rank_ic"):
        edge, found = getattr(walk.edges, name), getattr(walk.diagnostics().efficiency, name)
        assert found.consistency == np.mean([np.nanmean(series) > edge.neutral for series in edge.test]), name
