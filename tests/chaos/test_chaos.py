from pathlib import Path

import pytest

from tests.chaos.chaos import ChaosRun
from tests.chaos.schedule import SHORT


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.influx
@pytest.mark.timeout(400)
async def test_whatever_goes_wrong_the_same_observations_and_points_are_there(
    tmp_path: Path,
) -> None:
    report = await ChaosRun(SHORT, seed=1, folder=tmp_path).run()

    print(report.line())
    assert report.n_points > report.n_outputs > 0
    assert report.n_again > 0, "nothing came again: no kill has hit what was not kept yet"
    planned = {what: n for what, n in report.happened.items() if " ended with " not in what}
    assert sum(planned.values()) == 8
