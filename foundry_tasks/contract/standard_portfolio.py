"""Rules and assumed costs of the standard portfolio, by which every forecast is traded so that their P&L can be compared."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class StandardPortfolio:
    """Long the best share of the universe, short the worst, with costs in basis points of the traded value.

    Half of the capital is long and half is short. Positions are held for the model's horizon. No key of a run's conf
    changes these rules.
    """

    share_a_side: float = 0.1
    """Share of the universe's tickers that is held a side."""
    most_names_a_side: int = 50
    min_open_share: float = 0.95
    """Share of the forecasts that need an open in the next session. Below it the entry is the next close."""
    commission_bp: float = 0.5
    half_spread_bp: float = 2.0
    borrow_bp_a_year: float = 30.0
    """Fee for borrowed shares, in basis points of the short value per year."""

    @property
    def cost_bp(self) -> float:
        """Assumed cost of a trade, in basis points of its value."""
        return self.commission_bp + self.half_spread_bp

    def names_a_side(self, n_tickers: int) -> int:
        """Tickers that are held a side in a universe of `n_tickers`."""
        return max(1, min(self.most_names_a_side, int(self.share_a_side * n_tickers)))

    def plain(self) -> Mapping[str, float]:
        """Every rule by name, for a digest."""
        return asdict(self)


STANDARD_PORTFOLIO = StandardPortfolio()
"""The standard portfolio of every market."""
