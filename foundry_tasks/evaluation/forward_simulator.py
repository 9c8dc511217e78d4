"""Forward simulation: session by session, by a strategy that has seen no more than there was.

At session t the orders of t − 1 are carried out, the account is marked at the close, and then the strategy is shown the
prices up to and including t and asked for targets, which trade at t + 1. What it is shown lies in memory of its own,
into which later sessions have not been copied yet: there is nothing to peek at. Retraining happens before the session, on what
was known at the close of t − 1, just as a walk-forward fold whose test starts at t is fitted.

Replaying the targets of a backtest gives its daily figures again. The step is resumable: `to_json` holds the
account, the open orders and the days so far.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from foundry_tasks.contract.config import BacktestConfig
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.data.panel import FloatArray, PricePanel
from foundry_tasks.evaluation.account import Account, Amounts
from foundry_tasks.evaluation.growing_history import GrowingHistory
from foundry_tasks.evaluation.simulated_exchange import Day, SimulatedExchange


class Strategy(Protocol):
    """Decides at every close what to hold. What it decides follows from its last fit and what it is shown alone."""

    def fit(self, known: PricePanel) -> None:
        """Learn anew from the sessions before the one that is coming. It has to be repeatable: a resumed simulation calls it."""

    def targets(self, known: PricePanel) -> FloatArray:
        """Weights wanted at the close of the last session of `known`: (n_tickers,), as `target_weights` makes them."""


@dataclass(frozen=True)
class ReplayedTargets:
    """The strategy that repeats weights decided elsewhere. weights: (n_sessions, n_tickers)."""

    weights: FloatArray

    def fit(self, known: PricePanel) -> None:
        """There is nothing to learn."""

    def targets(self, known: PricePanel) -> FloatArray:
        """The row of the last session."""
        row: FloatArray = self.weights[len(known.sessions) - 1]
        return row


class ForwardSimulator:
    """Steps a strategy through a market.

    horizon: of the model, how long a position is held where the config does not say. first_session: index of the first
    session at whose close the strategy is asked. retrain_every_sessions: it is fitted before that session and every so
    many later; None: never. Raises ConfigError for an open or a volume that the prices lack.
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
        """Index of the session that the next step goes through."""
        return len(self.days)

    def run(self) -> list[Day]:
        """Every step that is left; all days so far."""
        while self.session < len(self._prices.sessions):
            self.step()
        return self.days

    def step(self) -> Day:
        """Go through one session: trade, mark, retrain where it is time, decide."""
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
        """Everything that a later process needs besides prices and strategy."""
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
        """Go on where `to_json` was written; the strategy is fitted again as it last was. `prices` may have grown since.

        Raises ConfigError where they are not the prices of those days.
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
                f"the simulation went through {simulator.session} sessions or tickers that the prices do not start with. "
                "Resume it on the prices that it was begun on."
            )
        last_fit = simulator._last_fit(simulator.session - 1)
        for session in range(simulator.session):
            if session == last_fit:
                strategy.fit(simulator._history.panel())
            simulator._history.learn(session)
        return simulator

    def _last_fit(self, session: int) -> int | None:
        """The latest session, up to this one, before which the strategy is fitted."""
        every, since_first = self.retrain_every_sessions, session - self.first_session
        return None if every is None or since_first < 0 else session - since_first % every
