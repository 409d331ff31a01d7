from pathlib import Path

from deploy.influx_page import PAGE, tables, with_tables
from processors.sinks.measurements import MEASUREMENTS

ROOT = Path(__file__).parents[2]


def test_the_tables_in_the_documentation_are_those_of_the_code() -> None:
    page = (ROOT / PAGE).read_text("utf-8")

    assert page == with_tables(page), "run: python -m deploy.influx_page"


def test_every_measurement_and_field_is_in_the_tables() -> None:
    found = tables()

    for one in MEASUREMENTS:
        assert f"| `{one.name}` |" in found
        for each in one.fields:
            assert f"`{each.name}` (" in found
