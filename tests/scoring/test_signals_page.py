"""docs/signals.md says what the code says."""

import re

from devices import codes
from processors.catalogue import ALGORITHMS
from tests.benchmarks.write_signals import PAGE, given_quantities, page, text_part


def test_the_page_is_what_the_code_would_write() -> None:
    written = text_part(PAGE.read_text(encoding="utf-8"))

    assert written == text_part(page()), "run: python -m tests.benchmarks signals"


def test_every_algorithm_that_is_heard_is_described() -> None:
    heard = given_quantities()

    assert set(heard) <= set(ALGORITHMS)
    assert heard["ecg_heart_rate"] == [codes.HEART_RATE]


def test_every_algorithm_says_all_that_a_reader_needs() -> None:
    for algorithm in ALGORITHMS.values():
        assert re.fullmatch(r"[a-z0-9_]+", algorithm.name)
        assert algorithm.delay_s >= 0
        for text in (algorithm.method, algorithm.averaging, algorithm.validity, algorithm.source):
            assert text.strip()
            assert "|" not in text
