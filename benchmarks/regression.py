"""Which ratios have fallen behind the kept ones: ratios, since seconds are another machine's."""

from collections.abc import Callable, Iterable

from benchmarks.row import Row

TOLERANCE = 0.3
"""A ratio is too small where it is smaller than the kept one by more than this share of it.

Five runs of the quick rows of features and validation on two cores, under loads of 5 to 26: ratios fell up to 17 % below their
median, and one, of what takes 14 ms, once by 36 %.
"""
TRIES = 3
"""A regression is too small every time; what another program on the machine disturbed is so once: the 36 % were gone the next."""


def regressions(kept: Iterable[Row], measure: Callable[[], Iterable[Row]]) -> list[str]:
    """One line a row that has fallen, in every try. kept: the quick ones count. measure: gives them anew.

    Raises KeyError where a kept row is no longer measured.
    """
    least = {row.key: row.ratio * (1 - TOLERANCE) for row in kept if row.quick}
    fallen = dict.fromkeys(least, 0.0)
    for _ in range(TRIES):
        found = {row.key: row.ratio for row in measure()}
        fallen = {key: found[key] for key in fallen if found[key] < least[key]}
        if not fallen:
            break
    return [f"{key}: ratio {ratio:.3g}, must be {least[key]:.3g}" for key, ratio in fallen.items()]
