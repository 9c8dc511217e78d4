import time

from benchmarks.row import Row, cpu_timed, each, taking_turns, timed


def test_the_ratio_is_the_median_over_pairs_so_that_a_slow_moment_moves_neither_side():
    row = Row.of([(1.0, 4.0), (10.0, 50.0), (1.0, 6.0)], "a", "b", least_ratio=4.5, most=1.0)
    assert (row.ratio, row.ratio_low, row.ratio_high, row.ours, row.theirs) == (5.0, 4.0, 6.0, 1.0, 6.0)
    assert row.met
    assert row.bar == "ratio ≥ 4.5, ours ≤ 1 s"


def test_a_bar_of_either_kind_can_be_missed():
    assert not Row.of([(1.0, 4.0)], "a", "b", least_ratio=4.5).met
    assert not Row.of([(1.0, 4.0)], "a", "b", most=0.9).met
    assert Row.of([(1.0, 4.0)], "a", "b").met


def test_contestants_take_turns_after_one_each_that_does_not_count():
    asked = []

    def turn(who):
        asked.append(who)
        return float(len(asked))

    assert taking_turns(lambda: turn("ours"), lambda: turn("theirs"), pairs=2) == [(3.0, 4.0), (5.0, 6.0)]
    assert asked == ["ours", "theirs"] * 3


def test_a_part_is_compared_with_a_part():
    assert each([(10.0, 30.0)], 5, 10) == [(2.0, 3.0)]


def test_waiting_takes_time_and_no_cpu():
    def wait():
        time.sleep(0.1)

    assert timed(wait, repeats=3)() >= 0.1
    assert cpu_timed(wait)() < 0.05  # what other threads of this process do counts too
