"""Fit a base model on windows of sessions: bins and scale once for all horizons, then one fit per target."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from foundry_tasks.contract.config import ModelsConfig
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.data.panel import FloatArray
from foundry_tasks.models.design import Design, Scores
from foundry_tasks.models.estimator import Estimator, FittedModel, Mapper, Prepared, Stopping, sign_of
from foundry_tasks.models.per_regime import PerRegimeModel, fit_per_regime, score_rows
from foundry_tasks.models.seed_average import AveragedModel, fit_averaged
from foundry_tasks.models.tuning import tuned


@dataclass(frozen=True)
class FitWindow:
    """Sessions start … stop − 1 to fit on.

    purge: sessions to drop before a window that is held out: label span plus gap.
    """

    start: int
    stop: int
    purge: int


class WindowTrainer:
    """Fits one estimator to the fit windows of a block, whose rows are prepared once.

    windows: one for each horizon; the window of a longer horizon ends earlier. mapper: calls the fit for each seed.
    """

    def __init__(
        self,
        estimator: Estimator,
        design: Design,
        windows: Sequence[FitWindow],
        config: ModelsConfig,
        *,
        mapper: Mapper = map,
    ) -> None:
        self._estimator, self._design, self._config, self._mapper = estimator, design, config, mapper
        self._rows = design.rows(min(w.start for w in windows), max(w.stop for w in windows))
        self._prepared = self._prepare(self._rows)

    def fit(self, labels: FloatArray, window: FitWindow) -> AveragedModel | PerRegimeModel:
        """Fit one model per seed of the config and average them; per regime if the config says so.

        labels: (n_sessions, n_tickers), or (n_sessions, n_tickers, n_tasks) for several tasks. The target is NaN in rows
        outside `window`, which belong to another horizon. Raises ConfigError if the window is too short to hold out
        sessions for early stopping or tuning, DegenerateTargetError if the target has fewer than two classes.
        """
        config, estimator, prepared, stopping = self._config, self._estimator, self._prepared, None
        learn = window
        if estimator.seeded and (config.early_stopping or config.tuning_trials):
            learn, stopping = self._hold_out(labels, window)
        if estimator.seeded and config.tuning_trials and stopping is not None:
            rows = self._design.rows(learn.start, learn.stop)
            estimator = tuned(
                estimator,
                self._prepare(rows),
                self._target(labels, rows, learn),
                stopping,
                trials=config.tuning_trials,
                seed=config.seed,
            )
        if not config.early_stopping:
            learn, stopping = window, None
        fit = partial(
            fit_averaged,
            estimator,
            prepared,
            seeds=range(config.seed, config.seed + config.seeds),
            stopping=stopping,
            mapper=self._mapper,
        )
        target = self._target(labels, self._rows, learn)
        if config.per_regime:
            return fit_per_regime(fit, target, self._design.session[self._rows], self._design.volatility)
        return fit(target)

    def score(self, model: FittedModel, start: int, stop: int, *, threads: int = 1) -> Scores:
        """Scores of sessions start … stop − 1, (stop − start, n_tickers)."""
        rows = self._design.rows(start, stop)
        scores = score_rows(model, self._design, rows, threads=threads)
        return self._design.to_wide(scores, rows)[start:stop].copy()  # a view would keep all sessions in memory

    def _prepare(self, rows: slice) -> Prepared:
        return self._estimator.prepare(self._design.values[rows], self._design.names)

    def _target(self, labels: FloatArray, rows: slice, window: FitWindow) -> Scores:
        session, target = self._design.session[rows], self._design.from_wide(labels, rows)
        target[(session < window.start) | (session >= window.stop)] = np.nan
        return target

    def _hold_out(self, labels: FloatArray, window: FitWindow) -> tuple[FitWindow, Stopping]:
        """Split the fit window: the purged start to learn from, and the end to choose rounds and parameters on."""
        config = self._config
        start = window.stop - config.stopping_sessions
        learn = FitWindow(window.start, start - window.purge, window.purge)
        if learn.stop - learn.start < config.min_fit_sessions:
            raise ConfigError(
                f"{window.stop - window.start} fit sessions are too few to hold out stopping_sessions="
                f"{config.stopping_sessions} and keep min_fit_sessions={config.min_fit_sessions}. Switch early_stopping and "
                "tuning_trials off, or bring more sessions."
            )
        rows = self._design.rows(start, window.stop)
        target = sign_of(self._target(labels, rows, FitWindow(start, window.stop, window.purge)))
        return learn, Stopping(self._design.values[rows], target, self._design.session[rows])
