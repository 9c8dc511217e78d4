"""Finds ratios below the stored ones. Ratios, since seconds depend on the machine."""

from collections.abc import Callable, Iterable

from benchmarks.row import Row

TOLERANCE = 0.3
"""A ratio has fallen if it is below the stored one by more than this share.

From five runs of the quick rows of features and validation on two cores, under loads of 5 to 26: ratios fell up to 17 %
below their median; one, of a 14 ms measurement, fell once by 36 %.
"""
TRIES = 3
"""A regression repeats; a disturbance by another program does not: the 36 % were gone in the next run."""


def regressions(kept: Iterable[Row], measure: Callable[[], Iterable[Row]]) -> list[str]:
    """One line per row that has fallen in every try. kept: stored rows, of which the quick ones count. measure: repeats them.

    Raises KeyError if a stored row is no longer measured.
    """
    least = {row.key: row.ratio * (1 - TOLERANCE) for row in kept if row.quick}
    fallen = dict.fromkeys(least, 0.0)
    for _ in range(TRIES):
        found = {row.key: row.ratio for row in measure()}
        fallen = {key: found[key] for key in fallen if found[key] < least[key]}
        if not fallen:
            break
    return [f"{key}: ratio {ratio:.3g}, must be {least[key]:.3g}" for key, ratio in fallen.items()]
