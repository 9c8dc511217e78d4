"""Plausible faults, each with the tests that must detect it.

A mutant is the package with one replaced text. The tests that kill it are named, so that a test that cannot fail is found:
every test of this folder must kill a mutant.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """name: description of the fault. text: occurs once in `module`. killed_by: tests of this folder; all must fail."""

    name: str
    module: str
    text: str
    replacement: str
    killed_by: tuple[str, ...]


FEATURES = "test_known_then.py::test_features_up_to_t_are_the_same_in_every_future"
LEARNED = "test_purge.py::test_what_a_fold_has_learned_knows_no_price_of_its_validation"
OUTSIDE_FIT = "test_what_learns.py::test_nothing_after_its_fit_window_moves_a_model"
LONGER = (
    "test_what_learns.py::test_what_a_longer_horizon_purges_teaches_it_nothing_though_a_shorter_one_still_learns_it"
)
CUT = "test_end_to_end.py::test_forecasts_of_folds_before_a_cut_are_those_of_the_whole_history"
FORECASTS = "test_end_to_end.py::test_forecasts_up_to_t_are_the_same_in_every_future"

OWN_AUDIT = "test_own_audit.py::test_a_run_without_a_fault_has_no_finding"
"""Kills what the audit of a run itself finds."""
JUMPS = "test_jumps.py::test_later_bars_withhold_an_earlier_row_and_never_change_one"

WALK = "walk/folds.py"
SPLIT = (
    Mutant(
        "the fit window reaches into the validation",
        WALK,
        "fit_stop = (validation or test).start - purge",
        "fit_stop = test.start - purge",
        ("test_split.py::test_the_windows_of_a_fold_are_in_the_order_of_time_and_disjoint",),
    ),
    Mutant(
        "the fit window holds the test",
        WALK,
        "fit_stop = (validation or test).start - purge",
        "fit_stop = test.stop",
        ("test_split.py::test_nothing_is_fitted_on_sessions_at_or_after_a_test",),
    ),
    Mutant(
        "tests overlap by a session",
        WALK,
        "first + number * c.test_sessions)",
        "first + number * c.test_sessions + 1)",
        ("test_split.py::test_folds_follow_each_other_in_time_and_are_numbered_so",),
    ),
    Mutant(
        "the newest session is never tested",
        WALK,
        "return n_sessions - self.config.folds * self.config.test_sessions",
        "return n_sessions - self.config.folds * self.config.test_sessions - 1",
        ("test_split.py::test_every_reported_session_is_tested_once_and_the_last_is_the_newest",),
    ),
    Mutant(
        "a warm-up block counts as evidence",
        "contract/documents/models.py",
        "return self.number >= 1",
        "return self.number >= 0",
        ("test_split.py::test_warm_up_blocks_end_where_the_first_reported_test_begins_and_are_no_evidence",),
    ),
    Mutant(
        "the purge is taken from the validation",
        WALK,
        "Window(test.start - purge - c.validation_sessions, test.start - purge)",
        "Window(test.start - c.validation_sessions - 1, test.start - 1)",
        ("test_purge.py::test_the_last_label_of_a_window_ends_before_the_next_window_begins",),
    ),
    Mutant(
        "the validation is longer than it says",
        WALK,
        "Window(test.start - purge - c.validation_sessions, test.start - purge)",
        "Window(test.start - purge - c.validation_sessions - 1, test.start - purge)",
        ("test_split.py::test_windows_have_the_sizes_that_were_asked_for",),
    ),
    Mutant(
        "an anchored walk slides and a rolling one grows",
        WALK,
        'if c.walk == "rolling" else 0',
        'if c.walk == "anchored" else 0',
        (
            "test_split.py::test_anchored_fit_windows_begin_with_the_first_session_and_nest",
            "test_split.py::test_rolling_fit_windows_keep_their_length_and_move_with_the_test",
            "test_split.py::test_a_rolling_walk_by_hand",
        ),
    ),
    Mutant(
        "each horizon has a test of its own",
        WALK,
        "first = self.first_test(n_sessions)",
        "first = self.first_test(n_sessions) - horizon",
        ("test_split.py::test_horizons_are_tested_on_the_same_sessions_and_a_longer_one_is_fitted_on_fewer",),
    ),
    Mutant(
        "a walk that lacks sessions is shrunk",
        WALK,
        "if needed > n_sessions:",
        "if needed > n_sessions + c.test_sessions:",
        ("test_split.py::test_a_walk_that_lacks_a_session_is_refused_and_not_shrunk",),
    ),
)

LABELS = "features/labels.py"
PURGE = (
    Mutant(
        "the purge is dropped",
        WALK,
        "purge = horizon + c.gap_sessions",
        "purge = c.gap_sessions",
        (
            "test_purge.py::test_the_last_label_of_a_window_ends_before_the_next_window_begins",
            "test_purge.py::test_no_price_of_a_later_window_moves_a_label_of_an_earlier_one",
            f"{LEARNED}[5-next_open]",
            "test_audit.py::test_the_walks_own_folds_are_clean",
        ),
    ),
    Mutant(
        "the purge before the validation is dropped",
        WALK,
        "fit_stop = (validation or test).start - purge",
        "fit_stop = (validation or test).start - (0 if validation else purge)",
        (
            "test_purge.py::test_no_price_of_a_later_window_moves_a_label_of_an_earlier_one",
            f"{LEARNED}[5-next_open]",
        ),
    ),
    Mutant(
        "the embargo is forgotten",
        "contract/config.py",
        "return self.embargo_sessions + self.lookback_sessions",
        "return self.lookback_sessions",
        (
            "test_purge.py::test_an_embargo_comes_on_top_of_the_purge_on_both_sides",
            "test_split.py::test_an_anchored_walk_by_hand",
        ),
    ),
    Mutant(
        "the purge forgets that sequences look back",
        "contract/config.py",
        "return self.embargo_sessions + self.lookback_sessions",
        "return self.embargo_sessions",
        (
            "test_purge.py::test_no_sequence_of_a_window_begins_where_a_label_of_the_window_before_ends",
            "test_purge.py::test_the_audit_asks_for_the_lookback_of_sequences_too",
        ),
    ),
    Mutant(
        "the purge is taken twice",
        WALK,
        "fit_stop = (validation or test).start - purge",
        "fit_stop = (validation or test).start - 2 * purge",
        ("test_purge.py::test_a_purge_costs_no_more_than_it_must",),
    ),
    Mutant(
        "a label of the next open reaches further than its purge",
        LABELS,
        'return horizon if entry == "close" else horizon + 1',
        "return horizon",
        (
            "test_purge.py::test_no_price_of_a_later_window_moves_a_label_of_an_earlier_one",
            f"{LEARNED}[5-next_open]",
        ),
    ),
    Mutant(
        "a label is believed to reach further than it does",
        LABELS,
        'return horizon if entry == "close" else horizon + 1',
        "return horizon + 1",
        ("test_purge.py::test_a_purge_that_lacks_a_session_would_leak",),
    ),
)

AUDIT = "audit/leakage.py"
THE_AUDIT = (
    Mutant(
        "the audit forgives a purge that lacks a session",
        AUDIT,
        "elif gap < label_span + lookback:",
        "elif gap < label_span - 1:",
        ("test_purge.py::test_the_audit_finds_a_purge_that_lacks_a_single_session",),
    ),
    Mutant(
        "the audit sees overlaps alone",
        AUDIT,
        "elif gap < label_span + lookback:",
        "elif gap < 0:",
        ("test_audit.py::test_unpurged_labels_are_found",),
    ),
    Mutant(
        "the audit forgives windows that overlap",
        AUDIT,
        "if gap < 0:",
        "if gap < -50:",
        ("test_audit.py::test_overlapping_windows_are_found",),
    ),
    Mutant(
        "the audit forgives tests that share a session",
        AUDIT,
        "if later_fold.test.start < fold.test.stop:",
        "if later_fold.test.start < fold.test.stop - 1:",
        ("test_purge.py::test_the_audit_finds_tests_that_share_a_single_session",),
    ),
    Mutant(
        "the audit looks at what is long past alone",
        AUDIT,
        "gone, changed = _differences(published, build(panel), at + 1, tolerance)",
        "gone, changed = _differences(published, build(panel), at - 20, tolerance)",
        ("test_audit.py::test_a_feature_that_sees_the_future_is_found_by_name",),
    ),
    Mutant(
        "the audit holds labels against themselves",
        AUDIT,
        "if not equal(kept[name][:ended], values[:ended], 0.0):",
        "if not equal(kept[name][:ended], kept[name][:ended], 0.0):",
        ("test_audit.py::test_a_label_that_looks_further_than_it_says_is_found",),
    ),
    Mutant(
        "the audit poisons the sign alone",
        AUDIT,
        "changed[start:] = rng.random(changed[start:].shape) > 0.5",
        "changed.reshape(*labels.shape[:2], -1)[start:, :, 0] = rng.random(changed[start:, :].shape[:2]) > 0.5",
        ("test_audit.py::test_poison_of_labels_spares_what_was_learned_and_reaches_every_task[several tasks]",),
    ),
    Mutant(
        "the audit poisons nothing that is learned",
        AUDIT,
        "changed[start:] = rng.random(changed[start:].shape) > 0.5",
        "",
        ("test_audit.py::test_poison_of_labels_spares_what_was_learned_and_reaches_every_task[one task]",),
    ),
    Mutant(
        "the audit rescales by nothing",
        AUDIT,
        "RESCALING_FACTOR = 0.5",
        "RESCALING_FACTOR = 1.0",
        ("test_audit.py::test_a_feature_in_dollars_is_found_by_rescaling",),
    ),
    Mutant(
        "the audit takes any score for the same",
        AUDIT,
        "SCORE_TOLERANCE = 1e-9",
        "SCORE_TOLERANCE = 10.0",
        (
            "test_audit.py::test_a_scaler_fitted_on_all_rows_is_found",
            "test_audit.py::test_published_scores_that_no_refit_gives_are_found",
        ),
    ),
    Mutant(
        "the audit poisons the session that it asks about",
        AUDIT,
        "changed[after + 1 :] = (values * factor)[after + 1 :]",
        "changed[after:] = (values * factor)[after:]",
        ("test_audit.py::test_poison_spares_every_session_up_to_the_date",),
    ),
)

WINDOWS = "features/windows.py"
UNIVERSE = "data/universe.py"
KNOWN_THEN = (
    Mutant(
        "windows are centred",
        WINDOWS,
        "return by_ticker(function(by_ticker(x).T, min(window, len(x)), min_count=at_least, axis=1, **options).T)",
        "made = function(by_ticker(x).T, min(window, len(x)), min_count=at_least, axis=1, **options).T\n"
        "    return by_ticker(np.roll(made, -(window // 2), axis=0))",
        (
            "test_known_then.py::test_features_of_prices_that_end_at_t_are_those_of_the_whole_history[297]",
            f"{FEATURES}[297-noise]",
            "test_audit.py::test_the_pipelines_own_features_are_clean",
            f"{CUT}[2-1]",
        ),
    ),
    Mutant(
        "a lag looks ahead",
        WINDOWS,
        "out[sessions:] = x[: max(len(x) - sessions, 0)]",
        "out[: max(len(x) - sessions, 0)] = x[sessions:]",
        (
            f"{FEATURES}[297-noise]",
            "test_end_to_end.py::test_a_random_walk_cannot_be_forecast[0-core]",
        ),
    ),
    Mutant(
        "a window of factors ends two sessions late",
        "features/factors.py",
        "returns[max(0, start - WINDOW_SESSIONS) : start]",
        "returns[max(0, start - WINDOW_SESSIONS) : start + 2]",
        (OWN_AUDIT,),
    ),
    Mutant(
        "factors are made of the block that they explain",
        "features/factors.py",
        "returns[max(0, start - WINDOW_SESSIONS) : start]",
        "returns[max(0, start - WINDOW_SESSIONS) : start + REFIT_SESSIONS]",
        (f"{FEATURES}[297-noise]",),
    ),
    Mutant(
        "a ticker is ranked among its own past and future",
        "features/cross_section.py",
        "session_ranks(x)",
        "session_ranks(x.T).T",
        (f"{FEATURES}[297-noise]",),
    ),
    Mutant(
        "features look at tomorrow's membership",
        "data/panel.py",
        "return self.member & np.isfinite(self.adjusted_close)",
        "return np.roll(self.member, -1, axis=0) & np.isfinite(self.adjusted_close)",
        ("test_known_then.py::test_who_joins_tomorrow_has_no_features_today_and_who_left_has_none_any_more",),
    ),
    Mutant(
        "a halted ticker keeps its features",
        "features/build.py",
        "hidden = ~part.live[before:]",
        "hidden = ~part.member[before:]",
        ("test_known_then.py::test_a_halted_ticker_has_no_features_until_it_is_back",),
    ),
    Mutant(
        "features reach across a split",
        "features/build.py",
        "segments, more = part.segments()",
        "segments, more = part, ()",
        ("test_jumps.py::test_no_feature_reaches_across_an_action",),
    ),
    Mutant(
        "labels reach across a split",
        "features/labels.py",
        "if prices.breaks is not None:",
        "if prices.breaks is None:",
        ("test_jumps.py::test_no_label_and_no_return_reaches_across_an_action",),
    ),
    Mutant(
        "a jump is known to be an action on its own day",
        "data/assembly.py",
        "belongs = belongs & ~_on_grid(bars, judged.jumps.withheld, shape)",
        "belongs = belongs.copy()",
        ("test_jumps.py::test_every_session_around_a_jump_has_the_features_that_were_known_then",),
    ),
    Mutant(
        "bars between a jump and its return are prices",
        "data/jumps.py",
        "bad[at : returns[0]] = True",
        "bad[at] = True",
        ("test_jumps.py::test_bars_between_a_jump_and_its_return_leave_what_is_before_and_after",),
    ),
    Mutant(
        "what a jump becomes is looked up in the next session",
        "data/jumps.py",
        "withheld[at:stop] |= session[at:stop] < session[at] + RESOLVED_SESSIONS",
        "withheld[at:stop] |= stop - at <= RESOLVED_SESSIONS",
        (JUMPS,),
    ),
    Mutant(
        "the audit forgives sessions that are not there again",
        "audit/leakage.py",
        "return list(published.names), list(changed)",
        "return list(gone), list(changed)",
        ("test_audit.py::test_features_that_are_not_there_again_are_found_by_name",),
    ),
    Mutant(
        "a feature is in dollars",
        "features/returns.py",
        "h.close / windows.moving_max(h.close, 252) - 1",
        "h.close - windows.moving_max(h.close, 252)",
        ("test_audit.py::test_no_feature_changes_when_a_history_is_rescaled",),
    ),
    Mutant(
        "cross-sections hold tickers that are no members",
        "features/history.py",
        "return np.where(self.live, x, np.nan)",
        "return np.where(np.isfinite(self.prices.adjusted_close), x, np.nan)",
        ("test_members.py::test_no_feature_of_a_member_knows_the_prices_of_tickers_that_are_none",),
    ),
    Mutant(
        "tickers that are no members have features",
        "features/build.py",
        "hidden = ~part.live[before:]",
        "hidden = np.isnan(part.adjusted_close)[before:]",
        (
            "test_members.py::test_models_learn_from_and_score_members_alone",
            "test_members.py::test_no_gated_figure_and_no_profit_knows_the_prices_of_tickers_that_are_none",
        ),
    ),
    Mutant(
        "labels are relative to tickers that are no members",
        LABELS,
        "return np.where(prices.member, _held(prices, horizon, entry), np.nan)",
        "return _held(prices, horizon, entry)",
        ("test_members.py::test_no_label_of_a_member_is_relative_to_tickers_that_are_none",),
    ),
    Mutant(
        "evidence holds forecasts of tickers that are no members",
        "walk/evidence.py",
        "p_up, base_rate = (np.where(here, values, np.nan) for values in (output.p_up, output.base_rate))",
        "p_up, base_rate = output.p_up, output.base_rate",
        ("test_members.py::test_evidence_holds_members_alone_whatever_is_forecast_and_labelled",),
    ),
    Mutant(
        "a tenth of all tickers that ever were members is traded",
        "evaluation/standard_portfolio.py",
        "int(prices.member[first_session:stop].sum(axis=1).max(initial=0))",
        "len(prices.tickers)",
        ("test_members.py::test_the_standard_portfolio_counts_and_trades_members_alone",),
    ),
    Mutant(
        "volume is counted at closes that later dividends adjust",
        "features/volume.py",
        'windows.by_ticker(h.prices.fields["close"]) * h.volume',
        "h.close * h.volume",
        ("test_known_then.py::test_a_dividend_paid_after_t_moves_no_feature_up_to_t",),
    ),
    Mutant(
        "features know the sectors of the last session",
        "features/history.py",
        "return Sectors(self.prices.sectors) if dated is None else",
        "return Sectors(self.prices.sectors) if dated is dated else",
        ("test_known_then.py::test_a_sector_that_a_ticker_has_after_t_moves_nothing_up_to_t",),
    ),
    Mutant(
        "labels know the sectors of the last session",
        LABELS,
        "if dated is None:",
        "if dated is dated:",
        ("test_known_then.py::test_a_sector_that_a_ticker_has_after_t_moves_nothing_up_to_t",),
    ),
    Mutant(
        "inputs are ranked among sessions",
        "models/design.py",
        "session_ranks(block)",
        "session_ranks(block.swapaxes(1, 2)).swapaxes(1, 2)",
        (
            "test_known_then.py::test_rows_of_base_models_up_to_t_are_the_same_in_every_future[297]",
            "test_end_to_end.py::test_a_run_of_today_says_what_the_walk_says_of_today[1]",
        ),
    ),
    Mutant(
        "a label is shifted by a session",
        LABELS,
        "n_sessions = len(price) - horizon - lag",
        "lag += 1\n    n_sessions = len(price) - horizon - lag",
        (
            "test_known_then.py::test_a_label_is_known_once_its_reach_is_over_and_not_before",
            "test_known_then.py::test_a_label_that_has_ended_is_the_same_in_every_future",
            "test_purge.py::test_no_price_of_a_later_window_moves_a_label_of_an_earlier_one",
            "test_audit.py::test_the_pipelines_own_labels_are_clean",
        ),
    ),
    Mutant(
        "a label is the return that was",
        LABELS,
        "result[:n_sessions] = ",
        "result[-n_sessions:] = ",
        ("test_known_then.py::test_a_label_asks_nothing_of_the_sessions_before_its_own",),
    ),
    Mutant(
        "one median serves all sessions",
        LABELS,
        "middle(values[enough], axis=1)",
        "middle(values[enough])",
        (
            "test_known_then.py::test_a_label_that_has_ended_is_the_same_in_every_future",
            "test_known_then.py::test_a_label_asks_nothing_of_the_sessions_before_its_own",
        ),
    ),
    Mutant(
        "labels look at tomorrow's membership",
        LABELS,
        "return np.where(prices.member, _held(prices, horizon, entry), np.nan)",
        "return np.where(np.roll(prices.member, -1, axis=0), _held(prices, horizon, entry), np.nan)",
        ("test_known_then.py::test_membership_of_tomorrow_says_nothing_about_todays_labels",),
    ),
    Mutant(
        "a volatility looks a session further than its return",
        LABELS,
        "squares = _held(prices, 1, entry) ** 2",
        "squares = np.vstack([_held(prices, 1, entry)[1:] ** 2, np.full((1, prices.member.shape[1]), np.nan)])",
        (
            "test_known_then.py::test_a_label_is_known_once_its_reach_is_over_and_not_before",
            "test_known_then.py::test_a_label_that_has_ended_is_the_same_in_every_future",
        ),
    ),
    Mutant(
        "a size is relative to the mean of all sessions",
        LABELS,
        "move / np.maximum(_by_session(np.nanmean, move), LEAST_MOVE)",
        "move / np.maximum(np.nanmean(move), LEAST_MOVE)",
        (
            "test_known_then.py::test_a_label_that_has_ended_is_the_same_in_every_future",
            "test_known_then.py::test_a_label_asks_nothing_of_the_sessions_before_its_own",
        ),
    ),
    Mutant(
        "who joins has always been a member",
        UNIVERSE,
        "member[np.searchsorted(sessions, start) :",
        "member[0 :",
        ("test_known_then.py::test_a_universe_file_makes_nobody_a_member_before_the_day_it_joined",),
    ),
    Mutant(
        "survivors alone are members",
        UNIVERSE,
        "return begun & still",
        "return begun & still & has_bar[-1]",
        ("test_known_then.py::test_without_a_file_whoever_has_a_bar_is_a_member_then_as_in_hindsight",),
    ),
    Mutant(
        "survivors alone make the index",
        UNIVERSE,
        "np.where(panel.member[:-1], ",
        "np.where(panel.member[:-1] & panel.member[-1], ",
        ("test_known_then.py::test_the_universes_index_up_to_t_is_the_same_in_every_future",),
    ),
    Mutant(
        "the index earns what made a ticker join",
        UNIVERSE,
        "np.where(panel.member[:-1], ",
        "np.where(panel.member[1:], ",
        ("test_known_then.py::test_the_universes_index_earns_with_a_joiner_from_the_session_after_it_joined",),
    ),
)

TRAINING = "models/training.py"
STACK_WALK = "walk/stack_walk.py"
WHAT_LEARNS = (
    Mutant(
        "scaler and bins are fitted on all rows",
        TRAINING,
        "self._rows = design.rows(min(w.start for w in windows), max(w.stop for w in windows))",
        "self._rows = slice(None)",
        (
            f"{OUTSIDE_FIT}[logistic-fixed rounds]",
            f"{OUTSIDE_FIT}[lightgbm-fixed rounds]",
            f"{OUTSIDE_FIT}[xgboost-fixed rounds]",
            f"{LEARNED}[5-next_open]",
            f"{FORECASTS}[297-noise-1]",
            f"{CUT}[2-1]",
        ),
    ),
    Mutant(
        "labels of all rows teach",
        TRAINING,
        "        target[(session < window.start) | (session >= window.stop)] = np.nan\n",
        "",
        (
            f"{LONGER}[logistic]",
            f"{LONGER}[lightgbm]",
        ),
    ),
    Mutant(
        "early stopping looks at the test",
        TRAINING,
        "rows = self._design.rows(start, window.stop)\n"
        "        target = sign_of(self._target(labels, rows, FitWindow(start, window.stop, window.purge)))",
        "rows = self._design.rows(window.stop, self._design.shape[0])\n"
        "        target = sign_of(\n"
        "            self._target(labels, rows, FitWindow(window.stop, self._design.shape[0], window.purge))\n"
        "        )",
        (
            f"{OUTSIDE_FIT}[lightgbm-early stopping]",
            f"{OUTSIDE_FIT}[xgboost-tuning]",
            "test_what_learns.py::test_the_sessions_that_stop_a_model_are_its_fit_windows_last",
        ),
    ),
    Mutant(
        "what stops a model is not purged",
        TRAINING,
        "learn = FitWindow(window.start, start - window.purge, window.purge)",
        "learn = FitWindow(window.start, start, window.purge)",
        ("test_what_learns.py::test_the_purge_before_the_stopping_window_teaches_nothing",),
    ),
    Mutant(
        "regimes are parted at the median of all sessions",
        "models/per_regime.py",
        "split = RegimeSplit.fitted(volatility[learned])",
        "split = RegimeSplit.fitted(volatility)",
        (f"{OUTSIDE_FIT}[logistic-per regime]",),
    ),
    Mutant(
        "a model scales what it scores by that batch",
        "models/base/logistic.py",
        "scores[rows] = self.scaler.apply(",
        "scores[rows] = Scaler.of(inputs).apply(",
        (
            "test_what_learns.py::test_scores_of_a_session_are_the_same_whatever_is_scored_beside_it[logistic]",
            "test_end_to_end.py::test_a_run_of_today_says_what_the_walk_says_of_today[1]",
        ),
    ),
    Mutant(
        "the base rate knows labels that have not matured",
        "models/calibration.py",
        "known = sessions[:-label_span]\n"
        "        rate[label_span:] = np.where(known > 0, total[:-label_span] / np.maximum(known, 1), 0.5)",
        "known = sessions[label_span:]\n"
        "        rate[label_span:] = np.where(known > 0, total[label_span:] / np.maximum(known, 1), 0.5)",
        (
            "test_what_learns.py::test_the_base_rate_is_made_of_labels_that_have_matured",
            "test_what_learns.py::test_p_up_at_t_knows_a_base_rate_of_matured_labels_alone",
            OWN_AUDIT,
        ),
    ),
    Mutant(
        "the base rate's labels mature in a day",
        STACK_WALK,
        "base_rate = expanding_base_rate(labels.up, inputs.label_span)",
        "base_rate = expanding_base_rate(labels.up, 1)",
        ("test_what_learns.py::test_p_up_at_t_knows_a_base_rate_of_matured_labels_alone", OWN_AUDIT),
    ),
    Mutant(
        "the stack learns up to its test",
        STACK_WALK,
        "stop = fold.fit.stop",
        "stop = fold.test.start",
        (
            "test_what_learns.py::test_a_folds_stack_was_taught_by_nothing_after_its_fit_window[straight-slope]",
            "test_what_learns.py::test_a_folds_stack_was_taught_by_nothing_after_its_fit_window[straight-platt]",
            "test_end_to_end.py::test_a_folds_stack_is_the_same_whatever_happens_from_its_validation_on[2-1]",
            OWN_AUDIT,
        ),
    ),
    Mutant(
        "the meta-learner is taught by its own fold",
        STACK_WALK,
        "stop = fold.fit.stop\n",
        "stop = fold.test.stop\n"
        "        for name, values in scores(fold, fold.test).items():\n"
        "            oof[name][fold.test.slice] = values\n",
        (
            "test_what_learns.py::test_the_meta_learner_of_a_fold_never_saw_that_folds_test",
            "test_what_learns.py::test_a_folds_stack_was_taught_by_nothing_after_its_fit_window[bent-slope]",
            OWN_AUDIT,
        ),
    ),
    Mutant(
        "the meta-learner, and not the calibrator, is taught by its own fold",
        STACK_WALK,
        "meta = earlier.fit_meta(config) if position and position >= without_meta else None",
        "own = {name: values.copy() for name, values in oof.items()}\n"
        "        for name, values in scores(fold, fold.test).items():\n"
        "            own[name][fold.test.slice] = values\n"
        "        taught = _Past(own, meta_oof, regime, labels, fold.test.stop)\n"
        "        meta = taught.fit_meta(config) if position and position >= without_meta else None",
        ("test_what_learns.py::test_the_audit_refits_the_stack_of_a_fold_and_finds_nothing[bent-slope]",),
    ),
    Mutant(
        "the calibrator is taught by its own rows",
        STACK_WALK,
        "stack = earlier.stack(meta, horizon, config)",
        "own = {name: values.copy() for name, values in oof.items()}\n"
        "            for name, values in scores(fold, fold.test).items():\n"
        "                own[name][fold.test.slice] = values\n"
        "            stack = _Past(own, meta_oof, regime, labels, fold.test.stop).stack(meta, horizon, config)",
        ("test_what_learns.py::test_the_calibrator_of_a_fold_never_saw_that_folds_test", OWN_AUDIT),
    ),
    Mutant(
        "the meta-learner is judged by what taught it",
        STACK_WALK,
        "stacked = self.meta_oof[: self.stop]",
        "stacked = self.fit_meta(config).scores(\n"
        "            {name: values[: self.stop] for name, values in self.oof.items()},\n"
        "            {name: series[: self.stop] for name, series in self.regime.items()},\n"
        "        )",
        ("test_what_learns.py::test_a_meta_learner_that_has_learned_noise_is_not_used[0]",),
    ),
)

PUBLISHED = (
    Mutant(
        "published scores are those of tomorrow",
        "stages/models.py",
        "fold, scores = fit.fold, fit.scores.copy()",
        "fold, scores = fit.fold, np.roll(fit.scores, -1, axis=0)",
        (OWN_AUDIT,),
    ),
    Mutant(
        "the stack reads scores of tomorrow",
        "inputs/scores.py",
        "found[model] = self._scores(horizon, name, path)[",
        "found[model] = np.roll(self._scores(horizon, name, path), -1, axis=0)[",
        (OWN_AUDIT,),
    ),
    Mutant(
        "published P(up) is that of tomorrow",
        "stages/ensemble.py",
        '"p_up": forecast.p_up,',
        '"p_up": np.roll(forecast.p_up, -1, axis=0),',
        (OWN_AUDIT,),
    ),
    Mutant(
        "later folds are fitted through their tests",
        "walk/block_fits.py",
        "return FitWindow(fold.fit.start, fold.fit.stop, purge)",
        "return FitWindow(fold.fit.start, fold.test.stop if fold.number >= 2 else fold.fit.stop, purge)",
        (OWN_AUDIT,),
    ),
)

SIMULATOR = "evaluation/forward_simulator.py"
HISTORY = "evaluation/growing_history.py"
SIMULATION = (
    Mutant(
        "a strategy is shown tomorrow",
        HISTORY,
        "self._sessions = session + 1",
        "self._sessions = session + 2",
        ("test_simulation.py::test_a_strategy_is_shown_the_session_at_whose_close_it_decides_and_none_after_it",),
    ),
    Mutant(
        "a strategy is shown a part of the whole",
        HISTORY,
        "self._copy = world.mapped(lambda _, values: np.full_like(values, np.nan))",
        "self._copy = world.mapped(lambda _, values: values.copy())",
        ("test_simulation.py::test_the_memory_behind_what_is_shown_does_not_hold_the_future_either",),
    ),
    Mutant(
        "a strategy is fitted on the session that it is about to trade",
        SIMULATOR,
        "        if self._last_fit(session) == session:\n"
        "            self._strategy.fit(self._history.panel())\n"
        "        self._history.learn(session)\n",
        "        self._history.learn(session)\n"
        "        if self._last_fit(session) == session:\n"
        "            self._strategy.fit(self._history.panel())\n",
        (
            "test_simulation.py::test_what_trades_at_t_was_fitted_on_sessions_before_t",
            "test_simulation.py::test_a_strategy_that_is_retrained_as_the_folds_are_says_what_the_folds_say",
        ),
    ),
    Mutant(
        "the simulation trades what this session decides",
        SIMULATOR,
        "        day = self._exchange.trade(",
        "        now = self._strategy.targets(self._prices.up_to(session + 1)) if session >= self.first_session else []\n"
        "        self.orders = {t: float(w) for t, w in zip(self._prices.tickers, now, strict=False) if w}\n"
        "        day = self._exchange.trade(",
        (
            "test_simulation.py::test_the_first_trade_comes_a_session_after_the_first_decision",
            "test_simulation.py::test_a_replay_earns_what_the_backtest_earns[next_close]",
        ),
    ),
    Mutant(
        "the simulation trades at tomorrow's price",
        "evaluation/simulated_exchange.py",
        "self._traded_at = execution_at(config.entry, prices).price",
        "self._traded_at = np.roll(execution_at(config.entry, prices).price, -1, axis=0)",
        (
            "test_simulation.py::test_days_up_to_t_are_the_same_in_every_future[256-noise]",
            "test_simulation.py::test_a_replay_earns_what_the_backtest_earns[next_open]",
        ),
    ),
)

TRANCHES = "evaluation/tranches.py"
BACKTEST = "evaluation/backtest.py"
LABELLED = "test_alignment.py::test_a_label_of_t_is_what_a_position_decided_at_t_earns"
ALIGNMENT = (
    Mutant(
        "the lag is dropped",
        TRANCHES,
        "return Execution(price, lag=1)",
        "return Execution(price, lag=0)",
        (
            "test_alignment.py::test_a_position_earns_nothing_on_the_day_it_is_decided",
            "test_alignment.py::test_targets_of_t_move_no_figure_up_to_t",
            f"{LABELLED}[1-next_open]",
            "test_simulation.py::test_a_replay_earns_what_the_backtest_earns",
        ),
    ),
    Mutant(
        "the lag is flipped",
        TRANCHES,
        "targets[session - lag]",
        "targets[min(session + lag, len(targets) - 1)]",
        (
            "test_alignment.py::test_a_position_earns_nothing_on_the_day_it_is_decided",
            "test_alignment.py::test_what_the_close_decided_earns_from_the_next_open",
            "test_alignment.py::test_what_the_close_decided_earns_from_the_next_close",
            "test_alignment.py::test_targets_of_t_move_no_figure_up_to_t",
        ),
    ),
    Mutant(
        "the open and the close are mistaken for each other",
        TRANCHES,
        'if entry == "next_open" else',
        'if entry == "next_close" else',
        (
            "test_alignment.py::test_what_the_close_decided_earns_from_the_next_open",
            "test_alignment.py::test_what_the_close_decided_earns_from_the_next_close",
            f"{LABELLED}[5-next_close]",
        ),
    ),
    Mutant(
        "a halted position is marked at the price that it comes back at",
        TRANCHES,
        "bn.push(np.asarray(close, dtype=np.float64), axis=0)",
        "bn.push(np.ascontiguousarray(np.asarray(close, dtype=np.float64)[::-1]), axis=0)[::-1]",
        ("test_alignment.py::test_figures_up_to_t_are_the_same_in_every_future[256-noise-next_open]",),
    ),
    Mutant(
        "impact knows the volume of the day that it trades on",
        "evaluation/costs.py",
        "windows.lagged(volatility * np.sqrt(volumes_of_capital), 1)",
        "windows.lagged(volatility * np.sqrt(volumes_of_capital), 0)",
        ("test_alignment.py::test_impact_is_judged_by_the_sessions_before_the_trade[square_root]",),
    ),
    Mutant(
        "buy and hold earns what made a ticker join",
        BACKTEST,
        "known = prices.member[:-1] & ",
        "known = prices.member[1:] & ",
        ("test_alignment.py::test_buy_and_hold_earns_with_a_joiner_from_the_session_after_it_joined",),
    ),
    Mutant(
        "weights look at tomorrow's membership",
        "evaluation/positions.py",
        "known = member & np.isfinite(p_up)",
        "known = np.roll(member, -1, axis=0) & np.isfinite(p_up)",
        ("test_alignment.py::test_weights_of_a_session_follow_from_that_session_alone",),
    ),
    Mutant(
        "one median divides all sessions",
        "evaluation/positions.py",
        "bn.nanmedian(values, axis=1)[:, None]",
        "bn.nanmedian(values)",
        ("test_alignment.py::test_weights_of_a_session_follow_from_that_session_alone[long_short]",),
    ),
    Mutant(
        "a config may trade at the close that decided",
        "contract/config.py",
        'Entry = Literal["next_open", "next_close"]',
        'Entry = Literal["next_open", "next_close", "same_close"]',
        ("test_alignment.py::test_no_config_can_trade_at_the_close_that_decided",),
    ),
    Mutant(
        "the ladder's next open is today's",
        "evaluation/edge_decay.py",
        'executions["next_open"] = execution_at("next_open", prices)',
        'executions["next_open"] = Execution(execution_at("next_open", prices).price, lag=0)',
        ("test_alignment.py::test_the_ladders_later_rungs_are_the_backtests[next_open]",),
    ),
)

END_TO_END = (
    Mutant(
        "forecasts are judged by yesterday's labels",
        "walk/evidence.py",
        "up=np.where(judged, labels.up[tested], np.nan),",
        "up=np.where(judged, np.roll(labels.up, 1, axis=0)[tested], np.nan),",
        ("test_end_to_end.py::test_a_forecast_is_judged_by_the_labels_of_its_own_sessions",),
    ),
    Mutant(
        "validation is judged by labels out of step",
        "walk/evidence.py",
        "answers[window.slice]",
        "np.roll(answers, 1, axis=0)[window.slice]",
        ("test_end_to_end.py::test_a_forecast_is_judged_by_the_labels_of_its_own_sessions",),
    ),
    Mutant(
        "a null market's labels stay where they belong",
        "walk/study.py",
        "np.roll(values, sessions, axis=0)",
        "np.roll(values, 0, axis=0)",
        ("test_end_to_end.py::test_what_can_be_forecast_is_found_and_lost_with_labels_of_other_sessions",),
    ),
)

IN_RUN = "test_in_run.py::test_the_runs_own_audit_finds_no_leak"
VERDICTS = "data/bar_verdicts.py"
THE_RUNS_AUDIT = (
    Mutant(
        "a benchmark is aligned a session early",
        "data/market_files.py",
        "values = own.ffill(limit=CARRIED_SESSIONS)",
        "values = own.shift(-1).ffill(limit=CARRIED_SESSIONS)",
        (f"{IN_RUN}[prices: ]",),
    ),
    Mutant(
        "a benchmark is read a session early",
        "data/market_files.py",
        'series = series.sort_values("date", ignore_index=True)',
        'series = series.sort_values("date", ignore_index=True)\n'
        '    series["close"] = series["close"].shift(-1).ffill()',
        (f"{IN_RUN}[prices: ]",),
    ),
    Mutant(
        "members count a week before they join",
        UNIVERSE,
        "member[np.searchsorted(sessions, start) :",
        "member[max(np.searchsorted(sessions, start) - 5, 0) :",
        (f"{IN_RUN}[prices: ]",),
    ),
    Mutant(
        "the stage counts members a week before they join",
        "stages/prices.py",
        "member = universe.members(sessions, bars.tickers)",
        "member = universe.members(sessions + 7, bars.tickers)",
        (f"{IN_RUN}[prices: ]",),
    ),
    Mutant(
        "survivors alone are kept",
        VERDICTS,
        'codes, names = pd.factorize(table["ticker"], sort=True)',
        'last = table.groupby("ticker")["date"].transform("max")\n'
        '    table = table[last == table["date"].max()]\n'
        '    codes, names = pd.factorize(table["ticker"], sort=True)',
        (f"{IN_RUN}[prices: ]",),
    ),
    Mutant(
        "the stage reads survivors alone",
        "stages/prices.py",
        'table = table[(table["date"] <= pd.Timestamp(as_of)) | future]',
        'table = table[(table["date"] <= pd.Timestamp(as_of)) | future]\n'
        '    last = table.groupby("ticker")["date"].transform("max")\n'
        '    table = table[last == table["date"].max()]',
        (f"{IN_RUN}[prices: ]",),
    ),
    Mutant(
        "bars before a fall are excluded",
        VERDICTS,
        'mark("volume of zero", untraded)',
        'mark("volume of zero", untraded | (np.r_[np.exp(log_moves(bars.ticker, bars.price))[1:], 1.0] < 0.8))',
        (f"{IN_RUN}[prices: ]",),
    ),
    Mutant(
        "a feature knows later dividends",
        "features/returns.py",
        "h.close / windows.moving_max(h.close, 252) - 1",
        'h.prices.fields.get("adj_close", h.close) / h.prices.fields["close"]',
        (f"{IN_RUN}[feature ]",),
    ),
    Mutant(
        "a feature is a price level",
        "features/returns.py",
        "h.close / windows.moving_max(h.close, 252) - 1",
        'h.prices.fields["close"]',
        (f"{IN_RUN}[feature ]",),
    ),
    Mutant(
        "tickers are ranked among non-members",
        "features/history.py",
        "return np.where(self.live, x, np.nan)",
        "return np.where(np.isfinite(self.prices.adjusted_close), x, np.nan)",
        (f"{IN_RUN}[feature ]",),
    ),
    Mutant(
        "the median label takes the next session's median",
        LABELS,
        "median = above(returns, _by_session(np.nanmedian, returns))",
        "median = above(returns, np.roll(_by_session(np.nanmedian, returns), -1, axis=0))",
        (f"{IN_RUN}[label ]",),
    ),
)

MUTANTS = (
    *SPLIT, *PURGE, *THE_AUDIT, *KNOWN_THEN, *WHAT_LEARNS, *PUBLISHED, *SIMULATION, *ALIGNMENT, *END_TO_END, *THE_RUNS_AUDIT
)  # fmt: skip
