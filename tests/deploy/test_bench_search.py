"""The search for the largest number of subjects."""

from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.bench.search import largest


@settings(deadline=None)
@given(
    bound=st.integers(0, 5_000),
    first=st.integers(1, 2_000),
    n_max=st.integers(1, 2_000),
    resolution=st.floats(0.01, 0.5),
)
def test_the_largest_number_is_found_to_the_resolution(
    bound: int, first: int, n_max: int, resolution: float
) -> None:
    asked: list[int] = []

    def holds(n: int) -> bool:
        asked.append(n)
        return n <= bound

    good, bad = largest(holds, first=first, n_max=n_max, resolution=resolution)

    assert good <= min(bound, n_max)
    assert len(asked) == len(set(asked))
    assert all(1 <= n <= n_max for n in asked)
    if bad is None:
        assert good == n_max
    else:
        assert bound < bad
        assert bad - good <= max(1, resolution * bad)


def test_a_good_guess_takes_few_trials() -> None:
    asked: list[int] = []

    def holds(n: int) -> bool:
        asked.append(n)
        return n <= 520

    assert largest(holds, first=600, n_max=100_000, resolution=0.08)[0] > 0.9 * 520
    assert len(asked) <= 5
