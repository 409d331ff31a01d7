"""How long records wait: whatever their own time, and however seldom they come."""

from processors.lag import Lag


def test_nothing_waits_where_all_is_processed() -> None:
    lag = Lag()
    lag.processed(1_000.0)
    lag.waits(0, 1_060.0)

    assert lag.seconds(1_070.0) == 0.0


def test_one_record_after_an_hour_without_any_is_not_an_hour_late() -> None:
    lag = Lag()
    lag.processed(1_000.0)
    lag.waits(0, 4_599.0)
    lag.waits(1, 4_600.0)

    assert lag.seconds(4_600.5) == 1.5


def test_a_stream_in_which_something_always_waits_is_as_late_as_its_records() -> None:
    lag = Lag()
    for second in range(1_000, 1_100):
        lag.processed(second - 0.2)
        lag.waits(3, second)

    assert round(lag.seconds(1_099.0), 3) == 0.2


def test_a_worker_that_stands_still_falls_behind() -> None:
    lag = Lag()
    lag.processed(1_000.0)
    lag.waits(0, 1_000.0)
    for second in range(1_001, 1_031):
        lag.waits(4 * (second - 1_000), second)

    assert lag.seconds(1_030.0) == 30.0
    assert lag.n_records == 120
