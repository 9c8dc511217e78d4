"""Hypothesis strategy for walks: anchored or rolling, any horizon and sizes."""

from dataclasses import dataclass
from typing import Literal

from hypothesis import strategies as st

from foundry_tasks.contract.config import WalkConfig
from foundry_tasks.contract.documents import Fold
from foundry_tasks.walk.folds import WalkForwardValidator


@dataclass(frozen=True)
class Walk:
    """A walk that fits its sessions."""

    config: WalkConfig
    horizon: int
    n_sessions: int

    @property
    def folds(self) -> tuple[Fold, ...]:
        """All blocks."""
        return WalkForwardValidator(self.config).folds(self.n_sessions, self.horizon)

    @property
    def reported(self) -> list[Fold]:
        """The blocks that are used as evidence."""
        return [fold for fold in self.folds if fold.reported]


@st.composite
def walks(draw: st.DrawFn, walk: Literal["anchored", "rolling"] | None = None) -> Walk:
    """Any walk, with more fit sessions than needed, so that a fault can use some of them."""
    horizon, embargo = draw(st.integers(1, 60)), draw(st.integers(0, 30))
    folds, test, validation = draw(st.integers(2, 8)), draw(st.integers(20, 200)), draw(st.integers(20, 150))
    warmup, least = draw(st.integers(0, 4)), draw(st.integers(1, 200))
    first = least + draw(st.integers(200, 500)) + warmup * test + validation + 2 * (horizon + embargo)
    kinds: tuple[Literal["anchored", "rolling"], ...] = (walk,) if walk else ("anchored", "rolling")
    kind = draw(st.sampled_from(kinds))
    config = WalkConfig(
        walk=kind,
        folds=folds,
        test_sessions=test,
        validation_sessions=validation,
        warmup_blocks=warmup,
        min_fit_sessions=least,
        embargo_sessions=embargo,
        fit_sessions=draw(st.none() | st.integers(least, least + 400)) if kind == "rolling" else None,
    )
    return Walk(config, horizon, first + folds * test)
