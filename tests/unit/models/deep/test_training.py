"""Training: batches of whole sessions, equal bits for equal seeds, resumed fits, and refusal of models without information.

All tests run with one head and with three.
"""

import tracemalloc

import keras
import numpy as np
import pytest

from foundry_tasks.contract.config import DeepConfig
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.models.deep import training
from foundry_tasks.models.deep.journal import NO_JOURNAL
from foundry_tasks.models.deep.sequences import Sequences
from foundry_tasks.models.deep.training import LearningRows, SessionBatches, Training, WarmUpCosine, plan_for
from foundry_tasks.models.design import build_design
from foundry_tasks.models.estimator import Stopping
from foundry_tasks.models.scaler import Scaler
from tests.unit.models.deep.networks import CONSTANT, FLAT, HEADS, noise_panel, remembered, with_moves

PANEL = noise_panel()
LABELS = remembered(PANEL, lag=2)
MOVES = with_moves(PANEL, LABELS)
DESIGN = build_design(PANEL, "sequence")
SIGN, ALL = ("sign",), ("sign", "size", "volatility")
with_one_head_and_three = pytest.mark.parametrize("tasks", [SIGN, ALL], ids=["one head", "three heads"])


class Memory:
    """A journal that records everything and may stop the fit in an epoch."""

    def __init__(self, dies_in=None):
        self.states, self.notes, self.dies_in = {}, [], dies_in

    def load(self, fit):
        return self.states.get(fit)

    def save(self, fit, state):
        self.states[fit] = state

    def advance(self, note):
        if len(self.notes) + 1 == self.dies_in:
            raise SystemExit(143)
        self.notes.append(note)


def learning_rows(first=0, end=90, steps=4, tasks=SIGN, labels=MOVES):
    rows = DESIGN.rows(first, end)
    sequences = DESIGN.values[rows]
    target = DESIGN.from_wide(labels if tasks == ALL else LABELS, rows)
    return LearningRows(sequences, target, Scaler.of(sequences.known_values()), steps, tasks)


def stopping_on(first, end, labels):
    rows = DESIGN.rows(first, end)
    return Stopping(DESIGN.values[rows], DESIGN.from_wide(labels, rows), DESIGN.session[rows])


def trainer(network=HEADS, journal=NO_JOURNAL, stopping=None, tasks=SIGN, labels=MOVES, **keys):
    config = DeepConfig(**{"deep_size": "small", "deep_epochs": 5, "learning_rate": 1e-2, "deep_tasks": tasks, **keys})
    rows = learning_rows(tasks=tasks, labels=labels)
    return Training("lstm_transformer", network, config, plan_for(config), rows, stopping, journal)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


# ------------------------------------------------------------------ batches
def test_an_epoch_holds_every_row_once_in_batches_of_whole_sessions():
    rows = learning_rows()
    batches = SessionBatches(rows, rng=np.random.default_rng(0))
    sessions = [set(rows.sequences.session[places]) for places, _ in batches._batches]
    assert sum(map(len, sessions)) == len(set.union(*sessions)) == 90
    assert sorted(np.concatenate([places for places, _ in batches._batches])) == list(range(len(rows.sequences)))
    assert min(len(places) for places, _ in batches._batches) >= training.BATCH_ROWS


def test_a_batch_is_scaled_windows_their_targets_and_the_number_of_their_session():
    rows = learning_rows()
    batches = SessionBatches(rows, rng=np.random.default_rng(0))
    windows, target = batches[1]
    places, _ = batches._batches[1]
    np.testing.assert_array_equal(windows, rows.scaler.apply(rows.sequences[places].windows(4)))
    assert windows.dtype == np.float32
    np.testing.assert_array_equal(target["sign"][:, 0], rows.target[places])
    _, numbered = np.unique(target["sign"][:, 1], return_inverse=True)
    session = rows.sequences.session[places]
    assert all(len(set(session[numbered == number])) == 1 for number in set(numbered))
    assert len(set(numbered)) == len(set(session))


def test_with_several_heads_a_batch_has_a_target_for_each_and_an_unknown_one_is_none():
    rows = learning_rows(tasks=ALL)
    batches = SessionBatches(rows, rng=np.random.default_rng(0))
    _, target = batches[1]
    places, slots = batches._batches[1]
    assert tuple(target) == ALL
    for column, values in enumerate(target.values()):
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values[:, 0], rows.target[places, column].astype(np.float32))
        np.testing.assert_array_equal(values[:, 1], slots)
    assert np.isnan(target["size"]).any()
    assert np.isfinite(target["sign"]).all()


def test_each_epoch_has_an_order_of_its_own_and_equal_generators_the_same():
    orders = [SessionBatches(learning_rows(), rng=np.random.default_rng([7, epoch])) for epoch in (0, 0, 1)]
    first = [batches._batches[0][0].tolist() for batches in orders]
    assert first[0] == first[1] != first[2]


def test_for_xla_a_batch_has_a_multiple_of_the_rows_it_wants():
    batches = SessionBatches(learning_rows(), rng=np.random.default_rng(0), multiple=64)
    for index in range(len(batches)):
        windows, target = batches[index]
        assert len(windows) % 64 == 0
        assert len(windows) == len(target["sign"])


def test_an_epoch_costs_the_memory_of_its_batches_and_not_of_all_windows():
    """The panel has 6 MB; all windows would need 360 MB."""
    panel = np.zeros((500, 100, 30), dtype=np.float32)
    session, ticker = np.indices(panel.shape[:2]).reshape(2, -1).astype(np.int32)
    rows = LearningRows(
        Sequences(panel, session, ticker), np.zeros(len(session)), Scaler(np.zeros(30), np.ones(30)), 60
    )
    tracemalloc.start()
    batches = SessionBatches(rows, rng=np.random.default_rng(0))
    for index in range(len(batches)):
        batches[index]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(session) * 60 * 30 * 4 / 10


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nothing():
    rate = WarmUpCosine(0.1)
    rate.steps.assign(99)
    rates = np.array([float(rate(step)) for step in range(99)])
    assert rates.max() == pytest.approx(0.1, rel=0.01)
    assert rates.argmax() in {8, 9}
    assert 0 < rates[0] < 0.011
    assert rates[-1] < 1e-4
    assert (np.diff(rates[10:]) < 0).all()


# ------------------------------------------------------------------ equal is equal
@with_one_head_and_three
def test_equal_seeds_give_equal_bits_and_another_seed_another_network(tasks):
    one, again, other = (trainer(tasks=tasks).fit(seed, name="fit") for seed in (3, 3, 4))
    assert same(one, again)
    assert not same(one, other)


@with_one_head_and_three
@pytest.mark.parametrize("epoch", [1, 3])
def test_a_fit_that_was_killed_goes_on_in_its_epoch_and_ends_with_the_same_bits(epoch, tasks, monkeypatch):
    undisturbed = trainer(tasks=tasks).fit(3, name="fit")
    journal = Memory(dies_in=epoch)
    with pytest.raises(SystemExit):
        trainer(journal=journal, tasks=tasks).fit(3, name="fit")
    journal.dies_in, journal.notes = None, []
    trained = []
    whole = Training._epoch
    monkeypatch.setattr(Training, "_epoch", lambda *args: trained.append(1) or whole(*args))
    assert same(trainer(journal=journal, tasks=tasks).fit(3, name="fit"), undisturbed)
    assert len(trained) == 5 - epoch
    assert len(journal.notes) == 5


def test_what_is_kept_of_one_fit_is_not_taken_for_anothers():
    journal = Memory()
    first = trainer(journal=journal).fit(3, name="fit")
    assert same(trainer(journal=journal).fit(4, name="other"), trainer().fit(4, name="other"))
    assert same(trainer(journal=journal).fit(3, name="fit"), first), "a fit that ended is not trained again"


# ------------------------------------------------------------------ several heads
def test_what_is_learned_beside_changes_the_layers_that_the_sign_stands_on_and_is_not_kept():
    alone, beside = trainer().fit(3, name="fit"), trainer(tasks=ALL).fit(3, name="fit")
    assert [weight.shape for weight in beside] == [weight.shape for weight in alone]
    assert not np.array_equal(beside[0], alone[0])


def test_a_network_with_heads_that_is_asked_for_the_sign_alone_is_the_one_without():
    assert same(trainer(HEADS).fit(3, name="fit"), trainer(FLAT).fit(3, name="fit"))


def test_heads_that_have_nothing_to_learn_leave_the_sign_as_it_is_alone_bit_for_bit():
    nothing = MOVES.copy()
    nothing[..., 1:] = np.nan
    assert same(trainer(tasks=ALL, labels=nothing).fit(3, name="fit"), trainer().fit(3, name="fit"))


# ------------------------------------------------------------------ early stopping
@with_one_head_and_three
def test_the_epoch_that_ranks_the_stopping_window_best_is_kept(tasks):
    """The stopping window has the opposite pattern, so its best epoch is an early one."""
    willing = trainer(stopping=stopping_on(94, 120, LABELS), tasks=tasks).fit(3, name="fit")
    unwilling = trainer(stopping=stopping_on(94, 120, 1 - LABELS), tasks=tasks).fit(3, name="fit")
    assert not same(willing, unwilling)
    first_epoch = Memory(dies_in=1)
    with pytest.raises(SystemExit):
        trainer(journal=first_epoch, stopping=stopping_on(94, 120, 1 - LABELS), tasks=tasks).fit(3, name="fit")
    network = trainer(tasks=tasks)._begin(3)
    course = training._restore(network, first_epoch.states["fit"])
    assert same(unwilling, course.best)


def test_a_fit_that_gets_no_better_is_over_and_its_epochs_are_accounted_for():
    journal = Memory()
    trainer(journal=journal, stopping=stopping_on(94, 120, 1 - LABELS), deep_epochs=8).fit(3, name="fit")
    stopped = [note for note in journal.notes if "stopped after epoch 1" in note]
    assert len(journal.notes) == 8
    assert len(stopped) == 8 - 1 - training.PATIENCE_EPOCHS


# ------------------------------------------------------------------ what is no model
def test_a_loss_that_is_not_a_number_names_loss_precision_and_epoch():
    with pytest.raises(
        ConfigError, match=r"cross_entropy or scores are not finite after epoch \d with precision=float32\. Set"
    ):
        trainer(deep_loss="cross_entropy", learning_rate=1e30).fit(3, name="fit")


def test_a_network_that_collapses_twice_is_refused_with_what_to_do():
    with pytest.raises(
        ConfigError, match=r"has collapsed in epoch 1, and also with another seed: .* Set another deep_loss"
    ):
        trainer(CONSTANT).fit(3, name="fit")


def test_a_network_that_collapses_once_is_begun_again_with_another_seed(monkeypatch):
    seeds = []
    whole = Training._try

    def collapse_first(self, seed, name):
        seeds.append((seed, name))
        if len(seeds) == 1:
            raise training._CollapsedError("collapsed")
        return whole(self, seed, name)

    monkeypatch.setattr(Training, "_try", collapse_first)
    trainer().fit(3, name="fit")
    assert seeds == [(3, "fit"), (3 + training.RESTART_SEED, "fit-again")]


# ------------------------------------------------------------------ precision, device
@with_one_head_and_three
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_every_precision_trains_without_nan_and_leaves_keras_as_it_was(precision, tasks):
    before = keras.config.dtype_policy().name
    weights = trainer(precision=precision, deep_epochs=2, tasks=tasks).fit(3, name="fit")
    assert all(np.isfinite(weight).all() and weight.dtype == np.float32 for weight in weights)
    assert keras.config.dtype_policy().name == before


def test_the_small_size_is_what_a_cpu_trains_where_nobody_says_otherwise(monkeypatch):
    monkeypatch.setattr(training, "_device", lambda: "CPU")
    assert plan_for(DeepConfig()).size == "small"
    assert plan_for(DeepConfig(deep_size="full")).size == "full"
    assert plan_for(DeepConfig(deep_epochs=3)).epochs == 3
    monkeypatch.setattr(training, "_device", lambda: "A GPU")
    assert plan_for(DeepConfig()).size == "full"
