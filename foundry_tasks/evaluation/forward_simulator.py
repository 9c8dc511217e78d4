"""Forward simulation: a strategy trades session by session and sees only the prices up to the current session.

In session t the orders of t − 1 are executed and the account is marked at the close. Then the strategy computes targets
from the prices up to and including t; they trade at t + 1. The strategy receives a copy of the prices into which later
sessions have not been copied yet, so it cannot read them. It is refitted before session t on data up to the close of t − 1,
as in a walk-forward fold whose test starts at t.

Replaying the targets of a backtest reproduces its daily figures. A simulation can be resumed: `to_json` saves the account,
the open orders and the days so far.
"""

import json
from dataclasses import asdict
from typing import Any, Protocol

from foundry_tasks.contract.config import BacktestConfig
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.data.panel import FloatArray, PricePanel
from foundry_tasks.evaluation.account import Account, Amounts
from foundry_tasks.evaluation.growing_history import GrowingHistory
from foundry_tasks.evaluation.simulated_exchange import Day, SimulatedExchange


class Strategy(Protocol):
    """Computes the wanted weights at every close. They depend only on its last fit and on the prices it receives."""

    def fit(self, known: PricePanel) -> None:
        """Fit on the sessions before the next one. It must be repeatable: a resumed simulation calls it again."""

    def targets(self, known: PricePanel) -> FloatArray:
        """Weights wanted at the close of the last session of `known`: (n_tickers,), as from `target_weights`."""


class ForwardSimulator:
    """Runs a strategy through a market, one session per step.

    horizon: of the model, in sessions; the holding period if config.holding_sessions is not set. first_session: index of
    the first session at whose close the strategy computes targets. retrain_every_sessions: the strategy is fitted before
    first_session and then every so many sessions; None: never. Raises ConfigError if the prices lack an open or a volume
    that the config needs.
    """

    def __init__(
        self,
        prices: PricePanel,
        strategy: Strategy,
        config: BacktestConfig,
        *,
        horizon: int,
        first_session: int = 0,
        retrain_every_sessions: int | None = None,
    ) -> None:
        self._exchange = SimulatedExchange(prices, config)
        self._prices, self._strategy, self.config = prices, strategy, config
        self.horizon, self.first_session, self.retrain_every_sessions = horizon, first_session, retrain_every_sessions
        self._history = GrowingHistory(prices)
        self.account = Account.opened(config.capital, config.holding_sessions or horizon)
        self.orders: Amounts = {}
        """Ticker → weight wanted at the last close."""
        self.days: list[Day] = []

    @property
    def session(self) -> int:
        """Index of the session that the next step simulates."""
        return len(self.days)

    def run(self) -> list[Day]:
        """Simulate all remaining sessions; returns all days."""
        while self.session < len(self._prices.sessions):
            self.step()
        return self.days

    def step(self) -> Day:
        """Simulate one session: trade, mark, refit if due, compute targets."""
        session = self.session
        day = self._exchange.trade(session, self.account, self.orders, self._history.panel())
        if self._last_fit(session) == session:
            self._strategy.fit(self._history.panel())
        self._history.learn(session)
        if session >= self.first_session:
            weights = self._strategy.targets(self._history.panel())
            self.orders = {
                ticker: float(weight) for ticker, weight in zip(self._prices.tickers, weights, strict=True) if weight
            }
        self.days.append(day)
        return day

    def to_json(self) -> str:
        """The state as JSON, without prices and strategy."""
        return json.dumps(
            {
                "config": self.config.model_dump(mode="json"),
                "horizon": self.horizon,
                "first_session": self.first_session,
                "retrain_every_sessions": self.retrain_every_sessions,
                "account": self.account.to_json(),
                "orders": self.orders,
                "days": [asdict(day) for day in self.days],
            }
        )

    @classmethod
    def from_json(cls, text: str, prices: PricePanel, strategy: Strategy) -> "ForwardSimulator":
        """Resume a simulation saved by `to_json`. The strategy's last fit is repeated.

        prices: those of the saved simulation; later sessions may follow. Raises ConfigError if they are other prices.
        """
        state: dict[str, Any] = json.loads(text)
        simulator = cls(
            prices,
            strategy,
            BacktestConfig(**state["config"]),
            horizon=state["horizon"],
            first_session=state["first_session"],
            retrain_every_sessions=state["retrain_every_sessions"],
        )
        simulator.account = Account.from_json(state["account"])
        simulator.orders = state["orders"]
        simulator.days = [Day(**day) for day in state["days"]]
        sessions = [str(session) for session in prices.sessions[: simulator.session]]
        known = simulator.account.last_close.keys() <= set(prices.tickers)
        if sessions != [day.session for day in simulator.days] or not known:
            raise ConfigError(
                f"the saved simulation has other tickers or other first {simulator.session} sessions than the prices. "
                "Resume it on the prices that it was started on."
            )
        last_fit = simulator._last_fit(simulator.session - 1)
        for session in range(simulator.session):
            if session == last_fit:
                strategy.fit(simulator._history.panel())
            simulator._history.learn(session)
        return simulator

    def _last_fit(self, session: int) -> int | None:
        """The latest session ≤ `session` before which the strategy is fitted; None if there is none."""
        every, since_first = self.retrain_every_sessions, session - self.first_session
        return None if every is None or since_first < 0 else session - since_first % every
