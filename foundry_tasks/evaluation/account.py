"""A trading account: cash, shares in tranches, and the last known price of each ticker.

It implements the rules of `tranches` a second time, in money and ticker by ticker, so that agreement with the vectorised
backtest is evidence for both.
"""

from dataclasses import dataclass, field
from math import fsum
from typing import TypedDict

from foundry_tasks.evaluation.tranches import DELISTED_AFTER_SESSIONS

Amounts = dict[str, float]
"""Ticker → a number."""


class SavedAccount(TypedDict):
    """An account as JSON. `Account` describes the keys."""

    cash: float
    tranches: list[Amounts]
    last_close: Amounts
    without_price: dict[str, int]


@dataclass
class Account:
    """State of an account; cash and prices in the market's currency.

    tranches: for each tranche, ticker → shares. last_close: ticker → last known price. without_price: ticker → sessions
    in a row without a price, for the tickers that have none now.
    """

    cash: float
    tranches: list[Amounts]
    last_close: Amounts = field(default_factory=dict)
    without_price: dict[str, int] = field(default_factory=dict)

    @classmethod
    def opened(cls, capital: float, holding_sessions: int) -> "Account":
        """An account with `capital` in cash and `holding_sessions` empty tranches."""
        return cls(capital, [{} for _ in range(holding_sessions)])

    @classmethod
    def from_json(cls, document: SavedAccount) -> "Account":
        """The inverse of `to_json`."""
        return cls(**document)

    def to_json(self) -> SavedAccount:
        """The state as a JSON-serialisable dictionary; floats are restored exactly."""
        return {
            "cash": self.cash,
            "tranches": [dict(tranche) for tranche in self.tranches],
            "last_close": dict(self.last_close),
            "without_price": dict(self.without_price),
        }

    def shares(self) -> Amounts:
        """Ticker → shares of all tranches."""
        total: Amounts = {}
        for tranche in self.tranches:
            for ticker, count in tranche.items():
                total[ticker] = total.get(ticker, 0.0) + count
        return total

    def positions(self) -> Amounts:
        """Ticker → value at the last close."""
        return {ticker: count * self.last_close[ticker] for ticker, count in self.shares().items()}

    def pay(self, amount: float) -> None:
        """Deduct a cost from cash."""
        self.cash -= amount

    def pay_out_delisted(self, close: Amounts) -> Amounts:
        """Convert positions without a price for DELISTED_AFTER_SESSIONS sessions to cash; returns ticker → value.

        close: ticker → close of this session, without the tickers that have none.
        """
        gone = {
            ticker
            for ticker, sessions in self.without_price.items()
            if ticker not in close and sessions + 1 == DELISTED_AFTER_SESSIONS
        }
        paid_out = {ticker: value for ticker, value in self.positions().items() if ticker in gone} if gone else {}
        self.cash += fsum(paid_out.values())
        for tranche in self.tranches:
            for ticker in paid_out:
                tranche.pop(ticker, None)
        return paid_out

    def rebuild(self, tranche: int, wanted: Amounts, price: Amounts, most: float | None) -> Amounts:
        """Trade one tranche towards its target values; returns ticker → value bought (positive) or sold.

        tranche: index. wanted: ticker → target value, 0 if absent. price: ticker → execution price, of tradable tickers.
        most: limit of the value traded, None for no limit; above it all orders are filled by the same fraction.
        """
        holding = self.tranches[tranche]
        orders = {
            ticker: wanted.get(ticker, 0.0) / price[ticker] - holding.get(ticker, 0.0)
            for ticker in sorted(holding.keys() | wanted.keys())
            if ticker in price
        }
        turnover = fsum(abs(order) * price[ticker] for ticker, order in orders.items())
        filled = 1.0 if most is None or turnover <= most else most / turnover
        traded = {}
        for ticker, order in orders.items():
            holding[ticker] = holding.get(ticker, 0.0) + order * filled
            if not holding[ticker]:
                del holding[ticker]
            traded[ticker] = order * filled * price[ticker]
            self.cash -= traded[ticker]
        return traded

    def mark(self, close: Amounts) -> None:
        """Record the session's closes: ticker → price, without the tickers that have none."""
        self.last_close.update(close)
        self.without_price = {
            ticker: self.without_price.get(ticker, 0) + 1 for ticker in self.last_close if ticker not in close
        }
