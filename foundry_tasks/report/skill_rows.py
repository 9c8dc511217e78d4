"""The three figures of skill as drawings, alike for folds and for models: a scale a figure, shared by the horizons."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from foundry_tasks.report import interval_bars, wording
from foundry_tasks.report.interval_bars import Row
from foundry_tasks.report.svg import Scale

_FIGURES = (
    ("auc_up", "AUC against up/down", 0.5),
    ("auc_median", "AUC against the median", 0.5),
    ("rank_ic", "Rank IC", 0.0),
)
K = TypeVar("K", int, str)
"""A horizon."""


def shared_scale(rows_by_horizon: Mapping[K, Sequence[Row]], reference: float | None) -> Scale:
    """One scale for the rows of all horizons."""
    return interval_bars.interval_scale([row for rows in rows_by_horizon.values() for row in rows], reference)


def drawn_by_figure(rows: Mapping[str, Mapping[K, Sequence[Row]]]) -> dict[K, dict[str, str]]:
    """Horizon → name of the figure → drawing. rows: key of the figure → horizon → rows."""
    drawn: dict[K, dict[str, str]] = {}
    for key, name, reference in _FIGURES:
        scale = shared_scale(rows[key], reference)
        for horizon, items in rows[key].items():
            drawing = interval_bars.interval_rows(items, wording.plain, reference=reference, domain=scale, height=21)
            drawn.setdefault(horizon, {})[name] = drawing
    return drawn
