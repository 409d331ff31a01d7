"""The agent's settings: units, bounds, and a page that says what they are."""

import pytest
from pydantic import ValidationError

from deploy.edge_settings import PAGE, table, with_table
from edge.settings import EdgeSettings


def settings(**more: object) -> EdgeSettings:
    return EdgeSettings.model_validate({"subject_id": "p-1", "devices": [{"name": "A"}], **more})


def test_the_page_has_the_settings_as_they_are() -> None:
    page = PAGE.read_text("utf-8")

    assert page == with_table(page), "run: python -m deploy.edge_settings"


def test_every_setting_says_what_it_is() -> None:
    silent = [row for row in table().splitlines() if row.endswith("|  |")]

    assert silent == []


@pytest.mark.parametrize(
    ("written", "n_bytes"),
    [(1_000_000, 1_000_000), ("1 MB", 1_000_000), ("1MiB", 1_048_576), ("2.5 GB", 2_500_000_000)],
)
def test_a_size_may_have_a_unit(written: object, n_bytes: int) -> None:
    assert settings(spool_bytes_max=written).spool_bytes_max == n_bytes


@pytest.mark.parametrize("written", ["99999", "1 kB", "-1 GB", "many", "1 parsec", True])
def test_a_size_that_is_none_or_too_small_is_refused(written: object) -> None:
    with pytest.raises(ValidationError, match="spool_bytes_max"):
        settings(spool_bytes_max=written)


def test_keys_and_socket_are_beside_the_spool() -> None:
    one = settings(spool_path="/var/lib/chevet/spool.sqlite")

    assert str(one.key_path) == "/var/lib/chevet/agent.key"
    assert str(one.socket_path) == "/var/lib/chevet/spool.sock"
